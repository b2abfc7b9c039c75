"""The life of a trial up to the moment it is handed out: offered again, or proposed, stored and numbered."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np

from hybridbo import leases, owner
from hybridbo.altering import Completion, check_unaltered
from hybridbo.awaiting import Gate
from hybridbo.consult import Consultant
from hybridbo.engine import Engine
from hybridbo.errors import InvalidSettings, StoreBusy, TellConflict
from hybridbo.findings import Finding
from hybridbo.journal import Journal
from hybridbo.ledger import Ledger
from hybridbo.once import Once
from hybridbo.parameters import Choice
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, TrialStore
from hybridbo.trial import History, Outcome, Proposal, Trial, TrialState

T = TypeVar("T")

_MOST_RACES = 50  # proposals made afresh because another process was faster
_MOST_RANKS = 4  # that a process which has lost its races gives way by
_LONGEST_REQUEST = 200


@dataclass(frozen=True)
class Holder:
    """Who asks.

    Attributes:
        owner: The process, as in :mod:`hybridbo.owner`.
        lease_s: For how many seconds it holds the trial without a heartbeat; None for as long as it takes.
        request_id: The same trial is given to whoever asks under that id; None for a trial of its own.
        gate: Entered before a trial is stored for it; closed when it waits no longer.
    """

    owner: str
    lease_s: float | None = None
    request_id: str | None = None
    gate: Gate = field(default_factory=Gate, compare=False)


@dataclass(frozen=True)
class Asker:
    """Hands out the trials of one study.

    Attributes:
        store: Where the study is.
        study: Its name.
        engine: Proposes.
        consultant: Answers the engine's requests; None without a language model.
        seed: Seed of every proposal, together with the trial's number.
        ledger: What is known of the study's trials.
        space_text: The space as it is stored.
        once: Which lasting notes have been told.
        added: Parameters that the space has gained, and the value that stands for each in the trials before it.
        journal: Its training logs.
        completion: Gives it to them.
    """

    store: TrialStore
    study: str
    engine: Engine
    consultant: Consultant | None
    seed: int
    added: Mapping[str, Choice] = field(default_factory=dict)
    journal: Journal = None  # type: ignore[assignment]  # made below where none is given
    completion: Completion = field(init=False, repr=False, compare=False)
    ledger: Ledger = field(init=False, repr=False, compare=False)
    space_text: str = field(init=False, repr=False, compare=False)
    once: Once = field(default_factory=Once, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "journal", Journal(self.store, self.study) if self.journal is None else self.journal)
        object.__setattr__(self, "completion", Completion(self.engine.space, self.added))
        object.__setattr__(self, "space_text", self.engine.space.to_json())
        object.__setattr__(self, "ledger", Ledger(self.study, self.engine.space.any_key, self.completion.trial))

    def next(self, holder: Holder) -> Trial:
        """A trial for ``holder``: that of its request, else one whose worker is lost, else a new one.

        Raises:
            SpaceExhausted: Every configuration of a finite space has been proposed.
            StudyMismatch: Another process has altered the space.
        """
        holder.gate.check()
        self.check_space()
        if self.consultant is not None:
            self.consultant.begin()
        trial = self._requested(holder) or self._offer_again(holder) or self._create(holder)
        mine = replace(self.completion.trial(trial), heart=self.heart(trial, holder.lease_s))
        return replace(mine, diary=self.journal.page(mine))

    def check_space(self) -> None:
        """See that nobody has altered the space: whoever evaluates here may know nothing of a new parameter.

        Raises:
            StudyMismatch: Somebody has.
        """
        stored = self.store.get_study(self.study).space
        if stored != self.space_text:  # else as it nearly always is
            check_unaltered(stored, self.engine.space, self.study)

    def heart(self, trial: Trial, lease_s: float | None) -> leases.Heart:
        """What sends the heartbeats of a trial."""
        return leases.Heart(self.store, self.study, trial.number, trial.owner, trial.attempt, lease_s)

    @property
    def n_started(self) -> int:
        """How many trials there are that nobody has to be offered again."""
        known = self.ledger.unfinished(self.store)
        gone = _Roll()
        return self.ledger.n_trials - sum(self._waits(trial, gone) for trial in known)

    # Requests ----------------------------------------------------------------------------------------------------

    def _requested(self, holder: Holder) -> Trial | None:
        """The trial that was given to the same request, now the holder's if its worker is lost; None if there is none.

        Raises:
            InvalidSettings: An id that is no text.
        """
        if holder.request_id is None:
            return None
        trial = self.store.find_request(self.study, _checked(holder.request_id))
        if trial is None or trial.state.is_finished:
            return trial
        if trial.state is TrialState.RUNNING and not owner.is_gone(trial.owner) and not leases.has_run_out(trial):
            return trial
        return self._hand_over(trial, holder, "The same request asked for it again.") or self.store.get_trial(
            self.study, trial.number
        )

    def _bound(self, trial: Trial, holder: Holder) -> Trial:
        """``trial``, bound to the holder's request; within a transaction that has found the request free."""
        if holder.request_id is not None:
            self.store.bind_request(self.study, holder.request_id, trial.number)
        return trial

    # Lost workers ------------------------------------------------------------------------------------------------

    def _offer_again(self, holder: Holder) -> Trial | None:
        """The earliest unfinished trial whose worker is lost, now the holder's; None if there is none."""
        gone = _Roll()
        for trial in self.ledger.unfinished(self.store):
            if not self._waits(trial, gone):
                if leases.has_run_out(trial):  # its offers are used up
                    self._expire(trial)
                continue
            is_gone = gone.has(trial.owner)
            if is_gone and trial.owner != owner.RELEASED and self._is_deadly(trial):
                continue
            why = _GIVEN_BACK if trial.owner == owner.RELEASED else _GONE if is_gone else _RUN_OUT
            held = trial if is_gone else self._expire(trial) or trial
            taken = self._hand_over(held, holder, why)
            if taken is not None:
                return taken
        return None

    def _waits(self, trial: Trial, gone: _Roll) -> bool:
        """Whether an unfinished trial is to be offered to somebody, or has failed since it killed its workers."""
        if gone.has(trial.owner):
            return True
        is_lost = trial.state is TrialState.STALE or leases.has_run_out(trial)
        return is_lost and trial.lost < self.engine.settings.store.offers

    def _expire(self, trial: Trial) -> Trial | None:
        """The trial as STALE; None if it was so already, or somebody was faster."""
        with self.store.transaction():
            stale = self.store.expire_lease(self.study, trial.number)
            if stale is not None:
                self._note("trial_stale", "Its lease ran out: its worker is taken for lost.", trial.number)
        return stale

    def _hand_over(self, trial: Trial, holder: Holder, why: str) -> Trial | None:
        """The trial as the holder's; None if somebody was faster."""
        with self.store.transaction():
            other = None if holder.request_id is None else self.store.find_request(self.study, holder.request_id)
            if other is not None and other.number != trial.number:  # the same request, from elsewhere
                return other
            holder.gate.enter()
            taken = self.store.take_over(
                self.study,
                trial.number,
                owner=holder.owner,
                previous=trial.owner,
                attempt=trial.attempt,
                lost=trial.owner != owner.RELEASED,
                lease_s=holder.lease_s,
            )
            if taken is None:
                return None
            self._note("trial_offered_again", why, trial.number)
            return self._bound(taken, holder)

    def _is_deadly(self, trial: Trial) -> bool:
        """Whether the trial has outlived its offers; it has failed then: something in it kills the process."""
        if trial.lost < self.engine.settings.store.offers:
            return False
        times = f"{trial.lost + 1} time{'s' if trial.lost else ''}"
        outcome = Outcome(TrialState.FAILED, error=f"the process that evaluated it died {times}")
        with contextlib.suppress(TellConflict):  # somebody has told it meanwhile, and that stands
            self.store.finish_trial(self.study, trial.number, outcome)
        return True

    # New trials --------------------------------------------------------------------------------------------------

    def _create(self, holder: Holder) -> Trial:
        if self.engine.is_quick(self.ledger.history(None)):
            # processes that propose the same Sobol point would race for it: they do so one after the other
            with self.store.transaction():
                history = self._history(in_haste=True)
                if self.engine.is_quick(history):
                    trial = self._store(self._propose(history, _NO_CHANCE), holder, history)
                    if trial is not None:
                        return trial
        for race in range(_MOST_RACES):
            history = self._history()
            proposal = self._propose(history, self._chance(len(history), race), 1 + race // 2)
            with self.store.transaction():
                trial = self._store(proposal, holder, history)
            if trial is not None:
                return trial
        raise StoreBusy(f"{_MOST_RACES} proposals in a row were overtaken by other processes.", "Ask again.")

    def _store(self, proposal: Proposal, holder: Holder, history: History) -> Trial | None:
        """The new trial, with what is to be noted of it; None if somebody was faster; within a transaction."""
        if holder.request_id is not None and (other := self.store.find_request(self.study, holder.request_id)):
            return other  # the same request, from elsewhere
        holder.gate.enter()
        key, seen = self.engine.space.key(proposal.params), history.digested(self.engine.space.any_key).n_keyed
        trial = self.store.create_trial(
            self.study, proposal, key=key, owner=holder.owner, seen=seen, lease_s=holder.lease_s
        )
        if trial is None:
            return None
        for note in proposal.notes:
            if note not in proposal.lasting or self.once.is_news(self.store, self.study, "fallback", note):
                self._note("fallback", note, trial.number)
        return self._bound(trial, holder)

    def _history(self, *, in_haste: bool = False) -> History:
        history = self.ledger.history(self.store, self.store.get_queue(self.study, limit=1), in_haste=in_haste)
        if self.consultant is None or self.engine.settings.llm.consult == "never":
            return history
        return replace(history, findings=self.findings)

    def findings(self) -> dict[int, tuple[Finding, ...]]:
        """What the training logs show, by number, of the trials that have one."""
        return self.journal.all_findings(self.ledger.trials(self.store))

    def _chance(self, number: int, race: int) -> np.random.Generator:
        """The random numbers of a proposal: those of its number, and others each time that somebody was faster.

        Processes that know the same propose the same. All but one of them lose, and would lose again side by side.
        """
        own = (race, os.getpid(), threading.get_ident()) if race else ()
        return np.random.default_rng(np.random.SeedSequence([self.seed, number, *own]))

    def _propose(self, history: History, chance: np.random.Generator, rank: int = 1) -> Proposal:
        """A proposal; one behind the first where others are about to take that."""
        number = len(history)
        steps = self.engine.suggest(history, min(rank, _MOST_RANKS), chance)
        return run_steps(steps, lambda request: self._answer(request, number))[-1]

    def _answer(self, request: ChatRequest, number: int) -> ChatReply | ChatFailure:
        if self.consultant is None:
            return ChatFailure("BackendError", "no language model is set")
        return self.consultant.answer(request, number)

    def _note(self, kind: str, message: str, number: int) -> None:
        self.store.record_event(self.study, Event(kind, message, number))


class _NoChance:
    """Stands for the random generator where none is used, which takes longer to make than the rest of a proposal."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a quick proposal asked for rng.{name}")


_NO_CHANCE = cast("np.random.Generator", _NoChance())
_GONE = "The process that evaluated it is gone."
_GIVEN_BACK = "It was given back."
_RUN_OUT = "Its lease had run out."


class _Roll:
    """Which owners are gone, each looked at once."""

    def __init__(self) -> None:
        self._gone: dict[str | None, bool] = {}

    def has(self, name: str | None) -> bool:
        if name not in self._gone:
            self._gone[name] = owner.is_gone(name)
        return self._gone[name]


def _checked(request_id: object) -> str:
    """The id of a request.

    Raises:
        InvalidSettings: Not a text, empty, too long, or not to be written as UTF-8.
    """
    hint = f"Give a text of 1 to {_LONGEST_REQUEST} characters that is the same when the request is repeated."
    if not isinstance(request_id, str) or not 0 < len(request_id) <= _LONGEST_REQUEST:
        raise InvalidSettings(f"request_id={request_id!r:.80} is no id.", hint)
    try:
        request_id.encode()
    except UnicodeEncodeError:
        raise InvalidSettings(f"request_id={request_id!r:.80} cannot be written as UTF-8.", hint) from None
    return request_id


def run_steps(
    steps: Generator[ChatRequest, ChatReply | ChatFailure, T], answer: Callable[[ChatRequest], ChatReply | ChatFailure]
) -> T:
    """Run a generator of the engine's to its end, answering what it asks."""
    try:
        request = next(steps)
        while True:
            request = steps.send(answer(request))
    except StopIteration as end:
        result: T = end.value
        return result
