"""A small corner of the benchmarks in under two minutes: everything runs, and hybridbo does not lose to random.

It needs scikit-learn and nothing else; what is not installed is skipped with a line that says so.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import analyse, pareto, report, run
from benchmarks.run import Job

_PROBLEMS = (
    "functions/branin",
    "functions/ackley5-mixed",
    "functions/quadratic8",
    "crash/small",
    "boosters/trees",
    "boosters/linear",
    "fresh/enet_wide",
    "hpobench/vehicle",
)
_JUDGED, _PEERS = ("hybridbo", "random"), ("optuna-tpe", "optuna-gp")
_EXTRA = (
    ("hybridbo-llm", "fresh/enet_wide"),
    ("hybridbo-adversarial", "boosters/linear"),
    ("hybridbo", "multi/training"),
    ("random", "multi/training"),
    ("optuna-nsga2-10", "multi/serving"),
)
_BUDGET, _SEEDS = 20, 3  # the peers run once: that they run is all that is seen here


def main(workers: int) -> int:
    """Run, report and judge; the exit status is 1 if a search breaks down or hybridbo's mean regret beats random's not.

    Args:
        workers: Processes, with one thread each.
    """
    began = time.perf_counter()
    corner = itertools.product(range(_SEEDS), _PROBLEMS, _JUDGED)
    jobs = [Job(method, problem, seed, _BUDGET) for seed, problem, method in corner]
    jobs += [Job(method, problem, 0, _BUDGET) for problem, method in itertools.product(_PROBLEMS, _PEERS)]
    jobs += [Job(method, problem, 0, _BUDGET) for method, problem in _EXTRA]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "smoke.jsonl"
        broken, skipped = run.run(jobs, out, workers)
        rows = run.read(out)
    print(report.markdown([row for row in rows if row["method"] in _JUDGED], "hybridbo"))
    mine, theirs = (_mean(rows, method) for method in _JUDGED)
    print(
        f"\nbench-smoke: {len(rows)} searches, {skipped} skipped, {broken} broken; mean regret after {_BUDGET} trials: "
        f"hybridbo {mine:.4f}, random {theirs:.4f}; {time.perf_counter() - began:.0f} s"
    )
    if broken or not mine < theirs:
        print("bench-smoke FAILED: " + ("a search broke down" if broken else "hybridbo does not beat random"))
        return 1
    return 0


def _mean(rows: list[run.Row], method: str) -> float:
    table = analyse.tabulate([row for row in pareto.split(rows)[0] if row["method"] in _JUDGED])
    return analyse.mean_regret(table, method, _BUDGET) if method in table.methods else float(np.inf)
