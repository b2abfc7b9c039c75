"""Mixed and conditional problems with several objectives: one plain, one with failures, one with an outcome constraint.

Each is built so that some parameters only cost something when they are off their optimum, which depends on the others
and is always inside the box. With them at their optimum few parameters are left, and the front is found by enumerating
those: every integer where there are few, a fine grid elsewhere. The reference points are the 75 % quantiles of random
configurations, rounded away from the front to two digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np

from benchmarks.hypervolume import hypervolume
from benchmarks.multi import MultiProblem, Outcomes, multi
from benchmarks.problem import EvaluationFailed
from hybridbo.objective import Objective
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

# Making a network smaller: which way, and how far ---------------------------------------------------------------------

_PRUNE, _QUANTISE, _DISTIL = ({"method": [name]} for name in ("prune", "quantise", "distil"))
COMPRESS = Space({
    "width": Int(32, 1024, log=True),
    "lr": Float(1e-5, 1e-1, log=True),
    "method": Categorical(["none", "prune", "quantise", "distil"]),
    "sparsity": Float(0.0, 0.95, when=_PRUNE),
    "structured": Categorical([True, False], when=_PRUNE),
    "bits": Categorical([2, 4, 8, 16], ordered=True, when=_QUANTISE),
    "student": Float(0.1, 1.0, when=_DISTIL),
    "temperature": Float(1.0, 20.0, log=True, when=_DISTIL),
})  # fmt: skip
_BITS = {16: (0.62, 0.001), 8: (0.40, 0.004), 4: (0.30, 0.03), 2: (0.26, 0.2)}  # share of the latency, error added


def compress(p: Params) -> dict[str, float]:
    """Error and latency of a compressed network."""
    width = number(p, "width")
    share, added = _compressed(p)
    error = 0.04 + 0.3 * (width / 32) ** -0.55 + added + 0.03 * (math.log10(number(p, "lr")) - best_rate(width)) ** 2
    return {"error": error, "latency_ms": 0.4 + 30 * (width / 1024) ** 1.2 * share}


def best_rate(width: float) -> float:
    """Log10 of the best learning rate of a network."""
    return -2.5 - 0.3 * math.log10(width / 32)


def _compressed(p: Params) -> tuple[float, float]:
    """Which share of the latency is left, and what it adds to the error."""
    if p["method"] == "prune":
        sparsity = number(p, "sparsity")
        return (
            (1 - 0.9 * sparsity, 0.15 * sparsity**3) if p["structured"] else (1 - 0.35 * sparsity, 0.04 * sparsity**3)
        )
    if p["method"] == "quantise":
        return _BITS[int(number(p, "bits"))]
    if p["method"] == "distil":
        student = number(p, "student")
        return student, 0.06 * (1 - student) ** 1.5 + 0.03 * (math.log10(number(p, "temperature")) - 0.6) ** 2
    return 1.0, 0.0


def _compress_front() -> Iterator[Params]:
    methods: list[Params] = [{"method": "none"}]
    methods += [{"method": "quantise", "bits": bits} for bits in _BITS]
    for x in np.linspace(0.0, 1.0, 40):
        methods += [{"method": "prune", "sparsity": 0.95 * x, "structured": which} for which in (True, False)]
        methods.append({"method": "distil", "student": 0.1 + 0.9 * x, "temperature": 10**0.6})
    for width in range(32, 1025, 4):
        for method in methods:
            yield {"width": width, "lr": 10 ** best_rate(width), **method}


# Serving a model: three objectives, two of them bought with memory, which can run out --------------------------------

SERVING = Space({
    "replicas": Int(1, 8),
    "batch": Int(1, 256, log=True),
    "precision": Categorical(["fp32", "fp16", "int8"]),
    "calibration": Float(0.9, 1.0, when={"precision": ["int8"]}),
    "engine": Categorical(["eager", "compiled"]),
    "unroll": Int(1, 8, when={"engine": ["compiled"]}),
})  # fmt: skip
_PRECISION = {"fp32": (4, 1.0, 0.050), "fp16": (2, 0.55, 0.053), "int8": (1, 0.3, 0.062)}  # bytes, time, error
_MEMORY = 24.0


def serving(p: Params) -> dict[str, float]:
    """Requests per second, latency and error of a served model."""
    replicas, batch = number(p, "replicas"), number(p, "batch")
    size, pace, error = _PRECISION[str(p["precision"])]
    if replicas * size * (1.2 + 0.012 * batch) > _MEMORY:
        raise EvaluationFailed("out of memory")
    if p["engine"] == "compiled":
        pace *= 0.6 + 0.03 * (number(p, "unroll") - 5) ** 2
    if p["precision"] == "int8":
        error += 10 * (number(p, "calibration") - 0.985) ** 2
    step = (4 + 0.35 * batch**0.9) * pace * (1 + 0.03 * (replicas - 1) ** 1.5)  # replicas share the memory's bus
    throughput = 1000 * replicas * batch / step
    return {"log10_requests_s": math.log10(throughput), "latency_ms": step + 0.05 * batch, "error": error}


def _serving_front() -> Iterator[Params]:
    engines: list[Params] = [{"engine": "eager"}, {"engine": "compiled", "unroll": 5}]
    for replicas, batch, precision, engine in product(range(1, 9), range(1, 257), _PRECISION, engines):
        point: Params = {"replicas": replicas, "batch": batch, "precision": precision, **engine}
        yield point | ({"calibration": 0.985} if precision == "int8" else {})


# Training within the memory of one card: a constraint that is measured, and active along the front -------------------

TRAINING = Space({
    "width": Int(16, 2048, log=True),
    "depth": Int(1, 12),
    "batch": Int(8, 1024, log=True),
    "lr": Float(1e-5, 1.0, log=True),
    "optimizer": Categorical(["adam", "sgd"]),
    "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
    "dropout": Float(0.0, 0.6),
})  # fmt: skip


def training(p: Params) -> dict[str, float]:
    """Accuracy, hours and memory of a training."""
    width, depth, batch = number(p, "width"), number(p, "depth"), number(p, "batch")
    sgd = p["optimizer"] == "sgd"
    size = math.log10(width) + 0.6 * math.log10(depth)
    lost = 0.09 * max(0.0, 3.4 - size) ** 1.5 + 0.015 * max(0.0, math.log10(batch) - 1.8) ** 2
    lost += (
        0.03 * (math.log10(number(p, "lr")) - step_size(batch, sgd=sgd)) ** 2 + 0.3 * (number(p, "dropout") - 0.2) ** 2
    )
    lost += 0.1 * (number(p, "momentum") - 0.9) ** 2 if sgd else 0.004
    hours = 0.02 + 0.004 * (width * depth) ** 0.75 / (batch / 8) ** 0.6 * (1.0 if sgd else 1.1)
    memory = 1 + width * depth * (12 + 0.5 * batch) / 8e3
    return {"accuracy": 0.96 - lost, "log10_hours": math.log10(hours), "memory_gb": memory}


def step_size(batch: float, *, sgd: bool) -> float:
    """Log10 of the best learning rate."""
    return (-1.5 if sgd else -3.2) + 0.4 * (math.log10(batch) - 1.8)


def _training_front() -> Iterator[Params]:
    widths, batches = (sorted({round(x) for x in np.geomspace(*ends, 120)}) for ends in ((16, 2048), (8, 1024)))
    for width, batch, depth, optimizer in product(widths, batches, range(1, 13), ("adam", "sgd")):
        rate = 10 ** step_size(batch, sgd=optimizer == "sgd")
        point: Params = {"width": width, "batch": batch, "depth": depth, "optimizer": optimizer, "lr": rate}
        yield point | {"dropout": 0.2} | ({"momentum": 0.9} if optimizer == "sgd" else {})


# Problems ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixed:
    """A problem of this file.

    Attributes:
        space: What is searched.
        outcomes: The function.
        front: Configurations among which the true front is.
        objectives: Direction by name.
        reference: The reference point by objective.
        volume: Of the front, as :func:`front_volume` finds it in some seconds.
        task: What is said of it.
        constraints: Bound by name.
    """

    space: Space
    outcomes: Outcomes
    front: Callable[[], Iterator[Params]]
    objectives: Mapping[str, str]
    reference: Mapping[str, float]
    volume: float
    task: str
    constraints: Mapping[str, str] = field(default_factory=dict)


MIXED = {
    "compress": Mixed(
        COMPRESS, compress, _compress_front, {"error": "minimize", "latency_ms": "minimize"},
        {"error": 0.31, "latency_ms": 6.8}, 1.0966764762,
        "Make an image classifier smaller: its width, the learning rate, and whether it is pruned, quantised or "
        "distilled. Metrics: validation error and latency in milliseconds, both minimised.",
    ),
    "serving": Mixed(
        SERVING, serving, _serving_front,
        {"log10_requests_s": "maximize", "latency_ms": "minimize", "error": "minimize"},
        {"log10_requests_s": 3.4, "latency_ms": 8.7, "error": 0.07}, 0.1561299282,
        "Configure an inference server. Metrics: decimal logarithm of requests per second (maximised), latency in "
        "milliseconds and error (minimised). Configurations that do not fit into memory fail.",
    ),
    "training": Mixed(
        TRAINING, training, _training_front, {"accuracy": "maximize", "log10_hours": "minimize"},
        {"accuracy": 0.69, "log10_hours": -0.3}, 0.2931266484,
        "Tune the training of a feed-forward network. Metrics: validation accuracy (maximised) and decimal logarithm "
        "of the hours of training (minimised); it may need 16 GB of memory at most.",
        {"memory_gb": "<= 16"},
    ),
}  # fmt: skip


def all_multi_mixed() -> dict[str, Callable[[], MultiProblem]]:
    """Makers of all problems of this file, by name."""
    return {f"multi/{name}": partial(mixed, name) for name in MIXED}


def mixed(name: str) -> MultiProblem:
    """The problem of that name."""
    of = MIXED[name]
    return multi(
        f"multi/{name}", of.space, of.objectives, of.task, of.outcomes, of.reference, of.volume,
        constraints=of.constraints,
    )  # fmt: skip


def front_volume(name: str) -> float:
    """The hypervolume of the front, by enumeration."""
    of = MIXED[name]
    objective = Objective.of(objectives=of.objectives, constraints=of.constraints)
    losses = [objective.losses(told) for told in _possible(of) if objective.is_feasible(told)]
    return hypervolume(np.array(losses), np.array(objective.losses(of.reference)))


def _possible(of: Mixed) -> Iterator[dict[str, float]]:
    for params in of.front():
        with suppress(EvaluationFailed):
            yield of.outcomes(params)


def number(params: Params, name: str) -> float:
    """A parameter that the space says is a number."""
    return float(params[name])  # type: ignore[arg-type]
