"""Trials that no model proposes: points of one Sobol sequence, those first that try what nothing has tried yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

import numpy as np

from hybridbo.errors import SpaceExhausted
from hybridbo.parameters import Array, Categorical, Choice, Params
from hybridbo.space import Space
from hybridbo.trial import Trial

_BLOCK = 64
_BLOCKS = 16  # looked through beyond the points used before a space counts as used up
_LOOKED_AT = 16  # points among which the one that tries most is taken
_MOST_CHOICES = 6  # of a parameter that is to be tried with each of them: a search of 30 trials has no more to spend

Places = set[tuple[str, float]]


def next_point(
    space: Space,
    seed: int,
    trials: Sequence[Trial],
    taken: AbstractSet[str],
    move: Callable[[Array], Array],
    fixed: Mapping[str, Choice] | None = None,
) -> Params:
    """The next configuration of the study's Sobol sequence.

    Of the next points that are free, the one with most choices of categorical parameters that no trial has had, those
    that others depend on before all. A surrogate that knows nothing of a branch of a conditional space may never look
    into it.

    Args:
        space: The space.
        seed: Of the sequence, which the trials of a study share.
        trials: All there are.
        taken: ``Space.key`` of what must not be proposed.
        move: From a block of points of the unit cube, shape (64, d), to where they are wanted.
        fixed: Values that the configuration has to have.

    Raises:
        SpaceExhausted: Everything is taken.
    """
    used = sum(trial.origin.source == "sobol" for trial in trials)

    def place(points: Array) -> Array:
        return space.pin(move(points), fixed or {})

    free = list(islice(_free(space, seed, used, taken, place), _LOOKED_AT))
    if not free:
        free = list(islice((p for p in space.configurations(fixed) if space.key(p) not in taken), 1))
    if not free:
        raise SpaceExhausted("all configurations of the space have been proposed.", "The search is complete.")
    untried = _choices(space) - _places(space, (trial.params for trial in trials))
    parents = {parent for parameter in space.values() for parent in parameter.when or {}}

    def news(params: Params) -> tuple[int, int]:
        """How many choices would be tried for the first time: those that open a branch, and all."""
        new = untried & _places(space, [params])
        return sum(name in parents for name, _ in new), len(new)

    return max(free, key=news)  # the first of equals


def _free(
    space: Space, seed: int, used: int, taken: AbstractSet[str], move: Callable[[Array], Array]
) -> Iterable[Params]:
    from scipy.stats import qmc  # half a second to import, and many asks do not come here

    sequence = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed))
    for block in range(used // _BLOCK + _BLOCKS):
        for index, point in enumerate(move(sequence.random(_BLOCK)), start=block * _BLOCK):
            if index >= used and space.key(params := space.decode(point)) not in taken:
                yield params


def _choices(space: Space) -> Places:
    """Every choice that is to be tried once, as a place on the parameter's unit interval."""
    few = {
        n: p for n, p in space.items() if isinstance(p, Categorical) and not p.ordered and p.n_values <= _MOST_CHOICES
    }
    return {(name, parameter.to_unit(choice)) for name, parameter in few.items() for choice in parameter.choices}


def _places(space: Space, configurations: Iterable[Params]) -> Places:
    """Where configurations lie in their categorical parameters; what a store made elsewhere holds may be unreadable."""
    found: Places = set()
    for params in configurations:
        for name, value in params.items():
            parameter = space.get(name)
            if isinstance(parameter, Categorical) and parameter.problem_of(value) is None:
                found.add((name, parameter.to_unit(value)))
    return found
