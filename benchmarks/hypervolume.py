"""Exact hypervolumes: what a set of losses dominates below a reference point.

Slices along the last objective (While, Hingston, Barone and Huband 2006, HSO) down to two objectives, where one sorted
sweep is enough: O(n log n) for two objectives, O(n² log n) for three. The sets here have at most some thousand points.
"""

from __future__ import annotations

import numpy as np

from hybridbo.parameters import Array


def hypervolume(losses: Array, reference: Array) -> float:
    """The volume that is dominated by a set of points and bounded by the reference point.

    Args:
        losses: Smaller is better, shape (n, m); points that do not beat the reference in every objective count nothing.
        reference: Shape (m,).
    """
    inside = losses[np.all(losses < reference, axis=1)]
    if len(inside) == 0:
        return 0.0
    return _sliced(inside if inside.shape[1] <= 2 else nondominated(inside), reference)


def nondominated(losses: Array) -> Array:
    """The points that no other point beats, each once, in lexicographic order; shape (k, m)."""
    left = np.unique(losses, axis=0)
    i = 0
    while i < len(left):  # what comes first in this order is beaten by nothing that comes later
        stays = np.any(left < left[i], axis=1)
        stays[: i + 1] = True
        left = left[stays]
        i += 1
    return left


def _sliced(points: Array, reference: Array) -> float:
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    if points.shape[1] == 2:
        return _swept(points, reference)
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(np.append(points[:, -1], reference[-1]))
    return float(sum(
        depth * _sliced(points[: i + 1, :-1], reference[:-1]) for i, depth in enumerate(depths) if depth > 0
    ))  # fmt: skip


def _swept(points: Array, reference: Array) -> float:
    points = points[np.argsort(points[:, 0], kind="stable")]
    widths = np.diff(np.append(points[:, 0], reference[0]))
    return float(widths @ (reference[1] - np.minimum.accumulate(points[:, 1])))
