"""What the model knows of a space after some trials: the expected improvement, the chance to succeed, predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hybridbo.gp import feasibility, ladder, subset
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.ensemble import Ensemble
from hybridbo.gp.features import Features, encode, targets, to_loss
from hybridbo.gp.ladder import Sample, Task
from hybridbo.observe import Observations
from hybridbo.parameters import Array
from hybridbo.space import Space


@dataclass(frozen=True)
class Surrogate:
    """A fitted model of the losses and of failure.

    Attributes:
        features: How points become columns.
        process: The Gaussian processes on the targets, with fantasies at the pending points.
        incumbent: The target that has to be beaten, by member of the ensemble, shape (m,).
        log_p: Log probability of success at columns; None if nothing has failed.
        losses: The observed losses, to turn predictions back into their units.
        leaders: The best points known, on the unit cube, best first, shape (k, d).
        notes: What went wrong in fitting and what was done instead.
    """

    features: Features
    process: Ensemble
    incumbent: Array
    log_p: Callable[[Array], Array] | None
    losses: Array
    leaders: Array
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        space: Space,
        seen: Observations,
        rng: np.random.Generator,
        restarts: int,
        deadline: Deadline | None = None,
    ) -> Surrogate:
        """Learn from what was observed.

        Predictions rest on at most ``subset.MOST_PREDICTED`` observations with a value and as many without.

        Args:
            space: The space.
            seen: What was observed; see :func:`hybridbo.gp.ladder.clean`.
            rng: Draws the starting points of the fits.
            restarts: How many of them.
            deadline: When to be content with less; None for never.

        Raises:
            SurrogateError: No rung of the ladder holds.
        """
        features = Features.of(space)
        u = encode(space, seen.params)
        everything = Sample(features.columns(u), targets(seen.losses), seen.feasible, np.arange(len(u)))
        sample, said = ladder.prepare(everything)
        sample = sample.take(subset.rows(sample.x, sample.y, subset.MOST_PREDICTED))
        pending = features.columns(encode(space, seen.pending))
        task = Task(sample.x, sample.y, features.groups, rng, restarts, deadline or Deadline.of(math.inf))
        (process, incumbent), fallen = ladder.climb(task, partial(_condition, sample, pending, features))
        failed = features.columns(encode(space, seen.failed))
        # constrained outcomes that were told with their values have models of their own
        good = np.ones_like(sample.feasible) if seen.violations.size else sample.feasible
        log_p, doubt = _log_p(sample, good, failed, features, rng)
        merit = np.where(sample.feasible, sample.y, sample.y.min() - 1.0) if sample.feasible.any() else sample.y
        leaders = u[sample.rows[np.argsort(-merit, kind="stable")[:5]]]
        return cls(features, process, incumbent, log_p, seen.losses, leaders, (*said, *fallen, *doubt))

    def score(self, u: Array) -> Array:
        """The score log EI(x) + 2 log P(x succeeds) at points of the unit cube, shape (n, d) to (n,).

        LogEI is that of Ament et al. 2023 (Unexpected Improvements to Expected Improvement), eq. 8.
        """
        columns = self.features.columns(u)
        out = self.process.log_ei(columns, self.incumbent)
        return out + feasibility.CAUTION * self.log_p(columns) if self.log_p else out

    def predict(self, u: Array) -> tuple[float, float]:
        """Expected loss and its standard deviation at one point, shape (1, d), in the units of the losses."""
        mean, variance = (float(figure[0]) for figure in self.process.predict(self.features.columns(u)))
        sd = math.sqrt(variance)
        known = targets(self.losses)
        ends = [to_loss(mean + sign * sd, known, self.losses) / 2 for sign in (-1, 1)]  # halves: 1e308 has no double
        return to_loss(mean, known, self.losses), abs(ends[0] - ends[1])


def _condition(
    sample: Sample, pending: Array, features: Features, thetas: Array, jitter: float
) -> tuple[Ensemble, Array]:
    """The processes that have seen the sample and believe in the pending trials, and the targets to be beaten."""
    process = Ensemble.of(sample.x, sample.y, features.groups, thetas, jitter)
    known = sample.x[sample.feasible] if sample.feasible.any() else sample.x
    if len(pending):
        process = process.with_pending(sample.x, sample.y, pending, jitter)
        known = np.concatenate([known, pending])
    return process, process.best_means(known)  # of the mean, not of the noisy values


def _log_p(
    sample: Sample, succeeded: NDArray[np.bool_], failed: Array, features: Features, rng: np.random.Generator
) -> tuple[Callable[[Array], Array] | None, tuple[str, ...]]:
    """The log probability of success, None where nothing has failed, and a sentence if it could not be learned."""
    good, bad = sample.x[succeeded], np.concatenate([sample.x[~succeeded], failed])
    if not len(bad):
        return None, ()
    half = subset.MOST_PREDICTED // 2
    if len(good) + len(bad) > 2 * half:
        good, bad = (part[subset.rows(part, np.zeros(len(part)), half)] for part in (good, bad))
    try:
        return feasibility.log_probability(good, bad, features.groups, rng), ()
    except ladder.TROUBLE as error:
        why = f"The model of failures failed ({type(error).__name__}: {error})"
        return None, (f"{why}; every place counts as equally likely to succeed",)
