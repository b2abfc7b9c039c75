"""Leases: for how long a worker holds a trial without a word, and how it says that it is still there.

Whether a process of this machine is there is known at once (:mod:`hybridbo.owner`). Of a container or another machine
nothing is known but what it writes: its trial has a lease, which a heartbeat extends. A lease that has run out makes
the trial STALE when somebody next asks; then it is offered again, and whoever tells it first is believed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from hybridbo import owner
from hybridbo.errors import HybridboError, StoreError
from hybridbo.ports import Event, TrialStore
from hybridbo.trial import Outcome, Trial, TrialState

_logger = logging.getLogger(__name__)
_WATCHED_S = 600.0  # the lease of a trial whose heartbeats are sent by a thread of ours
_BEATS = 5  # heartbeats in a lease: some of them may fail


class Heart:
    """Sends the heartbeats of a trial for the worker that was given it.

    Args:
        store: Where the trial is.
        study: Its study.
        number: Its number.
        owner: Who holds it.
        attempt: Which time it was handed out.
        lease_s: For how many seconds a heartbeat is good; None for as long as it takes.
    """

    def __init__(
        self, store: TrialStore, study: str, number: int, owner: str | None, attempt: int, lease_s: float | None
    ) -> None:
        self._store, self._study, self._number = store, study, number
        self._owner, self._attempt, self._lease_s = owner, attempt, lease_s

    def __deepcopy__(self, _: object) -> Heart:
        return self  # so that dataclasses.asdict(trial) does not try to copy the store

    def __call__(self) -> bool:
        """Extend the lease; False if the trial is not this worker's any longer."""
        with self._store.transaction():
            was = self._store.get_trial(self._study, self._number).state
            renewed = self._store.renew_lease(
                self._study, self._number, owner=self._owner, attempt=self._attempt, lease_s=self._lease_s
            )
            if renewed is not None and was is TrialState.STALE:
                message = "Its lease had run out, and its worker is there again."
                self._store.record_event(self._study, Event("trial_revived", message, self._number))
        return renewed is not None


def release(store: TrialStore, study: str, trial: Trial) -> None:
    """Give a trial back that is not finished, if its worker holds it still."""
    with store.transaction():
        given = store.take_over(study, trial.number, owner=owner.RELEASED, previous=trial.owner, attempt=trial.attempt)
        if given is not None:
            store.record_event(study, Event("trial_released", "Its worker gave it back.", trial.number))


def has_run_out(trial: Trial) -> bool:
    """Whether a RUNNING trial's lease has run out."""
    if trial.state is not TrialState.RUNNING or trial.lease_until is None:
        return False
    return trial.lease_until <= datetime.now(UTC)


def watched(lease_s: float | None) -> float | None:
    """The lease of a trial that is evaluated under :func:`renewing`, where ``lease_s`` is that of others."""
    return None if lease_s is None else min(lease_s, _WATCHED_S)


def finish(store: TrialStore, study: str, number: int, outcome: Outcome, attempt: int | None) -> Trial:
    """Store how a trial ended, and that it came late if it did.

    Args:
        store: Where the trial is.
        study: Its study.
        number: Its number.
        outcome: How it ended.
        attempt: The attempt of the worker who tells it; None if that is not known.
    """
    try:
        with store.transaction():
            before = store.get_trial(study, number)
            done = store.finish_trial(study, number, outcome)
            if not before.state.is_finished and (why := _lateness(before, attempt)):
                store.record_event(study, Event("told_late", why, number))
    except StoreError as error:
        if error.kept is not None:
            raise
        return store.finish_trial(study, number, outcome)  # had it not come so far: a store keeps what it cannot store
    return done


def _lateness(trial: Trial, attempt: int | None) -> str:
    if attempt is not None and attempt != trial.attempt:
        return "Told by a worker that was taken for lost, before the one to whom it was offered again."
    return "Told after its lease had run out." if trial.state is TrialState.STALE else ""


@contextlib.contextmanager
def renewing(trial: Trial) -> Iterator[None]:
    """Send heartbeats from a thread while the block runs: nothing is sent when the process dies, or is stopped."""
    if trial.heart is None or trial.lease_until is None:
        yield
        return
    pause_s = max((trial.lease_until - datetime.now(UTC)).total_seconds(), 0.0) / _BEATS
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(trial, pause_s, over), name="hybridbo-heartbeat", daemon=True)
    try:
        thread.start()
        yield
    finally:
        over.set()


def _beat(trial: Trial, pause_s: float, over: threading.Event) -> None:
    while not over.wait(pause_s):
        try:
            if not trial.heartbeat():
                if not over.is_set():
                    _logger.warning("trial %d is no longer held by this process", trial.number)
                return
        except HybridboError as error:  # the next one may get through
            if not over.is_set():
                _logger.warning("no heartbeat of trial %d could be sent: %s", trial.number, error)
