"""Where some configurations stand among random ones, as far as the model of all results can tell.

A search looks where it expects good values, so that its results are no sample of the space: a model whose targets are
scaled by them takes unknown places for as good as what it has seen, the more so the longer the search has exploited.
Geostatistics calls this preferential sampling, and answers it by declustering (Deutsch and Journel 1998, GSLIB, section
VI.2): each result counts as much as the share of the space to which it is the nearest, and the normal scores that the
model learns from are taken from the distribution so weighed. What is far from all results then is an average random
configuration, as the prior has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hybridbo.errors import SurrogateError
from hybridbo.gp import ladder, subset
from hybridbo.gp.constraints import Constraints, log_success
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.ensemble import Ensemble
from hybridbo.gp.features import Features, encode
from hybridbo.gp.threads import isolated
from hybridbo.observe import Observations
from hybridbo.parameters import Array, Params
from hybridbo.space import Space

_DRAWS = 512  # of the function, over all members of the ensemble
_JITTER = 1e-6  # of the prior's variance: a joint covariance of neighbours has no factor without it


@dataclass(frozen=True)
class Arm:
    """A configuration that was tried.

    Attributes:
        params: The configuration.
        gave_value: Whether it gave a value within the constraints.
    """

    params: Params
    gave_value: bool


@dataclass(frozen=True)
class Draws:
    """What the model holds possible, one row for each draw of the function.

    Attributes:
        as_good: Share of random configurations at least as good as each advised one, shape (s, k).
        beats_default: Share of random configurations better than the default, shape (s,); None without a default.
        wins: Whether the best advised one is better than the default, shape (s,); None likewise.
    """

    as_good: Array
    beats_default: Array | None
    wins: NDArray[np.bool_] | None


def draw(
    space: Space,
    seen: Observations,
    advised: Sequence[Arm],
    default: Arm | None,
    rng: np.random.Generator,
    *,
    n_random: int = 512,
    restarts: int = 2,
) -> Draws:
    """Draw the function from the posterior, at random configurations and at those that were tried, jointly.

    The model is the one that proposes, but for its targets: hyperparameters are drawn by Monte Carlo, so that what few
    results leave open stays open. Only the order of the values counts, which the targets keep. A random configuration
    that would fail or break a constraint, by the model's probability, is worse than any that gave a value.

    Args:
        space: The space.
        seen: All results of one objective.
        advised: At least one.
        default: The default configuration; None if it was not tried.
        rng: Draws the random configurations, uniform on the parameters' scales, the hyperparameters and the functions.
        n_random: How many random configurations.
        restarts: Starting points of the fit.

    Raises:
        SurrogateError: The numbers broke down.
    """
    try:
        with isolated():
            arms = [*advised, *([default] if default else [])]
            features = Features.of(space)
            random = space.snap(rng.random((n_random, len(space))))[0]
            process, succeeds = _model(features, seen, random, rng, restarts)
            columns = features.columns(np.concatenate([random, encode(space, [arm.params for arm in arms])]))
            gave_value = [arm.gave_value for arm in arms]
            return _compare(process, columns, succeeds, gave_value, has_default=default is not None, rng=rng)
    except SurrogateError:
        raise
    except ladder.TROUBLE as error:
        raise SurrogateError(f"the surrogate broke down ({type(error).__name__}: {error}).") from error


def _model(
    features: Features, seen: Observations, random: Array, rng: np.random.Generator, restarts: int
) -> tuple[Ensemble, Array]:
    """The process of the declustered targets, and the probability of each random point, shape (n, d), to succeed."""
    seen = replace(seen, pending=())  # nothing is known of them
    columns = features.columns(random)
    x = features.columns(encode(features.space, seen.params))
    y = declustered(seen.losses, shares(x, columns))
    sample, _ = ladder.prepare(ladder.Sample(x, y, seen.feasible, np.arange(len(x))))
    sample = sample.take(subset.rows(sample.x, sample.y, subset.MOST_PREDICTED))
    task = ladder.Task(sample.x, sample.y, features.groups, rng, restarts, Deadline.of(math.inf))

    def condition(thetas: Array, jitter: float) -> Ensemble:
        return Ensemble.of(sample.x, sample.y, features.groups, thetas, jitter)

    process, _ = ladder.climb(task, condition)
    log_p = np.zeros(len(random))
    if seen.violations.size:
        log_p += Constraints.fit(features, seen, rng, restarts, Deadline.of(math.inf)).log_probability(columns)
    success = log_success(features, seen, rng)
    if success is not None:
        log_p += success(columns)
    return process, np.exp(log_p)


def shares(x: Array, random: Array) -> Array:
    """The share of random columns, shape (m, f), to which each row of ``x`` is the nearest, shape (n,); adds up to 1.

    Rows at one place share alike, and half a random point is added to each, so that none counts nothing.
    """
    squared = np.square(random).sum(1)[:, None] - 2.0 * random @ x.T + np.square(x).sum(1)
    nearest = squared <= squared.min(axis=1, keepdims=True) + 1e-12
    counts: Array = (nearest / nearest.sum(axis=1, keepdims=True)).sum(axis=0) + 0.5
    return counts / counts.sum()


def declustered(losses: Array, weights: Array) -> Array:
    """Normal scores of losses in the distribution that weighs them so, larger is better, both of shape (n,).

    Equal losses have equal scores: that of the middle of their joint weight.
    """
    _, inverse = np.unique(losses, return_inverse=True)
    joint = np.bincount(inverse, weights=weights)
    out: Array = -special.ndtri(np.cumsum(joint) - joint / 2.0)[inverse]
    return out


def _compare(
    process: Ensemble,
    columns: Array,
    succeeds: Array,
    gave_value: Sequence[bool],
    *,
    has_default: bool,
    rng: np.random.Generator,
) -> Draws:
    """The draws at columns, shape (n_random + arms, f), the arms last, and of them the default."""
    n = len(succeeds)
    functions = _functions(process, columns, rng)
    # an arm without a value is below everything, and everything is at least as good as it
    arms = np.where(np.array(gave_value), functions[:, n:], -np.inf)
    k = len(gave_value) - has_default
    as_good = _share(functions[:, :n], succeeds, arms[:, :k])
    if not has_default:
        return Draws(as_good, None, None)
    default = arms[:, -1]
    better = _share(functions[:, :n], succeeds, np.nextafter(arms[:, -1:], np.inf))[:, 0]
    return Draws(as_good, better, arms[:, :k].max(axis=1) > default)


def _share(random: Array, succeeds: Array, arms: Array) -> Array:
    """Share of random configurations that reach each arm, shape (s, n), (n,) and (s, k) to (s, k)."""
    reached = [(np.where(random >= arm[:, None], succeeds, 0.0)).mean(axis=1) for arm in arms.T]
    out: Array = np.where(np.isneginf(arms), 1.0, np.stack(reached, axis=1))
    return out


def _functions(process: Ensemble, columns: Array, rng: np.random.Generator) -> Array:
    """Draws of the targets, larger is better, without noise, at columns of shape (n, f), shape (s, n)."""
    each = -(-_DRAWS // len(process.members))
    parts = []
    for member in process.members:
        mean, covariance = member.joint(columns)
        covariance[np.diag_indices(len(columns))] += _JITTER
        root = np.linalg.cholesky(covariance)
        parts.append(mean + rng.standard_normal((each, len(columns))) @ root.T)
    return np.concatenate(parts)
