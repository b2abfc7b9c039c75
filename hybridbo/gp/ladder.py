"""The ladder for numerical trouble: what is done, in which order, when the arithmetic does not hold.

From top to bottom, each rung cheaper and coarser than the one above:

1. *clean*: an observation that is not finite, or does not belong to the space, is left out (:func:`clean`);
2. *winsorise*: a target far outside the others is pulled in (:data:`STEPS`);
3. *merge*: observations of one place count as one, with the mean of their targets (:data:`STEPS`);
4. *jitter*: variance is added to the covariance's diagonal, ten times as much each time (:data:`RUNGS`);
5. *refit*: the hyperparameters are fitted afresh, from the priors' centre alone and under jitter (:data:`RUNGS`);
6. *defaults*: the hyperparameters that the priors expect, without a fit (:data:`RUNGS`);
7. a *Sobol* point, which the engine takes when :func:`climb` raises.

The first three are taken where the data ask for them, the others when the one above has failed or there is no time left
for it. Every one that was taken leaves a sentence: they become the reason of the proposal and events of the study.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridbo.errors import HybridboError, SurrogateError
from hybridbo.gp import model
from hybridbo.gp.deadline import Deadline
from hybridbo.observe import Observations
from hybridbo.parameters import Array, Categorical, Parameter, Params, is_number
from hybridbo.space import Space

# What NumPy, SciPy and torch raise when numbers break down; a defect of ours, such as a TypeError, is not among them.
TROUBLE = (SurrogateError, ArithmeticError, RuntimeError, ValueError, MemoryError)

_FARTHEST = 10.0  # standard deviations; the normal scores of a million values stay within 5
_SHARE_OF_FIT = 0.5  # of the deadline: what is left is for maximising the acquisition

Trouble = Literal["none", "fit", "factor"]
T = TypeVar("T")


# Rungs of the data -----------------------------------------------------------------------------------------------


def clean(space: Space, seen: Observations) -> tuple[Observations, tuple[str, ...]]:
    """Leave out what cannot be learned from: values that are not finite, configurations that the space cannot hold.

    A tell refuses such values; they come from stores and histories made elsewhere.

    Returns:
        What is left, and a sentence if that is less than there was.

    Raises:
        SurrogateError: Nothing with a value is left.
    """
    n = min(len(seen.params), len(seen.losses), len(seen.feasible))
    losses = np.asarray(seen.losses[:n], dtype=np.float64)
    finite = np.array([np.isfinite(row).all() for row in losses], dtype=bool)
    kept = [i for i in range(n) if finite[i] and _belongs(space, seen.params[i])]
    pending, failed = ([params for params in group if _belongs(space, params)] for group in (seen.pending, seen.failed))
    timed = [i for i, params in enumerate(seen.timed) if _belongs(space, params)]
    before = len(seen.params) + len(seen.pending) + len(seen.failed)
    dropped = before - len(kept) - len(pending) - len(failed)
    if not kept:
        raise SurrogateError(f"none of {len(seen.params)} values is finite and of a configuration of the space.")
    if not dropped and len(timed) == len(seen.timed):
        return seen, ()
    left = replace(
        seen,
        params=[seen.params[i] for i in kept],
        losses=losses[kept],
        feasible=seen.feasible[kept],
        violations=seen.violations[kept] if len(seen.violations) else seen.violations,
        pending=tuple(pending),
        failed=tuple(failed),
        timed=[seen.timed[i] for i in timed],
        seconds=seen.seconds[timed],
    )
    return left, (f"{dropped} of {before} trials left out: not finite, or outside the space",) if dropped else ()


@dataclass(frozen=True)
class Sample:
    """What a process is made of.

    Attributes:
        x: Columns, shape (n, f).
        y: Targets, larger is better, shape (n,).
        feasible: Whether each place keeps the constraints, shape (n,).
        rows: The observation that each row comes from, shape (n,).
    """

    x: Array
    y: Array
    feasible: NDArray[np.bool_]
    rows: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Sample:
        """Some of the rows."""
        return Sample(self.x[rows], self.y[rows], self.feasible[rows], self.rows[rows])


def winsorise(sample: Sample) -> tuple[Sample, str]:
    """Pull targets beyond ten standard deviations in to that distance: one of 1e30 would be all that the model sees."""
    inside = np.clip(sample.y, -_FARTHEST, _FARTHEST)
    if not np.isfinite(inside).all():
        raise SurrogateError("the targets are not finite.")
    moved = int((inside != sample.y).sum())
    said = f"{moved} of {len(inside)} targets pulled in to {_FARTHEST:g} standard deviations" if moved else ""
    return replace(sample, y=inside), said


def merge(sample: Sample) -> tuple[Sample, str]:
    """One row per place, with the mean of its targets: equal rows would make the covariance singular.

    A place is feasible when most of its trials were.
    """
    _, first, inverse = np.unique(sample.x, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(sample.x):
        return sample, ""
    inverse = inverse.reshape(-1)
    count, order = np.bincount(inverse), np.argsort(first, kind="stable")
    mean = np.bincount(inverse, weights=sample.y) / count
    kept = np.bincount(inverse, weights=sample.feasible.astype(float)) / count > 0.5
    rows = first[order]
    said = f"{len(sample.x)} trials merged into {len(rows)}: those of one place count as one, with their mean"
    return Sample(sample.x[rows], mean[order], kept[order], sample.rows[rows]), said


STEPS: tuple[Callable[[Sample], tuple[Sample, str]], ...] = (winsorise, merge)


def prepare(sample: Sample) -> tuple[Sample, tuple[str, ...]]:
    """Take the rungs of the data; returns what they leave and a sentence for each that changed something."""
    said = []
    for step in STEPS:
        sample, sentence = step(sample)
        said.append(sentence)
    return sample, tuple(sentence for sentence in said if sentence)


# Rungs of the model ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What the hyperparameters are sought for.

    Attributes:
        x: Columns, shape (n, f).
        y: Targets, shape (n,).
        groups: The parameter of each column, shape (f,).
        rng: Draws the starting points.
        restarts: How many starting points.
        deadline: When to stop.
        most: How many draws of the hyperparameters at most, see :func:`hybridbo.gp.model.sample`.
    """

    x: Array
    y: Array
    groups: NDArray[np.int64]
    rng: np.random.Generator
    restarts: int
    deadline: Deadline
    most: int | None = None

    def stop(self) -> None:
        """Raise DeadlinePassed when the time for the fit is up."""
        self.deadline.check(_SHARE_OF_FIT)


