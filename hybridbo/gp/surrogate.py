"""What the model knows of a space after some trials: the expected improvement, the chance to succeed, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.models import SingleTaskGP
from numpy.typing import NDArray

from hybridbo.errors import SurrogateError
from hybridbo.gp import feasibility, model
from hybridbo.gp.features import Features, targets, to_loss
from hybridbo.observe import Observations
from hybridbo.parameters import Array, Params
from hybridbo.space import Space


@dataclass(frozen=True)
class Surrogate:
    """A fitted model of the losses and of failure.

    Attributes:
        features: How points become columns.
        model: The Gaussian process on the targets, with fantasies at the pending points.
        incumbent: The target that has to be beaten.
        log_p: Log probability of success at columns; None if nothing has failed.
        losses: The observed losses, to turn predictions back into their units.
        leaders: The best points known, on the unit cube, best first, shape (k, d).
        notes: What went wrong in fitting and what was done instead.
    """

    features: Features
    model: SingleTaskGP
    incumbent: float
    log_p: Callable[[Array], Array] | None
    losses: Array
    leaders: Array
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, space: Space, seen: Observations, rng: np.random.Generator, restarts: int) -> Surrogate:
        """Learn from what was observed."""
        features = Features.of(space)
        u = encode(space, seen.params)
        x, y, first, feasible = _merge(features.columns(u), targets(seen.losses), seen.feasible)
        theta, notes = _fit(x, y, features, rng, restarts)
        process = model.build(x, y, features.groups, theta)
        known = x[feasible] if feasible.any() else x
        incumbent = float(_posterior(process, known)[0].max())  # of the mean, not of the noisy values
        if seen.pending:
            # a pending trial is believed to give what is predicted: little improvement is left to expect next to it
            columns = features.columns(encode(space, seen.pending))
            believed = _posterior(process, columns)[0]
            process = model.build(np.concatenate([x, columns]), np.concatenate([y, believed]), features.groups, theta)
            incumbent = max(incumbent, float(believed.max()))
        # constrained outcomes that were told with their values have models of their own
        good = np.ones_like(feasible) if seen.violations.size else feasible
        bad = np.concatenate([x[~good], features.columns(encode(space, seen.failed))])
        log_p = feasibility.log_probability(x[good], bad, features.groups, rng) if len(bad) else None
        candidates = np.where(feasible, y, y.min() - 1.0) if feasible.any() else y
        leaders = u[first][np.argsort(-candidates, kind="stable")[:5]]
        return cls(features, process, incumbent, log_p, seen.losses, leaders, notes)

    def score(self, u: Array) -> Array:
        """The score log EI(x) + log P(x succeeds) at points of the unit cube, shape (n, d) to (n,).

        LogEI is that of Ament et al. 2023 (Unexpected Improvements to Expected Improvement), eq. 8.
        """
        columns = self.features.columns(u)
        with torch.no_grad():
            improvement = LogExpectedImprovement(self.model, best_f=self.incumbent)
            out: Array = improvement(torch.as_tensor(columns).unsqueeze(1)).numpy()
        return out + self.log_p(columns) if self.log_p else out

    def predict(self, u: Array) -> tuple[float, float]:
        """Expected loss and its standard deviation at one point, shape (1, d), in the units of the losses."""
        mean, sd = (float(figure[0]) for figure in _posterior(self.model, self.features.columns(u)))
        known = targets(self.losses)
        ends = [to_loss(mean + sign * sd, known, self.losses) / 2 for sign in (-1, 1)]  # halves: 1e308 has no double
        return to_loss(mean, known, self.losses), abs(ends[0] - ends[1])


def encode(space: Space, configurations: Sequence[Params]) -> Array:
    """Points of the unit cube, shape (n, d), of configurations; n may be 0."""
    rows = [space.encode(params) for params in configurations]
    return np.array(rows) if rows else np.empty((0, len(space)))


def _fit(
    x: Array, y: Array, features: Features, rng: np.random.Generator, restarts: int
) -> tuple[Array, tuple[str, ...]]:
    try:
        return model.fit(x, y, features.groups, rng, restarts), ()
    except SurrogateError as error:
        note = f"The fit failed ({error.message}); the hyperparameters that the priors expect were used"
        return model.prior_centre(len(features.space)), (note,)


def _posterior(process: SingleTaskGP, columns: Array) -> tuple[Array, Array]:
    with torch.no_grad():
        posterior = process.posterior(torch.as_tensor(columns).unsqueeze(1))
        mean, variance = posterior.mean.reshape(-1), posterior.variance.reshape(-1)
    return mean.numpy(), variance.clamp_min(0.0).sqrt().numpy()


def _merge(
    x: Array, y: Array, feasible: NDArray[np.bool_]
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.bool_]]:
    """One row per place, with the mean of its targets: equal rows would make the covariance singular.

    Returns:
        Columns, targets, which row each comes from, and whether most of its trials were feasible.
    """
    _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    count, order = np.bincount(inverse), np.argsort(first, kind="stable")
    mean = np.bincount(inverse, weights=y) / count
    kept = np.bincount(inverse, weights=feasible.astype(float)) / count > 0.5
    rows = first[order]
    return x[rows], mean[order], rows, kept[order]
