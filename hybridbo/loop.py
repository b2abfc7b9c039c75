"""Evaluating in this process: the handle of ``with opt.trial()`` and the loop of ``opt.run``."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hybridbo import leases
from hybridbo.errors import (
    InvalidSettings,
    InvalidValue,
    SpaceExhausted,
    StoreBusy,
    StoreError,
    TellConflict,
    describe_error,
)
from hybridbo.findings import Finding
from hybridbo.parameters import Params
from hybridbo.ports import Event, TrialStore
from hybridbo.settings import Settings
from hybridbo.trial import Origin, Trial
from hybridbo.values import is_number

_logger = logging.getLogger(__name__)
_TELLS = 10  # attempts to store a value, each as long as the store's busy time-out
_SHOWN = ("fallback", "llm_failed", "llm_reply", "trial_offered_again", "trial_stale")  # told to whoever watches

ObjectiveFunction = Callable[[Params], Any]


class Study(Protocol):
    """What the loop needs of an Optimizer."""

    store: TrialStore
    study: str
    settings: Settings

    @property
    def n_started(self) -> int:
        """How many trials there are that nobody has to be offered again."""

    @property
    def incumbent(self) -> Trial | None:
        """The best trial; None with several objectives."""

    @property
    def events(self) -> Sequence[Event]:
        """What befell the study."""

    @property
    def llm_usage(self) -> Any:
        """An LLMUsage, for the watcher."""

    def ask(self, *, lease_s: float | None = None) -> Trial:
        """The next trial."""

    def tell(self, trial: Trial, value: Any) -> Trial:
        """Store a value."""

    def fail(self, trial: Trial, reason: object) -> Trial:
        """Store a failure."""

    def release(self, trial: Trial) -> None:
        """Give a trial back."""

    def note(self, kind: str, message: str, trial_number: int | None = None) -> None:
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

    @property
    def attempt(self) -> int:
        """How often it was handed out before."""
        return self._trial.attempt

    def heartbeat(self) -> bool:
        """See :meth:`hybridbo.Trial.heartbeat`; within the ``with`` block a thread sends them by itself."""
        return self._trial.heartbeat()

    def log(self, /, step: float | None = None, **metrics: float) -> bool:
        """See :meth:`hybridbo.Trial.log`."""
        return self._trial.log(step, **metrics)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """See :attr:`hybridbo.Trial.findings`."""
        return self._trial.findings


def run(
    study: Study, objective: ObjectiveFunction, target: float, timeout: float | None, watcher: Watcher | None
) -> None:
    """Evaluate trials until the study has ``target`` of them or ``timeout`` seconds have passed.

    An exception of the objective, or a value that is not a finite number, fails the trial and the run goes on. Ctrl-C
    gives the running trial back, so that whoever asks next is offered it again.
    """
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    told = len(study.events)
    while study.n_started < target and time.monotonic() < deadline:
        try:
            trial = study.ask(lease_s=leases.watched(study.settings.store.lease_s))
        except SpaceExhausted as error:
            study.note("space_exhausted", error.message)
            if watcher:
                watcher.message(str(error))
            return
        if watcher:
            told = announce(study, trial, told, watcher)
        done = evaluate(study, trial, objective)
        if watcher:
            watcher.finished(done, study.incumbent, study.llm_usage)


def announce(study: Study, trial: Trial, told: int, watcher: Watcher) -> int:
    """Show a trial that begins, and what befell the study since ``told`` events; returns how many there are now."""
    events = study.events
    for message in dict.fromkeys(event.message for event in events[told:] if event.kind in _SHOWN):
        watcher.message(f"note on trial {trial.number}: {message}")
    watcher.started(trial)
    return len(events)


def evaluate(study: Study, trial: Trial, objective: ObjectiveFunction) -> Trial:
    """Call the objective on one trial and store how it ended."""
    try:
        with leases.renewing(trial):
            value = objective(dict(trial.params))
    except (Exception, SystemExit) as error:  # whatever the user's code raises is a failed trial
        _logger.warning("trial %d failed", trial.number, exc_info=error)
        return give_up(study, trial, describe_error(error))
    except BaseException:
        study.release(trial)
        raise
    return keep(study, trial, value)


def keep(study: Study, trial: Trial, value: Any) -> Trial:
    """Store what the objective returned; a value that is not a finite number fails the trial.

    Where the trial was taken for lost meanwhile and another worker has told it, that stands.
    """
    return _unless_lost(study, trial, lambda: _tell_or_fail(study, trial, value))


def give_up(study: Study, trial: Trial, reason: str) -> Trial:
    """Store that a trial has failed, likewise."""
    return _unless_lost(study, trial, lambda: study.fail(trial, reason))


def _tell_or_fail(study: Study, trial: Trial, value: Any) -> Trial:
    try:
        return _tell(study, trial, value)
    except InvalidValue as error:
        return study.fail(trial, error.message)


def _unless_lost(study: Study, trial: Trial, end: Callable[[], Trial]) -> Trial:
    try:
        return end()
    except TellConflict as error:
        stored = study.store.get_trial(study.study, trial.number)
        if stored.attempt == trial.attempt:
            raise
        study.note("told_too_late", f"Another worker was faster: {error.message}", trial.number)
        return stored


def _tell(study: Study, trial: Trial, value: Any) -> Trial:
    """Store a value that may have cost hours: try again while another process holds the store.

    Raises:
        StoreError: It cannot be stored; the value stands in the message.
    """
    for attempt in range(_TELLS):
        try:
            return study.tell(trial, value)
        except StoreBusy as error:
            _logger.warning("trial %d cannot be stored yet: %s", trial.number, error.message)
            if attempt == _TELLS - 1:
                raise _lost(trial, value, error) from error.__cause__
        except StoreError as error:
            raise _lost(trial, value, error) from error.__cause__
    raise AssertionError  # the loop has returned or raised


def _lost(trial: Trial, value: Any, error: StoreError) -> StoreError:
    """What to raise when a value could not be stored: the store has kept it elsewhere, or the message holds it."""
    if error.kept is not None:
        return error
    message = f"trial {trial.number} gave {value!r}, which could not be stored: {error.message}"
    return type(error)(message, f"{error.hint} Then call opt.tell({trial.number}, {value!r}).")


def check_run(objective: object, n_trials: object, timeout: object) -> None:
    """Refuse what cannot be called, and limits that would stop nothing.

    Raises:
        InvalidSettings: Neither limit is given, one is not positive, or the objective is no function.
    """
    if not callable(objective):
        raise InvalidSettings(f"objective={objective!r:.80} cannot be called.", "Give a function of params.")
    if n_trials is None and timeout is None:
        raise InvalidSettings("run() has neither n_trials nor timeout.", "Give one, or both.")
    if n_trials is not None and (not is_number(n_trials) or n_trials != int(n_trials) or n_trials < 1):  # type: ignore[call-overload,operator]
        raise InvalidSettings(f"n_trials={n_trials!r} is not a positive integer.", "Give 1 or more, or None.")
    if timeout is not None and timeout != math.inf and (not is_number(timeout) or timeout <= 0):  # type: ignore[operator]
        raise InvalidSettings(f"timeout={timeout!r} is not a positive number of seconds.", "Give one, or None.")
