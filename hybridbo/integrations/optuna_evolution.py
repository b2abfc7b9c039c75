"""More than three objectives: Optuna's NSGA-II, whose first generation the engine proposes.

Hypervolumes of many objectives take too long to compute. The first generation is the default configuration, what the
LLM names and Sobol points; from the second on, Optuna's NSGAIISampler crosses and mutates (Deb et al. 2002, A fast and
elitist multiobjective genetic algorithm: NSGA-II).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial

MOST_MODELLED = 3  # objectives
POPULATION = 24  # trials are expensive: half of Optuna's own


class Evolution:
    """NSGA-II over the trials of one study, for one trial.

    Args:
        study: The study.
        trial: The trial.
        seed: Of this trial alone.
    """

    def __init__(self, study: Study, trial: FrozenTrial, seed: int) -> None:
        self._study, self._trial = study, trial
        self._sampler = NSGAIISampler(population_size=POPULATION, seed=seed)

    @property
    def generation(self) -> int:
        """The generation that the trial belongs to; asking makes it a member."""
        return self._sampler.get_trial_generation(self._study, self._trial)

    def child(self, trials: Sequence[FrozenTrial], search_space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        """A child of the generation before, by the parameters that every trial has had; mutated ones are left out."""
        shared = intersection_search_space(list(trials))
        space = {name: distribution for name, distribution in shared.items() if name in search_space}
        return self._sampler.sample_relative(self._study, self._trial, space)
