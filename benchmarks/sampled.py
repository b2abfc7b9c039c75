"""hybridbo inside an Optuna study: the same problems through HybridSampler, with its space given or define-by-run."""

from __future__ import annotations

from typing import Any

import optuna

from benchmarks.peers import parents_first
from benchmarks.problem import Problem
from hybridbo.integrations import HybridSampler
from hybridbo.parameters import Categorical, Choice, Int, Parameter, Params
from hybridbo.ports import ChatBackend


class Sampled:
    """A study of Optuna whose sampler is hybridbo's.

    Args:
        problem: What is optimised.
        seed: Of the sampler.
        llm: The language model.
        settings: Of the sampler.
        by_run: The objective alone tells the space, trial by trial.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        llm: ChatBackend | None = None,
        settings: dict[str, Any] | None = None,
        *,
        by_run: bool = False,
    ) -> None:
        space = None if by_run else problem.space
        sampler = HybridSampler(task=problem.task, llm=llm, seed=seed, search_space=space, settings=settings)
        self._space, self._order = problem.space, parents_first(problem.space)
        create: Any = optuna.create_study
        self._study = create(direction=problem.direction, sampler=sampler)
        self._trial: Any = None

    def add(self, params: Params, value: Any) -> None:
        """Take in a trial that was made elsewhere."""
        self._study.enqueue_trial(params)
        self.ask()
        self.tell(value)

    def ask(self) -> tuple[Params, str]:
        """See Method."""
        self._trial = self._study.ask()
        params: Params = {}
        for name in self._order:
            if self._space.is_active(name, params):
                params[name] = _suggest(self._trial, name, self._space[name])
        origin = HybridSampler.origin(self._study.trials[self._trial.number])
        return self._space.round(params), origin.source if origin else "given"

    def tell(self, value: Any) -> None:
        """See Method."""
        self._study.tell(self._trial, value)

    def fail(self, reason: str) -> None:  # noqa: ARG002  # Optuna keeps no reason
        """See Method."""
        self._study.tell(self._trial, state=optuna.trial.TrialState.FAIL)


def _suggest(trial: Any, name: str, parameter: Parameter) -> Choice:
    if isinstance(parameter, Categorical):
        choice: Choice = trial.suggest_categorical(name, list(parameter.choices))
        return choice
    suggest = trial.suggest_int if isinstance(parameter, Int) else trial.suggest_float
    grid = {} if parameter.log or parameter.step is None else {"step": parameter.step}
    number: Choice = suggest(name, parameter.low, parameter.top, log=parameter.log, **grid)
    return number
