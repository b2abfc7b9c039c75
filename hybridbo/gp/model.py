"""The surrogate's hyperparameters: Matern 5/2 over the mixed space, their likeliest values and draws around them.

They are a lengthscale per parameter, the noise and the mean; the targets have unit variance, so the
signal variance is 1. The priors are log lengthscale ~ N(log(d) / 2, sqrt(3)) and log noise ~ N(-4, 1): those of
Hvarfner et al. 2024 (Vanilla Bayesian Optimization Performs Great in High Dimensions, section 5.1), which BoTorch uses
too, without their shift of sqrt(2). Theirs are made for a hundred points; with 5 to 30, lengthscales four times as long
as the cube's diagonal see a plane, and the search circled around its first good point. The fit is L-BFGS on an explicit
log posterior: for 5 to 50 points most of the time of BoTorch's stock fit is overhead.

The model of record is the BoTorch SingleTaskGP of :mod:`hybridbo.gp.reference`; what is computed here and in
:mod:`hybridbo.gp.process` gives its numbers without loading torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from hybridbo.errors import SurrogateError
from hybridbo.gp import sampling, subset
from hybridbo.parameters import Array

JITTER = 1e-6  # added to the noise
_NOISE_MEAN, _NOISE_SD = -4.0, 1.0
_LOG_BOUNDS = (-7.0, 7.0)  # of lengthscales; beyond, the likelihood is flat
_NOISE_BOUNDS = (-12.0, 2.0)
MOST_MEMBERS = 8  # sixteen were no better
_MEMBERS_BY_TRIALS = 512  # eight up to 64 observations, four at 128, one from 171 on
_BROKEN = 1e10  # stands for the value where the covariance cannot be factored


def fit(
    x: Array,
    y: Array,
    groups: NDArray[np.int64],
    rng: np.random.Generator,
    restarts: int,
    *,
    jitter: float = 0.0,
    stop: Callable[[], None] | None = None,
) -> Array:
    """Hyperparameters of the highest posterior density found.

    Args:
        x: Columns, shape (n, f).
        y: Targets of about unit variance, shape (n,).
        groups: The parameter of each column, shape (f,).
        rng: Draws the starting points after the first, which is the prior's centre.
        restarts: How many starting points.
        jitter: Variance added to the noise.
        stop: Called at every step; raises when there is no time left.

    Returns:
        Log lengthscales, log noise and mean, shape (d + 2,).

    Raises:
        SurrogateError: No start led to a finite density.
    """
    return _mode(_posterior(x, y, groups, jitter, stop), rng, restarts)


def sample(
    x: Array,
    y: Array,
    groups: NDArray[np.int64],
    rng: np.random.Generator,
    restarts: int,
    *,
    most: int | None = None,
    stop: Callable[[], None] | None = None,
) -> Array:
    """Draws of the hyperparameters from their posterior, see :mod:`hybridbo.gp.sampling`.

    The more is observed, the less they differ and the more they cost: from 64 observations on there are fewer than
    ``most``, and where two would be left there is one, the mode.

    Args:
        x: Columns, shape (n, f).
        y: Targets of about unit variance, shape (n,).
        groups: The parameter of each column, shape (f,).
        rng: Draws starting points of the search for the mode, and the sample.
        restarts: How many starting points.
        most: How many draws at most, 1 for the mode; None for ``MOST_MEMBERS``.
        stop: Called at every step; raises when there is no time left.

    Returns:
        Shape (m, d + 2), each row as :func:`fit` returns it.

    Raises:
        SurrogateError: No start led to a finite density.
    """
    posterior = _posterior(x, y, groups, 0.0, stop)
    mode = _mode(posterior, rng, restarts)
    members = min(most or MOST_MEMBERS, _MEMBERS_BY_TRIALS // len(x))
    return sampling.draws(posterior, mode, members, rng) if members > 2 else mode[None]


def _posterior(
    x: Array, y: Array, groups: NDArray[np.int64], jitter: float, stop: Callable[[], None] | None
) -> _Posterior:
    rows = subset.rows(x, y, subset.MOST_FITTED)
    return _Posterior(x[rows], y[rows], groups, jitter, stop)


def _mode(objective: _Posterior, rng: np.random.Generator, restarts: int) -> Array:
    d = objective.dimension
    bounds = [_LOG_BOUNDS] * d + [_NOISE_BOUNDS, (-3.0, 3.0)]
    best, best_value = None, _BROKEN
    for i in range(restarts):
        start = prior_centre(d)
        if i:
            start[:d] += rng.normal(0.0, 1.0, d) - 1.0  # the prior favours long lengthscales: look at shorter ones too
        found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 60})
        if found.fun < best_value:  # never so for NaN
            best, best_value = found.x, float(found.fun)
    if best is None:
        raise SurrogateError("no starting point of the fit led to a finite likelihood.")
    return np.asarray(best)


def prior_centre(d: int) -> Array:
    """The hyperparameters that the priors expect, for d parameters, shape (d + 2,)."""
    return np.concatenate([np.full(d, _lengthscale_mean(d)), [_NOISE_MEAN, 0.0]])


def covariance(a: Array, b: Array, groups: NDArray[np.int64], theta: Array) -> Array:
    """Matern 5/2 correlations (Rasmussen and Williams 2006, eq. 4.17) of columns (n, f) and (m, f), shape (n, m)."""
    inverse = np.exp(-theta[:-2])[groups]
    a, b = a * inverse, b * inverse
    squared = a @ b.T
    squared *= -2.0
    squared += np.square(a).sum(1)[:, None]
    squared += np.square(b).sum(1)
    r = np.sqrt(5.0 * np.maximum(squared, 0.0, out=squared))  # of equal rows, rounding may leave less than nothing
    decay = np.exp(-r)
    out: Array = (1.0 + r + r * r / 3.0) * decay
    return out


class _Posterior:
    """Negative log posterior density of the hyperparameters and its gradient, in NumPy.

    The gradient is that of Rasmussen and Williams 2006, eq. 5.9, written out: at these sizes automatic
    differentiation takes ten times as long as the arithmetic.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        groups: NDArray[np.int64],
        jitter: float = 0.0,
        stop: Callable[[], None] | None = None,
    ) -> None:
        n, d = len(x), int(groups.max()) + 1
        i, j = np.tril_indices(n, -1)  # what is symmetric is computed once
        # distances per parameter once, so that an evaluation costs one product: shape (n * (n - 1) / 2, d)
        self._squared = np.square(x[i] - x[j]) @ (groups[:, None] == np.arange(d)).astype(float)
        self._below, self._diagonal = i * n + j, np.arange(n) * (n + 1)
        self._y, self._n, self.dimension = y, n, d
        self._least, self._stop = 1.0 + JITTER + jitter, stop

    def __call__(self, theta: Array) -> tuple[float, Array]:
        if self._stop:
            self._stop()
        n, d = self._n, self.dimension
        scales, noise, mean = theta[:d], math.exp(theta[d]), theta[d + 1]
        weights = np.exp(-2.0 * scales)
        r = np.sqrt(5.0 * (self._squared @ weights))
        decay = np.exp(-r)
        flat = np.zeros(n * n)
        flat[self._below] = (1.0 + r + r * r / 3.0) * decay
        flat[self._diagonal] = self._least + noise
        # below the diagonal by rows is above it by columns, which is how LAPACK reads: nothing is copied
        factor, info = lapack.dpotrf(flat.reshape(n, n).T, lower=0, clean=0, overwrite_a=1)
        if info != 0:
            return _BROKEN, np.zeros_like(theta)
        log_root = np.log(flat[self._diagonal]).sum()
        residual = self._y - mean
        alpha, _ = lapack.dpotrs(factor, residual, lower=0)
        value = 0.5 * residual @ alpha + log_root
        lapack.dpotri(factor, lower=0, overwrite_c=1)  # flat holds the inverse now
        pull = flat[self._below] - np.outer(alpha, alpha).reshape(-1)[self._below]
        by_scale = ((5.0 / 3.0) * pull * (1.0 + r) * decay) @ self._squared * weights
        trace = flat[self._diagonal].sum() - alpha @ alpha
        gradient = np.concatenate([by_scale, [0.5 * trace * noise, -alpha.sum()]])
        return self._with_priors(theta, float(value), gradient)

    def _with_priors(self, theta: Array, value: float, gradient: Array) -> tuple[float, Array]:
        d = self.dimension
        scale = (theta[:d] - _lengthscale_mean(d)) / 3.0  # over the variance of N(., sqrt(3))
        noise, mean = theta[d] - _NOISE_MEAN, theta[d + 1]
        value += 1.5 * float(scale @ scale) + 0.5 * noise**2 / _NOISE_SD**2 + 0.5 * mean**2
        return value, gradient + np.concatenate([scale, [noise / _NOISE_SD**2, mean]])


def _lengthscale_mean(d: int) -> float:
    return math.log(d) / 2.0
