"""Which free point is worth most where no model speaks: one that opens a branch nothing has looked into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from hybridbo.parameters import Categorical, Params
from hybridbo.space import Space
from hybridbo.trial import History

_LOOKED_AT = 16  # points among which the one that opens most is taken
_EARLY = 50  # trials after which all that can be opened has been, and a search without a model should lose no time
_MOST_CHOICES = 6  # of a parameter that is to be tried with each of them: a search of 30 trials has no more to spend

Places = set[tuple[str, float]]


def best_of(space: Space, history: History, free: Iterator[Params]) -> Params | None:
    """The best of the next free points: the one that opens most branches which no trial has looked into.

    A surrogate that knows nothing of a branch of a conditional space may never look there. Choices that nothing depends
    on are left to the sequence, which loses its evenness where points are picked out.

    Args:
        space: The space.
        history: What has been tried.
        free: Points that may be proposed, in the order of their sequence.

    Returns:
        None if there is none.
    """
    untried = _branches(space) if len(history) < _EARLY else set()
    if untried:
        untried -= _places(space, (trial.params for trial in history.trials))
    near = list(islice(free, _LOOKED_AT if untried else 1))
    return max(near, key=lambda params: len(untried & _places(space, [params])), default=None)  # the first of equals


def _branches(space: Space) -> Places:
    """Every choice of a parameter that others depend on, as a place on the parameter's unit interval."""
    parents = {parent for parameter in space.values() for parent in parameter.when or {}}
    few = {
        n: p for n, p in space.items() if n in parents and isinstance(p, Categorical) and p.n_values <= _MOST_CHOICES
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
