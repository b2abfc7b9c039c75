"""The life of a trial up to the moment it is handed out: offered again, or proposed, stored and numbered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridbo import owner
from hybridbo.consult import Consultant
from hybridbo.engine import Engine, Steps
from hybridbo.errors import StoreBusy, TellConflict
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, TrialStore
from hybridbo.trial import History, Outcome, Proposal, Trial, TrialState

_MOST_RACES = 50  # proposals made afresh because another process was faster
_MOST_OFFERS = 5  # a trial whose process keeps dying is offered that often, then it has failed


@dataclass(frozen=True)
class Asker:
    """Hands out the trials of one study.

    Attributes:
        store: Where the study is.
        study: Its name.
        engine: Proposes.
        consultant: Answers the engine's requests; None without a language model.
        seed: Seed of every proposal, together with the trial's number.
    """

    store: TrialStore
    study: str
    engine: Engine
    consultant: Consultant | None
    seed: int

    def next(self, holder: str) -> Trial:
        """A trial for ``holder``: one whose process is gone, else a new one.

        Raises:
            SpaceExhausted: Every configuration of a finite space has been proposed.
        """
        return self._offer_again(holder) or self._create(holder)

    def _offer_again(self, holder: str) -> Trial | None:
        """The earliest RUNNING trial whose process is gone, now the holder's; None if there is none."""
        for trial in self.store.get_trials(self.study):
            if trial.state is not TrialState.RUNNING or not owner.is_gone(trial.owner):
                continue
            if trial.owner != owner.RELEASED and self._is_deadly(trial):
                continue
            taken = self.store.take_over(self.study, trial.number, owner=holder, previous=trial.owner)
            if taken is not None:
                self._note("trial_offered_again", "The process that evaluated it is gone.", trial.number)
                return taken
        return None

    def _is_deadly(self, trial: Trial) -> bool:
        """Whether the trial has outlived its offers; it has failed then: something in it kills the process."""
        events = self.store.get_events(self.study)
        offers = sum(e.kind == "trial_offered_again" and e.trial_number == trial.number for e in events)
        if offers < _MOST_OFFERS:
            return False
        outcome = Outcome(TrialState.FAILED, error=f"the process that evaluated it died {offers + 1} times")
        with contextlib.suppress(TellConflict):  # somebody has told it meanwhile, and that stands
            self.store.finish_trial(self.study, trial.number, outcome)
        return True

    def _create(self, holder: str) -> Trial:
        for _ in range(_MOST_RACES):
            history = History.of(self.store.get_trials(self.study), self.store.get_queue(self.study))
            proposal = self._propose(history)
            key = self.engine.space.key(proposal.params)
            trial = self.store.create_trial(self.study, proposal, key=key, owner=holder, seen=len(history))
            if trial is not None:
                for note in proposal.notes:
                    self._note("fallback", note, trial.number)
                return trial
        raise StoreBusy(f"{_MOST_RACES} proposals in a row were overtaken by other processes.", "Ask again.")

    def _propose(self, history: History) -> Proposal:
        number = len(history)
        steps = self.engine.suggest(history, 1, np.random.default_rng(np.random.SeedSequence([self.seed, number])))
        return run_steps(steps, lambda request: self._answer(request, number))[0]

    def _answer(self, request: ChatRequest, number: int) -> ChatReply | ChatFailure:
        if self.consultant is None:
            return ChatFailure("BackendError", "no language model is set")
        return self.consultant.answer(request, number)

    def _note(self, kind: str, message: str, number: int) -> None:
        self.store.record_event(self.study, Event(kind, message, number))


def run_steps(steps: Steps, answer: Callable[[ChatRequest], ChatReply | ChatFailure]) -> list[Proposal]:
    """Run the engine's generator to its end, answering what it asks."""
    try:
        request = next(steps)
        while True:
            request = steps.send(answer(request))
    except StopIteration as end:
        proposals: list[Proposal] = end.value
        return proposals
