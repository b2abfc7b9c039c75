"""How likely a configuration is to give a value at all: a probability, never a penalty on the value."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.gp.ensemble import Ensemble
from hybridbo.parameters import Array

# The power of the probability in the acquisition. With 1, the expected improvement that a failure forgoes, a search
# whose optimum lies at the border fails in a third of its trials; what is learned there from a failure is worth less.
CAUTION = 2.0
_LEAST = math.log(1e-6)  # no place is ruled out for good: its logarithm has to stay finite


def log_probability(
    good: Array, bad: Array, groups: NDArray[np.int64], rng: np.random.Generator
) -> Callable[[Array], Array]:
    """Learn from what succeeded and what failed.

    A Gaussian process on the labels +1 and -1, read as a probit: P(succeeds) = Phi(mean / sd of a further label),
    averaged over draws of the hyperparameters. It is the least-squares classifier of Rasmussen and Williams 2006,
    section 6.5.

    Args:
        good: Columns of the configurations that gave a value within the constraints, shape (n, f).
        bad: Columns of those that failed or broke a constraint, shape (m, f), m >= 1.
        groups: The parameter of each column, shape (f,).
        rng: For the starting points of the fit.

    Returns:
        A function from columns, shape (k, f), to log probabilities, shape (k,).
    """
    x = np.concatenate([good, bad])
    labels = np.concatenate([np.ones(len(good)), -np.ones(len(bad))])
    try:
        thetas = model.sample(x, labels, groups, rng, restarts=1)
    except SurrogateError:
        thetas = model.prior_centre(int(groups.max()) + 1)[None]
    classifier = Ensemble.of(x, labels, groups, thetas)

    def log_p(columns: Array) -> Array:
        out: Array = np.maximum(classifier.log_positive(columns), _LEAST)
        return out

    return log_p
