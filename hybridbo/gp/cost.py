"""Cost-aware search: how long a trial will take, and how much that counts.

The expected improvement is divided by the expected duration ("expected improvement per second", Snoek et al. 2012,
Practical Bayesian Optimization of Machine Learning Algorithms, section 3.2), to a power that cools down as the budget
is used up (Lee et al. 2020, Cost-aware Bayesian Optimization, section 4): cheap places are looked through early, and at
the end only the value counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridbo.gp import subset
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import Features, encode
from hybridbo.gp.ladder import Task
from hybridbo.gp.outputs import Output, Places
from hybridbo.observe import Observations
from hybridbo.parameters import Array

_SHORTEST = 1e-3  # seconds: nobody waits for less, and a clock may have stood still
_FEWEST = 3


@dataclass(frozen=True)
class Cost:
    """A fitted model of the logarithm of the duration.

    Attributes:
        output: The model, on standardised logarithms.
        centre: What was subtracted from them.
        spread: What they were divided by.
    """

    output: Output
    centre: float
    spread: float

    @classmethod
    def fit(
        cls,
        features: Features,
        seen: Observations,
        rng: np.random.Generator,
        restarts: int,
        deadline: Deadline | None = None,
    ) -> Cost | None:
        """Learn from the trials' durations; None where fewer than three are known, or all are the same.

        Args:
            features: Where the columns come from.
            seen: What was observed; of long histories the latest durations count, and those spread wide.
            rng: For the fit.
            restarts: Its starting points.
            deadline: When to be content with less; None for never.

        Raises:
            SurrogateError: No rung of the ladder holds.
        """
        if not are_telling(seen.seconds):
            return None
        known = np.isfinite(seen.seconds)
        x = features.columns(encode(features.space, seen.timed))[known]
        logs = _logs(seen.seconds)
        centre, spread = float(logs.mean()), float(logs.std())
        places = Places.of(x)
        x, y = x[places.rows], places.mean((logs - centre) / spread)
        # the latest show where the search is, and the others what lies elsewhere
        kept = subset.rows(x, np.arange(len(x), dtype=np.float64), subset.MOST_SAMPLED)
        task = Task(x[kept], y[kept], features.groups, rng, restarts, deadline or Deadline.of(math.inf))
        return cls(Output.fit(task, "the durations"), centre, spread)

    def log_seconds(self, columns: Array) -> Array:
        """Expected logarithm of the seconds that a trial takes, at columns, shape (n, f) to (n,)."""
        return self.centre + self.spread * self.output.at(columns)[0]

    def discount(self, power: float) -> Callable[[Array], Array]:
        """What durations take from a log acquisition, at columns: the logarithm of seconds ** -power."""
        return lambda columns: -power * self.log_seconds(columns)


def are_telling(seconds: Array) -> bool:
    """Whether at least three durations in seconds, shape (n,), are known, and not all the same."""
    logs = _logs(seconds)
    return len(logs) >= _FEWEST and float(logs.std()) >= 1e-9


def _logs(seconds: Array) -> Array:
    out: Array = np.log(np.maximum(seconds[np.isfinite(seconds)], _SHORTEST))
    return out


def cooled(n: int, seeds: int, budget: int | None) -> tuple[float, str]:
    """The power to which the duration counts, and why.

    Piecewise linear in the number of trials: 1 up to the seed trials, falling to 0 at the budget, 0 beyond; always 1
    when the budget is unknown.

    Args:
        n: Trials so far.
        seeds: Trials before the Gaussian process took over.
        budget: Trials planned; None if unknown.
    """
    if budget is None:
        return 1.0, "no budget is set to cool it down by"
    if budget <= seeds:
        return 0.0, f"the budget of {budget} trials is for seeds"
    power = min(1.0, max(0.0, (budget - n) / (budget - seeds)))
    return power, f"{n} of {budget} trials are used"
