"""One Gaussian process for each outcome of a trial: objectives, constrained outcomes, durations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybridbo.gp import ladder
from hybridbo.gp.ensemble import Ensemble
from hybridbo.gp.ladder import Task
from hybridbo.parameters import Array

_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Output:
    """The fitted model of one outcome.

    Attributes:
        ensemble: A Gaussian process for each draw of the hyperparameters.
        x: Columns, shape (n, f).
        y: Targets, shape (n,).
        jitter: Variance that it took beside the noise.
        notes: What went wrong in fitting and what was done instead.
    """

    ensemble: Ensemble
    x: Array
    y: Array
    jitter: float = 0.0
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, task: Task, name: str) -> Output:
        """Learn one outcome.

        Args:
            task: Its columns, no two rows equal, and targets of about unit variance, at least one.
            name: Of the outcome, for the notes.

        Raises:
            SurrogateError: No rung of the ladder holds.
        """

        def condition(thetas: Array, jitter: float) -> tuple[Ensemble, float]:
            return Ensemble.of(task.x, task.y, task.groups, thetas, jitter), jitter

        (ensemble, jitter), said = ladder.climb(task, condition)
        return cls(ensemble, task.x, task.y, jitter, tuple(f"Of {name}: {sentence}" for sentence in said))

    def believing(self, columns: Array) -> Output:
        """The model when trials at ``columns``, shape (p, f), give what is predicted: less is left to find there."""
        if not len(columns):
            return self
        return replace(self, ensemble=self.ensemble.with_pending(self.x, self.y, columns, self.jitter))

    def at(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the outcome without its noise, shapes (k,), at columns, shape (k, f)."""
        mean, variance = self.ensemble.predict(columns)
        return mean, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))


@dataclass(frozen=True)
class Places:
    """Which rows of a table of trials are at the same place.

    Attributes:
        rows: One row for each place, the first, shape (p,).
        place: The place of each row, shape (n,).
    """

    rows: NDArray[np.int64]
    place: NDArray[np.int64]

    @classmethod
    def of(cls, x: Array) -> Places:
        """The places of columns, shape (n, f), in order of appearance: equal rows make a covariance singular."""
        _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(first), dtype=np.int64)
        rank[order] = np.arange(len(first))
        return cls(first[order], rank[inverse.reshape(-1)])

    def mean(self, table: Array) -> Array:
        """The mean of a table, shape (n,) or (n, m), over the rows of each place, shape (p,) or (p, m)."""
        total = np.zeros((len(self.rows), *table.shape[1:]))
        np.add.at(total, self.place, table)
        count = np.bincount(self.place).astype(float)
        out: Array = total / count.reshape(-1, *[1] * (table.ndim - 1))
        return out
