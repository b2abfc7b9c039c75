"""Several objectives: the expected improvement of the hypervolume that the front dominates, under noise.

Where the trials stand is not known but sampled: each sample of the objectives at the trials, finished and pending, has
a front of its own (Daulton et al. 2021, Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected
Hypervolume Improvement, eq. 4). Given a sample, the objectives at a further point are independent normals, and what it
adds to the front has a closed form, as Letham et al. 2019 (Constrained Bayesian Optimization with Noisy Experiments)
do for one objective. So a few samples are enough, where sampling the further point as well takes a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from botorch.models import SingleTaskGP
from gpytorch.settings import debug
from scipy import special
from scipy.stats import qmc

from hybridbo.gp.features import Features, encode
from hybridbo.gp.hypervolume import Boxes, log_expected_improvement, reference_point
from hybridbo.gp.outputs import Output, Places
from hybridbo.observe import Observations, n_dominating
from hybridbo.parameters import Array
from hybridbo.space import Space

Chance: TypeAlias = Callable[[Array], Array]

MOST_OBJECTIVES = 4  # boxes: 25 over 50 points for two objectives, 95 for three, 400 for four, thousands for five
_SAMPLES = {2: 16, 3: 8, 4: 4}  # fronts; as the boxes over each grow, and the more objectives, the better they average
_FARTHEST = 10.0  # median distances from the median
_JITTER = 1e-6  # of unit variance; part of the noise, which the model never believes to be smaller


@dataclass(frozen=True)
class Paths:
    """One objective: samples of its values at the trials, and what is expected elsewhere given each.

    Attributes:
        process: The model.
        base: Columns of the trials, shape (b, f).
        values: The samples, shape (s, b).
        weights: What they pull with, shape (b, s).
        factor: Cholesky factor of the covariance at ``base``, shape (b, b).
    """

    process: SingleTaskGP
    base: torch.Tensor
    values: torch.Tensor
    weights: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def draw(cls, process: SingleTaskGP, base: Array, normals: Array) -> Paths:
        """Samples out of standard normals, shape (s, b), at columns, shape (b, f)."""
        at = torch.as_tensor(base)
        jitter = _JITTER * torch.eye(len(at), dtype=at.dtype)
        with torch.no_grad(), debug(False):  # which warns that these are the trials that it was built on
            known = process(at)
            root = _root(known.covariance_matrix + jitter)
            values = known.mean + torch.as_tensor(normals) @ root.T
            factor = _root(process.covar_module(at).to_dense() + jitter)
            weights = torch.cholesky_solve((values - process.mean_module(at)).T, factor)
        return cls(process, at, values, weights, factor)

    def given(self, columns: Array) -> tuple[Array, Array]:
        """Means given each sample, shape (n, s), and the standard deviation, shape (n,), at columns, shape (n, f).

        The samples hold the noise away from the trials' values, so nothing else that was observed counts beside them.
        """
        x = torch.as_tensor(columns)
        with torch.no_grad():
            cross = self.process.covar_module(x, self.base).to_dense()
            mean = self.process.mean_module(x).unsqueeze(-1) + cross @ self.weights
            known = torch.linalg.solve_triangular(self.factor, cross.T, upper=False).square().sum(0)
            variance = self.process.covar_module(x, diag=True) - known
        return mean.numpy(), variance.clamp_min(_JITTER).sqrt().numpy()


@dataclass(frozen=True)
class Front:
    """A fitted model of several objectives.

    Attributes:
        features: How points become columns.
        paths: One for each of the m objectives.
        boxes: Over the front of each sample.
        leaders: Trials on the front, on the unit cube, shape (k, d).
        notes: What went wrong in fitting and what was done instead.
    """

    features: Features
    paths: tuple[Paths, ...]
    boxes: tuple[Boxes, ...]
    leaders: Array
    notes: tuple[str, ...] = ()

    def score(self, u: Array) -> Array:
        """Log of the expected hypervolume improvement at points of the unit cube, shape (n, d) to (n,)."""
        columns = self.features.columns(u)
        means, sds = zip(*(path.given(columns) for path in self.paths), strict=True)
        return log_expected_improvement(np.stack(means, axis=2), np.stack(sds, axis=1), self.boxes)

    @classmethod
    def fit(cls, space: Space, seen: Observations, chance: Chance, rng: np.random.Generator, restarts: int) -> Front:
        """Learn from what was observed.

        Args:
            space: The space.
            seen: At least one trial that keeps the constraints.
            chance: Log probability, at columns, that a pending trial gives values within the constraints; else it is
                no part of the front.
            rng: For the fits and the samples.
            restarts: Starting points of each fit.
        """
        features = Features.of(space)
        u = encode(space, seen.params)
        x, pending = features.columns(u), features.columns(encode(space, seen.pending))
        places = Places.of(x)
        counts = places.mean(seen.feasible.astype(float)) > 0.5
        if not counts.any():  # the same configuration kept the constraints once and broke them as often
            counts[places.place[seen.feasible]] = True
        y = np.stack([places.mean(scaled(column)) for column in seen.losses.T], axis=1)
        outputs = [
            Output.fit(x[places.rows], column, features, rng, restarts, f"objective {j + 1}")
            for j, column in enumerate(y.T)
        ]
        base = np.concatenate([x[places.rows], pending])
        n_samples = _SAMPLES[len(outputs)]
        normals = _normals(len(outputs) * len(base), n_samples, rng).reshape(n_samples, len(outputs), len(base))
        paths = tuple(Paths.draw(output.process, base, normals[:, j]) for j, output in enumerate(outputs))
        kept = np.tile(counts, (n_samples, 1))
        drawn = rng.random((n_samples, len(pending))) < np.exp(chance(pending))
        kept = np.concatenate([kept, drawn], axis=1)
        mean = np.stack([output.at(x[places.rows][counts])[0] for output in outputs], axis=1)
        reference = reference_point(np.stack([output.at(x[places.rows])[0] for output in outputs], axis=1))
        values = np.stack([path.values.numpy() for path in paths], axis=2)
        boxes = tuple(Boxes.over(values[s][kept[s]], reference) for s in range(n_samples))
        leaders = u[places.rows][counts][n_dominating(-mean) == 0]
        return cls(features, paths, boxes, leaders, tuple(note for output in outputs for note in output.notes))


def scaled(losses: Array) -> Array:
    """Targets of one objective: standardised, outliers cut off, negated so that larger is better, shape (n,).

    Users measure hypervolume on the values themselves. A transform that bends them, such as the ranks of
    :func:`hybridbo.gp.features.targets`, puts the front's boxes out of proportion and loses to this one by far on ZDT
    and DTLZ. What is further from the median than ten median distances, an artefact or a disaster, counts as that
    far away: it may not flatten the rest.
    """
    small = losses / 16.0  # the difference of 1e308 and -1e308 has no double
    off = np.median(small) - small
    distance = np.abs(off)
    if not distance.any():
        return np.zeros(len(losses))
    unit = np.median(distance[distance > 0])
    out: Array = np.sign(off) * np.minimum(distance / unit, _FARTHEST)
    return (out - out.mean()) / out.std()


def _root(covariance: torch.Tensor) -> torch.Tensor:
    """Cholesky factor of a covariance, with as much on the diagonal as it takes, from nothing to 1 % of a variance."""
    eye = torch.eye(len(covariance), dtype=covariance.dtype)
    for more in (0.0, 1e-6, 1e-4):
        factor, info = torch.linalg.cholesky_ex(covariance + more * eye)
        if not info.any():
            return factor
    return torch.linalg.cholesky(covariance + 1e-2 * eye)


def _normals(d: int, n: int, rng: np.random.Generator) -> Array:
    """Quasi-random standard normals, shape (n, d), for n a power of 2."""
    points = qmc.Sobol(d, scramble=True, rng=rng).random_base2(round(math.log2(n)))
    out: Array = special.ndtri(np.clip(points, 1e-9, 1.0 - 1e-9))
    return out
