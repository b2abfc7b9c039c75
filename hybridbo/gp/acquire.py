"""Maximising an acquisition over the true mixed space: many points, moves from the best of them, then the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc

from hybridbo.parameters import Array, Choice, Params
from hybridbo.space import Space

Score = Callable[[Array], Array]

_ENUMERATED = 2000  # a space of at most that many configurations is scored whole
_KEPT = 8  # points that the local search starts from
_MOVES = 24  # neighbours tried from each in a round
_CLIMBED = 2  # points that the gradient is followed from in the end
_STEPS = 8
_DIFFERENCE = 1e-6  # of the unit interval
_SCALES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.004)  # of the unit interval, one a round


def maximise(
    score: Score,
    space: Space,
    rng: np.random.Generator,
    *,
    candidates: int,
    good: Array,
    drawn: Array,
    fixed: Mapping[str, Choice] | None = None,
) -> Iterator[Params]:
    """Configurations in order of their score, best first, each once.

    Discrete and continuous parameters move together: a neighbour changes one column for sure and each other one with
    probability 1.5 / d, a continuous one by a normal step of the round's scale, a discrete one by at least one cell or,
    one time in four, to any place. In the end the best two follow the gradient in their continuous parameters.

    Args:
        score: From points of the unit cube, shape (n, d), to scores, shape (n,), larger is better.
        space: The space.
        rng: Draws the candidates and the moves.
        candidates: How many Sobol points.
        good: Points to look around in particular, such as the best trials, shape (k, d).
        drawn: Further candidates, such as draws from a belief, shape (m, d).
        fixed: Values that every configuration has.
    """
    if space.size <= _ENUMERATED:
        whole = list(space.configurations(fixed))
        points = np.array([space.encode(params) for params in whole])
        yield from (whole[i] for i in np.argsort(-score(points), kind="stable"))
        return

    def place(u: Array) -> Array:
        return space.snap(space.pin(u, fixed or {}))[0]

    d = len(space)
    sobol = qmc.Sobol(d, scramble=True, rng=rng).random_base2(math.ceil(math.log2(candidates)))
    around = [_neighbours(space, place, good, scale, 16, rng) for scale in (0.2, 0.05)] if len(good) else []
    points = place(np.concatenate([sobol, drawn, *around]))
    scores = score(points)
    for scale in _SCALES:
        top = np.argsort(-scores, kind="stable")[:_KEPT]
        moved = _neighbours(space, place, points[top], scale, _MOVES, rng)
        points, scores = np.concatenate([points, moved]), np.concatenate([scores, score(moved)])
    climbed = _climb(score, space, points[np.argsort(-scores, kind="stable")[:_CLIMBED]], fixed or {})
    points, scores = np.concatenate([points, climbed]), np.concatenate([scores, score(climbed)])
    yield from _distinct(space, points[np.argsort(-scores, kind="stable")])


def _climb(score: Score, space: Space, starts: Array, fixed: Mapping[str, Choice]) -> Array:
    """Where the gradient leads to in the continuous parameters, all others staying as they are, shape (n, d).

    The gradient is taken by differences: one call of ``score`` for a point and its neighbours costs hardly more than
    one for the point, and any term of the acquisition may be added without a derivative.
    """
    continuous = np.array([math.isinf(parameter.n_values) and name not in fixed for name, parameter in space.items()])
    moving = continuous & space.snap(starts)[1]
    out = starts.copy()
    for i in np.flatnonzero(moving.any(axis=1)):
        columns = np.flatnonzero(moving[i])
        found = minimize(
            _downhill,
            starts[i, columns],
            (score, starts[i], columns),
            method="L-BFGS-B",
            jac=True,
            bounds=[(0.0, 1.0)] * len(columns),
            options={"maxiter": _STEPS},
        )
        out[i, columns] = np.clip(found.x, 0.0, 1.0)
    return out


def _downhill(x: Array, score: Score, point: Array, columns: NDArray[np.int64]) -> tuple[float, Array]:
    """The negative score where some columns of a point have other values, and its gradient in them."""
    step = np.where(x + _DIFFERENCE > 1.0, -_DIFFERENCE, _DIFFERENCE)  # never out of the unit interval
    near = np.repeat(point[None], 1 + len(columns), axis=0)
    near[:, columns] = x
    near[1 + np.arange(len(columns)), columns] += step
    scores = score(near)
    return -float(scores[0]), -(scores[1:] - scores[0]) / step


def _neighbours(space: Space, place: Score, points: Array, scale: float, each: int, rng: np.random.Generator) -> Array:
    """``each`` neighbours of every point, put in their places, shape (n * each, d)."""
    out = np.repeat(points, each, axis=0)
    n, d = out.shape
    changed = rng.random((n, d)) < min(1.0, 1.5 / d)
    changed[np.arange(n), rng.integers(0, d, n)] = True
    for j, name in enumerate(space):
        k = space[name].n_values
        step = scale * rng.standard_normal((n,))
        if math.isfinite(k):
            # at least one cell, in either direction; one in four jumps anywhere
            cells = np.sign(step) * np.maximum(np.abs(step), 1.0 / k)
            step = np.where(rng.random((n,)) < 0.25, rng.random((n,)) - out[:, j], cells)
        out[:, j] = np.where(changed[:, j], np.clip(out[:, j] + step, 0.0, 1.0), out[:, j])
    return place(out)


def _distinct(space: Space, points: Array) -> Iterator[Params]:
    seen: set[str] = set()
    for point in points:
        params = space.decode(point)
        key = space.key(params)
        if key not in seen:
            seen.add(key)
            yield params
