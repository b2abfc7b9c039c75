"""One trial of an Optuna study, from its history to proposed parameters; everything heavy is imported with this."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from hybridbo import knowledge
from hybridbo.asking import run_steps
from hybridbo.backends import get_backend
from hybridbo.consult import Consultant
from hybridbo.engine import Engine
from hybridbo.errors import InvalidParams, InvalidSettings, SpaceExhausted
from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.integrations.growing import answer_growing
from hybridbo.integrations.optuna_checks import refuse_directions, refuse_space
from hybridbo.integrations.optuna_evolution import MOST_MODELLED, POPULATION, Evolution
from hybridbo.integrations.optuna_history import history_of, objective_of, params_of
from hybridbo.integrations.optuna_plan import Plan, plan_of
from hybridbo.integrations.optuna_space import Columns, column_of, given_columns, inside, outside, space_of
from hybridbo.llm.prompts import seed_request
from hybridbo.objective import Objective
from hybridbo.once import Once
from hybridbo.opening import checked_seed
from hybridbo.parameters import Params
from hybridbo.policy import Standing
from hybridbo.ports import ChatBackend, ChatFailure, ChatReply, ChatRequest, Event
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.trial import Origin, Proposal

_logger = logging.getLogger(__name__)
_REMEDY = "Give study.sampler a HybridSampler with another model, or one made after key or address have been changed."
_MOST_ASSUMED = 4  # trials that have just started elsewhere, and have not said yet what they evaluate


@dataclass(frozen=True)
class Asker:
    """What a HybridSampler asks with.

    Attributes:
        settings: How to search.
        task: The user's description.
        backend: The language model; None without one.
        seed: None for the study's own.
        given: What the user gave as ``search_space=``.
    """

    settings: Settings
    task: str
    backend: ChatBackend | None
    seed: int | None
    given: Columns | None
    _told: set[tuple[str, str]] = field(default_factory=set, compare=False)
    _once: Once = field(default_factory=Once, compare=False)

    def warn(self, study: Study, trial: FrozenTrial, note: str) -> None:
        """Log what was given up: a warning the first time, since the same may hold for every trial to come."""
        known = (study.study_name, note) in self._told
        _logger.log(logging.DEBUG if known else logging.WARNING, "trial %d: %s", trial.number, note)
        self._told.add((study.study_name, note))

    def refuse(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        """Refuse trials that do not belong to this study, or to the given search space.

        Raises:
            StudyMismatch: Naming what differs.
        """
        refuse_directions(study, trials)
        if self.given is not None:
            refuse_space(study.study_name, trials, self.given)

    def plan(self, trials: Sequence[FrozenTrial]) -> Plan:
        """What can be sampled together."""
        return plan_of(trials, self.given)

    def seed_of(self, study: Study) -> int:
        """The seed of every proposal: the user's, else the one that the study keeps for all its processes."""
        if self.seed is not None:
            return self.seed
        stored = attrs.study_attrs(study).get(attrs.SEED)
        if not isinstance(stored, int):
            stored = secrets.randbelow(2**32)
            attrs.put_study(study, attrs.SEED, stored)
        return stored

    def seed_for(self, study: Study, trial: FrozenTrial, name: str) -> int:
        """The seed of one parameter that is sampled by itself."""
        words = [self.seed_of(study), trial.number, *name.encode("utf-8", "surrogatepass")]
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    def propose(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution], fixed: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Parameters of the next trial, kept with their origin in its attributes.

        Args:
            study: The study.
            trial: The trial.
            search_space: What is asked for.
            fixed: Optuna's values of parameters that are decided already.
        """
        trials = study.get_trials(deepcopy=False)
        asking = _Asking(self, study, trial, trials, objective_of(study, trials), self.seed_of(study))
        plan = self.plan(trials).also(search_space)
        plan = plan.without({name for name in plan.distributions if name not in search_space and name not in fixed})
        if not plan.groups and plan.columns and (chosen := asking.is_chosen(plan, fixed)):
            asking.keep([Proposal(chosen, Origin("user", "Every parameter was fixed by the user."))])
            return {}
        if len(asking.objective.directions) > MOST_MODELLED:
            evolution = Evolution(study, trial, self.seed_for(study, trial, "NSGA-II"))
            if evolution.generation > 0:
                attrs.put_trial(study, trial, attrs.DELEGATED, "Proposed by NSGA-II: more than three objectives.")
                return evolution.child(trials, search_space)
            asking = replace(asking, n_spread=POPULATION)
        found: dict[str, Any] = {}
        records = []
        for part, columns in enumerate([plan.columns, *plan.groups]):
            if columns:
                proposal = asking.propose(columns, plan.conditions if part == 0 else {}, fixed, part)
                found |= outside(columns, proposal.params)
                records.append(proposal)
        asking.keep(records or [Proposal({}, asking.unknown())])
        return {name: value for name, value in found.items() if name in search_space}

    def consultant(self, study: Study, space: Space, calls: attrs.StudyCalls) -> Consultant | None:
        """Who answers the engine's questions about a space; what was refused for good is not asked again."""
        if self.backend is None:
            return None
        llm = self.settings.llm
        return Consultant(self.backend, calls, study.study_name, space, llm, remedy=_REMEDY, once=self._once)


