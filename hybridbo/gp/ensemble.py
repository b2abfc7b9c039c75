"""Several Gaussian processes, one for each draw of the hyperparameters, that speak with one voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from hybridbo.gp.process import Process
from hybridbo.parameters import Array


@dataclass(frozen=True)
class Ensemble:
    """Processes that have seen the same data under different hyperparameters, with equal weights.

    Attributes:
        members: At least one.
    """

    members: Sequence[Process]

    @classmethod
    def of(cls, x: Array, y: Array, groups: NDArray[np.int64], thetas: Array, jitter: float = 0.0) -> Ensemble:
        """Condition on data.

        Args:
            x: Columns, shape (n, f).
            y: Targets, larger is better, shape (n,).
            groups: The parameter of each column, shape (f,).
            thetas: As :func:`hybridbo.gp.model.sample` returns them, shape (m, d + 2).
            jitter: Variance added to the noise.

        Raises:
            SurrogateError: A covariance has no Cholesky factor, or the numbers are not finite.
        """
        return cls([Process.of(x, y, groups, theta, jitter) for theta in thetas])

    def with_pending(self, x: Array, y: Array, pending: Array, jitter: float = 0.0) -> Ensemble:
        """The ensemble that believes that each pending trial gives what it predicts, member by member.

        Little improvement is left to expect next to a pending trial then ("kriging believer": Ginsbourger et al. 2010,
        Kriging is well-suited to parallelize optimization, section 4.2).

        Args:
            x: The columns that it has seen, shape (n, f).
            y: Their targets, shape (n,).
            pending: The columns of the pending trials, shape (p, f).
            jitter: Variance added to the noise.

        Raises:
            SurrogateError: As :meth:`of`.
        """
        believed = [(one, np.concatenate([y, one.predict(pending)[0]])) for one in self.members]
        both = np.concatenate([x, pending])
        return Ensemble([Process.of(both, targets, one.groups, one.theta, jitter) for one, targets in believed])

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and variance of the mixture, without noise, at columns of shape (k, f), each of shape (k,)."""
        parts = [one.predict(columns) for one in self.members]
        means, variances = (np.array(part) for part in zip(*parts, strict=True))
        return means.mean(0), variances.mean(0) + means.var(0)

    def best_means(self, columns: Array) -> Array:
        """The largest mean over columns of shape (k, f), by member, shape (m,)."""
        return np.array([one.predict(columns)[0].max() for one in self.members])

    def log_ei(self, columns: Array, best: Array) -> Array:
        """Log of the expected improvement, averaged over the members, shape (k,).

        Args:
            columns: Shape (k, f).
            best: The target to be beaten, by member, shape (m,).
        """
        each = [one.log_ei(columns, float(b)) for one, b in zip(self.members, best, strict=True)]
        out: Array = logsumexp(each, axis=0) - np.log(len(each))
        return out

    def log_positive(self, columns: Array) -> Array:
        """Log of the probability that a further observation is above zero, averaged over members, shape (k,)."""
        out: Array = logsumexp([one.log_positive(columns) for one in self.members], axis=0) - np.log(len(self.members))
        return out

    def log_below(self, bound: float, columns: Array) -> Array:
        """Log of the probability that the value without noise is below a bound, averaged over members, shape (k,)."""
        each = [one.log_below(bound, columns) for one in self.members]
        out: Array = logsumexp(each, axis=0) - np.log(len(each))
        return out
