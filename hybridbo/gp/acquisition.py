"""What a further trial is worth: improvement, times the chance of values within the constraints, per second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hybridbo.gp import feasibility, subset
from hybridbo.gp.constraints import Constraints, log_success
from hybridbo.gp.cost import Cost
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import Features, encode
from hybridbo.gp.surrogate import Surrogate
from hybridbo.observe import Observations
from hybridbo.parameters import Array
from hybridbo.space import Space

if TYPE_CHECKING:
    from hybridbo.gp.front import Front

Score: TypeAlias = Callable[[Array], Array]

_LEADERS = 5


@dataclass(frozen=True)
class Acquisition:
    """A sum of logarithms, one for each thing that is modelled.

    Attributes:
        features: How points become columns.
        improvement: The model of the objectives; None while nothing keeps the constraints: there is nothing to improve
            on, and the chance to keep them is all that counts.
        factors: Further logarithms at columns, shape (n, f) to (n,).
        leaders: The best points known, on the unit cube, shape (k, d).
        notes: What went wrong in fitting and what was done instead.
    """

    features: Features
    improvement: Surrogate | Front | None
    factors: tuple[Score, ...]
    leaders: Array
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        space: Space,
        seen: Observations,
        cost_power: float,
        rng: np.random.Generator,
        restarts: int,
        deadline: Deadline | None = None,
    ) -> Acquisition:
        """Learn from what was observed.

        Args:
            space: The space.
            seen: At least one trial with its values.
            cost_power: The power of the expected duration that the improvement is divided by; 0 leaves durations out.
            rng: For the fits and the samples.
            restarts: Starting points of each fit.
            deadline: When to be content with less; None for never.
        """
        features = Features.of(space)
        lean = _lean(features, seen)
        chances, cautions, notes = _chances(features, lean, rng, restarts, deadline)
        improvement: Surrogate | Front | None = None
        if seen.seeks_feasible:
            best = np.argsort(seen.merit(), kind="stable")[:_LEADERS]
            leaders = encode(space, [seen.params[i] for i in best])
        else:
            if seen.is_single:
                improvement = Surrogate.fit(space, seen, rng, restarts, deadline)
            else:
                from hybridbo.gp.front import Front  # torch, for the boxes, loads with several objectives

                improvement = Front.fit(space, lean, lambda x: _total(chances, x), rng, restarts, deadline)
            leaders, notes = improvement.leaders, (*notes, *improvement.notes)
        discounts, doubts = _discounts(features, seen, cost_power, rng, restarts, deadline)
        return cls(features, improvement, (*chances, *cautions, *discounts), leaders, (*notes, *doubts))

    def score(self, u: Array) -> Array:
        """The logarithm of what trials at points of the unit cube are worth, shape (n, d) to (n,)."""
        out = self.improvement.score(u) if self.improvement else np.zeros(len(u))
        return out + _total(self.factors, self.features.columns(u)) if self.factors else out

    def predict(self, u: Array) -> tuple[float, float]:
        """Expected loss and its standard deviation at one point, shape (1, d); NaN where there is not one loss."""
        return self.improvement.predict(u) if isinstance(self.improvement, Surrogate) else (math.nan, math.nan)


def _lean(features: Features, seen: Observations) -> Observations:
    """At most ``subset.MOST_SAMPLED`` of the trials: the best by merit, and of the others those spread wide.

    What breaks the constraints comes behind all that keeps them: it is no part of the front.
    """
    if len(seen.params) <= subset.MOST_SAMPLED:
        return seen
    merit = np.argsort(np.argsort(seen.merit(), kind="stable"), kind="stable").astype(np.float64)
    if not seen.seeks_feasible:
        merit = merit + len(merit) * ~seen.feasible
    x = features.columns(encode(features.space, seen.params))
    return seen.take(subset.rows(x, -merit, subset.MOST_SAMPLED))


def _chances(
    features: Features, seen: Observations, rng: np.random.Generator, restarts: int, deadline: Deadline | None
) -> tuple[tuple[Score, ...], tuple[Score, ...], tuple[str, ...]]:
    """Log probabilities, at columns, to keep the constraints and to give values; what to add to them out of caution."""
    chances: list[Score] = []
    cautions: list[Score] = []
    notes: tuple[str, ...] = ()
    if seen.violations.size:
        constraints = Constraints.fit(features, seen, rng, restarts, deadline)
        chances.append(constraints.log_probability)
        notes = constraints.notes
    if seen.seeks_feasible or not seen.is_single:  # the surrogate of a single loss has its own
        success = log_success(features, seen, rng)
        if success is not None:
            chances.append(success)
            cautions.append(lambda columns: (feasibility.CAUTION - 1.0) * success(columns))
    return tuple(chances), tuple(cautions), notes


def _discounts(
    features: Features,
    seen: Observations,
    power: float,
    rng: np.random.Generator,
    restarts: int,
    deadline: Deadline | None,
) -> tuple[tuple[Score, ...], tuple[str, ...]]:
    """What the expected duration takes from the logarithm, if anything, and what went wrong."""
    if power <= 0.0:
        return (), ()
    cost = Cost.fit(features, seen, rng, restarts, deadline)
    return ((), ()) if cost is None else ((cost.discount(power),), cost.output.notes)


def _total(terms: Sequence[Score], columns: Array) -> Array:
    return np.sum([term(columns) for term in terms], axis=0) if terms else np.zeros(len(columns))
