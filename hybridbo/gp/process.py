"""The Gaussian process under given hyperparameters: what it predicts, and the expected improvement, in NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.linalg import blas, lapack

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.parameters import Array

_AT_ONCE = 2**18  # covariances computed at a time: two megabytes, which a processor's cache holds
_LEAST_VARIANCE = 1e-12  # as in BoTorch's LogExpectedImprovement
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_ROOT_HALF_PI = 0.5 * math.log(0.5 * math.pi)
_FAR = -1e6  # below it, the series of log EI is its first term


@dataclass(frozen=True)
class Process:
    """A Gaussian process that has seen its data; the same as :func:`hybridbo.gp.reference.build`.

    Attributes:
        x: Columns, shape (n, f).
        groups: The parameter of each column, shape (f,).
        theta: Log lengthscales, log noise and mean, shape (d + 2,).
        factor: Upper Cholesky factor of the covariance of the targets, shape (n, n).
        weights: The inverse covariance times the targets less the mean, shape (n,), or (n, s) for columns of targets.
    """

    x: Array
    groups: NDArray[np.int64]
    theta: Array
    factor: Array
    weights: Array

    @classmethod
    def of(cls, x: Array, y: Array, groups: NDArray[np.int64], theta: Array, jitter: float = 0.0) -> Process:
        """Condition on data.

        Args:
            x: Columns, shape (n, f).
            y: Targets, larger is better, shape (n,); or several columns of them, shape (n, s).
            groups: The parameter of each column, shape (f,).
            theta: As :func:`hybridbo.gp.model.fit` returns them, shape (d + 2,).
            jitter: Variance added to the noise.

        Raises:
            SurrogateError: The covariance has no Cholesky factor, or the numbers are not finite.
        """
        covariance = model.covariance(x, x, groups, theta)
        covariance[np.diag_indices(len(x))] = 1.0 + math.exp(theta[-2]) + model.JITTER + jitter
        factor, info = lapack.dpotrf(covariance.T, lower=0, overwrite_a=1)
        if info != 0:
            raise SurrogateError(f"the covariance of {len(x)} trials has no Cholesky factor (row {info}).")
        weights, _ = lapack.dpotrs(factor, y - theta[-1], lower=0)
        if not (np.isfinite(weights).all() and np.isfinite(factor).all()):
            raise SurrogateError(f"the covariance of {len(x)} trials is not finite.")
        return cls(x, groups, theta, factor, weights)

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and variance, without noise, at columns of shape (m, f), each of shape (m,).

        Of several columns of targets the means have shape (m, s), and the variance is the same for all.
        """
        if not len(columns):
            return np.empty((0, *self.weights.shape[1:])), np.empty(0)
        step = max(1, _AT_ONCE // len(self.x))
        parts = [self._predict(columns[i : i + step]) for i in range(0, len(columns), step)]
        mean, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, variance

    def joint(self, columns: Array) -> tuple[Array, Array]:
        """Mean, shape (m,), and covariance, shape (m, m), without noise, at columns of shape (m, f)."""
        across = model.covariance(columns, self.x, self.groups, self.theta)
        root = blas.dtrsm(1.0, self.factor, across.T, trans_a=1)
        prior = model.covariance(columns, columns, self.groups, self.theta)
        return self.theta[-1] + across @ self.weights, prior - root.T @ root

    def log_ei(self, columns: Array, best: float) -> Array:
        """Log expected improvement over ``best`` at columns of shape (m, f), shape (m,) (Ament et al. 2023, eq. 8)."""
        mean, variance = self.predict(columns)
        sd = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
        out: Array = log_improvement((mean - best) / sd) + np.log(sd)
        return out

    def log_positive(self, columns: Array) -> Array:
        """Log of the probability that a further observation, noise included, is above zero, shape (m,)."""
        mean, variance = self.predict(columns)
        out: Array = special.log_ndtr(mean / np.sqrt(variance + math.exp(self.theta[-2]) + model.JITTER))
        return out

    def log_below(self, bound: float, columns: Array) -> Array:
        """Log of the probability that the value, without noise, is below a bound, shape (m,)."""
        mean, variance = self.predict(columns)
        out: Array = special.log_ndtr((bound - mean) / np.sqrt(np.maximum(variance, _LEAST_VARIANCE)))
        return out

    def _predict(self, columns: Array) -> tuple[Array, Array]:
        across = model.covariance(columns, self.x, self.groups, self.theta)
        mean = self.theta[-1] + across @ self.weights
        root = blas.dtrsm(1.0, self.factor, across.T, trans_a=1, overwrite_b=1)
        return mean, np.maximum(1.0 - np.einsum("ij,ij->j", root, root), 0.0)


def log_improvement(z: Array) -> Array:
    """log(phi(z) + z Phi(z)), accurate for any z, shape (n,) (Ament et al. 2023, eq. 9 and appendix A.1)."""
    near, far = np.maximum(z, -1.0), np.clip(z, _FAR, -1.0)
    above = np.log(np.exp(-0.5 * near * near - _LOG_ROOT_2PI) + near * special.ndtr(near))
    # log(1 - |z| Phi(z) / phi(z)): the quotient is a scaled complementary error function
    w = np.log(special.erfcx(-far / math.sqrt(2.0)) * -far) + _LOG_ROOT_HALF_PI
    rest = np.where(w > -math.log(2.0), np.log(-np.expm1(w)), np.log1p(-np.exp(w)))
    series = np.where(z > _FAR, rest, -2.0 * np.log(np.maximum(-z, 1.0)))
    out: Array = np.where(z > -1.0, above, -0.5 * z * z - _LOG_ROOT_2PI + series)
    return out
