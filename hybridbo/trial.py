"""Trials, proposals and what is known of them: the values that travel between engine, store and user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from hybridbo.errors import InvalidState
from hybridbo.findings import Finding
from hybridbo.parameters import Params

Source = Literal["user", "default", "llm", "sobol", "gp"]


class TrialState(StrEnum):
    """Where a trial stands. A value belongs to COMPLETE, and to PRUNED as the last one seen; to no other state.

    A RUNNING trial whose lease has run out is STALE: its worker is taken for lost, but may still tell it.
    """

    RUNNING = "RUNNING"
    STALE = "STALE"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    PRUNED = "PRUNED"

    @property
    def is_finished(self) -> bool:
        """Whether the trial has ended, in whichever way."""
        return self not in (TrialState.RUNNING, TrialState.STALE)


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
        lasting: Those of the notes that hold for later trials as well (a reply without a usable configuration): one
            event tells of them, not one for every trial.
    """

    params: Params = field(hash=False)
    origin: Origin
    notes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()


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


class Diary(Protocol):
    """The training log of one trial."""

    def log(self, step: float | None, metrics: Mapping[str, float]) -> bool:
        """Add the values of a step; whether the trial is still the worker's."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """What the log shows."""
        ...


@dataclass(frozen=True)
class Trial:
    """One evaluation of the objective, as the store holds it.

    Attributes:
        number: 0, 1, 2, ... in the order of creation, without gaps within a study.
        params: The active parameters.
        state: RUNNING, STALE, COMPLETE, FAILED or PRUNED.
        origin: Who proposed it, and why.
        value: The value of the only objective; None while there is none, and with several objectives.
        values: Every value told, by name.
        error: Why it failed; None otherwise.
        started_at: When it was created, UTC.
        finished_at: When it was told or failed, UTC; None while RUNNING or STALE.
        owner: Which process holds it while RUNNING; see :mod:`hybridbo.owner`.
        attempt: How often it was handed out before: 0 for its first worker, 1 after it was offered again, ...
        lost: How many of these workers were lost, and did not give it back.
        lease_until: Until when its worker holds it without a further heartbeat, UTC; None for as long as it takes.
        heart: What :meth:`heartbeat` calls; a copy that travels to another process leaves it behind.
        diary: Where :meth:`log` writes, likewise.
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
    attempt: int = 0
    lost: int = 0
    lease_until: datetime | None = None
    heart: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    diary: Diary | None = field(default=None, repr=False, compare=False)

    def heartbeat(self) -> bool:
        """Tell the store that this trial is still being evaluated, which extends its lease.

        Returns:
            Whether the trial is still this worker's. False: its lease had run out and another worker has been given
            it, or it has ended; a value told now may come too late.

        Raises:
            InvalidState: This copy did not come from ``ask()`` in this process.
            StoreError: The store cannot be written.
        """
        if self.heart is None:
            hint = "Call opt.heartbeat(trial) on an Optimizer of this process."
            raise InvalidState(f"this copy of trial {self.number} is not what ask() returned in this process.", hint)
        return self.heart()

    def log(self, /, step: float | None = None, **metrics: float) -> bool:
        """Keep what the training says of itself: ``trial.log(step=3, train_loss=0.41, val_loss=0.52)``.

        Curves are judged (:attr:`findings`), shown by ``hybridbo show`` and told to the language model when it is
        consulted. A value that is not finite is kept as evidence of a divergence; the trial goes on. Points are written
        at most once a second, and each write counts as a :meth:`heartbeat`; long curves are thinned, see
        :mod:`hybridbo.traininglog`.

        Args:
            step: An epoch, a batch, a fraction of an epoch: 0 or more; by default one more than the last. A value that
                is logged again at the same step replaces the first.
            **metrics: Numbers by any name. ``train`` and ``val`` in it tell of which data, ``loss``, ``error``,
                ``accuracy`` or the like whether it ought to fall or to rise.

        Returns:
            Whether the trial is still this worker's, as :meth:`heartbeat` does; nothing is kept of one that is not.

        Raises:
            InvalidValue: A step or a value that is no number.
            InvalidState: This copy did not come from ``ask()`` in this process.
        """
        return self._diary().log(step, metrics)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What its training log shows, such as overfitting or a plateau, each with its evidence; empty without a log.

        Raises:
            InvalidState: This copy did not come from an Optimizer of this process.
            StoreError: The store cannot be read.
        """
        return self._diary().findings()

    def _diary(self) -> Diary:
        if self.diary is None:
            hint = "Call opt.log(trial, ...) or opt.findings(trial) on an Optimizer of this process."
            raise InvalidState(f"this copy of trial {self.number} did not come from an Optimizer here.", hint)
        return self.diary

    def copied(self, diary: Diary | None = None) -> Trial:
        """The same with dicts of its own, which may be changed."""
        return Trial(
            self.number,
            dict(self.params),
            self.state,
            self.origin,
            self.started_at,
            self.value,
            dict(self.values),
            self.error,
            self.finished_at,
            self.owner,
            self.attempt,
            self.lost,
            self.lease_until,
            self.heart,
            diary or self.diary,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "heart": None, "diary": None}  # they hold a store, which cannot travel

    @property
    def duration_s(self) -> float | None:
        """Seconds between start and end; None while there is no end."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


