"""A space, as ``Space.to_json`` writes it, in the coordinates that the peers search.

Grids and choices become the numbers of their values: the peers have no ordered choices and, in their current versions,
no grids. An unordered choice stays unordered; only its values are replaced by numbers, so that their types need not
survive the way through another library's arrays. A grid on a logarithmic scale is searched between its ends, as with
Optuna, and rounded by the benchmark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Spec = Mapping[str, Any]
Point = Mapping[str, float]


@dataclass(frozen=True)
class Axis:
    """One parameter.

    Attributes:
        name: Its name.
        kind: ``"float"``, ``"int"``, or ``"choice"`` for an integer without order.
        low: Smallest coordinate.
        high: Largest coordinate.
        log: Whether the scale is logarithmic.
        when: The coordinates of each parent at which the parameter is active.
        step: Of a grid that is searched by number, else None.
        first: The value of the grid's number 0.
        choices: The values of a choice; empty for numbers.
    """

    name: str
    kind: str
    low: float
    high: float
    log: bool = False
    when: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step: float | None = None
    first: float = 0.0
    choices: Sequence[Any] = ()

    def value(self, coordinate: float) -> Any:
        """The parameter's value there, moved into the range."""
        x = min(max(float(coordinate), self.low), self.high)
        if self.choices:
            return self.choices[round(x)]
        if self.step is not None:
            return self.first + round(x) * self.step
        return round(x) if self.kind == "int" else x

    def place(self, value: Any) -> float:
        """The coordinate of a value."""
        if self.choices:
            return _index(self.choices, value)
        return float(value) if self.step is None else round((value - self.first) / self.step)

    def middle(self) -> float:
        """The coordinate in the middle, on the scale; the first of an unordered choice."""
        if self.kind == "choice":
            return self.low
        x = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return x if self.kind == "float" else round(x)


def axes(space: Mapping[str, Spec]) -> dict[str, Axis]:
    """The axes by name, parents before their children."""
    done: dict[str, Axis] = {}
    while len(done) < len(space):
        ready = [n for n, spec in space.items() if n not in done and all(p in done for p in spec.get("when") or {})]
        if not ready:
            raise ValueError("the conditions of the space go round in a circle")
        done |= {name: _axis(name, space[name], done) for name in ready}
    return done


def active(along: Mapping[str, Axis], point: Point) -> dict[str, float]:
    """The coordinates of the active parameters alone."""
    out: dict[str, float] = {}
    for name, axis in along.items():
        if all(parent in out and out[parent] in allowed for parent, allowed in axis.when.items()):
            out[name] = point[name]
    return out


def filled(along: Mapping[str, Axis], point: Point) -> dict[str, float]:
    """All coordinates, those of inactive parameters in the middle: for peers that know no conditions."""
    there = active(along, point)
    return {name: there.get(name, axis.middle()) for name, axis in along.items()}


def to_params(along: Mapping[str, Axis], point: Point) -> dict[str, Any]:
    """The configuration at a point: the values of the active parameters."""
    return {name: along[name].value(x) for name, x in active(along, point).items()}


def to_point(along: Mapping[str, Axis], params: Mapping[str, Any]) -> dict[str, float]:
    """The coordinates of a configuration's parameters."""
    return {name: axis.place(params[name]) for name, axis in along.items() if name in params}


def _axis(name: str, spec: Spec, parents: Mapping[str, Axis]) -> Axis:
    when = {parent: [parents[parent].place(v) for v in values] for parent, values in (spec.get("when") or {}).items()}
    if spec["type"] == "categorical":
        kind = "int" if spec.get("ordered") else "choice"
        return Axis(name, kind, 0, len(spec["choices"]) - 1, when=when, choices=spec["choices"])
    low, high, step = spec["low"], spec["high"], spec.get("step")
    if step is not None and not spec.get("log"):
        last = math.floor((high - low) / step + 1e-9)
        return Axis(name, "int", 0, last, when=when, step=step, first=low)
    return Axis(name, spec["type"], low, high, bool(spec.get("log")), when)


def _index(choices: Sequence[Any], value: Any) -> int:
    """Where a value is among the choices: True is not 1 where both are there, 1 is 1.0 where only one is."""
    alike = [i for i, choice in enumerate(choices) if choice == value]
    same = [i for i in alike if type(choices[i]) is type(value)]
    return (same or alike)[0]
