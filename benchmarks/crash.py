"""Training-like functions of 8 parameters, 40 % of whose space fails for want of memory.

The memory that a run needs is width x batch x depth; the limit is hidden. Larger networks are better until they overfit
or no longer fit, so that the optimum lies near the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

SPACE = Space({
    "lr": Float(1e-5, 1.0, log=True),
    "batch_size": Int(8, 1024, log=True),
    "width": Int(16, 2048, log=True),
    "depth": Int(1, 12),
    "dropout": Float(0.0, 0.6),
    "weight_decay": Float(1e-7, 1e-1, log=True),
    "warmup": Float(0.0, 0.3),
    "optimizer": Categorical(["adam", "sgd", "rmsprop"]),
})  # fmt: skip
TASK = (
    "Tune the training of a feed-forward network on a table of {rows} rows. Metric: validation error, minimise. "
    "Runs that need too much memory fail."
)


@dataclass(frozen=True)
class Training:
    """One data set and one machine.

    Attributes:
        rows: Size of the data: how large a network pays.
        limit: Log10 of width x batch x depth beyond which memory is out.
        floor: Error that nothing beats.
        noise: How much the loss ripples with the parameters.
    """

    rows: int
    limit: float
    floor: float
    noise: float

    def __call__(self, params: Params) -> float:
        """Validation error of a configuration."""
        p = {name: float(value) for name, value in params.items() if name != "optimizer"}  # type: ignore[arg-type]
        memory = math.log10(p["width"] * p["batch_size"] * p["depth"])
        if memory > self.limit:
            raise EvaluationFailed("CUDA out of memory")
        size = math.log10(p["width"]) + 0.7 * math.log10(p["depth"])
        error = self.floor + self._capacity(size) + self._step(p, str(params["optimizer"])) + self._rest(p, size)
        ripple = self.noise * math.sin(7 * size + 3 * math.log10(p["lr"]) + 5 * p["dropout"])
        return min(1.0, error + ripple)

    def _capacity(self, size: float) -> float:
        wanted = 1.2 + 0.45 * math.log10(self.rows)
        return 0.08 * math.pow(max(0.0, wanted - size), 1.5) + 0.03 * max(0.0, size - wanted) ** 2

    def _step(self, p: dict[str, float], optimizer: str) -> float:
        """The optimal rate grows with the batch, falls with the width, and is larger for plain descent."""
        base, cost = {"adam": (-3.0, 0.0), "rmsprop": (-3.3, 0.008), "sgd": (-1.2, 0.004)}[optimizer]
        centre = base + 0.4 * (math.log10(p["batch_size"]) - 1.8) - 0.3 * (math.log10(p["width"]) - 2)
        off = math.log10(p["lr"]) - centre
        too_large = max(0.0, off - 2 * p["warmup"])
        return cost + 0.05 * min(off, 0.0) ** 2 + 0.12 * too_large**2 + (0.35 if too_large > 1.2 else 0.0)

    def _rest(self, p: dict[str, float], size: float) -> float:
        over = max(0.0, size - 0.9 - 0.4 * math.log10(self.rows))
        dropout = 0.25 * (p["dropout"] - min(0.5, 0.1 + 0.25 * over)) ** 2
        decay = 0.006 * (math.log10(p["weight_decay"]) + 4 - 0.8 * over) ** 2
        batch = 0.012 * max(0.0, math.log10(p["batch_size"]) - 2.0) ** 2 + 0.02 * abs(p["warmup"] - 0.06)
        return dropout + decay + batch


TRAININGS = {
    "crash/small": Training(rows=3_000, limit=5.15, floor=0.11, noise=0.002),
    "crash/medium": Training(rows=60_000, limit=5.15, floor=0.04, noise=0.004),
    "crash/large": Training(rows=2_000_000, limit=5.15, floor=0.02, noise=0.002),
}


def training(name: str) -> Problem:
    """The problem of that name."""
    function = TRAININGS[name]
    best, worst = known_range(name, "minimize")
    return Problem(name, SPACE, "minimize", TASK.format(rows=function.rows), function, best, worst)


def all_crash() -> dict[str, Callable[[], Problem]]:
    """Makers of all problems of the suite, by name."""
    return {name: partial(training, name) for name in TRAININGS}