@dataclass(frozen=True)
class Digest:
    """What would otherwise be counted over all trials of a history, one by one.

    Attributes:
        keys: ``Space.key`` of each; a set that may grow, so look up in it and do not walk through it.
        n_sobol: How many are Sobol points.
        n_keyed: The keys are those of the first so many trials; the store has yet to compare the others.
    """

    keys: AbstractSet[str] = field(hash=False)
    n_sobol: int
    n_keyed: int


@dataclass(frozen=True)
class History:
    """What the engine is told of a study: trials apart by what can be learned from them, each in order of number.

    Attributes:
        completed: COMPLETE trials, and PRUNED ones that reported a value.
        pending: RUNNING and STALE trials.
        failed: FAILED trials, and PRUNED ones without a value.
        queued: Configurations that the user has enqueued and nobody has taken yet, oldest first.
        digest: Counts over all trials, from whoever has kept them; None leaves the counting to the engine.
        findings: Reads what the training logs show, by number of the trial; None where there are none.
    """

    completed: tuple[Trial, ...] = ()
    pending: tuple[Trial, ...] = ()
    failed: tuple[Trial, ...] = ()
    queued: tuple[Params, ...] = field(default=(), hash=False)
    digest: Digest | None = field(default=None, compare=False, repr=False)
    findings: Callable[[], Mapping[int, Sequence[Finding]]] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, trials: Iterable[Trial], queued: Iterable[Params] = ()) -> History:
        """Sort trials into a History."""
        groups: dict[str, list[Trial]] = {"completed": [], "pending": [], "failed": []}
        for trial in sorted(trials, key=lambda t: t.number):
            if not trial.state.is_finished:
                groups["pending"].append(trial)
            else:
                groups["completed" if trial.values else "failed"].append(trial)
        completed, pending, failed = (tuple(groups[name]) for name in ("completed", "pending", "failed"))
        return cls(completed, pending, failed, tuple(queued))

    def digested(self, key: Callable[[Params], str]) -> Digest:
        """The digest; counted if nobody has kept it. ``key`` is ``Space.any_key``."""
        if self.digest is not None:
            return self.digest
        trials = (*self.completed, *self.pending, *self.failed)
        keys = {key(trial.params) for trial in trials}
        return Digest(keys, sum(trial.origin.source == "sobol" for trial in trials), len(trials))

    def with_pending(self, proposal: Proposal) -> History:
        """The same with a proposal as one more pending trial."""
        start = datetime.min.replace(tzinfo=UTC)
        trial = Trial(len(self), proposal.params, TrialState.RUNNING, proposal.origin, start)
        queued = self.queued[1:] if proposal.origin.source == "user" else self.queued
        return History(self.completed, (*self.pending, trial), self.failed, queued, findings=self.findings)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number."""
        return tuple(sorted(self.completed + self.pending + self.failed, key=lambda t: t.number))

    def __len__(self) -> int:
        return len(self.completed) + len(self.pending) + len(self.failed)
