"""Mixed variants of the test functions.

Some dimensions become integers, unordered choices or logarithmic, and the last one is reached by one of three routes,
each with a parameter of its own or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.functions import SURFACES, TASK, Surface
from benchmarks.problem import Problem, known_range
from hybridbo.parameters import Categorical, Float, Int, Parameter, Params
from hybridbo.space import Space

_LABELS = ("amber", "birch", "cedar", "dusk", "ember")
_PLACES = (0.7, 0.1, 0.5, 0.9, 0.3)  # of the labels in [0, 1]: alphabetical order means nothing
_PENALTY = 0.05  # of the spread: what the second route costs more than the first

Place = Callable[[Params], float]


def mixed(surface: Surface) -> Problem:
    """The mixed variant of a surface."""
    name = f"functions/{surface.name}-mixed"
    d = len(surface.low)
    makers = [_MAKERS[(i + (d < 4)) % len(_MAKERS)] for i in range(d - 1)]
    columns = [make(f"x{i + 1}") for i, make in enumerate(makers)]
    parameters: dict[str, Parameter] = {f"x{i + 1}": parameter for i, (parameter, _) in enumerate(columns)}
    space = Space(parameters | _ROUTES)

    def function(params: Params) -> float:
        u = [place(params) for _, place in columns]
        last, penalty = _route(params)
        return surface.at(np.array([*u, last])) + penalty * surface.spread

    best, worst = known_range(name, "minimize")
    task = TASK.format(n=len(space)) + " Some parameters are active only on one route."
    return Problem(name, space, "minimize", task, function, best, worst)


def all_mixed() -> dict[str, Callable[[], Problem]]:
    """Makers of all mixed variants, by name."""
    return {f"functions/{name}-mixed": partial(mixed, surface) for name, surface in SURFACES.items()}


# Columns: a parameter and where it puts the point in [0, 1] ----------------------------------------------------------


def _float(name: str) -> tuple[Parameter, Place]:
    return Float(-1.0, 1.0), lambda params: (_number(params, name) + 1) / 2


def _int(name: str) -> tuple[Parameter, Place]:
    return Int(0, 12), lambda params: _number(params, name) / 12


def _choice(name: str) -> tuple[Parameter, Place]:
    return Categorical(_LABELS), lambda params: _PLACES[_LABELS.index(str(params[name]))]


def _log(name: str) -> tuple[Parameter, Place]:
    return Float(1e-4, 1.0, log=True), lambda params: 1 + math.log10(_number(params, name)) / 4


_MAKERS = (_float, _int, _choice, _log)
_ROUTES: dict[str, Parameter] = {
    "route": Categorical(["north", "south", "ferry"]),
    "pace": Float(0.0, 1.0, when={"route": ["north"]}),
    "stops": Int(1, 100, log=True, when={"route": ["south"]}),
}


def _route(params: Params) -> tuple[float, float]:
    """Where the route puts the last dimension in [0, 1], and what it costs."""
    if params["route"] == "north":
        return _number(params, "pace"), 0.0
    if params["route"] == "south":
        return math.log10(_number(params, "stops")) / 2, _PENALTY
    return 0.5, 0.0


def _number(params: Params, name: str) -> float:
    return float(params[name])  # type: ignore[arg-type]  # a number by the space
