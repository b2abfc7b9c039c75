"""Constrained outcomes: a Gaussian process for each, and the probability that all keep their bounds.

The acquisition is multiplied by that probability (Gardner et al. 2014, Bayesian Optimization with Inequality
Constraints, eq. 4), averaged over draws of the hyperparameters. What failed gave no outcome and stays with the
classifier of :mod:`hybridbo.gp.feasibility`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridbo.gp import feasibility, subset
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import Features, encode
from hybridbo.gp.ladder import Task
from hybridbo.gp.outputs import Output, Places
from hybridbo.observe import Observations
from hybridbo.parameters import Array

_FARTHEST = 3.0  # after the logarithm: twenty times the median distance from the bound is as far as it gets
_LEAST_SPREAD = 1.0 / 3.0  # of the distance from the bound: nothing is surer than three standard deviations


def slack(violations: Array) -> tuple[Array, float]:
    """Targets of one constrained outcome, shape (n,), and the bound on their scale.

    The violation's logarithm on either side of the bound (Eriksson and Poloczek 2021, Scalable Constrained Bayesian
    Optimization, section 3.2: bilog), in units of its median distance from the bound and cut off far away: resolved
    where the bound runs, and bent by no outlier. The bound stays where it was: a target is above it if and only if the
    violation is above 0.
    """
    distance = np.abs(violations)
    unit = np.median(distance[distance > 0]) if (distance > 0).any() else 1.0
    with np.errstate(over="ignore"):  # 1e300 / 1e-300 is as far away as it gets
        bent = np.sign(violations) * np.minimum(np.log1p(distance / unit), _FARTHEST)
    spread = max(bent.std(), _LEAST_SPREAD * np.sqrt(np.mean(np.square(bent))))
    if spread == 0.0:
        return bent, 0.0
    return (bent - bent.mean()) / spread, float(-bent.mean() / spread)


@dataclass(frozen=True)
class Constraints:
    """The models of the constrained outcomes.

    Attributes:
        outputs: One for each, and its bound in the units of the model.
    """

    outputs: tuple[tuple[Output, float], ...]

    @classmethod
    def fit(
        cls,
        features: Features,
        seen: Observations,
        rng: np.random.Generator,
        restarts: int,
        deadline: Deadline | None = None,
    ) -> Constraints:
        """Learn from what was observed; a pending trial is believed to give what is predicted.

        Args:
            features: How points become columns.
            seen: At least one trial with its constrained outcomes.
            rng: For the fits.
            restarts: Starting points of each fit.
            deadline: When to be content with less; None for never.

        Raises:
            SurrogateError: No rung of the ladder holds.
        """
        x = features.columns(encode(features.space, seen.params))
        pending = features.columns(encode(features.space, seen.pending))
        places = Places.of(x)
        deadline, outputs = deadline or Deadline.of(math.inf), []
        for column in seen.violations.T:
            y, bound = slack(column)
            task = Task(x[places.rows], places.mean(y), features.groups, rng, restarts, deadline)
            outputs.append((Output.fit(task, "a constraint").believing(pending), bound))
        return cls(tuple(outputs))

    @property
    def notes(self) -> tuple[str, ...]:
        """What went wrong in fitting and what was done instead."""
        return tuple(note for output, _ in self.outputs for note in output.notes)

    def log_probability(self, columns: Array) -> Array:
        """Log of the probability that every bound is kept, at columns, shape (n, f) to (n,)."""
        total = np.zeros(len(columns))
        for output, bound in self.outputs:
            total += output.ensemble.log_below(bound, columns)
        return total


def log_success(features: Features, seen: Observations, rng: np.random.Generator) -> Callable[[Array], Array] | None:
    """Log probability at columns that a trial gives values at all; None if none has failed.

    Beyond half of ``subset.MOST_SAMPLED`` successes or failures, it is learned from that many, spread wide.
    """
    if not seen.failed:
        return None
    good, bad = (features.columns(encode(features.space, group)) for group in (seen.params, seen.failed))
    half = subset.MOST_SAMPLED // 2
    good, bad = (part[subset.rows(part, np.zeros(len(part)), half)] for part in (good, bad))
    return feasibility.log_probability(good, bad, features.groups, rng)
