"""Markdown tables of the analysis: one part per suite, one over all suites, memorised tables apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import analyse, errors, intervals, pareto, targets
from benchmarks.analyse import Row, Table

_CHANGES, _KINDS = ("regret", "error"), ("median", "mean")
_MEMORISED = "memorised, a language model may know the results; no evidence for seeding"


def markdown(rows: Sequence[Row], reference: str) -> str:
    """All tables.

    Args:
        rows: As read.
        reference: The method that is tested against every other one.
    """
    parts = [_head(rows)]
    single, several = pareto.split(rows)
    fair = [row for row in single if not row["memorised"]]
    seen = [row for row in single if row["memorised"]]
    parts += [_part(suite, _of(fair, suite), reference) for suite in _suites(fair)]
    parts += [_part(f"{suite}: {_MEMORISED}", _of(seen, suite), reference) for suite in _suites(seen)]
    if len(_suites(single)) > 1:
        parts += _together(single, fair, reference)
    parts += [_several(suite, _of(several, suite), reference) for suite in _suites(several)]
    parts.append(targets.markdown(rows))
    return "\n\n".join(parts)


def _suites(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["problem"].split("/")[0] for row in rows))


def _of(rows: Sequence[Row], suite: str) -> list[Row]:
    return [row for row in rows if row["problem"].split("/")[0] == suite]


def _together(rows: Sequence[Row], fair: Sequence[Row], reference: str) -> list[str]:
    """All suites: every problem for the methods without recorded replies, those not memorised for all methods."""
    alone = [row for row in rows if not uses_replies(row["method"])]
    parts = [_part("all problems, methods without recorded replies", alone, reference)] if alone else []
    if len(alone) < len(rows) and fair:
        parts.append(_part("all problems that are not memorised, all methods", fair, reference))
    return parts


def uses_replies(method: str) -> bool:
    """Whether recorded replies of a language model go into a method."""
    return any(part in method for part in ("-llm", "llm-", "-shuffled", "+seeds"))


def _head(rows: Sequence[Row]) -> str:
    versions = sorted({f"{k} {v}" for row in rows for k, v in row.get("versions", {}).items()})
    broken = [row for row in rows if "broken" in row]
    lines = [f"{len(rows)} searches, {min(r['at'] for r in rows)[:10]} to {max(r['at'] for r in rows)[:10]}."]
    lines += [f"Versions: {', '.join(versions)}."]
    lines += [f"**Broke down: {r['method']} on {r['problem']} seed {r['seed']}.**" for r in broken]
    return "\n\n".join(lines)


def _part(title: str, rows: Sequence[Row], reference: str) -> str:
    table = analyse.tabulate(rows)
    size = f"{len(table.problems)} problems, {len(table.seeds)} seeds, {table.budget} trials"
    return "\n\n".join(filter(None, [f"## {title} ({size})", _regret(table), _tests(table, reference)]))


def _regret(table: Table) -> str:
    points, last = table.points(), table.budget
    ranks = {n: analyse.mean_ranks(table, n) for n in points}
    tabulated = any("top" in t for row in table.rows.values() for t in row["trials"])
    fails = any(t["value"] is None for row in table.rows.values() for t in row["trials"])
    head = ["method", "n", *(f"regret@{n}" for n in points), *(f"rank@{n}" for n in points)]
    head += [f"95 % of regret@{last}", "trials to GP@end", *(["failed 11-30"] if fails else []), "ask CPU ms"]
    head += [f"top %@{n}" for n in points] if tabulated else []
    lines = []
    for method in _best_first(table):
        cells: list[Any] = [method, sum(key[0] == method for key in table.rows)]
        cells += [_figure(analyse.mean_regret(table, method, n)) for n in points]
        cells += [f"{ranks[n][method]:.2f}" for n in points]
        cells.append(_span(*intervals.of_mean(table.regret[method][:, :, last - 1])))
        reach = analyse.trials_to_reach(table, method, "optuna-gp", last)
        cells.append("" if math.isnan(reach) else f"> {last}" if reach > last else f"{reach:.0f}")
        cells += [f"{analyse.failed_share(table, method):.0%}"] if fails else []
        cells.append(f"{1000 * analyse.ask_time(table, method):.0f}")
        cells += [f"{analyse.top_percent(table, method, n):.2g}" for n in points] if tabulated else []
        lines.append(cells)
    return _lines(head, lines)


def _several(suite: str, rows: Sequence[Row], reference: str) -> str:
    """Shares of the front's hypervolume: of all problems together, and of each at the end."""
    table = analyse.tabulate(rows)
    size = f"{len(table.problems)} problems, {len(table.seeds)} seeds, {table.budget} trials"
    title = f"## {suite}: share of the front's hypervolume ({size}); changes are of the share that is missing"
    return "\n\n".join(filter(None, [title, _shares(table), _tests(table, reference), _by_problem(table)]))


