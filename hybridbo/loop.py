"""Evaluating in this process: the handle of ``with opt.trial()`` and the loop of ``opt.run``."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hybridbo.errors import InvalidSettings, InvalidValue, SpaceExhausted
from hybridbo.parameters import Params
from hybridbo.trial import Origin, Trial

_logger = logging.getLogger(__name__)

ObjectiveFunction = Callable[[Params], Any]


class Study(Protocol):
    """What the loop needs of an Optimizer."""

    @property
    def n_started(self) -> int:
        """How many trials there are that nobody has to be offered again."""

    @property
    def incumbent(self) -> Trial | None:
        """The best trial; None with several objectives."""

    @property
    def llm_usage(self) -> Any:
        """An LLMUsage, for the watcher."""

    def ask(self) -> Trial:
        """The next trial."""

    def tell(self, trial: Trial, value: Any) -> Trial:
        """Store a value."""

    def fail(self, trial: Trial, reason: object) -> Trial:
        """Store a failure."""

    def release(self, trial: Trial) -> None:
        """Give a trial back."""

    def note(self, kind: str, message: str) -> None:
        """Record an event."""


class Watcher(Protocol):
    """Somebody who is shown a run as it goes: :class:`hybridbo.progress.Progress` on a terminal."""

    def started(self, trial: Trial) -> None:
        """A trial has begun."""

    def finished(self, trial: Trial, best: Trial | None, usage: Any) -> None:
        """A trial has ended; ``best`` is the incumbent, ``usage`` an LLMUsage."""

    def message(self, text: str) -> None:
        """Something worth a line."""


class OpenTrial:
    """A trial under evaluation: set ``value`` (or ``values``) before the ``with`` block ends.

    Attributes:
        value: A number, or a dict by name with several objectives or constraints.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.value: float | Mapping[str, float] | None = None

    @property
    def values(self) -> float | Mapping[str, float] | None:
        """The same as ``value``; reads better with several objectives."""
        return self.value

    @values.setter
    def values(self, values: Mapping[str, float]) -> None:
        self.value = values

    @property
    def number(self) -> int:
        """The trial's number."""
        return self._trial.number

    @property
    def params(self) -> Params:
        """The active parameters."""
        return dict(self._trial.params)

    @property
    def origin(self) -> Origin:
        """Who proposed it, and why."""
        return self._trial.origin


def describe_error(error: BaseException) -> str:
    """An exception in one line, as a trial's ``error``."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def run(
    study: Study, objective: ObjectiveFunction, target: float, timeout: float | None, watcher: Watcher | None
) -> None:
    """Evaluate trials until the study has ``target`` of them or ``timeout`` seconds have passed.

    An exception of the objective, or a value that is not a finite number, fails the trial and the run goes on. Ctrl-C
    gives the running trial back, so that whoever asks next is offered it again.
    """
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while study.n_started < target and time.monotonic() < deadline:
        try:
            trial = study.ask()
        except SpaceExhausted as error:
            study.note("space_exhausted", error.message)
            if watcher:
                watcher.message(str(error))
            return
        if watcher:
            watcher.started(trial)
        done = evaluate(study, trial, objective)
        if watcher:
            watcher.finished(done, study.incumbent, study.llm_usage)


def evaluate(study: Study, trial: Trial, objective: ObjectiveFunction) -> Trial:
    """Call the objective on one trial and store how it ended."""
    try:
        value = objective(dict(trial.params))
    except Exception as error:  # whatever the user's code raises is a failed trial
        _logger.warning("trial %d failed", trial.number, exc_info=error)
        return study.fail(trial, describe_error(error))
    except BaseException:
        study.release(trial)
        raise
    try:
        return study.tell(trial, value)
    except InvalidValue as error:
        return study.fail(trial, error.message)


def check_limits(n_trials: object, timeout: object) -> None:
    """Refuse limits that would stop nothing.

    Raises:
        InvalidSettings: Neither is given, or one is not positive.
    """
    if n_trials is None and timeout is None:
        raise InvalidSettings("run() has neither n_trials nor timeout.", "Give one, or both.")
    for name, value in (("n_trials", n_trials), ("timeout", timeout)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
            raise InvalidSettings(f"{name}={value!r} is not a positive number.", "Give a positive number, or None.")
