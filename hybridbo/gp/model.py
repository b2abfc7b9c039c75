"""The surrogate: a BoTorch SingleTaskGP, Matern 5/2 over the mixed space, fitted by maximum a posteriori.

Its hyperparameters are a lengthscale per parameter, the noise and the mean; the targets have unit variance, so the
signal variance is 1. The priors are log lengthscale ~ N(log(d) / 2, sqrt(3)) and log noise ~ N(-4, 1): those of
Hvarfner et al. 2024 (Vanilla Bayesian Optimization Performs Great in High Dimensions, section 5.1), which BoTorch uses
too, without their shift of sqrt(2). Theirs are made for a hundred points; with 5 to 30, lengthscales four times as long
as the cube's diagonal see a plane, and the search circled around its first good point. The fit is L-BFGS on an explicit
log posterior: for 5 to 50 points most of the time of BoTorch's stock fit is overhead.
"""

from __future__ import annotations

import math
from typing import Any

import gpytorch
import numpy as np
import torch
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from hybridbo.errors import SurrogateError
from hybridbo.parameters import Array

_NOISE_MEAN, _NOISE_SD = -4.0, 1.0
_JITTER = 1e-6
_LOG_BOUNDS = (-7.0, 7.0)  # of lengthscales; beyond, the likelihood is flat
_NOISE_BOUNDS = (-12.0, 2.0)
_BROKEN = 1e10  # stands for the value where the covariance cannot be factored


class SpaceKernel(gpytorch.kernels.Kernel):
    """Matern 5/2 on columns that share a lengthscale where they belong to one parameter.

    Args:
        lengthscales: One per parameter, shape (d,).
        groups: The parameter of each column, shape (f,).
    """

    def __init__(self, lengthscales: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("inverse", (1.0 / lengthscales)[groups])

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_: Any) -> torch.Tensor:
        """Covariances, shape (..., n1, n2), or (..., n) for ``diag``, of columns (..., n1, f) and (..., n2, f)."""
        a, b = x1 * self.inverse, x2 * self.inverse
        squared = (a - b).square().sum(-1) if diag else (a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1)
        return matern(squared)


def matern(squared: torch.Tensor) -> torch.Tensor:
    """Matern 5/2 correlation of squared distances (Rasmussen and Williams 2006, eq. 4.17)."""
    r = torch.sqrt(5.0 * squared + 1e-20)  # the shift keeps the gradient of the root finite at 0
    return (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def fit(x: Array, y: Array, groups: NDArray[np.int64], rng: np.random.Generator, restarts: int) -> Array:
    """Hyperparameters of the highest posterior density found.

    Args:
        x: Columns, shape (n, f).
        y: Targets of about unit variance, shape (n,).
        groups: The parameter of each column, shape (f,).
        rng: Draws the starting points after the first, which is the prior's centre.
        restarts: How many starting points.

    Returns:
        Log lengthscales, log noise and mean, shape (d + 2,).

    Raises:
        SurrogateError: No start led to a finite density.
    """
    d = int(groups.max()) + 1
    objective = _Posterior(x, y, groups)
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


def build(x: Array, y: Array, groups: NDArray[np.int64], theta: Array) -> SingleTaskGP:
    """The BoTorch model of the data under given hyperparameters, ready to predict.

    Args:
        x: Columns, shape (n, f).
        y: Targets, larger is better, shape (n,).
        groups: The parameter of each column, shape (f,).
        theta: As :func:`fit` returns them, shape (d + 2,).
    """
    tensor = _tensor(theta)
    kernel = SpaceKernel(tensor[:-2].exp(), torch.as_tensor(groups))
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(_JITTER / 2)
    ).double()
    likelihood.initialize(noise=tensor[-2].exp() + _JITTER)
    mean = gpytorch.means.ConstantMean().double()
    mean.initialize(constant=tensor[-1])
    with validate_input_scaling(False):  # ranks of five points are not exactly standardised, and need not be
        model = SingleTaskGP(
            _tensor(x),
            _tensor(y).unsqueeze(-1),
            likelihood=likelihood,
            covar_module=kernel,
            mean_module=mean,
            outcome_transform=None,
        )
    return model.eval()


class _Posterior:
    """Negative log posterior density of the hyperparameters and its gradient, in NumPy.

    The gradient is that of Rasmussen and Williams 2006, eq. 5.9, written out: at these sizes automatic
    differentiation takes ten times as long as the arithmetic.
    """

    def __init__(self, x: Array, y: Array, groups: NDArray[np.int64]) -> None:
        n, d = len(x), int(groups.max()) + 1
        per_column = np.square(x[:, None, :] - x[None, :, :])
        # distances per parameter once, so that an evaluation costs one product: shape (n * n, d)
        self._squared = np.stack([per_column[:, :, groups == i].sum(-1) for i in range(d)], -1).reshape(n * n, d)
        self._y, self._n, self._d = y, n, d

    def __call__(self, theta: Array) -> tuple[float, Array]:
        n, d = self._n, self._d
        scales, noise, mean = theta[:d], math.exp(theta[d]), theta[d + 1]
        weights = np.exp(-2.0 * scales)
        r = np.sqrt(5.0 * (self._squared @ weights)).reshape(n, n)
        decay = np.exp(-r)
        covariance = (1.0 + r + r * r / 3.0) * decay
        covariance[np.diag_indices(n)] += noise + _JITTER
        factor, info = lapack.dpotrf(covariance, lower=1)
        if info != 0:
            return _BROKEN, np.zeros_like(theta)
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        residual = self._y - mean
        alpha = inverse @ residual
        value = 0.5 * residual @ alpha + np.log(np.diagonal(factor)).sum()
        pull = inverse - np.outer(alpha, alpha)
        by_scale = ((5.0 / 6.0) * pull * (1.0 + r) * decay).reshape(-1) @ self._squared * weights
        gradient = np.concatenate([by_scale, [0.5 * np.trace(pull) * noise, -alpha.sum()]])
        return self._with_priors(theta, float(value), gradient)

    def _with_priors(self, theta: Array, value: float, gradient: Array) -> tuple[float, Array]:
        d = self._d
        scale = (theta[:d] - _lengthscale_mean(d)) / 3.0  # over the variance of N(., sqrt(3))
        noise, mean = theta[d] - _NOISE_MEAN, theta[d + 1]
        value += 1.5 * float(scale @ scale) + 0.5 * noise**2 / _NOISE_SD**2 + 0.5 * mean**2
        return value, gradient + np.concatenate([scale, [noise / _NOISE_SD**2, mean]])


def _lengthscale_mean(d: int) -> float:
    return math.log(d) / 2.0


def _tensor(array: Array) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64)
