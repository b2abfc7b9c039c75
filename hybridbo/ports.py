"""What the core asks of the world outside, as Protocols, and the values that cross those borders.

Two ports: a :class:`ChatBackend` answers a request with text (it stands in :mod:`hybridbo.chat`), and a
:class:`TrialStore` keeps a study (what it keeps besides trials, in :mod:`hybridbo.stored`). The contracts in
:mod:`hybridbo.testing` say what an implementation must do; anything that passes them will serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from hybridbo.chat import ChatBackend, ChatFailure, ChatReply, ChatRequest, topic_hash
from hybridbo.parameters import Params
from hybridbo.stored import Alteration, Changes, Completer, Event, LLMCall, StudyRecord
from hybridbo.traininglog import Log
from hybridbo.trial import Outcome, Proposal, Trial

__all__ = [
    "Alteration",
    "CallStore",
    "Changes",
    "ChatBackend",
    "ChatFailure",
    "ChatReply",
    "ChatRequest",
    "Completer",
    "Event",
    "LLMCall",
    "StudyRecord",
    "TrialStore",
    "topic_hash",
]


class CallStore(Protocol):
    """Where calls are kept: a TrialStore, or whatever keeps a study elsewhere."""

    def transaction(self) -> AbstractContextManager[object]:
        """Make what is done in a block one change, where the store can."""
        ...

    def record_call(self, study: str, call: LLMCall) -> int:
        """Store a call and return its number."""
        ...

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:
        """Put a call in the place of one whose outcome was not known; False if there is none."""
        ...

    def get_calls(self, study: str) -> list[LLMCall]:
        """All calls, oldest first."""
        ...

    def record_event(self, study: str, event: Event) -> None:
        """Store an event."""
        ...

    def get_events(self, study: str) -> Sequence[Event]:
        """All events that can be read, oldest first."""
        ...


@runtime_checkable
class TrialStore(Protocol):
    """Keeps studies. Every method is atomic, and visible to every process that shares the store once it returns.

    Every method that takes ``study``, a name, raises StudyNotFound for an unknown one, and StoreError (or one of its
    kinds) when the store cannot be read or written.
    """

    @property
    def location(self) -> str:
        """Where it is, for messages: a path, or ``":memory:"``."""
        ...

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """Store a study and return it as stored; an existing one of that name is returned unchanged."""
        ...

    def get_study(self, study: str) -> StudyRecord:
        """The study of that name."""
        ...

    def list_studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Make what this thread does in a ``with`` block one change: all of it happens, or nothing if it raises.

        Nobody else changes the store meanwhile, so the block is short. Blocks may be nested; the outermost counts.
        """
        ...

    def create_trial(
        self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int, lease_s: float | None = None
    ) -> Trial | None:
        """Store a proposal as the next RUNNING trial.

        Args:
            study: The study.
            proposal: What is to be evaluated. One of source ``"user"`` takes the oldest queued entry of that key.
            key: ``Space.key`` of its params: equal keys are the same configuration.
            owner: The process that will evaluate it.
            seen: How many trials the history had from which it was proposed.
            lease_s: For how many seconds the owner holds it without a heartbeat; None for as long as it takes.

        Returns:
            The trial with its number; None, and nothing is changed, if somebody else was faster: a trial of the same
            key was created since (its number is ``seen`` or more), or the queued entry is gone. Propose again then.
        """
        ...

    def take_over(
        self,
        study: str,
        number: int,
        *,
        owner: str,
        previous: str | None,
        attempt: int,
        lost: bool = False,
        lease_s: float | None = None,
    ) -> Trial | None:
        """Hand a RUNNING or STALE trial to another owner; it is RUNNING then, and its ``attempt`` one more.

        Args:
            study: The study.
            number: Of the trial.
            owner: Who has it from now on.
            previous: Who had it.
            attempt: The attempt that is thereby over; with ``previous``, it tells whether somebody else was faster.
            lost: The previous owner is lost, and has not given it back: counted in ``Trial.lost``.
            lease_s: As for :meth:`create_trial`.

        Returns:
            The trial; None, and nothing is changed, if it is not, or no longer, in that attempt of that owner.
        """
        ...

    def renew_lease(
        self, study: str, number: int, *, owner: str | None, attempt: int, lease_s: float | None
    ) -> Trial | None:
        """Extend the lease of a RUNNING trial to ``lease_s`` from now; a STALE one is RUNNING again.

        Returns:
            The trial; None, and nothing is changed, if it is not, or no longer, in that attempt of that owner.
        """
        ...

    def expire_lease(self, study: str, number: int) -> Trial | None:
        """Make a RUNNING trial whose lease has run out STALE, by one conditional change.

        Returns:
            The trial; None, and nothing is changed, if it is not RUNNING or its lease holds.
        """
        ...

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """Store how a RUNNING or STALE trial ended, whoever holds it.

        The same outcome told again changes nothing and returns the trial as stored.

        Raises:
            TrialNotFound: No trial of that number.
            TellConflict: It ended before, and otherwise; nothing is changed.
        """
        ...

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """Append finished trials of elsewhere, all of them or none: numbered anew, else as they are.

        Args:
            study: The study.
            trials: Finished, with their values, origins and times; numbers and owners do not count.
            keys: ``Space.key`` of each one's params. The same configuration may come more than once.

        Raises:
            InvalidValue: One of them has not ended, or its values do not fit its state.
        """
        ...

    def get_trial(self, study: str, number: int) -> Trial:
        """One trial; TrialNotFound if there is none of that number."""
        ...

    def get_trials(self, study: str) -> list[Trial]:
        """All trials, by number."""
        ...

    def get_changes(self, study: str, since: int) -> Changes:
        """What has changed among the trials since a count that an earlier call returned; 0 for all of them.

        A reader who adds this to what is known has what :meth:`get_trials` returns, without reading it again. A count
        that the study has not reached (its file was replaced) gives all trials.
        """
        ...

    def find_request(self, study: str, request_id: str) -> Trial | None:
        """The trial that was bound to a request; None if there is none."""
        ...

    def bind_request(self, study: str, request_id: str, number: int) -> bool:
        """Bind a trial to a request; False, and nothing is changed, if the request has one already."""
        ...

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """Queue a configuration; False, and nothing is changed, if its key is queued or was a trial already."""
        ...

    def get_queue(self, study: str, limit: int | None = None) -> list[Params]:
        """The queued configurations, oldest first; at most ``limit`` of them."""
        ...

    def alter_study(self, study: str, space: str, *, previous: str, complete: Completer) -> Alteration:
        """Give a study another space, and keep the old one in its history.

        The params of trials stay as they are; their keys become those of the new space. What is queued is completed.

        Args:
            study: The study.
            space: ``Space.to_json()`` of the new space.
            previous: The space that the study has, as stored.
            complete: From the params of a trial or of a queued configuration to those that it has in the new space,
                and their ``Space.key``. What it raises is raised, and nothing is changed.

        Raises:
            StudyMismatch: The study has another space than ``previous``; nothing is changed.
        """
        ...

    def get_alterations(self, study: str) -> Sequence[Alteration]:
        """All changes of the space, oldest first."""
        ...

    def append_log(self, study: str, number: int, log: Log, *, attempt: int | None = None) -> bool:
        """Add to the training log of a RUNNING or STALE trial.

        A log that has grown long is thinned as :mod:`hybridbo.traininglog` says.

        Args:
            study: The study.
            number: Of the trial.
            log: Points by metric, at least one.
            attempt: The attempt that it is a log of; None for the one that the trial is in. Each has its own log.

        Returns:
            False, and nothing is changed, if the trial has ended or is in another attempt.

        Raises:
            TrialNotFound: No trial of that number.
        """
        ...

    def get_log(self, study: str, number: int) -> Log:
        """The training log of a trial, by step: of its last attempt that has one; empty if there is none.

        Raises:
            TrialNotFound: No trial of that number.
        """
        ...

    def get_logged(self, study: str) -> list[int]:
        """The numbers of the trials that have a training log, ascending."""
        ...

    def record_call(self, study: str, call: LLMCall) -> int:
        """Store a call to a language model, and return the number under which it is kept."""
        ...

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:
        """Put a call in the place of one that was stored before its outcome was known (``LLMCall.is_unsettled``).

        Returns:
            False, and nothing is changed, if the study has no such call, or somebody has settled it.
        """
        ...

    def get_calls(self, study: str) -> list[LLMCall]:
        """All calls to a language model, oldest first, each with its number."""
        ...

    def record_event(self, study: str, event: Event) -> None:
        """Store an event."""
        ...

    def get_events(self, study: str) -> Sequence[Event]:
        """All events, oldest first."""
        ...

    def close(self) -> None:
        """Release files and locks; closing twice is harmless."""
        ...
