"""The figures that hybridbo is to reach, each with what the rows say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks import analyse, intervals, pareto
from benchmarks.analyse import Row, Table

OURS, LLM = "hybridbo", "hybridbo-llm"
MISLED = ("hybridbo-shuffled", "hybridbo-adversarial")
RIVALS = ("optuna-tpe", "optuna-gp")
FRONT_RIVALS = (*RIVALS, "optuna-nsga2", "optuna-nsga2-10")
SEEDED = tuple(f"{peer}{first}" for first in ("+default", "+seeds") for peer in ("random", *RIVALS))
HPOBENCH = {LLM: {10: 0.020, 20: 0.014, 30: 0.011}, OURS: {10: 0.045, 20: 0.021, 30: 0.016}}
_MISLED_AT_MOST, _FAILED_AT_MOST, _P = 1.10, 0.15, 0.05


class Target(NamedTuple):
    """One figure.

    Attributes:
        what: In words.
        goal: What is to be reached.
        found: What was measured.
        reached: Whether it was.
    """

    what: str
    goal: str
    found: str
    reached: bool


def check(rows: Sequence[Row]) -> list[Target]:
    """Every figure that the rows can answer."""
    single, several = pareto.split(rows)
    return [*(_single(single) if single else []), *(_several(several) if several else [])]


def _single(rows: Sequence[Row]) -> list[Target]:
    suites = {suite: analyse.tabulate(part) for suite, part in _by_suite(rows).items()}
    found = [*_hpobench(suites), *_together(analyse.tabulate(rows)), *_no_suite_worse(suites), *_seeded(rows)]
    return [*found, *_misled(suites), *_crash(suites)]


def markdown(rows: Sequence[Row]) -> str:
    """The figures as a table."""
    lines = ["| figure | to reach | measured | reached |", "| --- | --- | --- | --- |"]
    lines += [f"| {t.what} | {t.goal} | {t.found} | {'yes' if t.reached else '**no**'} |" for t in check(rows)]
    return "\n".join(["## figures to reach", "", *lines])


def _hpobench(suites: dict[str, Table]) -> Iterator[Target]:
    """1: mean regret on HPOBench."""
    table = suites.get("hpobench")
    if table is None:
        return
    for method, goals in HPOBENCH.items():
        for n, goal in goals.items():
            if method in table.methods and n <= table.budget:
                found = analyse.mean_regret(table, method, n)
                yield Target(f"HPOBench, {method}, regret@{n}", f"<= {goal:.3f}", f"{found:.4f}", found <= goal)


def _together(table: Table) -> Iterator[Target]:
    """2: better than Optuna on everything together."""
    yield from _beats(table, OURS, RIVALS, "all problems")


def _no_suite_worse(suites: dict[str, Table]) -> Iterator[Target]:
    """2: on no suite worse, by the mean rank between the two."""
    for suite, table in suites.items():
        for rival in RIVALS:
            if {OURS, rival} <= set(table.methods):
                found = analyse.against(table, OURS, rival, table.budget)
                mine, theirs = (analyse.mean_regret(table, m, table.budget) for m in (OURS, rival))
                words = f"{mine:.4f} against {theirs:.4f}, {found['wins']:.0%} of problems, p {found['p']:.2g}"
                yield Target(f"{suite}, regret@{table.budget}", f"<= {rival}", words, mine <= theirs)


def _seeded(rows: Sequence[Row]) -> Iterator[Target]:
    """3: peers with the same first trials lose too; those with recorded seeds where no model may know the results."""
    fair = [row for row in rows if not row["memorised"] and row["problem"].split("/")[0] in ("hpobench", "fresh")]
    plain = [method for method in SEEDED if method.endswith("+default")]
    yield from _beats(analyse.tabulate(rows), OURS, plain, "all problems")
    if fair:
        yield from _beats(analyse.tabulate(fair), LLM, [m for m in SEEDED if m not in plain], "hpobench and fresh")


def _misled(suites: dict[str, Table]) -> Iterator[Target]:
    """4: bad advice costs little."""
    for suite, table in suites.items():
        for method in MISLED:
            if {OURS, method} <= set(table.methods):
                mine, plain = (analyse.mean_regret(table, m, table.budget) for m in (method, OURS))
                ratio = mine / plain if plain > 0 else math.inf
                words = f"{mine:.4f}, {ratio - 1:+.0%}"
                yield Target(
                    f"{suite}, {method}, regret@{table.budget}", "at most +10 %", words, ratio <= _MISLED_AT_MOST
                )


def _crash(suites: dict[str, Table]) -> Iterator[Target]:
    """5: few failures, and the best values."""
    table = suites.get("crash")
    if table is None or OURS not in table.methods:
        return
    share = analyse.failed_share(table, OURS)
    yield Target("crash, failed among trials 11-30", "<= 15 %", f"{share:.0%}", share <= _FAILED_AT_MOST)
    for rival in (m for m in table.methods if not m.startswith("hybridbo")):
        mine, theirs = (analyse.mean_regret(table, m, table.budget) for m in (OURS, rival))
        yield Target(f"crash, regret@{table.budget}", f"< {rival}", f"{mine:.4f} against {theirs:.4f}", mine < theirs)


def _several(rows: Sequence[Row]) -> Iterator[Target]:
    """7: the first mean rank by hypervolume, among the peers that the rows hold."""
    ours = [row for row in rows if row["method"] == OURS]
    theirs = [row for row in rows if row["method"] in FRONT_RIVALS]
    if not ours or not theirs:
        return
    table = analyse.tabulate([*ours, *theirs])
    for n in (n for n in (20, 50) if n <= table.budget):
        ranks = analyse.mean_ranks(table, n)
        mine = ranks.pop(OURS)
        words = f"{mine:.2f}; " + ", ".join(f"{method} {rank:.2f}" for method, rank in ranks.items())
        yield Target(f"hypervolume, mean rank@{n}", "first", words, mine < min(ranks.values()))


def _beats(table: Table, method: str, rivals: Sequence[str], where: str) -> Iterator[Target]:
    for rival in rivals:
        if {method, rival} <= set(table.methods):
            for n in [n for n in table.points() if n >= 10]:
                ranks = analyse.duel(table, method, rival, n)
                p = analyse.against(table, method, rival, n)["p"]
                mean, low, high = intervals.of_difference(*(table.regret[m][:, :, n - 1] for m in (method, rival)))
                words = f"better in {ranks:.0%} of searches, p {p:.2g}, "
                words += f"regret {mean:+.4f} (95 %: {low:+.4f} to {high:+.4f})"
                yield Target(f"{where}, {method}@{n}", f"beats {rival}, p < .05", words, ranks > 0.5 and p < _P)


def _by_suite(rows: Sequence[Row]) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["problem"].split("/")[0], []).append(row)
    return parts
