"""The error of the best configuration found, in the problem's own unit: what a user would report, not the regret.

The error of a minimised problem is its value; of a maximised one, which are scores up to 1 here, 1 - value. Where the
best value is below 0 (Hartmann-6) a share of the value means nothing: such problems have no error and are left out.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.analyse import Row, Table
from hybridbo.parameters import Array

_TINY = 1e-12
_MOST = 10.0  # a change is cut at +1000 %


def error(row: Row, n: int) -> float:
    """Error of the best of the first ``n`` trials; NaN where none has a value, or the problem no error."""
    minimised = row["direction"] == "minimize"
    values = [trial["value"] for trial in row["trials"][:n] if trial["value"] is not None]
    if not values or (row["best"] < 0.0 if minimised else row["best"] > 1.0):
        return math.nan
    return float(min(values) if minimised else 1.0 - max(values))


def change(table: Table, method: str, other: str, n: int) -> dict[str, float]:
    """How the error after ``n`` trials changes from ``other`` to ``method``, over the seeds that both have.

    Returns:
        ``median`` and ``mean`` over problems of the relative change of the mean error, and ``problems``, how many have
        an error.
    """
    a, b = _errors(table, method, n), _errors(table, other, n)
    both = ~np.isnan(a) & ~np.isnan(b)
    changes = [_relative(a[i][both[i]].mean(), b[i][both[i]].mean()) for i in np.flatnonzero(both.any(axis=1))]
    if not changes:
        return {"median": math.nan, "mean": math.nan, "problems": 0}
    return {"median": float(np.median(changes)), "mean": float(np.mean(changes)), "problems": len(changes)}


def _errors(table: Table, method: str, n: int) -> Array:
    """Shape (problems, seeds)."""
    cells = [[table.rows.get((method, problem, seed)) for seed in table.seeds] for problem in table.problems]
    return np.array([[math.nan if row is None else error(row, n) for row in line] for line in cells])


def _relative(mine: float, theirs: float) -> float:
    if abs(mine - theirs) < _TINY:
        return 0.0
    return min(_MOST, (mine - theirs) / max(theirs, _TINY))
