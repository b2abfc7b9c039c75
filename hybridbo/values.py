"""What a parameter's value may be, and the small questions asked of values all over the package."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Choice: TypeAlias = str | int | float | bool | None
Params: TypeAlias = dict[str, Choice]
Condition: TypeAlias = Mapping[str, Sequence[Choice]]
Array: TypeAlias = NDArray[np.float64]

_LONGEST_SHOWN = 80


def same_choice(a: Choice, b: Choice) -> bool:
    """Whether two choices are one and the same: ``True`` is not ``1``, but ``1`` is ``1.0``."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def plain(value: Any) -> Any:
    """``value``, or the Python scalar of a numpy one, which JSON and ``repr`` write as a person would."""
    return value.item() if isinstance(value, np.generic) else value


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite real number; numpy's count, booleans do not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def shown(value: object) -> str:
    """``repr(value)`` for a message: cut to a line, and never an error itself."""
    try:
        text = repr(plain(value))
    except Exception:  # noqa: BLE001  # too deep, too many digits, or a broken __repr__: the message is worth more
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def writable(text: str) -> str:
    r"""``text`` as UTF-8 can hold it: lone surrogates become ``\udXXX``, which in JSON is their exact notation."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def normal_condition(when: Any) -> Any:
    """``when`` with each value list as a tuple and a lone value wrapped; left alone where it is no mapping."""
    if not isinstance(when, Mapping):
        return when
    return {
        parent: tuple(plain(value) for value in values)
        if isinstance(values, Sequence) and not isinstance(values, str)
        else (plain(values),)
        for parent, values in when.items()
    } or None
