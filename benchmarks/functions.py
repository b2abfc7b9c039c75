"""Test functions with neutral descriptions: Branin, Ackley, Rosenbrock, Himmelblau, Hartmann-6, shifted quadratics.

Each is a Surface over a box. Optima are kept away from the middle of the box, which is where a default configuration
lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.problem import Problem, known_range
from hybridbo.parameters import Array, Float, Params
from hybridbo.space import Space

TASK = "Minimise a deterministic function of {n} parameters. Nothing is known about its shape."


@dataclass(frozen=True)
class Surface:
    """A function over a box.

    Attributes:
        name: Its name.
        low: Lower end of each dimension.
        high: Upper end of each dimension.
        f: The function of a point, shape (d,).
        best: Its minimum.
        spread: Its median over the box less its minimum: what a random point costs.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    f: Callable[[Array], float]
    best: float
    spread: float

    def at(self, u: Array) -> float:
        """The value at a point of the unit cube, shape (d,)."""
        low, high = np.array(self.low), np.array(self.high)
        return float(self.f(low + u * (high - low)))


def branin(x: Array) -> float:
    """Dixon and Szegö 1978; three equal minima."""
    a = x[1] - 5.1 * x[0] ** 2 / (4 * np.pi**2) + 5 * x[0] / np.pi - 6
    return float(a**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10)


def himmelblau(x: Array) -> float:
    """Himmelblau 1972; four equal minima."""
    return float((x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2)


def rosenbrock(x: Array) -> float:
    """Rosenbrock 1960; values over many orders of magnitude, a curved valley."""
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def ackley(x: Array) -> float:
    """Ackley 1987, its optimum moved off the middle."""
    z = x - np.array([4.1, -2.7, 1.9, -5.3, 3.3])[: len(x)]
    waves = np.exp(np.mean(np.cos(2 * np.pi * z)))
    return float(20 + np.e - 20 * np.exp(-0.2 * np.sqrt(np.mean(z**2))) - waves)


_HARTMANN_A = np.array([
    [10, 3, 17, 3.5, 1.7, 8],
    [0.05, 10, 17, 0.1, 8, 14],
    [3, 3.5, 1.7, 10, 17, 8],
    [17, 8, 0.05, 10, 0.1, 14],
])  # fmt: skip
_HARTMANN_P = 1e-4 * np.array([
    [1312, 1696, 5569, 124, 8283, 5886],
    [2329, 4135, 8307, 3736, 1004, 9991],
    [2348, 1451, 3522, 2883, 3047, 6650],
    [4047, 8828, 8732, 5743, 1091, 381],
])  # fmt: skip


def hartmann6(x: Array) -> float:
    """Hartmann 1973, six dimensions, six local minima."""
    inner = np.sum(_HARTMANN_A * (x - _HARTMANN_P) ** 2, axis=1)
    return float(-np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner))


def quadratic(x: Array) -> float:
    """A bowl whose axes matter by factors from 1 to 100, its optimum off the middle."""
    d = len(x)
    centre = 4.0 * np.sin(2.0 + 1.7 * np.arange(d))
    return float(10 ** np.linspace(2, 0, d) @ (x - centre) ** 2)


SURFACES = {
    s.name: s
    for s in (
        Surface("branin", (-5, 0), (10, 15), branin, 0.39788735772973816, 37.0),
        Surface("himmelblau", (-5, -5), (5, 5), himmelblau, 0.0, 120.0),
        Surface("rosenbrock4", (-5,) * 4, (10,) * 4, rosenbrock, 0.0, 2.5e5),
        Surface("ackley5", (-10,) * 5, (10,) * 5, ackley, 0.0, 16.0),
        Surface("hartmann6", (0,) * 6, (1,) * 6, hartmann6, -3.3223680114155152, 3.2),
        Surface("quadratic3", (-5,) * 3, (5,) * 3, quadratic, 0.0, 1300.0),
        Surface("quadratic8", (-5,) * 8, (5,) * 8, quadratic, 0.0, 4000.0),
    )
}


def continuous(surface: Surface) -> Problem:
    """The surface as it is, over continuous parameters."""
    name = f"functions/{surface.name}"
    ends = zip(surface.low, surface.high, strict=True)
    space = Space({f"x{i + 1}": Float(float(low), float(high)) for i, (low, high) in enumerate(ends)})

    def function(params: Params) -> float:
        return surface.f(np.array([params[key] for key in space], dtype=float))

    best, worst = known_range(name, "minimize", surface.best)
    return Problem(name, space, "minimize", TASK.format(n=len(space)), function, best, worst)
