"""Training logs: what a training says of itself on its way, checked, merged and kept small. Pure.

A log is a :data:`Log`: for each metric its points (step, value), by step. A step is a finite number of 0 or more (an
epoch, a batch, a fraction of an epoch); a value is any float, and one that is not finite is evidence of divergence.

Up to :data:`LOSSLESS` points of a metric are kept as they are. Beyond, they are thinned to at most :data:`KEPT`, evenly
over the steps, and grow again: a log of any length holds at most :data:`LOSSLESS` points a metric (and what has been
written since it was last thinned, see :data:`APPENDED`). Never lost are the first and the last point, the least and the
greatest value, and the first that is not finite.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from hybridbo.errors import InvalidValue
from hybridbo.values import is_number, plain, shown

Point: TypeAlias = tuple[float, float]
Log: TypeAlias = dict[str, list[Point]]

LOSSLESS = 1000
KEPT = 500
APPENDED = 1000  # points that are written before a log is merged and thinned
MOST_METRICS = 100
_LONGEST_NAME = 200
_HALVINGS = 50  # of the range of steps
_HINT = "Log numbers by name: trial.log(step=3, train_loss=0.41, val_loss=0.52)."


def checked_step(step: Any) -> float:
    """A step as the number that is stored: an int stays one.

    Raises:
        InvalidValue: Not a finite number of 0 or more.
    """
    if not is_number(step) or step < 0:
        raise InvalidValue(f"step={shown(step)} is no finite number of 0 or more.", "Count steps or epochs from 0.")
    number = plain(step)
    return number if isinstance(number, int) and number < 2**53 else float(number)


def checked_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The values of one step as floats; NaN and infinities are kept, for they are what a divergence looks like.

    Anything that ``float`` takes for a number counts, so that a tensor or an array of one element may be logged as it
    is; texts and booleans do not.

    Raises:
        InvalidValue: Naming the metric at fault; or there is none, or more than 100.
    """
    if not metrics:
        raise InvalidValue("no metric is given.", _HINT)
    if len(metrics) > MOST_METRICS:
        raise InvalidValue(f"{len(metrics)} metrics are given, more than {MOST_METRICS}.", "Log what you will look at.")
    return {_checked_name(name): _checked_value(name, value) for name, value in metrics.items()}


def _checked_name(name: Any) -> str:
    if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME:
        return name
    raise InvalidValue(f"{shown(name)} is no name of a metric.", f"Use a text of 1 to {_LONGEST_NAME} characters.")


def _checked_value(name: str, value: Any) -> float:
    if type(value) is float:
        return value
    if not isinstance(value, (bool, np.bool_, str, bytes, bytearray)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is how torch refuses several elements
            pass
    raise InvalidValue(f"{name}={shown(value)} is no number.", _HINT)


def merged(parts: Sequence[Mapping[str, Sequence[Point]]]) -> Log:
    """Logs of one training, oldest first, as one: of several values of a metric at one step the last counts."""
    out: dict[str, dict[float, float]] = {}
    for part in parts:
        for name, points in part.items():
            out.setdefault(name, {}).update(points)
    return {name: sorted(points.items()) for name, points in out.items()}


def thinned(log: Mapping[str, Sequence[Point]]) -> Log:
    """The log with every metric that has more than :data:`LOSSLESS` points brought down to :data:`KEPT`."""
    return {name: list(points) if len(points) <= LOSSLESS else _thinned(points) for name, points in log.items()}


def _thinned(points: Sequence[Point]) -> list[Point]:
    steps = [float(step) for step, _ in points]
    values = np.array([value for _, value in points])
    finite = np.flatnonzero(np.isfinite(values))
    odd = np.flatnonzero(~np.isfinite(values))
    never_lost = {0, len(points) - 1, *odd[:1].tolist()}
    if len(finite):
        never_lost |= {int(finite[values[finite].argmin()]), int(finite[values[finite].argmax()])}
    kept = never_lost | set(_evenly(steps, KEPT - len(never_lost)))
    return [points[i] for i in sorted(kept)]


def _evenly(steps: list[float], most: int) -> list[int]:
    """At most ``most`` of ascending steps, no two closer than the smallest gap for which so many are enough.

    A single step far out costs one point only: the gap follows from how many points are left, not from the range.
    """
    low, high = 0.0, steps[-1] - steps[0]
    for _ in range(_HALVINGS):
        gap = low + (high - low) / 2
        low, high = (gap, high) if len(_apart(steps, gap)) > most else (low, gap)
    return _apart(steps, high)


def _apart(steps: list[float], gap: float) -> list[int]:
    """The first step, and each next one that is at least ``gap`` behind the one before."""
    out, at = [], 0
    while at < len(steps):
        out.append(at)
        at = bisect_left(steps, steps[at] + gap, at + 1)
    return out
