"""The Optuna sampler against the Optimizer it stands for, and against the samplers that it would replace.

Regret on HPOBench MLP, eight tables: the sampler with its space given, define-by-run, the Optimizer, Optuna's
TPESampler and GPSampler, all with the same seeds. Then the time of an ask against the GPSampler's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import analyse, intervals, run, speed, suites

SUITE = "hpobench"
OPTIMIZER, SAMPLER, BY_RUN = "hybridbo", "hybridbo-sampler", "hybridbo-by-run"
METHODS = (SAMPLER, BY_RUN, OPTIMIZER, "optuna-tpe", "optuna-gp")
BUDGET = 30
AT = (10, 20, 30)


def main(seeds: int, counts: list[int], out: Path, workers: int) -> int:
    """Run what is not in the file yet, and print both tables; 1 if a search breaks down.

    Args:
        seeds: How many of each table; 0 leaves the regret out.
        counts: Lengths of the history at which an ask is timed; none leaves the times out.
        out: Where rows are kept.
        workers: Processes, with one thread each.
    """
    broken = 0
    if seeds:
        problems = suites.select(SUITE)
        jobs = [run.Job(m, p, seed, BUDGET) for seed in range(seeds) for p in problems for m in METHODS]
        broken, _ = run.run(jobs, out, workers)
        wanted = {job.key for job in jobs}
        rows = [row for row in run.read(out) if (row["method"], row["problem"], row["seed"]) in wanted]
        print(markdown(analyse.tabulate(rows)))
    if counts:
        print(f"\nTime of an ask, {SAMPLER} against optuna-gp:\n")
        speed.main(counts, (SAMPLER, "optuna-gp"))
    return 1 if broken else 0


def markdown(table: analyse.Table) -> str:
    """Mean regret after 10, 20 and 30 trials, and what the sampler loses or wins against each of the others."""
    n_rows = {method: int(np.sum(~np.isnan(table.regret[method][:, :, 0]))) for method in table.methods}
    lines = [
        "| method | searches | " + " | ".join(f"regret at {n}" for n in AT) + " |",
        "| --- " * (len(AT) + 2) + "|",
        *(f"| {m} | {n_rows[m]} | {' | '.join(_mean(table, m, n) for n in AT)} |" for m in table.methods),
        "",
        f"| {SAMPLER} minus | same trials | " + " | ".join(f"at {n} | p" for n in AT) + " |",
        "| --- " * (2 * len(AT) + 2) + "|",
        *(_against(table, other) for other in table.methods if other != SAMPLER),
    ]
    return "\n".join(lines)


def _mean(table: analyse.Table, method: str, n: int) -> str:
    low, high = intervals.of_mean(table.regret[method])
    return f"{analyse.mean_regret(table, method, n):.4f} [{low[n - 1]:.4f}, {high[n - 1]:.4f}]"


def _against(table: analyse.Table, other: str) -> str:
    cells = [f"{_same(table, other):.0%}"]
    for n in AT:
        mine, theirs = (table.regret[method][:, :, n - 1] for method in (SAMPLER, other))
        mean, low, high = intervals.of_difference(mine, theirs)
        both = ~np.isnan(mine - theirs)
        cells += [f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]", f"{analyse.wilcoxon(mine[both], theirs[both]):.2g}"]
    return f"| {other} | {' | '.join(cells)} |"


def _same(table: analyse.Table, other: str) -> float:
    """Share of the searches in which both have proposed the same configurations, every one of them."""
    pairs = [
        (row, table.rows[other, problem, seed])
        for (method, problem, seed), row in table.rows.items()
        if method == SAMPLER and (other, problem, seed) in table.rows
    ]
    same = [[t["params"] for t in a["trials"]] == [t["params"] for t in b["trials"]] for a, b in pairs]
    return float(np.mean(same)) if same else float("nan")