@dataclass(frozen=True)
class _Asking:
    """Asking for one trial."""

    asker: Asker
    study: Study
    trial: FrozenTrial
    trials: Sequence[FrozenTrial]
    objective: Objective
    seed: int
    n_spread: int = 0  # trials that are spread over the space, in place of a model
    events: list[Event] = field(default_factory=list)

    def propose(self, columns: Columns, conditions: Mapping[str, Any], fixed: Mapping[str, Any], part: int) -> Proposal:
        """Values for the parameters of one space."""
        space = space_of(columns, conditions)
        history, notes = history_of(self.trials, space, columns, self.objective, but=self.trial.number)
        settings = self.asker.settings
        consultant = self._consultant(space) if part == 0 else None
        if len(history) >= settings.seed_trials and self.n_spread:
            settings, consultant = settings.model_copy(update={"seed_trials": self.n_spread}), None
        engine = Engine(
            space,
            self.objective,
            settings,
            self.asker.task,
            consultant is not None,
            self.seed,
            inside(columns, fixed),
        )
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, self.trial.number, *([part] if part else [])]))
        n = 1 + min(self._n_unknown(space, columns), _MOST_ASSUMED)
        if consultant is not None and not len(history):
            consultant.answer(seed_request(space, self.objective, self.asker.task, self.asker.settings), 0)
        try:
            proposals = run_steps(engine.suggest(history, n, rng), lambda request: self._answer(consultant, request))
        except SpaceExhausted:  # Optuna's users ask for a number of trials, and get it
            proposals = [_again(engine, rng)]
        if consultant is not None:
            self._keep_trust(proposals[-1], engine.standing(history))
        return replace(proposals[-1], notes=(*(notes if part == 0 else ()), *proposals[-1].notes))

    def is_chosen(self, plan: Plan, fixed: Mapping[str, Any]) -> Params | None:
        """The configuration that the fixed values are, if they are a whole one."""
        try:
            return space_of(plan.columns, plan.conditions).validate(inside(plan.columns, fixed))
        except InvalidParams:
            return None

    def unknown(self) -> Origin:
        """The origin of a trial that is asked for while nothing is known of the space."""
        if is_first(self.trial, self.trials):
            return Origin("default", "No trial has told the search space yet: every parameter has its default.")
        return Origin("sobol", "No trial had told the search space when this one was asked for: drawn at random.")

    def keep(self, proposals: Sequence[Proposal]) -> None:
        """Write down what is proposed, by whom and why."""
        params: Params = {name: value for proposal in proposals for name, value in proposal.params.items()}
        replies = [event.message for event in self.events if event.kind == "llm_reply"]  # a failure is told in a note
        notes = dict.fromkeys([*replies, *(note for proposal in proposals for note in proposal.notes)])
        for note in notes:
            self.asker.warn(self.study, self.trial, note)
        ways = tuple(way for _, way in self.objective.directions)
        attrs.put_record(self.study, self.trial, attrs.Record(proposals[0].origin, params, tuple(notes), ways))

    def _n_unknown(self, space: Space, columns: Columns) -> int:
        """How many earlier trials run elsewhere and have not said what they evaluate: they are being asked for now."""
        return sum(
            trial.state is State.RUNNING
            and trial.number < self.trial.number
            and not trial.params
            and params_of(trial, space, columns) is None
            for trial in self.trials
        )

    def _consultant(self, space: Space) -> Consultant | None:
        return self.asker.consultant(self.study, space, attrs.StudyCalls(self.study, self.events))

    def _answer(self, consultant: Consultant | None, request: ChatRequest) -> ChatReply | ChatFailure:
        if consultant is None:
            return ChatFailure("BackendError", "no language model is set")
        calls = attrs.StudyCalls(self.study, []).get_calls(self.study.study_name)
        return answer_growing(consultant, calls, request, self.trial.number, self.asker.settings.llm)

    def _keep_trust(self, proposal: Proposal, state: Standing) -> None:
        """Tell in the study's attributes what the LLM has earned so far; it is computed anew for every trial."""
        now = {"llm": state.verdict, "reason": state.reason, "beliefs": list(proposal.trust)}
        before = attrs.study_attrs(self.study).get(attrs.TRUST)
        if before is None or {**before, "trial": None} != {**now, "trial": None}:
            attrs.put_study(self.study, attrs.TRUST, {**now, "trial": self.trial.number})


def _again(engine: Engine, rng: np.random.Generator) -> Proposal:
    """A configuration drawn at random, whether it has been tried or not."""
    space = engine.space
    params = space.decode(space.pin(rng.random((1, len(space))), engine.fixed)[0])
    why = "Every configuration of the search space has been tried: one of them is drawn again"
    return Proposal(params, Origin("sobol", f"{why}."), (why,))


def is_first(trial: FrozenTrial, others: Sequence[FrozenTrial], name: str | None = None) -> bool:
    """Whether no other trial has the parameter (any parameter, without a name), or may be about to get it."""
    for other in others:
        if other.number == trial.number or other.state is State.WAITING:
            continue
        if name in other.params if name else other.params:
            return False
        if other.state is State.RUNNING and other.number < trial.number:
            return False
    return True


def default_value(name: str, distribution: BaseDistribution) -> tuple[Any] | None:
    """Optuna's value of a parameter's default, published or the middle of its range; None if it has none to search."""
    column = column_of(name, distribution)
    if column is None:
        return None
    return (column.outside(knowledge.defaults(Space({name: column.parameter}))[name]),)


def make_asker(
    *,
    task: str | None,
    llm: str | ChatBackend | None,
    seed: int | None,
    search_space: Any,
    settings: Settings | dict[str, Any] | None,
) -> Asker:
    """The Asker of a sampler's arguments.

    Raises:
        UserError: Of the kind that says which argument is wrong, and the remedy.
    """
    if task is not None and not isinstance(task, str):
        raise InvalidSettings(f"task={task!r:.80} is no text.", "Give task as a str.")
    given = None if search_space is None else given_columns(search_space)
    return Asker(Settings.of(settings), task or "", get_backend(llm), checked_seed(seed), given)
