"""How likely a configuration is to give a value at all: a probability, never a penalty on the value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.parameters import Array

_LEAST = 1e-6  # no place is ruled out for good: its logarithm has to stay finite


def log_probability(
    good: Array, bad: Array, groups: NDArray[np.int64], rng: np.random.Generator
) -> Callable[[Array], Array]:
    """Learn from what succeeded and what failed.

    A Gaussian process on the labels +1 and -1, read as a probit: P(succeeds) = Phi(mean / sd of a further label). It is
    the least-squares classifier of Rasmussen and Williams 2006, section 6.5.

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
        theta = model.fit(x, labels, groups, rng, restarts=1)
    except SurrogateError:
        theta = model.prior_centre(int(groups.max()) + 1)
    classifier = model.build(x, labels, groups, theta)

    def log_p(columns: Array) -> Array:
        with torch.no_grad():
            posterior = classifier.posterior(torch.as_tensor(columns).unsqueeze(1), observation_noise=True)
            z = posterior.mean.squeeze() / posterior.variance.squeeze().clamp_min(1e-9).sqrt()
        out: Array = np.log(np.clip(stats.norm.cdf(np.atleast_1d(z.numpy())), _LEAST, 1.0))
        return out

    return log_p
