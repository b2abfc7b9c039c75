"""Optuna's samplers with their default settings, over the same space, for one objective or several.

Ordered choices are given to Optuna as integers (the index), since it has no ordered categorical.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import optuna

from benchmarks.methods import NotApplicable
from benchmarks.problem import Problem
from hybridbo.objective import Objective
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter, Params
from hybridbo.space import Space

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

SAMPLERS: dict[str, Any] = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga2-10": partial(optuna.samplers.NSGAIISampler, population_size=10),
}


class Optuna:
    """A study of Optuna.

    Args:
        sampler: A key of SAMPLERS.
        problem: What is optimised.
        seed: Of the sampler.
        given: Configurations that are evaluated first.

    Raises:
        NotApplicable: There are constraints, and Optuna is older than 5 (``Trial.set_constraint``).
    """

    def __init__(self, sampler: str, problem: Problem, seed: int, given: list[Params]) -> None:
        create: Any = optuna.create_study
        self._objective = Objective.of(**problem.arguments())
        if self._objective.constraints and not hasattr(optuna.trial.Trial, "set_constraint"):
            raise NotApplicable("constraints need Optuna 5")
        self._space, self._sampler = problem.space, sampler
        self._order = parents_first(problem.space)
        self._study = create(
            directions=[way for _, way in self._objective.directions], sampler=SAMPLERS[sampler](seed=seed)
        )
        for params in given:
            self._study.enqueue_trial({name: _to_optuna(self._space[name], params[name]) for name in params})
        self._given = len(given)
        self._trial: Any = None

    def add(self, params: Params, value: Any) -> None:
        """Take in a trial that was made elsewhere."""
        self._study.enqueue_trial({name: _to_optuna(self._space[name], params[name]) for name in params})
        self.ask()
        self.tell(value)

    def ask(self) -> tuple[Params, str]:
        """See Method."""
        self._trial = self._study.ask()
        params: Params = {}
        for name in self._order:
            if self._space.is_active(name, params):
                params[name] = _suggest(self._trial, name, self._space[name])
        return self._space.round(params), "given" if self._trial.number < self._given else self._sampler

    def tell(self, value: Any) -> None:
        """See Method."""
        values = self._objective.outcome(value).values
        for bound in self._objective.constraints:
            self._trial.set_constraint(bound.name, bound.violation(values[bound.name]))
        self._study.tell(self._trial, [values[name] for name, _ in self._objective.directions])

    def fail(self, reason: str) -> None:  # noqa: ARG002  # Optuna keeps no reason
        """See Method."""
        self._study.tell(self._trial, state=optuna.trial.TrialState.FAIL)


def parents_first(space: Space) -> list[str]:
    """Names with every parent before its children."""
    order: list[str] = []
    while len(order) < len(space):
        order += [n for n, p in space.items() if n not in order and all(parent in order for parent in p.when or {})]
    return order


def _suggest(trial: Any, name: str, parameter: Parameter) -> Choice:
    if isinstance(parameter, Categorical):
        if parameter.ordered:
            index: int = trial.suggest_int(name, 0, len(parameter.choices) - 1)
            return parameter.choices[index]
        value: Choice = trial.suggest_categorical(name, list(parameter.choices))
        return value
    suggest = trial.suggest_int if isinstance(parameter, Int) else trial.suggest_float
    step = None if parameter.log or (isinstance(parameter, Float) and parameter.step is None) else parameter.step
    options = {"log": True} if parameter.log else ({"step": step} if step is not None else {})
    number: float = suggest(name, parameter.low, parameter.high, **options)
    rounded: Choice = parameter.round(number)
    return rounded


def _to_optuna(parameter: Parameter, value: Choice) -> Any:
    if isinstance(parameter, Categorical) and parameter.ordered:
        return parameter.choices.index(value)
    return value
