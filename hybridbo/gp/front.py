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
from scipy import special
from scipy.linalg import lapack
from scipy.stats import qmc

from hybridbo.errors import SurrogateError
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import Features, encode
from hybridbo.gp.hypervolume import Boxes, log_expected_improvement, reference_point
from hybridbo.gp.ladder import Task
from hybridbo.gp.outputs import Output, Places
from hybridbo.gp.process import Process
from hybridbo.observe import Observations, n_dominating
from hybridbo.parameters import Array
from hybridbo.space import Space

Chance: TypeAlias = Callable[[Array], Array]

MOST_OBJECTIVES = 4  # boxes: 25 over 50 points for two objectives, 95 for three, 400 for four, thousands for five
_SAMPLES = {2: 16, 3: 8, 4: 4}  # fronts; as the boxes over each grow, and the more objectives, the better they average
# Of the likeliest hyperparameters: with eight draws, which serve a single objective, the front was less well covered
# after 20 and 50 trials, on mixed spaces by far.
_DRAWS = 1
_FARTHEST = 10.0  # median distances from the median
_JITTER = 1e-6  # of unit variance: what is left of doubt beside a trial
_JITTERS = (1e-6, 1e-5, 1e-4, 1e-2)  # added to a covariance's diagonal, the next where one was not enough


@dataclass(frozen=True)
class Paths:
    """One objective: samples of its values at the trials, and what is expected elsewhere given each.

    Attributes:
        values: The samples, shape (s, b).
        process: What has seen them, without noise.
    """

    values: Array
    process: Process

    @classmethod
    def draw(cls, process: Process, base: Array, normals: Array) -> Paths:
        """Samples out of standard normals, shape (s, b), at columns, shape (b, f).

        Raises:
            SurrogateError: A covariance has no Cholesky factor, whatever is added.
        """
        mean, covariance = process.joint(base)
        values = mean + normals @ _root(covariance).T
        return cls(values, _noiseless(base, values.T, process))

    def given(self, columns: Array) -> tuple[Array, Array]:
        """Means given each sample, shape (n, s), and the standard deviation, shape (n,), at columns, shape (n, f).

        The samples hold the noise away from the trials' values, so nothing else that was observed counts beside them.
        """
        mean, variance = self.process.predict(columns)
        return mean, np.sqrt(np.maximum(variance, _JITTER))


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
    def fit(
        cls,
        space: Space,
        seen: Observations,
        chance: Chance,
        rng: np.random.Generator,
        restarts: int,
        deadline: Deadline | None = None,
    ) -> Front:
        """Learn from what was observed.

        Args:
            space: The space.
            seen: At least one trial that keeps the constraints.
            chance: Log probability, at columns, that a pending trial gives values within the constraints; else it is
                no part of the front.
            rng: For the fits and the samples.
            restarts: Starting points of each fit.
            deadline: When to be content with less; None for never.

        Raises:
            SurrogateError: The numbers broke down.
        """
        features, deadline = Features.of(space), deadline or Deadline.of(math.inf)
        u = encode(space, seen.params)
        x, pending = features.columns(u), features.columns(encode(space, seen.pending))
        places = Places.of(x)
        counts = places.mean(seen.feasible.astype(float)) > 0.5
        if not counts.any():  # the same configuration kept the constraints once and broke them as often
            counts[places.place[seen.feasible]] = True
        y = np.stack([places.mean(scaled(column)) for column in seen.losses.T], axis=1)
        outputs = [
            Output.fit(
                Task(x[places.rows], column, features.groups, rng, restarts, deadline, most=_DRAWS),
                f"objective {j + 1}",
            )
            for j, column in enumerate(y.T)
        ]
        base = np.concatenate([x[places.rows], pending])
        n_samples = _SAMPLES[len(outputs)]
        normals = _normals(len(outputs) * len(base), n_samples, rng).reshape(n_samples, len(outputs), len(base))
        paths = tuple(Paths.draw(output.ensemble.members[0], base, normals[:, j]) for j, output in enumerate(outputs))
        kept = np.tile(counts, (n_samples, 1))
        drawn = rng.random((n_samples, len(pending))) < np.exp(chance(pending))
        kept = np.concatenate([kept, drawn], axis=1)
        mean = np.stack([output.at(x[places.rows][counts])[0] for output in outputs], axis=1)
        reference = reference_point(np.stack([output.at(x[places.rows])[0] for output in outputs], axis=1))
        values = np.stack([path.values for path in paths], axis=2)
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


def _root(covariance: Array) -> Array:
    """Lower Cholesky factor of a covariance, with as much on the diagonal as it takes, up to 1 % of a variance.

    Raises:
        SurrogateError: That was not enough.
    """
    for more in _JITTERS:
        factor, info = lapack.dpotrf(covariance + more * np.eye(len(covariance)), lower=1, clean=1)
        if info == 0:
            return np.asarray(factor)
    raise SurrogateError(f"the covariance of {len(covariance)} sampled values has no Cholesky factor.")


def _noiseless(x: Array, y: Array, like: Process) -> Process:
    """The process with the hyperparameters of another one that has seen columns of targets as they are, (n, s)."""
    theta = like.theta.copy()
    theta[-2] = -math.inf  # the logarithm of the noise; what is left on the diagonal is the process's own jitter
    for more in _JITTERS[:-1]:
        try:
            return Process.of(x, y, like.groups, theta, more)
        except SurrogateError:
            continue
    return Process.of(x, y, like.groups, theta, _JITTERS[-1])


def _normals(d: int, n: int, rng: np.random.Generator) -> Array:
    """Quasi-random standard normals, shape (n, d), for n a power of 2."""
    points = qmc.Sobol(d, scramble=True, rng=rng).random_base2(round(math.log2(n)))
    out: Array = special.ndtri(np.clip(points, 1e-9, 1.0 - 1e-9))
    return out
