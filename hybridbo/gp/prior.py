"""The density that beliefs give to a configuration: what weighs the acquisition (piBO)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr

from hybridbo.belief import Belief, ChoiceBelief
from hybridbo.parameters import Array, Parameter
from hybridbo.space import Space

_TO_SD = 2 * 1.2816  # an 80 % interval of a normal is that many standard deviations wide
_NARROWEST = 0.05  # of the unit interval: nobody knows an optimum better than that beforehand
_GRID = 513  # places at which a distribution function is inverted
_PIBO_BETA = 3.0  # Hvarfner et al. 2022 (piBO), section 5: beta = budget / 10, here for 30 trials
# What a belief has to say it has said by then, and where the trials follow it they cannot contradict it any more.
_COOLED_FROM = 8
_WARM_FROM = 5  # results: before them no test could refute it, so that it weighs no more than it will then
_FLOOR = 0.1  # share of the uniform density, so that no place is ever excluded


def log_density(space: Space, beliefs: Mapping[str, Belief], u: Array) -> Array:
    """Log density of the beliefs against the uniform one, on the unit cube.

    Each belief is a normal on the parameter's own scale, or the choices' probabilities, mixed with 10 % of the uniform;
    parameters are independent. An inactive one counts nothing, and a conditional one at most nothing: its density is
    taken relative to its peak. Otherwise the more parameters of a branch somebody holds beliefs about, the more likely
    that branch would be.

    Args:
        space: The space.
        beliefs: By parameter; parameters without one count nothing.
        u: Points of the unit cube, shape (n, d).

    Returns:
        Shape (n,).
    """
    u, active = space.snap(u)
    total = np.zeros(len(u))
    for i, name in enumerate(space):
        if name in beliefs:
            density = _floored(space[name], beliefs[name], u[:, i])
            if space[name].when:
                density = density / _floored(space[name], beliefs[name], _mode(space[name], beliefs[name]))
            total += np.where(active[:, i], np.log(density), 0.0)
    return total


def power(weight: float, n: int, finished: int | None = None) -> float:
    """The power of the density in the acquisition after ``n`` values: weight * beta / n, as in piBO (eq. 6).

    From eight values on it is weight * 8 beta / n^2. Before five trials have finished it does not rise any further, as
    beta / n would: nothing could refute the belief yet, which is no reason to follow it more than after its first test.

    Args:
        weight: Trust in the beliefs, from 0 to 1.
        n: How many values there are.
        finished: How many trials have ended, failed ones included; ``n`` by default.
    """
    if not n:
        return 0.0
    return weight * _PIBO_BETA / n * min(1.0, _COOLED_FROM / n, (n if finished is None else finished) / _WARM_FROM)


def sample(space: Space, beliefs: Mapping[str, Belief], n: int, rng: np.random.Generator) -> Array:
    """Points of the unit cube drawn from the beliefs, uniform where there is none, shape (n, d)."""
    u = rng.random((n, len(space)))
    for i, name in enumerate(space):
        belief = beliefs.get(name)
        if isinstance(belief, ChoiceBelief):
            places = [space[name].to_unit(choice) for choice, _ in belief.weights]
            u[:, i] = rng.choice(places, n, p=[weight for _, weight in belief.weights])
        elif belief is not None:
            center, sd = _normal(space[name], belief)
            u[:, i] = np.clip(rng.normal(center, sd, n), 0.0, 1.0)
    return u


def warp(space: Space, beliefs: Mapping[str, Belief], u: Array) -> Array:
    """Points of the unit cube, shape (n, d), moved so that evenly spread ones become draws from the beliefs.

    Each column goes through the inverse of the belief's distribution function, the floor included: what is spread by a
    Sobol sequence stays spread, and lies denser where the optimum is believed to be.
    """
    out = u.copy()
    for i, name in enumerate(space):
        belief = beliefs.get(name)
        if isinstance(belief, ChoiceBelief):
            places = np.array([space[name].to_unit(choice) for choice, _ in belief.weights])
            weights = (1 - _FLOOR) * np.array([weight for _, weight in belief.weights]) + _FLOOR / len(places)
            out[:, i] = places[np.minimum(np.searchsorted(np.cumsum(weights), u[:, i]), len(places) - 1)]
        elif belief is not None:
            grid = np.linspace(0.0, 1.0, _GRID)
            below = cumulative_trapezoid(_floored(space[name], belief, grid), grid, initial=0.0)
            out[:, i] = np.interp(u[:, i], below / below[-1], grid)
    return out


def _floored(parameter: Parameter, belief: Belief, u: Array) -> Array:
    return (1 - _FLOOR) * _density(parameter, belief, u) + _FLOOR


def _mode(parameter: Parameter, belief: Belief) -> Array:
    """Where the belief is densest, shape (1,)."""
    if isinstance(belief, ChoiceBelief):
        return np.array([parameter.to_unit(max(belief.weights, key=lambda pair: pair[1])[0])])
    return np.array([_normal(parameter, belief)[0]])


def _density(parameter: Parameter, belief: Belief, u: Array) -> Array:
    if isinstance(belief, ChoiceBelief):
        k = len(belief.weights)
        density = np.zeros(len(u))
        for choice, weight in belief.weights:
            density[np.isclose(u, parameter.to_unit(choice))] = weight * k
        return density
    center, sd = _normal(parameter, belief)
    inside = ndtr((1.0 - center) / sd) - ndtr(-center / sd)
    out: Array = np.exp(-0.5 * np.square((u - center) / sd)) / (math.sqrt(2.0 * math.pi) * sd * inside)
    return out


def _normal(parameter: Parameter, belief: Belief) -> tuple[float, float]:
    assert not isinstance(belief, ChoiceBelief)  # noqa: S101  # told apart by both callers
    low, center, high = (parameter.to_unit(x) for x in (belief.low, belief.center, belief.high))
    return center, max((high - low) / _TO_SD, _NARROWEST)
