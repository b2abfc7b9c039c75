"""Float and Int: a range, a scale, an optional grid, and their way to the unit interval and back."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from decimal import Context
from functools import cached_property
from typing import ClassVar

import numpy as np

from hybridbo.values import Array, Choice, Condition, is_number, normal_condition, plain, shown

_DIGITS = 6  # significant digits of a continuous value, counted on its range
_LARGEST = 1e300  # beyond it, ranges and half steps overflow
_SMALLEST_LOG = 1e-300
# How narrow a range or a grid may be beside its largest value, so that floats still tell its values apart on the
# unit interval: the logarithm of 1e300 has thirteen decimals, and a float sixteen digits.
_NARROWEST, _NARROWEST_LOG = 1e-9, 1e-6
_FINEST, _FINEST_LOG = 1e-15, 1e-12
_ON_GRID = 1e-6  # of a step: 0.1 + 0.2 counts as 0.3
_EXACT = Context(prec=700)  # our own: the user's decimal context may round to three digits


@dataclass(frozen=True)
class _Numeric:
    """What Float and Int share."""

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None
    default: float | None = None
    when: Condition | None = field(default=None, hash=False)

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normal_condition(self.when))
        for key in ("low", "high", "step", "default"):
            object.__setattr__(self, key, plain(getattr(self, key)))

    @cached_property
    def n_values(self) -> float:
        """How many values the grid holds; ``inf`` for a continuous parameter."""
        if self.step is None:
            return math.inf
        low, high, step = (_EXACT.create_decimal(repr(x)) for x in (self.low, self.high, self.step))
        return int(_EXACT.divide_int(_EXACT.subtract(high, low), step)) + 1

    @cached_property
    def top(self) -> float:
        """The largest value that can be proposed: ``high``, or the last point of the grid below it."""
        return self.high if self.step is None else self.grid_value(int(self.n_values) - 1)

    # Checks ------------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """What is wrong with the declaration itself; empty when it can be searched."""
        bad = self._bound_problems()
        if not isinstance(self.log, bool):
            bad.append(f"log={shown(self.log)} is neither True nor False")
        if self.step is not None and (not is_number(self.step) or self.step <= 0):
            bad.append(f"step={shown(self.step)} is not a positive number")
        bad = bad or self._scale_problems()
        if not bad and self.default is not None and (why := self.problem_of(self.default)):
            bad.append(f"the default {why}")
        return bad

    def _bound_problems(self) -> list[str]:
        bounds = {"low": self.low, "high": self.high}
        bad = [f"{key}={shown(value)} is not a finite number" for key, value in bounds.items() if not is_number(value)]
        if not bad:
            too_large = [f"{key}={value!r}" for key, value in bounds.items() if abs(value) > _LARGEST]
            bad = [f"{bound} is beyond {_LARGEST!r}; rescale the parameter" for bound in too_large]
        if not bad and self.low >= self.high:
            bad.append(f"low={self.low!r} is not below high={self.high!r}; swap them, or leave a constant out")
        return bad

    def _scale_problems(self) -> list[str]:
        """What is wrong with a scale or a grid on sound bounds."""
        low, high, largest = self.low, self.high, max(abs(self.low), abs(self.high))
        if self.log and low < _SMALLEST_LOG:
            return [f"log=True needs low > 0 (at least {_SMALLEST_LOG!r}), not low={low!r}; raise low or drop log"]
        if self.step is None:
            width = math.log(high) - math.log(low) if self.log else (high - low) / largest
            if width < (_NARROWEST_LOG if self.log else _NARROWEST):
                remedy = "drop log" if self.log else "search the distance from low instead"
                return [f"the range {low!r} to {high!r} is too narrow beside its own size; widen it, or {remedy}"]
        elif self.step < largest * (_FINEST_LOG if self.log else _FINEST):
            return [f"step={self.step!r} is too fine beside {largest!r} for a float; raise it, or narrow the range"]
        elif self.n_values == 1:
            return [f"step={self.step!r} is wider than the range {low!r} to {high!r}; lower it"]
        return []

    def problem_of(self, value: object) -> str | None:
        """Why ``value`` is not allowed here, or None when it is."""
        if not is_number(value):
            return f"{shown(value)} is not a finite number; allowed: {self.describe()}"
        x = float(value)  # type: ignore[arg-type]  # is_number does not tell mypy
        if not self.low <= x <= self.high:
            return f"{shown(value)} is out of range; allowed: {self.describe()}"
        if self.step is not None and abs(x - float(self.round(x))) > _ON_GRID * self.step:  # type: ignore[arg-type]
            return f"{shown(value)} lies between two steps; allowed: {self.describe()}"
        return None

    def near(self, value: object) -> Choice:
        """The allowed value nearest to a number within the range; None for anything else."""
        inside = is_number(value) and self.low <= value <= self.high  # type: ignore[operator]  # as above
        return self.round(value) if inside else None  # type: ignore[arg-type]

    def describe(self) -> str:
        """The range in words, for messages: ``float in [1e-05, 0.1], log``."""
        words = f"{self.kind} in [{self.low!r}, {self.high!r}]"
        words += f", step {self.step!r}" if self.step is not None and (self.kind, self.step) != ("int", 1) else ""
        return words + (", log" if self.log else "")

    # Values ------------------------------------------------------------------------------------------------------

    def middle(self) -> Choice:
        """The value in the middle of the range, on the parameter's scale."""
        return self.from_unit(0.5)

    def round(self, value: Choice) -> Choice:
        """The nearest value of the grid."""
        x = float(value)  # type: ignore[arg-type]  # validated before
        if self.step is None:
            return self._round_continuous(x)
        index = round((x - self.low) / self.step)
        return self.grid_value(min(max(index, 0), int(self.n_values) - 1))

    def declared(self, value: Choice) -> Choice:
        """An allowed value in the type that was declared, exactly on the grid where there is a step."""
        return self.round(value) if self.step is not None else float(value)  # type: ignore[arg-type]

    def grid_value(self, index: int) -> float:
        """Value number ``index`` of the grid, counted from 0 at ``low``."""
        # decimals, so that 0.1 + 2 * 0.1 is 0.3 and not 0.30000000000000004
        low, step = _EXACT.create_decimal(repr(self.low)), _EXACT.create_decimal(repr(self.step))
        return float(_EXACT.fma(_EXACT.create_decimal(index), step, low))

    def _round_continuous(self, x: float) -> float:
        if x <= self.low or x >= self.high:
            return float(self.low if x <= self.low else self.high)  # the ends as declared, however many digits
        rounded = float(f"{x:.{self._digits}g}") if self.log else round(x, self._digits)
        if not self.low < rounded < self.high:
            rounded = float(self.low if rounded <= self.low else self.high)
        return rounded + 0.0  # never -0.0

    @cached_property
    def _digits(self) -> int:
        """Significant digits of a value on a log scale, else decimals; computed once, for every trial is rounded."""
        if self.log:
            spread = math.log(self.high) - math.log(self.low)
            return _DIGITS - min(0, math.floor(math.log10(spread)))
        largest = max(abs(self.low), abs(self.high))
        decimals = _DIGITS - math.floor(math.log10(self.high - self.low))
        return min(decimals, 14 - math.floor(math.log10(largest)), 323)

    # Unit interval -----------------------------------------------------------------------------------------------

    def to_unit(self, value: Choice) -> float:
        """The place of ``value`` in [0, 1]."""
        low, high = self._ends
        x = math.log(float(value)) if self.log else float(value)  # type: ignore[arg-type]  # validated before
        return min(1.0, max(0.0, (x - low) / (high - low)))

    def from_unit(self, u: float) -> Choice:
        """The value at place ``u`` in [0, 1], on the grid."""
        if u <= 0.0 or u >= 1.0:
            return self.round(self.low if u <= 0.0 else self.top)
        low, high = self._ends
        x = low + u * (high - low)
        return self.round(math.exp(x) if self.log else x)

    def cell_of(self, u: Array) -> Array:
        """The index on the grid of the value at each ``u``, of any shape; only where there is a step."""
        low, high = self._ends
        x = low + np.clip(u, 0.0, 1.0) * (high - low)
        x = np.exp(x) if self.log else x
        out: Array = np.clip(np.rint((x - self.low) / (self.step or 1.0)), 0.0, self.n_values - 1)
        return out

    def snap_unit(self, u: Array) -> Array:
        """``to_unit(from_unit(u))`` for a whole array; continuous values are left as they are."""
        if self.step is None:
            return np.clip(u, 0.0, 1.0)
        low, high = self._ends
        x = self.low + self.cell_of(u) * self.step
        out: Array = ((np.log(x) if self.log else x) - low) / (high - low)
        return np.clip(out, 0.0, 1.0)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The ends of the unit interval on the (log) scale: half a step beyond a grid's outer values."""
        low, high = float(self.low), float(self.top)
        if self.step is not None:
            half = self.step / 2
            low, high = (max(low - half, low / 2) if self.log else low - half), high + half
        return (math.log(low), math.log(high)) if self.log else (low, high)


