"""Categorical: one of a list of choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

import numpy as np

from hybridbo.values import Array, Choice, Condition, is_number, normal_condition, plain, same_choice, shown

_MOST_LISTED = 20  # choices that a message lists


@dataclass(frozen=True)
class Categorical:
    """One of a list of choices.

    Args:
        choices: Different str, int, float, bool or None.
        ordered: The order of the choices means something (small, medium, large).
        default: Choice of the first trial (arm 0); None leaves the choice to the table of published defaults, so a
            default of None itself is given by listing None first.
        when: ``{parent: [values]}``: active only while every parent has one of its values.
    """

    choices: Sequence[Choice]
    _: KW_ONLY
    ordered: bool = False
    default: Choice = None
    when: Condition | None = field(default=None, hash=False)

    kind: ClassVar[str] = "categorical"
    log: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normal_condition(self.when))
        if isinstance(self.choices, Sequence) and not isinstance(self.choices, str):
            object.__setattr__(self, "choices", tuple(plain(c) for c in self.choices))
        object.__setattr__(self, "default", plain(self.default))

    @property
    def n_values(self) -> float:
        """How many choices there are."""
        return len(self.choices)

    def problems(self) -> list[str]:
        """What is wrong with the declaration itself; empty when it can be searched."""
        if not isinstance(self.choices, tuple):
            return [f"choices={shown(self.choices)} is not a list; write, for example, ['adam', 'sgd']"]
        bad = [
            f"choice {shown(c)} is not a str, bool, None or finite number; use its name and look it up in the objective"
            for c in self.choices
            if not (c is None or isinstance(c, (str, bool)) or is_number(c))
        ]
        bad += [f"choice {shown(c)} cannot be written as UTF-8; rename it" for c in self.choices if _is_broken_text(c)]
        bad += [
            f"choice {shown(c)} is listed twice; remove one"
            for i, c in enumerate(self.choices)
            if any(same_choice(c, other) for other in self.choices[:i])
        ]
        if not self.choices:
            bad.append("choices=[] leaves nothing to choose; list at least one")
        if not isinstance(self.ordered, bool):
            bad.append(f"ordered={shown(self.ordered)} is neither True nor False")
        if not bad and self.default is not None and (why := self.problem_of(self.default)):
            bad.append(f"the default {why}")
        return bad

    def problem_of(self, value: object) -> str | None:
        """Why ``value`` is not allowed here, or None when it is."""
        if self._index(value) is None:
            return f"{shown(value)} is none of the choices; allowed: {self.describe()}"
        return None

    def describe(self) -> str:
        """The choices in words, for messages: ``one of 'adam', 'sgd'``."""
        words = "one of " + ", ".join(repr(c) for c in self.choices[:_MOST_LISTED])
        words += f", ... ({len(self.choices)} in all)" if len(self.choices) > _MOST_LISTED else ""
        return words + (" (ordered)" if self.ordered else "")

    def middle(self) -> Choice:
        """The middle choice of an ordered list, the first of any other."""
        return self.choices[(len(self.choices) - 1) // 2 if self.ordered else 0]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The choices of an ordered list of numbers, which is a grid; empty for any other list."""
        return tuple(self.choices) if self.ordered and all(is_number(c) for c in self.choices) else ()  # type: ignore[arg-type]  # numbers

    def near(self, value: Any) -> Choice | None:
        """The choice itself, or in an ordered list of numbers the nearest to a number between its ends; else None.

        Nearest is by ratio where all numbers are positive, by distance otherwise.
        """
        if (index := self._index(value)) is not None:
            return self.choices[index]
        value, numbers = plain(value), self.numbers
        if not numbers or not is_number(value) or not min(numbers) <= value <= max(numbers):
            return None
        if min(numbers) > 0:
            return min(numbers, key=lambda number: abs(math.log(number / value)))
        return min(numbers, key=lambda number: abs(number - value))

    def to_unit(self, value: Choice) -> float:
        """The middle of the choice's cell in [0, 1]."""
        index = self._index(value)
        if index is None:
            raise ValueError(self.problem_of(value))
        return (index + 0.5) / len(self.choices)

    def from_unit(self, u: float) -> Choice:
        """The choice whose cell holds ``u``."""
        return self.choices[min(int(max(u, 0.0) * len(self.choices)), len(self.choices) - 1)]

    def cell_of(self, u: Array) -> Array:
        """The index of the choice whose cell holds each ``u``, of any shape."""
        k = len(self.choices)
        out: Array = np.clip(np.floor(u * k), 0.0, k - 1.0)
        return out

    def snap_unit(self, u: Array) -> Array:
        """``to_unit(from_unit(u))`` for a whole array."""
        out: Array = (self.cell_of(u) + 0.5) / len(self.choices)
        return out

    def round(self, value: Choice) -> Choice:
        """The choice equal to ``value``, as it was declared."""
        index = self._index(value)
        return value if index is None else self.choices[index]

    def declared(self, value: Choice) -> Choice:
        """An allowed value in the type that was declared."""
        return self.round(value)

    def _index(self, value: object) -> int | None:
        value = plain(value)
        if not (value is None or isinstance(value, (str, int, float))):
            return None  # an array would compare element by element
        for i, choice in enumerate(self.choices):
            if same_choice(choice, value):
                return i
        return None


def _is_broken_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