@dataclass(frozen=True)
class Rung:
    """A way to a model.

    Attributes:
        answers: The trouble after which it is tried.
        theta: Finds hyperparameters, shape (m, d + 2); None leaves those of the rung before.
        jitter: Variance added to the noise; the targets have unit variance.
        said: What it does, for the user.
        slow: Whether it is passed by when time is short.
    """

    answers: tuple[Trouble, ...]
    theta: Callable[[Task], Array] | None
    jitter: float
    said: str
    slow: bool = False


def _fit(task: Task) -> Array:
    return model.sample(task.x, task.y, task.groups, task.rng, task.restarts, most=task.most, stop=task.stop)


def _refit(task: Task) -> Array:
    return model.fit(task.x, task.y, task.groups, task.rng, 1, jitter=1e-3, stop=task.stop)[None]


def _defaults(task: Task) -> Array:
    return model.prior_centre(int(task.groups.max()) + 1)[None]


RUNGS: tuple[Rung, ...] = (
    Rung(("none",), _fit, 0.0, "the hyperparameters were fitted", slow=True),
    Rung(("factor",), None, 1e-5, "a jitter of 1e-05 was added to the covariance"),
    Rung(("factor",), None, 1e-4, "a jitter of 1e-04 was added to the covariance"),
    Rung(("factor",), None, 1e-3, "a jitter of 1e-03 was added to the covariance"),
    Rung(("fit", "factor"), _refit, 1e-3, "the fit was made again from the centre of the priors", slow=True),
    Rung(("fit", "factor"), _defaults, 1e-2, "the hyperparameters that the priors expect were used"),
)


def climb(task: Task, condition: Callable[[Array, float], T]) -> tuple[T, tuple[str, ...]]:
    """The model of the first rung that holds.

    Args:
        task: What the hyperparameters are sought for.
        condition: Makes the model from hyperparameters and jitter; raises one of TROUBLE where it does not hold.

    Returns:
        The model, and a sentence for every rung below the first that was tried.

    Raises:
        SurrogateError: No rung holds; the sentences are in its message.
    """
    trouble: Trouble = "none"
    theta, why, said = _defaults(task), "", []
    for rung in RUNGS:
        if trouble not in rung.answers:
            continue
        if rung.slow and task.deadline.is_past(_SHARE_OF_FIT):
            trouble, why = "fit", why or "There was no time left for a fit"
            continue
        if why:
            said.append(f"{why}; {rung.said}")
        try:
            trouble = "fit"
            theta = _finite(rung.theta(task)) if rung.theta else theta
            trouble = "factor"
            return condition(theta, rung.jitter), tuple(said)
        except TROUBLE as error:
            why = f"The {_WHAT[trouble]} failed ({_words(error)})"
    raise SurrogateError(". ".join([*said, why]) + ".")


_WHAT: dict[Trouble, str] = {"fit": "fit", "factor": "model"}


def _finite(theta: Array) -> Array:
    if not np.isfinite(theta).all():
        raise SurrogateError("its hyperparameters are not finite.")
    return theta


def _words(error: BaseException) -> str:
    return error.message.rstrip(".") if isinstance(error, HybridboError) else f"{type(error).__name__}: {error}"


def _belongs(space: Space, params: Params) -> bool:
    """Whether the space can hold a configuration: every active parameter, no unknown one, each in its range."""
    complete = all(name in params or not space.is_active(name, params) for name in space)
    return complete and all(name in space and _holds(space[name], value) for name, value in params.items())


def _holds(parameter: Parameter, value: object) -> bool:
    if isinstance(parameter, Categorical):
        return parameter.problem_of(value) is None
    return is_number(value) and bool(parameter.low <= value <= parameter.high)  # type: ignore[operator]  # a number