@dataclass(frozen=True)
class Float(_Numeric):
    """A real number in [low, high].

    Args:
        low: Smallest value.
        high: Largest value.
        log: Search on a logarithmic scale; needs ``low > 0``.
        step: Distance of neighbouring values; None for a continuous parameter.
        default: Value of the first trial (arm 0); None leaves the choice to the table of published defaults.
        when: ``{parent: [values]}``: active only while every parent has one of its values.
    """

    kind: ClassVar[str] = "float"


@dataclass(frozen=True)
class Int(_Numeric):
    """An integer in [low, high].

    Args:
        low: Smallest value.
        high: Largest value.
        log: Search on a logarithmic scale; needs ``low > 0``.
        step: Distance of neighbouring values.
        default: Value of the first trial (arm 0); None leaves the choice to the table of published defaults.
        when: ``{parent: [values]}``: active only while every parent has one of its values.
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int = 1
    default: int | None = None
    when: Condition | None = field(default=None, hash=False)

    kind: ClassVar[str] = "int"

    def problems(self) -> list[str]:
        """What is wrong with the declaration itself; empty when it can be searched."""
        bad = [
            f"{key}={shown(value)} is {_why_no_integer(value)}"
            for key, value in {"low": self.low, "high": self.high, "step": self.step}.items()
            if not is_number(value) or value != int(value)
        ]
        return bad or super().problems()

    def problem_of(self, value: object) -> str | None:
        """Why ``value`` is not allowed here, or None when it is."""
        if is_number(value) and value != int(value):  # type: ignore[call-overload]  # a number
            return f"{shown(value)} is not an integer; allowed: {self.describe()}"
        return super().problem_of(value)

    def near(self, value: object) -> Choice:
        """The allowed value nearest to an integer within the range; None for anything else."""
        return super().near(value) if is_number(value) and value == int(value) else None  # type: ignore[call-overload]

    def round(self, value: Choice) -> Choice:
        """The nearest integer of the grid."""
        return int(super().round(value))  # type: ignore[arg-type]  # a number

    def grid_value(self, index: int) -> int:
        """Value number ``index`` of the grid, counted from 0 at ``low``."""
        return int(self.low) + index * int(self.step)


def _why_no_integer(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "too large for a float"
    return "not an integer; use Float for real numbers"
