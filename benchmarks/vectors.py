"""ZDT (Zitzler, Deb and Thiele 2000) and DTLZ (Deb, Thiele, Laumanns and Zitzler 2002) in five dimensions.

Where the published functions have their front in the middle of the box (ZDT4, DTLZ1, 2 and 5), which is where a default
configuration lies, the distance parameters' optimum is moved to :func:`centres`; the front stays what it is.

The reference point is, in each objective, the larger of the 75 % quantile of random configurations and what lies a
tenth of the front's range behind its worst point, rounded away from the front to two digits. The volumes of the fronts
are analytic, or quadratures along a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.hypervolume import hypervolume
from benchmarks.multi import MultiProblem, multi
from hybridbo.parameters import Array, Float, Params
from hybridbo.space import Space

D = 5
_FINE = 200_001
TASK = "Minimise the deterministic functions {names} of {n} parameters at once. Nothing is known about their shapes."


@dataclass(frozen=True)
class Vector:
    """A vector-valued function on a box; everything is minimised.

    Attributes:
        f: From a point of the unit cube, shape (d,), to the objectives, shape (m,).
        reference: Shape (m,).
        volume: From the reference point to the hypervolume of the front.
        low: Lower end of each parameter but the first, as the search sees it.
        high: Upper end likewise.
        margin: Constrained outcome of the objectives, feasible from 0 on; None without a constraint.
    """

    f: Callable[[Array], Array]
    reference: tuple[float, ...]
    volume: Callable[[Array], float]
    low: float = 0.0
    high: float = 1.0
    margin: Callable[[Array], Array] | None = None


def centres(k: int) -> Array:
    """Where the distance parameters are best, in [0, 1], shape (k,)."""
    return np.asarray(0.5 + 0.35 * np.sin(2.0 + 1.7 * np.arange(k)))


# ZDT -----------------------------------------------------------------------------------------------------------------


def _zdt(shape: Callable[[Array, Array], Array], u: Array) -> Array:
    """ZDT1 to ZDT3: ``shape`` of f1 and g."""
    g = np.array(1 + 9 * np.mean(u[1:]))
    return np.array([u[0], g * shape(u[0], g)])


def _root(f1: Array, g: Array) -> Array:
    return 1 - np.sqrt(f1 / g)


def _square(f1: Array, g: Array) -> Array:
    return 1 - (f1 / g) ** 2


def _broken(f1: Array, g: Array) -> Array:
    return 1 - np.sqrt(f1 / g) - f1 / g * np.sin(10 * np.pi * f1)


def _zdt4(u: Array) -> Array:
    z = 10 * (u[1:] - centres(len(u) - 1))
    g = np.array(1 + 10 * len(z) + np.sum(z**2 - 10 * np.cos(4 * np.pi * z)))
    return np.array([u[0], g * _root(u[0], g)])


def _zdt6_first(u: Array) -> Array:
    return np.asarray(1 - np.exp(-4 * u) * np.sin(6 * np.pi * u) ** 6)


def _zdt6(u: Array) -> Array:
    f1, g = _zdt6_first(u[0]), np.array(1 + 9 * np.mean(u[1:]) ** 0.25)
    return np.array([f1, g * _square(f1, g)])


def _under(shape: Callable[[Array, Array], Array], low: float, reference: Array) -> float:
    """The volume of a front ``f2 = shape(f1, 1)``, f1 from ``low`` to 1."""
    f1 = np.linspace(low, 1.0, _FINE)
    return hypervolume(np.column_stack([f1, shape(f1, np.ones(1))]), reference)


# DTLZ ----------------------------------------------------------------------------------------------------------------


def _dtlz1(m: int, u: Array) -> Array:
    z = u[m - 1 :] - centres(len(u) - m + 1)
    g = 100 * (len(z) + np.sum(z**2 - np.cos(20 * np.pi * z)))
    x = u[: m - 1]
    return np.array([0.5 * (1 + g) * np.prod(x[: m - 1 - i]) * (1 - x[m - 1 - i] if i else 1) for i in range(m)])


def sphere(angles: Array, radius: float) -> Array:
    """The point of a sphere at angles in [0, 1] of a right angle, shape (m - 1,)."""
    m = len(angles) + 1
    cos, sin = np.cos(angles * np.pi / 2), np.sin(angles * np.pi / 2)
    return np.array([radius * np.prod(cos[: m - 1 - i]) * (sin[m - 1 - i] if i else 1) for i in range(m)])


def _bowl(m: int, u: Array) -> float:
    return float(np.sum((u[m - 1 :] - centres(len(u) - m + 1)) ** 2))


def _dtlz2(m: int, u: Array) -> Array:
    return sphere(u[: m - 1], 1 + _bowl(m, u))


def _dtlz5(m: int, u: Array) -> Array:
    g = _bowl(m, u)
    return sphere(np.append(u[:1], (1 + 2 * g * u[1 : m - 1]) / (2 * (1 + g))), 1 + g)


def _dtlz7(m: int, u: Array) -> Array:
    g = 1 + 9 * np.mean(u[m - 1 :])
    first = u[: m - 1]
    last = (1 + g) * (m - np.sum(first / (1 + g) * (1 + np.sin(3 * np.pi * first))))
    return np.append(first, last)


def _less(outside: float, reference: Array) -> float:
    """The box from the origin to the reference point less what lies before the front."""
    return float(np.prod(reference)) - outside


def _dtlz5_volume(reference: Array) -> float:
    """The front is the arc (a, a, s), a = sqrt((1 - s²) / 2): a quadrature over the third objective."""
    s = np.linspace(0.0, 1.0, _FINE)
    a = np.sqrt((1 - s**2) / 2)
    below = np.trapezoid((reference[0] - a) * (reference[1] - a), s)
    return float(below + reference[0] * reference[1] * (reference[2] - 1))


def _dtlz7_volume(m: int, reference: Array) -> float:
    """The front's last objective is 2m - sum of s(f_i): what counts is the running maximum of s, one axis at a time."""
    wide = float(np.prod(reference[:-1]))
    total = wide * (reference[-1] - 2 * m)
    for end in reference[:-1]:
        f = np.minimum(np.linspace(0.0, end, _FINE), 1.0)
        total += wide / end * np.trapezoid(np.maximum.accumulate(f * (1 + np.sin(3 * np.pi * f))), dx=end / (_FINE - 1))
    return float(total)


