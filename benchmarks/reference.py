"""Finds the ends of normalised regret for problems without a table: a long search, run once by hand.

The best value is the best found by random points and differential evolution; the analysis replaces it by whatever
better value the rows hold. The bad end is the 90 % quantile of random points, not the worst of them: a diverging
training (1e225) or the corner of a polynomial would make every method's regret 0. Both go into ``data/reference.json``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from benchmarks import suites
from benchmarks.multi import MultiProblem
from benchmarks.problem import DATA, EvaluationFailed, Problem
from hybridbo.parameters import Array

BAD_END = 0.9
_RANDOM = 20_000
_DIGITS = 9


def extremes(problem: Problem, n_random: int = _RANDOM, generations: int = 400) -> tuple[float, float]:
    """The smallest loss found by random points and by differential evolution from there; the bad end of the losses."""
    from scipy.optimize import differential_evolution

    def loss(u: Array) -> float:
        try:
            return problem.loss(problem.evaluate(problem.space.decode(u)))
        except EvaluationFailed:
            return math.inf

    d = len(problem.space)
    points = np.random.default_rng(0).random((n_random, d))
    losses = np.array([loss(u) for u in points])
    worst = float(np.quantile(losses[np.isfinite(losses)], BAD_END))
    best = float(losses.min())
    for seed in range(3) if generations else ():
        start = points[np.argsort(losses)[seed * 10 : seed * 10 + 40]]
        found = differential_evolution(
            loss, [(0.0, 1.0)] * d, init=start, maxiter=generations, seed=seed, tol=1e-12, polish=False
        )
        best = min(best, float(found.fun))
    return best, worst


def update(names: list[str]) -> None:
    """Search the named problems and write what was found."""
    path = DATA / "reference.json"
    for name in names:
        problem = suites.problem(name)
        if problem.table is not None or isinstance(problem, MultiProblem):
            continue  # their ends are known
        best, worst = extremes(problem, 300, 0) if problem.trains else extremes(problem)
        known = _known(path)
        known[name] = {"best": _short(problem.loss(best)), "worst": _short(problem.loss(worst))}
        print(f"{name}: best {known[name]['best']}, worst {known[name]['worst']}", flush=True)
        path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def _known(path: Path) -> dict[str, dict[str, float]]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
