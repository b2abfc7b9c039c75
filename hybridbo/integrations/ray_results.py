"""What Ray's results mean: the objective of a metric and a mode, and how a trial ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from ray.tune.result import DEFAULT_METRIC, DONE, TRAINING_ITERATION

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.objective import Objective
from hybridbo.trial import Outcome, TrialState
from hybridbo.values import is_number, shown

Names: TypeAlias = str | list[str] | None

_WAYS = {"min": "minimize", "max": "maximize"}
_NAMED = (
    'Give both to the searcher, as in HybridSearcher(space, metric="loss", mode="min"); those of tune.TuneConfig reach '
    "it together with param_space only."
)
_PAIRS = "Give two texts, or two lists of the same length with different metrics."
_CRASHED = "Ray reports an error; its text is in the error.txt of Ray's trial"


@dataclass(frozen=True)
class Goal:
    """What is optimised, in Ray's words.

    Attributes:
        metric: Keys of a result.
        mode: ``"min"`` or ``"max"`` for each.
    """

    metric: tuple[str, ...]
    mode: tuple[str, ...]

    @classmethod
    def of(cls, metric: Names, mode: Names) -> Self | None:
        """The goal of Ray's arguments; None where neither is given yet.

        With a mode alone, the metric is the one that Ray gives to a trainable that returns a single number.

        Raises:
            InvalidSettings: A metric without a mode, an unknown mode, or lists that do not fit each other.
        """
        if metric is None and mode is None:
            return None
        if mode is None:
            raise InvalidSettings(f"metric={shown(metric)} is given without a mode.", 'Give mode="min" or mode="max".')
        if isinstance(mode, (list, tuple)) != isinstance(metric, (list, tuple)):
            raise InvalidSettings(
                f"metric={shown(metric)} and mode={shown(mode)} do not fit.", "Give one mode a metric."
            )
        metrics = tuple(metric) if isinstance(metric, (list, tuple)) else (metric or DEFAULT_METRIC,)
        modes = tuple(mode) if isinstance(mode, (list, tuple)) else (mode,)
        for way in modes:
            if not isinstance(way, str) or way not in _WAYS:
                raise InvalidSettings(f"mode={shown(way)} is unknown.", 'Use "min" or "max".')
        if len(metrics) != len(modes) or len(set(metrics)) < len(metrics) or not metrics:
            raise InvalidSettings(
                f"metric={shown(metric)} and mode={shown(mode)} do not fit.", "Give one mode a metric."
            )
        return cls(metrics, modes)

    @property
    def is_single(self) -> bool:
        """Whether there is one metric."""
        return len(self.metric) == 1

    @property
    def arguments(self) -> dict[str, Any]:
        """``direction`` or ``objectives`` of an Optimizer."""
        ways = [_WAYS[mode] for mode in self.mode]
        return {"direction": ways[0]} if self.is_single else {"objectives": dict(zip(self.metric, ways, strict=True))}

    def told(self, result: Mapping[str, Any], objective: Objective) -> Outcome:
        """The outcome of a result, as if it were the last.

        Raises:
            InvalidValue: A metric is missing, or no finite number.
        """
        if missing := [name for name in self.metric if name not in result]:
            others = ", ".join(sorted(str(key) for key in result if is_number(result[key]))[:20])
            raise InvalidValue(
                f"the result holds no {missing[0]!r}, but {others}.", "Report it, or name another metric."
            )
        values = {name: result[name] for name in self.metric}
        return objective.outcome(values[self.metric[0]] if self.is_single else values)

    def __str__(self) -> str:
        return ", ".join(f"{mode} {metric}" for metric, mode in zip(self.metric, self.mode, strict=True))


def unnamed() -> InvalidSettings:
    """What to raise where a search is started without metric or mode."""
    return InvalidSettings("metric and mode are missing: nothing says what is optimised.", _NAMED)


@dataclass
class Progress:
    """What a running trial has reported.

    Attributes:
        iteration: Of its last report; 0 without one.
        outcome: Of its last report with finite values; None without one.
    """

    iteration: int = 0
    outcome: Outcome | None = None

    def report(self, result: Mapping[str, Any], told: Callable[[Mapping[str, Any]], Outcome]) -> None:
        """Take in an intermediate result."""
        self.iteration = max(self.iteration, iteration_of(result))
        try:
            self.outcome = told(result)
        except InvalidValue:  # it counts if it is the last, and is told then
            return


@dataclass
class Ending:
    """How to tell from Ray's last word on a trial how it ended.

    Ray tells a searcher the same whether a trainable ended by itself or was stopped from outside. These differ: a
    function reports its last result twice, a stopping criterion is known, and of the results that a scheduler sees, Ray
    passes on all but the one with which it stops a trial.

    Attributes:
        stop: The stopping criteria of the experiment: results that reach one of them are complete.
        passed: The most iterations with which any trial has gone on.
        whole: The most iterations with which any trial has ended by itself; 0 before one has.
    """

    stop: dict[str, float] = field(default_factory=dict)
    passed: int = 0
    whole: int = 0

    def outcome(
        self,
        progress: Progress,
        result: Mapping[str, Any] | None,
        told: Callable[[Mapping[str, Any]], Outcome],
        *,
        error: bool,
    ) -> Outcome | None:
        """The outcome; None for a trial that was taken back before it had reported anything.

        Args:
            progress: What it has reported before.
            result: Ray's last result; None if there is none.
            told: From a result to its outcome.
            error: Whether Ray says that it has failed.
        """
        if error:
            return Outcome(TrialState.FAILED, error=_CRASHED)
        if not result:
            return progress.outcome and _pruned(progress.outcome)
        try:
            last = told(result)
        except InvalidValue as problem:
            return Outcome(TrialState.FAILED, error=problem.message)
        return last if self._is_complete(progress, result) else _pruned(last)

    def _is_complete(self, progress: Progress, result: Mapping[str, Any]) -> bool:
        iteration = iteration_of(result)
        is_done = bool(result.get(DONE))  # else it was cut off: the time is up, or the user has had enough
        met = any(is_number(result.get(key)) and result[key] >= bound for key, bound in self.stop.items())
        if met or (is_done and iteration <= progress.iteration):
            self.whole = max(self.whole, iteration)
            return True
        return is_done and (iteration > self.passed or iteration >= self.whole >= self.passed)


def iteration_of(result: Mapping[str, Any]) -> int:
    """How many times the trial had reported with this result."""
    iteration = result.get(TRAINING_ITERATION)
    return int(iteration) if is_number(iteration) else 0  # type: ignore[arg-type]  # a number


def _pruned(outcome: Outcome) -> Outcome:
    return Outcome(TrialState.PRUNED, outcome.values, outcome.value)
