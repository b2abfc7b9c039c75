"""Rows of searches with several objectives, read as rows with one: the share of the front's hypervolume so far.

Pure, from the rows alone. After this, :mod:`benchmarks.analyse` applies as it is: regret is the share that is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.multi import shares
from hybridbo.objective import Objective

Row = dict[str, Any]
AT = (5, 10, 20, 50)


def as_single(row: Row) -> Row:
    """The row with the share reached so far as the value of each trial; a failed trial has none.

    A row with one objective is returned as it is.
    """
    if "objectives" not in row:
        return row
    trials = row["trials"]
    found = shares([t["values"] for t in trials], objective(row), row["reference"], row["volume"])
    values = [None if t["values"] is None else float(share) for t, share in zip(trials, found, strict=True)]
    return row | {"trials": [t | {"value": value} for t, value in zip(trials, values, strict=True)]}


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows with one objective as they are, and those with several as :func:`as_single` reads them."""
    single = [row for row in rows if "objectives" not in row]
    return single, [as_single(row) for row in rows if "objectives" in row]


def objective(row: Row) -> Objective:
    """Directions and constraints of a row with several objectives."""
    return Objective.of(objectives=row["objectives"], constraints=row["constraints"])


def infeasible_share(rows: Sequence[Row], method: str, first: int = 11) -> float:
    """Share of a method's trials from ``first`` on that failed or broke a constraint; NaN where nothing can."""
    bound = [row for row in rows if row["method"] == method and _can_fail(rows, row["problem"])]
    useless = [
        t["values"] is None or not objective(row).is_feasible(t["values"])
        for row in bound
        for t in row["trials"][first - 1 :]
    ]
    return sum(useless) / len(useless) if useless else float("nan")


def _can_fail(rows: Sequence[Row], problem: str) -> bool:
    """Whether a problem has constraints, or any method's trial failed on it."""
    return any(
        row["problem"] == problem and (row["constraints"] or any(t["values"] is None for t in row["trials"]))
        for row in rows
    )