def _shares(table: Table) -> str:
    points = sorted({*(n for n in pareto.AT if n <= table.budget), table.budget})
    ranks = {n: analyse.mean_ranks(table, n) for n in points}
    rows = list(table.rows.values())
    lines = []
    for method in _best_first(table):
        cells: list[Any] = [method, sum(key[0] == method for key in table.rows)]
        cells += [f"{1 - analyse.mean_regret(table, method, n):.3f}" for n in points]
        cells += [f"{ranks[n][method]:.2f}" for n in points]
        useless = pareto.infeasible_share(rows, method)
        cells += ["" if math.isnan(useless) else f"{useless:.0%}", f"{1000 * analyse.ask_time(table, method):.0f}"]
        lines.append(cells)
    head = ["method", "n", *(f"share@{n}" for n in points), *(f"rank@{n}" for n in points)]
    return _lines([*head, "infeasible from 11 on", "ask CPU ms"], lines)


def _by_problem(table: Table) -> str:
    methods = _best_first(table)
    means = {method: 1 - analyse.per_problem(table, method, table.budget) for method in methods}
    lines = [[p, *(f"{means[m][i]:.3f}" for m in methods)] for i, p in enumerate(table.problems)]
    return _lines([f"share@{table.budget}", *methods], lines)


def _best_first(table: Table) -> list[str]:
    return sorted(table.methods, key=lambda method: analyse.mean_regret(table, method, table.budget))


def _tests(table: Table, reference: str) -> str:
    blocks = []
    for name in dict.fromkeys(m for m in (reference, "random") if m in table.methods):
        others = [m for m in table.methods if m != name]
        lines = [cells for other in others for cells in _against(table, name, other)]
        if lines:
            head = ["against " + name, "at", "tasks won", *(f"{of}, {kind}" for of in _CHANGES for kind in _KINDS)]
            head += ["regret difference (95 %)", "Wilcoxon p", "pairs"]
            blocks.append(_lines(head, lines))
    return "\n\n".join(blocks)


def _against(table: Table, name: str, other: str) -> Iterable[list[str]]:
    """How ``other`` does against ``name``: a negative change is less regret."""
    for n in [n for n in table.points() if n >= 10] or table.points():
        found = analyse.against(table, other, name, n)
        if found["pairs"] > 0:
            changes = [found, errors.change(table, other, name, n)]
            mean, *ends = intervals.of_difference(*(table.regret[method][:, :, n - 1] for method in (other, name)))
            yield [other, str(n), f"{found['wins']:.0%}", *(_share(c[kind]) for c in changes for kind in _KINDS),
                   f"{mean:+.4f} {_span(*ends)}", f"{found['p']:.2g}", str(found["pairs"])]  # fmt: skip


def _span(low: Any, high: Any) -> str:
    return "" if math.isnan(low) else f"({low:.4f} to {high:.4f})"


def _share(change: float) -> str:
    return "" if math.isnan(change) else f"{change:+.0%}"


def _figure(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def _lines(head: Sequence[Any], lines: Sequence[Sequence[Any]]) -> str:
    texts = [" | ".join(map(str, cells)) for cells in (head, ["---"] * len(head), *lines)]
    return "\n".join(f"| {text} |" for text in texts)
