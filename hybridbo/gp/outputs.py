"""One Gaussian process for each outcome of a trial: objectives, constrained outcomes, durations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from botorch.models import SingleTaskGP
from numpy.typing import NDArray

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.gp.features import Features
from hybridbo.parameters import Array


@dataclass(frozen=True)
class Output:
    """The fitted model of one outcome.

    Attributes:
        process: The Gaussian process.
        x: Columns, shape (n, f).
        y: Targets, shape (n,).
        groups: The parameter of each column, shape (f,).
        theta: Its hyperparameters, as :func:`hybridbo.gp.model.fit` returns them.
        notes: What went wrong in fitting and what was done instead.
    """

    process: SingleTaskGP
    x: Array
    y: Array
    groups: NDArray[np.int64]
    theta: Array
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, x: Array, y: Array, features: Features, rng: np.random.Generator, restarts: int, name: str) -> Output:
        """Learn one outcome.

        Args:
            x: Columns, no two rows equal, shape (n, f), n >= 1.
            y: Targets of about unit variance, shape (n,).
            features: Where the columns come from.
            rng: For the starting points of the fit.
            restarts: How many of them.
            name: Of the outcome, for the note.
        """
        groups = features.groups
        notes: tuple[str, ...] = ()
        try:
            theta = model.fit(x, y, groups, rng, restarts)
        except SurrogateError as error:
            theta = model.prior_centre(int(groups.max()) + 1)
            why = f"The fit of {name} failed ({error.message})"
            notes = (f"{why}; the hyperparameters that the priors expect were used",)
        return cls(model.build(x, y, groups, theta), x, y, groups, theta, notes)

    def believing(self, columns: Array) -> Output:
        """The model when trials at ``columns``, shape (p, f), give what is predicted: less is left to find there."""
        if not len(columns):
            return self
        x, y = np.concatenate([self.x, columns]), np.concatenate([self.y, self.at(columns)[0]])
        return replace(self, process=model.build(x, y, self.groups, self.theta), x=x, y=y)

    def at(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the outcome without its noise, shapes (k,), at columns, shape (k, f)."""
        with torch.no_grad():
            posterior = self.process.posterior(torch.as_tensor(columns).unsqueeze(1))
            mean, variance = posterior.mean.reshape(-1), posterior.variance.reshape(-1)
        return mean.numpy(), variance.clamp_min(1e-12).sqrt().numpy()


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
