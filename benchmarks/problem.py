"""A benchmark problem: a space, a function of its configurations, and what is known of the function's range."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hybridbo.parameters import Params
from hybridbo.space import Space

DATA = Path(__file__).parent / "data"


class EvaluationFailed(Exception):
    """A configuration crashed, ran out of memory or gave no finite value: a failed trial, not a broken benchmark."""


@dataclass(frozen=True)
class Problem:
    """Something to optimise.

    Attributes:
        name: ``"suite/problem"``.
        space: What is searched.
        direction: ``"minimize"`` or ``"maximize"``.
        task: The description that a language model is given.
        function: From a valid configuration to its value; raises EvaluationFailed.
        best: Best value known, in the problem's direction.
        worst: The bad end of normalised regret: the worst value of a table of accuracies; for the others the 90 %
            quantile of random configurations, since their worst values are without bound. In the problem's direction.
        memorised: Whether a language model may have seen the results: reported apart.
        recording: Key of the recorded replies in ``data/zero_shot.json``; None without any.
        table: Every value of a tabulated problem, sorted, as losses (smaller is better); None for the others.
        trains: Whether an evaluation trains a model: large samples of it are not drawn.
    """

    name: str
    space: Space
    direction: str
    task: str
    function: Callable[[Params], float]
    best: float
    worst: float
    memorised: bool = False
    recording: str | None = None
    table: np.ndarray | None = None
    trains: bool = False

    @property
    def suite(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/")[0]

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """The value of a configuration.

        Raises:
            EvaluationFailed: It has none.
            InvalidParams: It is none of the space.
        """
        value = float(self.function(self.space.validate(params)))
        if not math.isfinite(value):
            raise EvaluationFailed(f"the value is {value}")
        return value

    # What a search is told, and what its row holds: MultiProblem has its own answers ---------------------------------

    def arguments(self) -> dict[str, Any]:
        """What is optimised, as hybridbo's Optimizer and Objective.of take it."""
        return {"direction": self.direction}

    def told(self, params: Mapping[str, Any]) -> Any:
        """What a search is told of a configuration.

        Raises:
            EvaluationFailed: The configuration failed.
            InvalidParams: It is none of the space.
        """
        return self.evaluate(params)

    def recorded(self, told: Any) -> dict[str, Any]:
        """What a trial's record says of what was told; None for a trial that failed."""
        top = None if told is None else self.top(told)
        return {"value": told} | ({} if top is None else {"top": top})

    def facts(self) -> dict[str, Any]:
        """What a row has to say of the problem, so that it can be judged from the row alone."""
        known = {"direction": self.direction, "best": self.best, "worst": self.worst}
        return known | {"memorised": self.memorised}

    def loss(self, value: float) -> float:
        """The value so that smaller is better."""
        return value if self.direction == "minimize" else -value

    def top(self, value: float) -> float | None:
        """Share of a table's configurations that are as good as ``value`` or better; None without a table."""
        if self.table is None:
            return None
        return max(1, int(np.searchsorted(self.table, self.loss(value) + 1e-12, side="right"))) / len(self.table)

    def sample(self, rng: np.random.Generator) -> Params:
        """A configuration drawn uniformly on the parameters' scales."""
        return self.space.decode(rng.random(len(self.space)))


@cache
def references() -> dict[str, dict[str, float]]:
    """Ends of normalised regret of problems that have no table, as ``python -m benchmarks reference`` found them."""
    path = DATA / "reference.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def known_range(name: str, direction: str, best: float | None = None) -> tuple[float, float]:
    """The ends of normalised regret of a problem.

    Args:
        name: The problem.
        direction: Decides what stands in where nothing is recorded yet.
        best: The best value where theory gives it.
    """
    found = references().get(name, {})
    sign = 1.0 if direction == "minimize" else -1.0
    return (
        best if best is not None else found.get("best", -sign * 1e-9),
        found.get("worst", sign * 1.0),
    )