# C2-DTLZ2 (Jain and Deb 2014): only what lies near three points of the arc is feasible -------------------------------

_RADIUS = 0.3


def _near(f: Array) -> Array:
    """Margin of objectives, shape (..., 2): positive within a radius of (1, 0), (0, 1) and the middle of the arc."""
    places = np.array([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5]])
    return np.asarray(_RADIUS**2 - np.min(np.sum((f[..., None, :] - places) ** 2, axis=-1), axis=-1))


def _c2_volume(reference: Array) -> float:
    angle, radius = np.meshgrid(np.linspace(0, np.pi / 2, 4001), 1 + np.linspace(0, _RADIUS, 301))
    f = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    return hypervolume(f[_near(f) >= 0], reference)


VECTORS = {
    "zdt1": Vector(partial(_zdt, _root), (1.1, 4.8), partial(_under, _root, 0.0)),
    "zdt2": Vector(partial(_zdt, _square), (1.1, 6.4), partial(_under, _square, 0.0)),
    "zdt3": Vector(partial(_zdt, _broken), (0.94, 4.9), partial(_under, _broken, 0.0)),
    "zdt4": Vector(_zdt4, (1.1, 120.0), partial(_under, _root, 0.0), -5.0, 5.0),
    "zdt6": Vector(_zdt6, (1.1, 8.8), partial(_under, _square, 0.2807753191)),
    "dtlz1-2": Vector(partial(_dtlz1, 2), (170.0, 170.0), partial(_less, 1 / 8)),
    "dtlz2-2": Vector(partial(_dtlz2, 2), (1.5, 1.5), partial(_less, np.pi / 4)),
    "dtlz2-3": Vector(partial(_dtlz2, 3), (1.1, 1.1, 1.3), partial(_less, np.pi / 6)),
    "dtlz5-3": Vector(partial(_dtlz5, 3), (0.9, 0.9, 1.3), _dtlz5_volume),
    "dtlz7-2": Vector(partial(_dtlz7, 2), (0.95, 15.0), partial(_dtlz7_volume, 2)),
    "dtlz7-3": Vector(partial(_dtlz7, 3), (0.95, 0.95, 22.0), partial(_dtlz7_volume, 3)),
    "c2dtlz2": Vector(partial(_dtlz2, 2), (1.5, 1.5), _c2_volume, margin=_near),
}


def all_vectors() -> dict[str, Callable[[], MultiProblem]]:
    """Makers of all problems of this file, by name."""
    return {f"multi/{name}": partial(vector, name) for name in VECTORS}


def vector(name: str) -> MultiProblem:
    """The problem of that name."""
    of = VECTORS[name]
    other = Float(of.low, of.high)
    space = Space({f"x{i + 1}": Float(0.0, 1.0) if i == 0 else other for i in range(D)})
    names = [f"f{i + 1}" for i in range(len(of.reference))]

    def outcomes(params: Params) -> dict[str, float]:
        f = of.f(space.encode(params))
        told = dict(zip(names, map(float, f), strict=True))
        return told if of.margin is None else told | {"margin": float(of.margin(f))}

    constraints = None if of.margin is None else {"margin": ">= 0"}
    task = TASK.format(names=" and ".join(names), n=D) + (
        " Only points with a margin of 0 or more count." if constraints else ""
    )
    reference = dict(zip(names, of.reference, strict=True))
    volume = of.volume(np.array(of.reference))
    return multi(
        f"multi/{name}",
        space,
        dict.fromkeys(names, "minimize"),
        task,
        outcomes,
        reference,
        volume,
        constraints=constraints,
    )
