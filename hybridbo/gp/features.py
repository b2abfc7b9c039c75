"""From points of the unit cube to the columns that the kernel measures distances on, and from losses to targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hybridbo.parameters import Array, Categorical, Params
from hybridbo.space import Space

_HALF_NORMAL_MEDIAN = 0.6745


@dataclass(frozen=True)
class Features:
    """How the points of a space become columns.

    A numeric or ordered parameter is one column, its place in [0, 1]. An unordered one with k choices is k columns,
    one-hot over sqrt(2), so that two different choices are at distance 1. What is inactive lies at one fixed place
    (``INACTIVE``, or all zeros), so that configurations that differ only in inactive parameters coincide.

    Attributes:
        space: The space.
        groups: Which parameter each column belongs to, shape (f,): parameters, not columns, have lengthscales.
    """

    space: Space
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, space: Space) -> Features:
        """The features of a space."""
        widths = [_width(space, name) for name in space]
        return cls(space, np.repeat(np.arange(len(space)), widths))

    def columns(self, u: Array) -> Array:
        """The columns, shape (n, f), of snapped points of the unit cube, shape (n, d)."""
        u, active = self.space.snap(u)
        parts = []
        for i, name in enumerate(self.space):
            width = _width(self.space, name)
            if width == 1:
                parts.append(u[:, [i]])
            else:
                cell = self.space[name].cell_of(u[:, [i]])
                hot = (cell == np.arange(width)) & active[:, [i]]
                parts.append(hot / np.sqrt(2.0))
        return np.concatenate(parts, axis=1)


def encode(space: Space, configurations: Sequence[Params]) -> Array:
    """Points of the unit cube, shape (n, d), of configurations; n may be 0."""
    rows = [space.encode(params) for params in configurations]
    return np.array(rows) if rows else np.empty((0, len(space)))


def targets(losses: Array) -> Array:
    """Half-rank transform of the losses, negated so that larger is better, shape (n,).

    The losses of hyperparameters have heavy tails, and the model is to resolve the good end. What is worse than the
    median becomes the normal score of its rank, which no outlier, 1e30 or otherwise, can bend. What is better keeps its
    distance from the median, in units that would make it a half normal, up to about twice its normal score: ranks alone
    blow up the small differences between neighbours of the best trial, and the search circles around it. Equal losses
    stay equal, and the result has unit variance, or is all zeros. (Ranks: Salinas et al. 2020, A quantile-based
    approach for hyperparameter transfer learning, section 3; ranks for the worse half: Song et al. 2024, The Vizier
    Gaussian Process Bandit Algorithm, appendix B.)
    """
    n = len(losses)
    scores: Array = -stats.norm.ppf((stats.rankdata(losses) - 0.5) / n)
    small = losses / 16.0  # the difference of 1e308 and -1e308 has no double
    better = small < np.median(small)
    if better.any():
        above = np.median(small) - small[better]
        unit = np.median(above) / _HALF_NORMAL_MEDIAN
        # divided only where the quotient stays below its bound: 1e300 / 1e-300 has no double either
        bound = 1.0 + 2.0 * scores[better]
        scores = np.minimum(scores, 0.0)  # ties with the median, of which there may be many
        scores[better] = bound * np.minimum(above / bound, unit) / unit
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(n)


def to_loss(target: float, known_targets: Array, losses: Array) -> float:
    """The loss that a target stands for, by interpolation between the known ones; constant beyond them."""
    order = np.argsort(known_targets, kind="stable")
    shift = max(0, int(np.frexp(np.abs(losses).max())[1]) - 1000)  # slopes between values near 1e308 have no double
    small = np.ldexp(losses[order], -shift)
    return float(np.ldexp(np.interp(target, known_targets[order], small), shift))


def _width(space: Space, name: str) -> int:
    parameter = space[name]
    if isinstance(parameter, Categorical) and not parameter.ordered and len(parameter.choices) > 1:
        return len(parameter.choices)
    return 1
