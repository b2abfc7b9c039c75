"""From a history to what the surrogate learns from: losses, violations, durations, each in an array of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hybridbo.objective import Objective
from hybridbo.parameters import Array, Params
from hybridbo.trial import History, Trial

_LARGEST = float(np.finfo(float).max)
_TCHEBYCHEFF = 0.05  # Knowles 2006 (ParEGO), eq. 2


@dataclass(frozen=True)
class Observations:
    """What the surrogate learns from.

    Attributes:
        params: Configurations with a value.
        losses: Their values, smaller is better, n >= 1: shape (n,), or (n, m) with m > 1 objectives.
        feasible: Whether each keeps the constraints, shape (n,).
        pending: Configurations being evaluated.
        failed: Configurations that gave no value.
        violations: How far each constrained outcome is beyond its bound, 0 or less where it keeps it, shape (n, k).
        timed: Configurations that took a known time, failed ones among them.
        seconds: How long, shape (len(timed),).
    """

    params: Sequence[Params]
    losses: Array
    feasible: NDArray[np.bool_]
    pending: Sequence[Params] = ()
    failed: Sequence[Params] = ()
    violations: Array = field(default_factory=lambda: np.empty((0, 0)))
    timed: Sequence[Params] = ()
    seconds: Array = field(default_factory=lambda: np.empty(0))

    @property
    def is_single(self) -> bool:
        """Whether the losses are of one objective."""
        return self.losses.ndim == 1

    @property
    def seeks_feasible(self) -> bool:
        """Whether constrained outcomes are known, and none of them keeps its bounds: improvement means nothing yet."""
        return bool(self.violations.size) and not self.feasible.any()

    @property
    def is_constant(self) -> bool:
        """Whether several trials tell nothing apart: equal values, all or none of them within the constraints."""
        table = self.violations if self.seeks_feasible else self.losses
        same = len(table) > 1 and bool((table == table[0]).all())
        return same and (self.seeks_feasible or bool(self.feasible.all())) and not self.failed

    def take(self, rows: NDArray[np.int64]) -> Observations:
        """The same with some of the trials that have a value, by their rows; the others stay."""
        return replace(
            self,
            params=[self.params[i] for i in rows],
            losses=self.losses[rows],
            feasible=self.feasible[rows],
            violations=self.violations[rows] if self.violations.size else self.violations,
        )

    def merit(self) -> Array:
        """One figure a trial to rank all by, smaller is better, shape (n,).

        The loss of one objective; with several, how many trials dominate it (Fonseca and Fleming 1993, Genetic
        Algorithms for Multiobjective Optimization); while nothing keeps the constraints, the sum of the ranks of the
        violations.
        """
        if self.seeks_feasible:
            beyond = np.maximum(self.violations, 0.0)
            ranks = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in beyond.T]
            return np.asarray(np.sum(ranks, axis=0), dtype=np.float64)
        return self.losses if self.is_single else n_dominating(self.losses).astype(np.float64)

    def ranking(self) -> Array:
        """:meth:`merit` of each trial with a value, then of each failed one; inf for what failed or is infeasible."""
        told = self.merit()
        if not self.seeks_feasible:
            told = np.where(self.feasible, told, np.inf)
        return np.concatenate([told, np.full(len(self.failed), np.inf)])


def observe(history: History, objective: Objective) -> Observations:
    """What a history tells the surrogate.

    A trial counts as completed when it has every objective and every constrained outcome: a pruned one may lack some,
    and then tells nothing but how long it took.
    """
    trials = [trial for trial in history.completed if set(objective.names) <= trial.values.keys()]
    table = np.array([objective.losses(trial.values) for trial in trials], dtype=float)
    table = table.reshape(len(trials), len(objective.directions))
    timed = [trial for trial in (*history.completed, *history.failed) if trial.duration_s is not None]
    return Observations(
        params=[trial.params for trial in trials],
        losses=table[:, 0] if objective.is_single else table,
        feasible=np.array([objective.is_feasible(trial.values) for trial in trials], dtype=bool),
        pending=[trial.params for trial in history.pending],
        failed=[trial.params for trial in history.failed],
        violations=_violations(trials, objective),
        timed=[trial.params for trial in timed],
        seconds=np.array([trial.duration_s for trial in timed], dtype=float),
    )


def merits(history: History, objective: Objective) -> dict[int, float]:
    """One figure for each finished trial, by number, to rank all by: smaller is better, inf for a failed one.

    Only the order counts. A failed trial, or one that breaks a constraint while others keep it, comes last.
    """
    seen = observe(history, objective)
    numbers = [t.number for t in history.completed if set(objective.names) <= t.values.keys()]
    known = zip(numbers, seen.ranking(), strict=False) if numbers else ()
    return {**{trial.number: math.inf for trial in history.failed}, **{n: float(figure) for n, figure in known}}


def n_dominating(losses: Array) -> NDArray[np.int64]:
    """How many rows of a table, shape (n, m), are no worse than each in any column and better in one, shape (n,)."""
    mine, other = losses[:, None, :], losses[None, :, :]
    dominates = np.all(other <= mine, axis=2) & np.any(other < mine, axis=2)
    return np.asarray(dominates.sum(axis=1), dtype=np.int64)


def weighed(losses: Array, rng: np.random.Generator) -> Array:
    """Several objectives as one, shape (n, m) to (n,): weighed at random (Knowles 2006, ParEGO).

    Ranks put each objective on the same scale, whatever its units and outliers.
    """
    from scipy.stats import rankdata  # takes half a second to import, and most asks do not come here

    ranks: Array = (rankdata(losses, axis=0) - 1.0) / max(len(losses) - 1, 1)
    products: Array = ranks * rng.dirichlet(np.ones(losses.shape[1]))
    out: Array = products.max(axis=1) + _TCHEBYCHEFF * products.sum(axis=1)
    return out


def _violations(trials: Sequence[Trial], objective: Objective) -> Array:
    table = [[bound.violation(trial.values[bound.name]) for bound in objective.constraints] for trial in trials]
    # the difference of 1e308 and -1e308 has no double
    out: Array = np.clip(np.array(table, dtype=float), -_LARGEST, _LARGEST)
    return out.reshape(len(trials), len(objective.constraints))
