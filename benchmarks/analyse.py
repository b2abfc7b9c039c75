"""Figures from rows: regret, ranks, tests. Pure; a row is what :mod:`benchmarks.run` wrote.

Regret is normalised: (best found - best) / (worst - best), cut at 1. Best is the best value recorded in the rows or
found by any of them, worst the bad end that the newest row records. Before the first value regret is 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridbo.parameters import Array

Row = dict[str, Any]
AT = (5, 10, 20, 30)
_TINY = 1e-12


@dataclass(frozen=True)
class Table:
    """The rows of one group of problems, aligned.

    Attributes:
        methods: In the order of the rows.
        problems: Likewise.
        seeds: By number.
        regret: By method: shape (problems, seeds, budget); NaN where there is no row.
        rows: By (method, problem, seed).
    """

    methods: list[str]
    problems: list[str]
    seeds: list[int]
    regret: dict[str, Array]
    rows: dict[tuple[str, str, int], Row]

    @property
    def budget(self) -> int:
        """The longest search's trials."""
        return int(next(iter(self.regret.values())).shape[2])

    def points(self) -> list[int]:
        """The numbers of trials to report at."""
        return sorted({*(n for n in AT if n <= self.budget), self.budget})


def tabulate(rows: Sequence[Row]) -> Table:
    """Align rows by method, problem and seed."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    budget = max(row["budget"] for row in rows)
    ends = {problem: extremes([r for r in rows if r["problem"] == problem]) for problem in problems}
    regret = {method: np.full((len(problems), len(seeds), budget), np.nan) for method in methods}
    for row in rows:
        i, j = problems.index(row["problem"]), seeds.index(row["seed"])
        curve = regret_curve(row, *ends[row["problem"]])
        regret[row["method"]][i, j, : len(curve)] = curve
    by_key = {(row["method"], row["problem"], row["seed"]): row for row in rows}
    return Table(methods, problems, seeds, regret, by_key)


def extremes(rows: Sequence[Row]) -> tuple[float, float]:
    """The losses at which the regret of one problem is 0 and 1."""
    sign = _sign(rows[0])
    values = [sign * t["value"] for row in rows for t in row["trials"] if t["value"] is not None]
    best = min([*values, *(sign * row["best"] for row in rows)])
    worst = sign * max(rows, key=lambda row: row["at"])["worst"]
    return best, max(worst, best + _TINY)


def regret_curve(row: Row, best: float, worst: float) -> Array:
    """Normalised regret after each trial, shape (budget,); a search that broke down stays where it was."""
    losses = np.full(row["budget"], np.inf)
    for i, trial in enumerate(row["trials"][: row["budget"]]):
        if trial["value"] is not None:
            losses[i] = _sign(row) * trial["value"]
    found = np.minimum.accumulate(losses)
    return np.clip((np.minimum(found, worst) - best) / (worst - best), 0.0, 1.0)


# Figures, each by method ---------------------------------------------------------------------------------------------


def mean_regret(table: Table, method: str, n: int) -> float:
    """Mean over problems and seeds after ``n`` trials."""
    return float(np.nanmean(_after(table, method, n)))


def per_problem(table: Table, method: str, n: int) -> Array:
    """Mean over seeds after ``n`` trials, shape (problems,); NaN where there is no row."""
    after = _after(table, method, n)
    counts = np.sum(~np.isnan(after), axis=1)
    return np.where(counts > 0, np.nansum(after, axis=1) / np.maximum(counts, 1), np.nan)


def mean_ranks(table: Table, n: int) -> dict[str, float]:
    """Mean rank among all methods that have a row, 1 is best, over problems and seeds."""
    from scipy.stats import rankdata

    stack = np.array([_after(table, method, n).ravel() for method in table.methods])
    ranks = np.full(stack.shape, np.nan)
    for column in range(stack.shape[1]):
        there = ~np.isnan(stack[:, column])
        ranks[there, column] = rankdata(np.round(stack[there, column], 10)) if there.any() else np.nan
    return {method: float(np.nanmean(ranks[i])) for i, method in enumerate(table.methods)}


def against(table: Table, method: str, other: str, n: int) -> dict[str, float]:
    """Paired comparison after ``n`` trials over the (problem, seed) that both have.

    Returns:
        ``wins`` (share of problems with a smaller mean regret, ties half), ``median`` and ``mean`` change of the
        regret per problem relative to the other's, ``p`` of Wilcoxon's two-sided test over problem x seed, ``pairs``.
    """
    a, b = _after(table, method, n), _after(table, other, n)
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = np.where(both, a, np.nan), np.where(both, b, np.nan)
    there = both.any(axis=1)
    if not there.any():
        return dict.fromkeys(("wins", "median", "mean", "p", "pairs"), np.nan)
    mine, theirs = np.nanmean(a[there], axis=1), np.nanmean(b[there], axis=1)
    change = (mine - theirs) / np.maximum(theirs, _TINY)
    change = np.where(np.abs(mine - theirs) < _TINY, 0.0, np.clip(change, -1.0, 10.0))
    wins = np.mean((mine < theirs - _TINY) + 0.5 * (np.abs(mine - theirs) <= _TINY))
    return {
        "wins": float(wins),
        "median": float(np.median(change)),
        "mean": float(np.mean(change)),
        "p": wilcoxon(a[both], b[both]),
        "pairs": int(both.sum()),
    }


def duel(table: Table, method: str, other: str, n: int) -> float:
    """Share of (problem, seed) pairs in which ``method`` has less regret after ``n`` trials; ties count half."""
    difference = np.round(_after(table, method, n) - _after(table, other, n), 12)
    difference = difference[~np.isnan(difference)]
    return float(np.mean((difference < 0) + 0.5 * (difference == 0))) if len(difference) else float("nan")


def wilcoxon(a: Array, b: Array) -> float:
    """P-value of the two-sided paired test; 1 where nothing differs."""
    from scipy.stats import wilcoxon as test

    difference = np.round(a - b, 12)
    return float(test(difference, zero_method="zsplit").pvalue) if np.any(difference) else 1.0


def top_percent(table: Table, method: str, n: int) -> float:
    """Geometric mean of the top percent of the table reached after ``n`` trials; NaN without tables."""
    logs = []
    for (name, _, _), row in table.rows.items():
        tops = [t["top"] for t in row["trials"][:n] if t.get("top")]
        if name == method and tops:
            logs.append(np.log(100 * min(tops)))
    return float(np.exp(np.mean(logs))) if logs else float("nan")


def trials_to_reach(table: Table, method: str, other: str, n: int) -> float:
    """Median trials until the regret that ``other`` has after ``n``, per problem and seed; budget + 1 if never."""
    if other not in table.regret:
        return float("nan")
    goal = _after(table, other, n)
    mine = table.regret[method]
    there = ~np.isnan(goal) & ~np.isnan(mine).any(axis=2)
    hit = mine[there] <= goal[there][:, None] + _TINY
    counts = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, table.budget + 1)
    return float(np.median(counts)) if len(counts) else float("nan")


def failed_share(table: Table, method: str, first: int = 11, last: int = 30) -> float:
    """Share of failed trials among trials ``first`` to ``last``."""
    states = [
        trial["value"] is None
        for (name, _, _), row in table.rows.items()
        for trial in row["trials"][first - 1 : last]
        if name == method
    ]
    return float(np.mean(states)) if states else float("nan")


def ask_time(table: Table, method: str, first: int = 11) -> float:
    """Median seconds of CPU of an ask from trial ``first`` on: on a busy machine the clock tells of the others."""
    times = [
        t.get("ask_cpu_s", t["ask_s"])
        for (m, _, _), r in table.rows.items()
        if m == method
        for t in r["trials"][first - 1 :]
    ]
    return float(np.median(times)) if times else float("nan")


def sources(table: Table, method: str) -> dict[str, int]:
    """How many trials each source proposed."""
    counts: dict[str, int] = defaultdict(int)
    for (name, _, _), row in table.rows.items():
        for trial in row["trials"] if name == method else ():
            counts[trial["source"]] += 1
    return dict(counts)


def _after(table: Table, method: str, n: int) -> Array:
    """Regret after ``n`` trials, shape (problems, seeds)."""
    return table.regret[method][:, :, min(n, table.budget) - 1]


def _sign(row: Row) -> float:
    return 1.0 if row["direction"] == "minimize" else -1.0
