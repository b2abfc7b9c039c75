"""A scrambled Sobol sequence of which each point is computed once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from hybridbo.parameters import Array

if TYPE_CHECKING:
    from scipy.stats import qmc

_BLOCK = 64


class SobolPoints:
    """The points of a scrambled Sobol sequence (Owen 1998) by index; the same seed gives the same points.

    Args:
        d: Dimension.
        seed: Of the scrambling.
    """

    def __init__(self, d: int, seed: int) -> None:
        self._d, self._seed = d, seed
        self._sequence: qmc.Sobol | None = None
        self._blocks: list[Array] = []
        self._lock = Lock()

    def prepare(self) -> None:
        """Load what the points need, which takes half a second once."""
        _ = self[0]

    def __getitem__(self, index: int) -> Array:
        """The point of that index, shape (d,), a copy."""
        block, row = divmod(index, _BLOCK)
        with self._lock:
            while len(self._blocks) <= block:
                self._blocks.append(self._next())
        point: Array = self._blocks[block][row].copy()
        return point

    def _next(self) -> Array:
        if self._sequence is None:
            from scipy.stats import qmc  # half a second to import, and many asks do not come here

            self._sequence = qmc.Sobol(self._d, scramble=True, rng=np.random.default_rng(self._seed))
        points: Array = self._sequence.random(_BLOCK)
        return points
