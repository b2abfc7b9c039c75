"""What the surrogate learns from: configurations with a value, without one, and without one yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridbo.parameters import Array, Params
from hybridbo.space import Space


@dataclass(frozen=True)
class Observations:
    """What the surrogate learns from.

    Attributes:
        params: Configurations with a value.
        losses: Their values, smaller is better, shape (n,), n >= 1.
        feasible: Whether each keeps the constraints, shape (n,).
        pending: Configurations being evaluated.
        failed: Configurations that gave no value.
    """

    params: Sequence[Params]
    losses: Array
    feasible: NDArray[np.bool_]
    pending: Sequence[Params] = ()
    failed: Sequence[Params] = ()


def encode(space: Space, configurations: Sequence[Params]) -> Array:
    """Points of the unit cube, shape (n, d), of configurations; n may be 0."""
    rows = [space.encode(params) for params in configurations]
    return np.array(rows) if rows else np.empty((0, len(space)))
