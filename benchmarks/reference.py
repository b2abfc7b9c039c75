"""Finds the ends of normalised regret for problems without a table: a long search, run once by hand.

The best value is the best found by random points and differential evolution; the analysis replaces it by whatever
better value the rows hold. The bad end is the 90 % quantile of random points, not the worst of them: a diverging
training (1e225) or the corner of a polynomial would make every method's regret 0. Both go into ``data/reference.json``.
Trainings have 300 random points and nothing else, unless ``--random`` and ``--climb`` say otherwise: climbs move a few
parameters at a time from the best random points, by shrinking steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import suites
from benchmarks.multi import MultiProblem
from benchmarks.problem import DATA, EvaluationFailed, Problem
from hybridbo.parameters import Array

BAD_END = 0.9
_RANDOM, _TRAINED = 20_000, 300
_CLIMBS = 6  # from so many of the best random points
_DIGITS = 9


def extremes(problem: Problem, n_random: int = _RANDOM, generations: int = 400, steps: int = 0) -> tuple[float, float]:
    """The ends of a problem.

    Args:
        problem: What is searched.
        n_random: Random points.
        generations: Of differential evolution from the best of them, three times.
        steps: Evaluations of all climbs from the best of them together.

    Returns:
        The smallest loss found, and the bad end of the random points' losses.
    """
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
    for start in np.argsort(losses)[: _CLIMBS if steps else 0]:
        best = min(best, _climb(loss, points[start], float(losses[start]), steps // _CLIMBS, int(start)))
    return best, worst


def _climb(loss: Callable[[Array], float], at: Array, value: float, steps: int, seed: int) -> float:
    """The smallest loss on a way of random steps, of which none that is worse is taken."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        moved = rng.random(len(at)) < 2 / len(at)
        moved[rng.integers(len(at))] = True
        reach = 0.3 * 10 ** (-1.5 * step / steps)
        jump = rng.random(len(at)) < 0.1  # a choice lies anywhere
        there = np.where(jump, rng.random(len(at)), np.clip(at + reach * rng.normal(size=len(at)), 0, 1))
        there = np.where(moved, there, at)
        if (found := loss(there)) <= value:
            at, value = there, found
    return value


def update(names: list[str], n_random: int | None = None, steps: int = 0) -> None:
    """Search the named problems and write what was found.

    Args:
        names: The problems.
        n_random: Random points; None for those of the kind of problem.
        steps: See ``extremes``.
    """
    path = DATA / "reference.json"
    for name in names:
        problem = suites.problem(name)
        if problem.table is not None or isinstance(problem, MultiProblem):
            continue  # their ends are known
        kind = (_TRAINED, 0) if problem.trains else (_RANDOM, 400)
        best, worst = extremes(problem, n_random or kind[0], kind[1], steps)
        known = _known(path)
        known[name] = {"best": _short(problem.loss(best)), "worst": _short(problem.loss(worst))}
        print(f"{name}: best {known[name]['best']}, worst {known[name]['worst']}", flush=True)
        path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def _known(path: Path) -> dict[str, dict[str, float]]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
