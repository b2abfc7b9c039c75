"""HEBO with its defaults.

It knows no conditions: inactive parameters are left out of the configuration, and its model sees them in the middle of
their ranges. It knows no failures either (what is not finite it forgets, and would propose again): they are told as the
worst value so far.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from benchmarks.outside import wire
from benchmarks.outside.axes import Axis, filled

Point = dict[str, float]


class Hebo:
    """See wire.Peer."""

    def __init__(self, along: Mapping[str, Axis], seed: int, budget: int) -> None:  # noqa: ARG002  # it plans nothing
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # HEBO and pymoo draw from the global one
        self._axes = along
        self._hebo = HEBO(DesignSpace().parse([_parameter(axis) for axis in along.values()]), scramble_seed=seed)

    def ask(self) -> tuple[Point, Point, str]:
        """See wire.Peer."""
        source = "sobol" if len(self._hebo.y) < self._hebo.rand_sample else "hebo"
        row = self._hebo.suggest(n_suggestions=1).iloc[0]
        point = filled(self._axes, {name: _number(axis, row[name]) for name, axis in self._axes.items()})
        return point, point, source

    def adopt(self, point: Mapping[str, float]) -> Point:
        """See wire.Peer."""
        return filled(self._axes, point)

    def tell(self, handle: Point, loss: float, *, failed: bool) -> None:  # noqa: ARG002  # all losses are alike to it
        """See wire.Peer."""
        values = {name: [_number(self._axes[name], x)] for name, x in handle.items()}
        self._hebo.observe_new_data(pd.DataFrame(values), np.array([[loss]]))


def _number(axis: Axis, x: Any) -> float:
    """Of the type that its tables hold: the number of a choice is looked up."""
    return float(x) if axis.kind == "float" else int(x)


def _parameter(axis: Axis) -> dict[str, Any]:
    if axis.kind == "choice":
        return {"name": axis.name, "type": "cat", "categories": list(range(int(axis.high) + 1))}
    kinds = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
    return {"name": axis.name, "type": kinds[axis.kind, axis.log], "lb": axis.low, "ub": axis.high}


if __name__ == "__main__":
    wire.serve(Hebo, "HEBO", "pymoo")
