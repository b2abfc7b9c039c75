"""Expected improvement of the hypervolume, in closed form over boxes, with logarithms that do not underflow.

Everything is maximised here. A front splits the part of the outcome space that is not dominated, and better than the
reference point, into boxes. What a normal outcome may add to the dominated volume is the sum over the boxes of products
of one-dimensional expected improvements (Yang et al. 2019, Efficient computation of expected hypervolume improvement
using box decomposition algorithms, eq. 20).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from numpy.typing import NDArray
from scipy import special

from hybridbo.gp.process import log_improvement
from hybridbo.parameters import Array

_LEAST = 1e-300  # of the improvement on the reference point: what a point adds at the very least
_ELEMENTS = 2_000_000  # numbers held at once: 16 MB


@dataclass(frozen=True)
class Boxes:
    """The boxes over one front, as places between the coordinates that bound them.

    Attributes:
        edges: For each of the m outcomes the coordinates that bound a box, ascending, the last one infinite.
        low: Which edge is the lower end of each box in each outcome, shape (k, m).
        high: Which edge is the upper end, shape (k, m).
    """

    edges: tuple[Array, ...]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @classmethod
    def over(cls, outcomes: Array, reference: Array) -> Boxes:
        """The boxes over the front of ``outcomes``, shape (n, m), n >= 0, that are better than ``reference``, (m,)."""
        split = FastNondominatedPartitioning(ref_point=torch.as_tensor(reference), Y=torch.as_tensor(outcomes))
        bounds = split.get_hypercell_bounds().numpy()  # (2, k, m)
        edges, low, high = [], [], []
        for j in range(len(reference)):
            known, place = np.unique(bounds[:, :, j], return_inverse=True)
            place = place.reshape(bounds.shape[:2])
            edges.append(known)
            low.append(place[0])
            high.append(place[1])
        return cls(tuple(edges), np.stack(low, axis=1), np.stack(high, axis=1))


def log_expected_improvement(mean: Array, sd: Array, boxes: Sequence[Boxes]) -> Array:
    """Log of the expected hypervolume improvement, averaged over several fronts, shape (n,).

    The improvement on the reference point is taken out of the products and kept as a logarithm, so that a point far
    from the front still has a slope to climb; only what adds less than 1e-300 of that counts as 1e-300.

    Args:
        mean: Means of the outcomes given each front, shape (n, s, m).
        sd: Their standard deviations, positive, shape (n, m).
        boxes: The boxes over each of the s fronts.
    """
    logs = np.stack([_over_one(mean[:, s], sd, boxes[s]) for s in range(len(boxes))])
    out: Array = special.logsumexp(logs, axis=0) - math.log(len(boxes))
    return out


def _over_one(mean: Array, sd: Array, boxes: Boxes) -> Array:
    step = max(1, _ELEMENTS // max(1, len(boxes.low)))
    parts = [_chunk(mean[i : i + step], sd[i : i + step], boxes) for i in range(0, len(mean), step)]
    return np.concatenate(parts) if parts else np.empty(0)


def _chunk(mean: Array, sd: Array, boxes: Boxes) -> Array:
    volume: Array | float = 1.0
    scale = np.zeros(len(mean))
    for j, edges in enumerate(boxes.edges):
        z = (mean[:, j] - edges[:, None]) / sd[:, j]  # (edges, n): the gather below takes whole rows
        logs = log_improvement(z)
        scale += logs[0] + np.log(sd[:, j])
        gains = np.exp(logs - logs[0])
        volume = volume * (gains[boxes.low[:, j]] - gains[boxes.high[:, j]])
    total = np.asarray(volume).sum(axis=0)
    out: Array = np.log(np.maximum(total, _LEAST)) + scale
    return out


def reference_point(outcomes: Array) -> Array:
    """What an outcome has to be better than to count: a tenth of the range beyond the worst of all outcomes, (m,).

    The tenth is that of Ishibuchi et al. 2011 (Many-objective and many-variable test problems for visual examination of
    multiobjective search). BoTorch's infer_reference_point takes it from the front instead. With few trials the front
    is a corner, and what would widen it lies beyond such a point and counts for nothing: ZDT1 got stuck so.

    Args:
        outcomes: Of all trials, on the front or not, shape (n, m), n >= 1.
    """
    worst = outcomes.min(axis=0)
    extent = np.ptp(outcomes, axis=0)
    # one trial, or one value: any point beyond it serves
    return np.asarray(worst - 0.1 * np.where(extent > 0.0, extent, 1.0))
