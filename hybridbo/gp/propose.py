"""One proposal of the Gaussian process: fit, weigh with beliefs, maximise over the mixed space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np

from hybridbo.belief import Belief
from hybridbo.errors import SpaceExhausted, SurrogateError
from hybridbo.gp import acquire, prior
from hybridbo.gp.acquisition import Acquisition
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import encode
from hybridbo.gp.ladder import TROUBLE
from hybridbo.gp.threads import isolated
from hybridbo.observe import Observations
from hybridbo.parameters import Array, Choice, Params
from hybridbo.settings import GPSettings
from hybridbo.space import Space

__all__ = ["Guide", "Observations", "Suggestion", "propose"]

_CROWDED = 0.05  # of the unit interval: a batch is spread at least that far, or it is one trial in many copies
_NEXT_DOOR = 0.005  # of the unit interval: a trial that close to a known one in every parameter tells nothing new
_DRAWN = 256  # candidates drawn from the beliefs


@dataclass(frozen=True)
class Guide:
    """What steers a proposal beside the observations.

    Attributes:
        taken: ``Space.key`` of what must not be proposed.
        beliefs: Beliefs, by parameter.
        weight: Trust in them, from 0 to 1.
        points: Configurations that somebody thinks well of: candidates beside the others, weighed like them.
        cost_power: The power of the expected duration that the improvement is divided by; 0 leaves durations out.
        fixed: Values that the proposal has to have.
        rivals: Configurations of somebody who is no part of the search: one is proposed in place of the best found only
            where it comes within ``slack`` of its score.
        slack: 0 or more.
    """

    taken: AbstractSet[str]
    beliefs: Mapping[str, Belief]
    weight: float
    points: Sequence[Params] = ()
    cost_power: float = 0.0
    fixed: Mapping[str, Choice] = field(default_factory=dict)
    rivals: Sequence[Params] = ()
    slack: float = 0.0


@dataclass(frozen=True)
class Suggestion:
    """What the surrogate proposes.

    Attributes:
        params: The configuration.
        loss_mean: Expected loss, in the units of the losses; NaN with several objectives or while none is feasible.
        loss_sd: Its standard deviation, likewise.
        notes: What went wrong on the way and what was done instead, one sentence each.
        rival: Which of the rivals it is; None if it is none.
        lead: By how much the best rival's score is above that of the best found; None without rivals.
    """

    params: Params
    loss_mean: float
    loss_sd: float
    notes: tuple[str, ...] = ()
    rival: int | None = None
    lead: float | None = None


def propose(
    space: Space, seen: Observations, guide: Guide, rng: np.random.Generator, settings: GPSettings
) -> Suggestion:
    """The configuration with the largest expected improvement, weighed by beliefs and feasibility.

    The score is log EI(x) + 2 log P(x succeeds) + power * log pi(x): piBO (Hvarfner et al. 2022, eq. 6), in log space,
    cooled faster than there from eight values on (:func:`hybridbo.gp.prior.power`). With several objectives EI is the
    expected improvement of the hypervolume; where constrained outcomes are known, log P(they keep their bounds) is
    added, and while none does, it takes the place of log EI. On request the logarithm of the expected duration is
    subtracted.

    Args:
        space: The space.
        seen: At least one value.
        guide: What not to propose, and beliefs.
        rng: Draws starting points and candidates.
        settings: Sizes.

    Raises:
        SurrogateError: The numbers broke down; fall back to a point without a model.
        SpaceExhausted: Everything is taken.
    """
    if not seen.is_single:
        import torch  # noqa: F401  # before the threads are looked for: fronts use it
    try:
        with isolated():  # on one thread: repeatable to the last digit
            return _propose(space, seen, guide, rng, settings)
    except SurrogateError:
        raise
    except TROUBLE as error:
        raise SurrogateError(f"the surrogate broke down ({type(error).__name__}: {error}).") from error


def _propose(
    space: Space, seen: Observations, guide: Guide, rng: np.random.Generator, settings: GPSettings
) -> Suggestion:
    deadline = Deadline.of(settings.deadline_s)
    surrogate = Acquisition.fit(space, seen, guide.cost_power, rng, settings.restarts, deadline)
    n = len(seen.params)
    exponent = prior.power(guide.weight, n, n + len(seen.failed)) if guide.beliefs else 0.0
    n_drawn = _DRAWN if exponent else 0

    def score(u: Array) -> Array:
        deadline.check()
        out = surrogate.score(u)
        return out + exponent * prior.log_density(space, guide.beliefs, u) if exponent else out

    best_first = acquire.maximise(
        score,
        space,
        rng,
        candidates=settings.candidates,
        good=surrogate.leaders,
        drawn=np.concatenate([prior.sample(space, guide.beliefs, n_drawn, rng), encode(space, guide.points)]),
        fixed=guide.fixed,
    )
    params = _first_new(space, best_first, guide.taken, seen)
    rival, lead = justify(space, score, params, guide, seen)
    params = params if rival is None else guide.rivals[rival]
    mean, sd = surrogate.predict(encode(space, [params]))
    return Suggestion(params, mean, sd, surrogate.notes, rival, lead)


def justify(
    space: Space, score: acquire.Score, own: Params, guide: Guide, seen: Observations
) -> tuple[int | None, float | None]:
    """Which rival is proposed in place of the own best, and the lead of the best of them, which may be negative.

    A rival x is proposed where score(x) >= score(own) - slack (LLINBO-Justify: Chang et al. 2025, section 2.4). One
    that is taken, or next door to a known trial or close to a pending one, is none.

    Args:
        space: The space.
        score: From points of the unit cube, shape (n, d), to scores, shape (n,).
        own: The best configuration that was found without rivals.
        guide: Has the rivals and the slack.
        seen: The known trials.

    Returns:
        Index into ``guide.rivals``, or None; and the lead, None if no rival is left.
    """
    fit = [i for i, params in enumerate(guide.rivals) if _is_new(space, params, guide.taken, seen)]
    if not fit:
        return None, None
    scores = score(encode(space, [own, *(guide.rivals[i] for i in fit)]))
    best = int(np.argmax(scores[1:]))
    lead = float(scores[1 + best] - scores[0])
    return (fit[best] if lead >= -guide.slack else None), lead


def _is_new(space: Space, params: Params, taken: AbstractSet[str], seen: Observations) -> bool:
    known, pending, u = encode(space, [*seen.params, *seen.failed]), encode(space, seen.pending), space.encode(params)
    is_apart = _distance(known, u) >= _NEXT_DOOR and _distance(pending, u) >= _CROWDED
    return is_apart and space.key(params) not in taken


def _first_new(space: Space, best_first: Iterable[Params], taken: AbstractSet[str], seen: Observations) -> Params:
    """The best configuration that is not taken, nor next door to a known one or close to a pending one if possible."""
    known, pending = encode(space, [*seen.params, *seen.failed]), encode(space, seen.pending)
    near = None
    for params in best_first:
        if space.key(params) in taken:
            continue
        u = space.encode(params)
        if _distance(known, u) >= _NEXT_DOOR and _distance(pending, u) >= _CROWDED:
            return params
        near = near or params
    if near is None:
        raise SpaceExhausted("every candidate that was looked at has been proposed.", "Widen the space, or stop here.")
    return near


def _distance(points: Array, u: Array) -> float:
    """To the nearest of the points, shape (n, d), in the parameter that differs most; inf without points."""
    return float(np.abs(points - u).max(axis=1).min()) if len(points) else np.inf
