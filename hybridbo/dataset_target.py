"""Facts about the target of a data set: classes and their balance, the lean of a number, how much of it is noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridbo.dataset_columns import Column, Columns, two_digits
from hybridbo.values import Array

_FEW_CLASSES = 20  # different integers that are classes, if each is there twice on average
_ROWS_PER_CLASS = 20  # from which more integers, if they are 0, 1, 2, ... without a gap, are classes too
_FEWEST, _MOST_ROWS, _MOST_FEATURES = 50, 1000, 3000  # for the estimate of the noise
_LEAN = 0.2


def target_facts(features: Columns, target: Columns, kind: str | None) -> dict[str, Any]:
    """The fields of DatasetFacts that are about the target.

    Args:
        features: X.
        target: y.
        kind: ``"classification"`` or ``"regression"``; None to tell by looking.
    """
    if target.width > 1:
        return {"target": "several", "targets": target.width}
    column = _only(target)
    values, codes = column.present, _codes(column.present)
    told: dict[str, Any] = {"target_missing": two_digits(column.missing / target.rows)}
    if not len(values):
        return told
    numbers = values.astype(np.float64) if values.dtype.kind in "biuf" else None
    if numbers is None or kind == "classification" or (kind is None and _are_classes(values, codes)):
        told |= _class_facts(codes)
        numbers = None
    else:
        told |= {"target": "regression", "skew": _skew(numbers)}
    if not column.missing:
        told["noise_at_most"] = noise_at_most(features, codes if numbers is None else numbers, numbers is None)
    return told


def noise_at_most(features: Columns, target: Array, are_classes: bool) -> float | None:  # noqa: FBT001  # a fact of it
    """How much of the target is noise, estimated from above with the nearest neighbours of up to 1,000 rows.

    Classes: the share of rows whose nearest neighbour has another class, which with many rows lies above the error of
    the best classifier there can be (Cover and Hart 1967), or the error of guessing the largest class, if that is less.
    Numbers: half the mean squared difference to the nearest neighbour, over the variance: the share of the variance
    that no smooth function of the features explains (the delta test, Pi and Peterson 1994). Features that do not matter
    make either too large, never reliably too small.

    Args:
        features: X, standardised here.
        target: Class numbers or values, shape (rows,).
        are_classes: Which of the two.

    Returns:
        A share with two digits; None with fewer than 50 rows, more than 3,000 features, features that are not numeric,
        or missing values.
    """
    n = len(target)
    table = features.numeric() if n >= _FEWEST and features.width <= _MOST_FEATURES else None
    if table is None:
        return None
    rows = np.sort(np.random.default_rng(0).choice(n, min(n, _MOST_ROWS), replace=False))
    y, near = target[rows], _neighbours(_standardised(table[rows]))
    if are_classes:
        wrong_guesses = 1.0 - np.unique(y, return_counts=True)[1].max() / len(y)
        return two_digits(float(min(np.mean(y != y[near]), wrong_guesses)))
    y = y / (np.max(np.abs(y)) or 1.0)
    variance = float(np.var(y))
    return two_digits(min(1.0, float(np.mean((y - y[near]) ** 2)) / 2 / variance)) if variance > 0 else None


def _only(target: Columns) -> Column:
    if target.columns:
        return target.columns[0]
    values = np.asarray(target.array.todense() if target.is_sparse else target.array).reshape(-1)
    there = np.isfinite(values)
    return Column(values[there], int(len(values) - there.sum()))


def _codes(values: Any) -> Array:
    """Each different value as a number of its own, shape (n,)."""
    if values.dtype.kind != "O":
        return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.float64)
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(repr(value), len(numbers)) for value in values], dtype=np.float64)


def _are_classes(values: Any, codes: Array) -> bool:
    if values.dtype.kind == "b":
        return True
    if (values != np.floor(values)).any():
        return False
    k, n = int(codes.max()) + 1, len(codes)
    is_gapless = values.min() in {0, 1} and values.max() - values.min() == k - 1
    return k <= max(2, min(_FEW_CLASSES, n / 2)) or bool(is_gapless and n >= _ROWS_PER_CLASS * k)


def _class_facts(codes: Array) -> dict[str, Any]:
    counts = np.bincount(codes.astype(int))
    shares = counts / counts.sum()
    entropy = -float(np.sum(shares * np.log(shares)))
    return {
        "target": "classification",
        "classes": len(counts),
        "smallest_class": int(counts.min()),
        "largest_class": int(counts.max()),
        "balance": two_digits(entropy / np.log(len(counts))) if len(counts) > 1 else None,
    }


def _skew(values: Array) -> str:
    """Bowley's skewness in words: where the median lies between the quartiles."""
    first, median, third = np.quantile(values / (np.max(np.abs(values)) or 1.0), [0.25, 0.5, 0.75])
    if third == first:
        return "half of the values are the same"
    lean = (third + first - 2 * median) / (third - first)
    if abs(lean) <= _LEAN:
        return "about symmetric"
    return "long tail of large values" if lean > 0 else "long tail of small values"


def _standardised(table: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        sd = table.std(axis=0)
        centred = table - table.mean(axis=0)
    usable = (sd > 0) & np.isfinite(sd)
    out: Array = centred[:, usable] / sd[usable]
    return out


def _neighbours(table: Array) -> Array:
    """The index of the nearest other row of each, shape (n,)."""
    squares = (table**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * table @ table.T
    np.fill_diagonal(distances, np.inf)
    nearest: Array = distances.argmin(axis=1)
    return nearest
