"""Which observations the model is made of when there are more than it can take.

A fit of the hyperparameters costs n^3 a step, and some sixty steps; predictions cost n^2 a candidate, and the factor
n^2 numbers of memory. So the hyperparameters, which the first hundreds of observations settle, are learned from at most
``MOST_FITTED`` of them, while predictions rest on all of them up to ``MOST_PREDICTED``, and beyond on that many.

With several objectives the values at the trials are sampled besides, and each sample's front is cut into boxes that are
gone through for every candidate; constrained outcomes and durations have models of their own. These rest on at most
``MOST_SAMPLED`` observations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridbo.parameters import Array

MOST_FITTED = 256
MOST_PREDICTED = 1024
MOST_SAMPLED = 256


def rows(x: Array, y: Array, most: int) -> NDArray[np.int64]:
    """At most ``most`` rows, in their order: the best ones for one half, for the other the rest spread wide.

    The best lie close together and tell the noise and what happens over short distances. The others are chosen one by
    one, each the farthest from all chosen so far (Gonzalez 1985, Clustering to minimize the maximum intercluster
    distance), so that no region that was searched is forgotten. The choice is a function of the rows alone.

    Args:
        x: Columns, shape (n, f).
        y: Targets, larger is better, shape (n,).
        most: How many at most.
    """
    if len(x) <= most:
        return np.arange(len(x))
    chosen = list(np.argsort(-y, kind="stable")[: max(1, most // 2)])
    squared = np.full(len(x), np.inf)
    for row in chosen:
        squared = np.minimum(squared, _squared(x, row))
    squared[chosen] = -1.0
    while len(chosen) < most:
        farthest = int(np.argmax(squared))
        chosen.append(farthest)
        squared = np.minimum(squared, _squared(x, farthest))
        squared[farthest] = -1.0
    return np.sort(np.array(chosen, dtype=np.int64))


def _squared(x: Array, row: int) -> Array:
    out: Array = np.square(x - x[row]).sum(1)
    return out
