"""Trials, proposals and what is known of them: the values that travel between engine, store and user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from hybridbo.parameters import Params

Source = Literal["user", "default", "llm", "sobol", "gp"]


class TrialState(StrEnum):
    """Where a trial stands. A value belongs to COMPLETE, and to PRUNED as the last one seen; to no other state."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    PRUNED = "PRUNED"

    @property
    def is_finished(self) -> bool:
        """Whether the trial has ended, in whichever way."""
        return self is not TrialState.RUNNING


@dataclass(frozen=True)
class Origin:
    """Who proposed a configuration, why, and what was expected of it.

    Attributes:
        source: ``"user"``, ``"default"``, ``"llm"``, ``"sobol"`` or ``"gp"``.
        reason: One sentence; it names every fall-back on the way.
        predicted_mean: Expected value of the objective, in the user's units and direction; None if not predicted.
        predicted_sd: Its standard deviation, likewise.
    """

    source: Source
    reason: str
    predicted_mean: float | None = None
    predicted_sd: float | None = None


@dataclass(frozen=True)
class Proposal:
    """A configuration that the engine wants evaluated.

    Attributes:
        params: The active parameters, on the grid.
        origin: Who proposes it, and why.
        notes: What was given up on the way (advice, a fit), one sentence each; goes into the store's events.
        trust: What each belief weighs, and why, one sentence each; empty where none was asked.
    """

    params: Params = field(hash=False)
    origin: Origin
    notes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: COMPLETE, FAILED or PRUNED.
        values: Every value told, by name; the name of a single objective is ``"value"``. Empty when FAILED.
        value: The value of the only objective; None with several objectives and when FAILED.
        error: Why it failed; None otherwise.
    """

    state: TrialState
    values: Mapping[str, float] = field(default_factory=dict, hash=False)
    value: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Trial:
    """One evaluation of the objective, as the store holds it.

    Attributes:
        number: 0, 1, 2, ... in the order of creation, without gaps within a study.
        params: The active parameters.
        state: RUNNING, COMPLETE, FAILED or PRUNED.
        origin: Who proposed it, and why.
        value: The value of the only objective; None while there is none, and with several objectives.
        values: Every value told, by name.
        error: Why it failed; None otherwise.
        started_at: When it was handed out, UTC.
        finished_at: When it was told or failed, UTC; None while RUNNING.
        owner: Which process holds it while RUNNING; see :mod:`hybridbo.owner`.
    """

    number: int
    params: Params = field(hash=False)
    state: TrialState
    origin: Origin
    started_at: datetime
    value: float | None = None
    values: Mapping[str, float] = field(default_factory=dict, hash=False)
    error: str | None = None
    finished_at: datetime | None = None
    owner: str | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds between start and end; None while RUNNING."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


@dataclass(frozen=True)
class History:
    """What the engine is told of a study: trials apart by what can be learned from them, each in order of number.

    Attributes:
        completed: COMPLETE trials, and PRUNED ones that reported a value.
        pending: RUNNING trials.
        failed: FAILED trials, and PRUNED ones without a value.
        queued: Configurations that the user has enqueued and nobody has taken yet, oldest first.
    """

    completed: tuple[Trial, ...] = ()
    pending: tuple[Trial, ...] = ()
    failed: tuple[Trial, ...] = ()
    queued: tuple[Params, ...] = field(default=(), hash=False)

    @classmethod
    def of(cls, trials: Iterable[Trial], queued: Iterable[Params] = ()) -> History:
        """Sort trials into a History."""
        groups: dict[str, list[Trial]] = {"completed": [], "pending": [], "failed": []}
        for trial in sorted(trials, key=lambda t: t.number):
            if trial.state is TrialState.RUNNING:
                groups["pending"].append(trial)
            else:
                groups["completed" if trial.values else "failed"].append(trial)
        return cls(**{name: tuple(group) for name, group in groups.items()}, queued=tuple(queued))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number."""
        return tuple(sorted(self.completed + self.pending + self.failed, key=lambda t: t.number))

    def with_pending(self, proposal: Proposal) -> History:
        """The history after a proposal has been handed out; a queued one leaves the queue."""
        trial = Trial(len(self), proposal.params, TrialState.RUNNING, proposal.origin, datetime.min.replace(tzinfo=UTC))
        queued = self.queued[1:] if proposal.origin.source == "user" else self.queued
        return replace(self, pending=(*self.pending, trial), queued=queued)

    def __len__(self) -> int:
        return len(self.completed) + len(self.pending) + len(self.failed)
