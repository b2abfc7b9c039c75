"""Draws from the posterior of the hyperparameters: Hamiltonian Monte Carlo around its mode.

With 5 to 30 observations many hyperparameters explain them. The likeliest alone is sure of itself where it has no
reason to be, and a search that believes it circles around its first good point; the expected improvement averaged over
draws does not (Snoek et al. 2012, Practical Bayesian Optimization of Machine Learning Algorithms, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridbo.parameters import Array

_STEP = 0.35  # in standard deviations of the normal approximation: nine of ten moves are accepted
_LEAPS = 6  # steps of a move: about two standard deviations of way
_WARM_UP = 4  # moves that are thrown away; the chain begins at the mode, so few are needed
_DIFFERENCE = 1e-3  # for the curvature, from differences of the gradient
_FLATTEST = 0.3  # least curvature believed in: the priors have 1/3 and 1

Density = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True)
class _State:
    """A place of the chain, in coordinates in which the density is about a standard normal."""

    place: Array
    energy: float
    slope: Array


def draws(density: Density, mode: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw from a density around its mode.

    Neal 2011 (MCMC using Hamiltonian dynamics), section 5.3, in coordinates scaled by the curvature at the mode
    (section 5.4.1), so that one step size serves every posterior.

    Args:
        density: From a point, shape (k,), to minus the log density, up to a constant, and its gradient, shape (k,).
        mode: Where the chain starts, shape (k,).
        n: How many draws.
        rng: Draws the momenta.

    Returns:
        Shape (n, k).
    """
    scale = _scale(density, mode)

    def at(place: Array) -> _State:
        energy, slope = density(mode + scale @ place)
        return _State(place, energy, slope @ scale)

    state, kept = at(np.zeros(len(mode))), []
    for i in range(_WARM_UP + n):
        state = _move(at, state, rng)
        if i >= _WARM_UP:
            kept.append(mode + scale @ state.place)
    return np.array(kept)


def _move(at: Callable[[Array], _State], start: _State, rng: np.random.Generator) -> _State:
    """The end of one trajectory, or its start where the end is rejected."""
    momentum = rng.standard_normal(len(start.place))
    before = start.energy + 0.5 * float(momentum @ momentum)
    momentum, state = momentum - 0.5 * _STEP * start.slope, start
    for leap in range(_LEAPS):
        state = at(state.place + _STEP * momentum)
        momentum = momentum - (_STEP if leap < _LEAPS - 1 else 0.5 * _STEP) * state.slope
    after = state.energy + 0.5 * float(momentum @ momentum)
    # written so that an energy that is not a number is rejected
    return state if math.log(1.0 - rng.random()) < before - after else start


def _scale(density: Density, mode: Array) -> Array:
    """Columns that turn a standard normal into the normal approximation at the mode, shape (k, k)."""
    k = len(mode)
    rows = [(density(mode + e)[1] - density(mode - e)[1]) / (2 * _DIFFERENCE) for e in _DIFFERENCE * np.eye(k)]
    curvature = np.array(rows)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    out: Array = vectors / np.sqrt(np.maximum(values, _FLATTEST))
    return out
