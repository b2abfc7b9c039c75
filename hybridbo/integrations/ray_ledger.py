"""Which trial of the study each of Ray's trials is, and how its end gets into the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ray.tune.result import TIME_TOTAL_S

from hybridbo import owner
from hybridbo.errors import HybridboError, InvalidParams, StudyMismatch, TellConflict
from hybridbo.integrations.ray_results import Ending, Goal, Progress, iteration_of
from hybridbo.integrations.ray_space import RaySpace
from hybridbo.optimizer import Optimizer
from hybridbo.parameters import Params
from hybridbo.trial import Origin, Outcome, Trial, TrialState
from hybridbo.values import is_number

_logger = logging.getLogger(__name__)
_PAUSE_S = 60.0  # between heartbeats of one trial; a lease is a day unless the user says otherwise


@dataclass
class Ledger:
    """Ray's trials, by their ids; plain data that is pickled with a searcher's state.

    Attributes:
        numbers: The number in the study of each.
        live: What those that have not ended have reported.
        beats: When a heartbeat of each of them was last sent, in seconds since the epoch.
        ending: How ends are told apart.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    live: dict[str, Progress] = field(default_factory=dict)
    beats: dict[str, float] = field(default_factory=dict)
    ending: Ending = field(default_factory=Ending)

    def begin(self, trial_id: str, number: int) -> None:
        """Enter a trial that has been handed out."""
        self.numbers[trial_id] = number
        self.live[trial_id] = Progress()

    def report(self, trial_id: str, result: Mapping[str, Any], goal: Goal, opt: Optimizer) -> None:
        """Take in an intermediate result, which shows that the trial's worker is there."""
        self._beat(trial_id, opt)
        self.ending.passed = max(self.ending.passed, iteration_of(result))
        self.live.setdefault(trial_id, Progress()).report(result, lambda given: goal.told(given, opt.objective))

    def end(
        self, trial_id: str, result: Mapping[str, Any] | None, goal: Goal, opt: Optimizer, *, error: bool
    ) -> Outcome | None:
        """How a trial has ended; None if it was taken back before it had reported anything."""
        progress = self.live.pop(trial_id, Progress())
        self.beats.pop(trial_id, None)
        return self.ending.outcome(progress, result, lambda given: goal.told(given, opt.objective), error=error)

    def _beat(self, trial_id: str, opt: Optimizer) -> None:
        """Extend the lease of a trial, now and then: some report many times a second."""
        now = time.time()
        if trial_id not in self.numbers or now - self.beats.get(trial_id, 0.0) < _PAUSE_S:
            return
        self.beats[trial_id] = now
        try:
            opt.heartbeat(self.numbers[trial_id])
        except HybridboError as error:  # the next one may get through
            _logger.warning("no heartbeat of trial %d could be sent: %s", self.numbers[trial_id], error)

    def claim(self, opt: Optimizer) -> None:
        """Hold the unfinished trials, which Ray goes on with: nobody is to be offered them again.

        Raises:
            StudyMismatch: The store does not hold the trials that Ray knows.
        """
        trials = opt.trials
        if beyond := [number for number in self.numbers.values() if number >= len(trials)]:
            raise StudyMismatch(
                f"the saved search knows trial {max(beyond)}, and study {opt.study!r} in {opt.store.location!r} has "
                f"{len(trials)} trials.",
                "Give the store and study of the experiment that is restored, or start a new one.",
            )
        for number in (self.numbers[trial_id] for trial_id in self.live if trial_id in self.numbers):
            trial = trials[number]
            if not trial.state.is_finished and trial.owner != owner.current():
                opt.store.take_over(
                    opt.study, number, owner=owner.current(), previous=trial.owner, attempt=trial.attempt
                )


def settle(opt: Optimizer, number: int, outcome: Outcome | None) -> None:
    """Store how a trial ended. One that had failed and was run again becomes a new trial; else the first end stands."""
    before = opt.trials[number]
    if outcome is None:
        if not before.state.is_finished:
            opt.release(before)
        return
    if before.state is TrialState.FAILED and outcome.state is not TrialState.FAILED:
        reason = f"Trial {number}, which had failed, was run again by Ray."
        _append(opt, before.params, Origin(before.origin.source, reason), outcome)
        return
    try:
        opt.store.finish_trial(opt.study, number, outcome)
    except TellConflict as error:
        _note(opt, "result_ignored", f"Ray reports another end of trial {number}: {error.message}", number)


def add(opt: Optimizer, params: Params, outcome: Outcome, reason: str, seconds: float = 0.0) -> None:
    """Store a trial that was run elsewhere, unless the configuration has a value already.

    Raises:
        InvalidParams: Naming every offending parameter.
    """
    params = opt.space.round(opt.space.validate(params))
    key = opt.space.key(params)
    if not any(trial.values and opt.space.key(trial.params) == key for trial in opt.trials):
        _append(opt, params, Origin("user", reason), outcome, seconds)


def add_unknown(opt: Optimizer, space: RaySpace, result: Mapping[str, Any] | None, outcome: Outcome | None) -> None:
    """Store a trial that Ray started without asking, such as one that failed and is restarted under a new id."""
    if outcome is None or outcome.state is TrialState.FAILED or not result:
        return
    config: dict[str, Any] = {}
    for key, value in result.items():
        if key.startswith("config/"):
            *parents, last = key.split("/")[1:]
            place = config
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
    spent = result.get(TIME_TOTAL_S)
    try:
        reason = "Ray ran it without asking."
        add(opt, space.to_params(config), outcome, reason, float(spent) if is_number(spent) else 0.0)  # type: ignore[arg-type]  # a number
    except InvalidParams as error:
        _note(opt, "result_ignored", f"Ray ran a trial that is not in the space: {error.message}")


def _append(opt: Optimizer, params: Params, origin: Origin, outcome: Outcome, seconds: float = 0.0) -> None:
    now = datetime.now(UTC)
    trial = Trial(
        number=len(opt.trials),  # the store numbers it anew
        params=params,
        state=outcome.state,
        origin=origin,
        started_at=now - timedelta(seconds=seconds),
        value=outcome.value,
        values=outcome.values,
        error=outcome.error,
        finished_at=now,
    )
    opt.store.add_trials(opt.study, [trial], keys=[opt.space.key(params)])


def _note(opt: Optimizer, kind: str, message: str, number: int | None = None) -> None:
    _logger.warning("%s", message)
    opt.note(kind, message, number)
