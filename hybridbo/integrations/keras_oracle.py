"""HybridOracle: the search of KerasTuner's tuners, its conditional scopes and its project folders included."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as KerasTrial
from keras_tuner.engine.trial import TrialStatus

from hybridbo.asking import run_steps
from hybridbo.backends import get_backend
from hybridbo.consult import Consultant, LLMUsage
from hybridbo.engine import Engine
from hybridbo.errors import InvalidSettings, SpaceExhausted, StoreCorrupt, StudyMismatch, UserError, describe_error
from hybridbo.integrations.fallback import fill_in
from hybridbo.integrations.growing import answer_growing
from hybridbo.integrations.keras_record import Record, damaged
from hybridbo.integrations.keras_space import KerasSpace, differences
from hybridbo.objective import Objective
from hybridbo.opening import checked_seed
from hybridbo.ports import ChatBackend, ChatFailure, ChatReply, ChatRequest, Event
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.trial import History, Origin, Proposal

_logger = logging.getLogger(__name__)
_STATE = "hybridbo"  # the key of what is ours in KerasTuner's state
_NO_SPACE = "No hyperparameter is known yet: every one has its default."
_REMEDY = "Go on with the project with another model, or once key or address have been changed."
_ANEW = "Give another project_name, or overwrite=True to begin anew."


class HybridOracle(keras_tuner.Oracle):
    """Searches with hybridbo inside KerasTuner: ``keras_tuner.Tuner(oracle=HybridOracle(...), hypermodel=...)``.

    Args:
        objective: As for every oracle: a name, a ``keras_tuner.Objective``, or a list of them, which are added up.
        max_trials: How many trials there are at most; None for no limit but the space's.
        task: What is tuned, on which data, by which metric: the language model's ground to stand on.
        llm: ``"auto"``, None, ``"openai:MODEL"``, ``"replay:FILE"``, or a ChatBackend.
        seed: Seed of every proposal; None draws one, which the project keeps.
        settings: Settings, or a dict of them.
        hyperparameters: As for every oracle: what is declared in advance, or in place of what the model declares.
        tune_new_entries: Whether what the model declares beyond that is searched.
        allow_new_entries: Whether the model may declare anything beyond that.
        max_retries_per_trial: How often a trial that crashed is run again.
        max_consecutive_failed_trials: How many failed trials in a row end the search.

    Raises:
        UserError: Of the kind that says which argument is wrong, and the remedy.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        task: str | None = None,
        llm: str | ChatBackend | None = "auto",
        seed: int | None = None,
        settings: Settings | dict[str, Any] | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        if task is not None and not isinstance(task, str):
            raise InvalidSettings(f"task={task!r:.80} is no text.", "Give task as a str.")
        seed = checked_seed(seed)
        self._settings = Settings.of(settings)
        self._task, self._backend = task or "", get_backend(llm)
        self._record = Record()
        self._told: set[str] = set()
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if seed == 0:
            self.seed = self._seed_state = 0  # KerasTuner draws one instead
        self._declared = list(hyperparameters.space) if hyperparameters else []

    # What is known -----------------------------------------------------------------------------------------------

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Who proposed each trial, and why, by its id."""
        return dict(self._record.origins)

    @property
    def events(self) -> Sequence[Event]:
        """What befell the search: fall-backs, failures of the LLM; oldest first."""
        return list(self._record.events)

    @property
    def llm_usage(self) -> LLMUsage:
        """Calls, tokens, cost, rejected and repaired parts of replies, over the whole project."""
        space = KerasSpace.of(self.hyperparameters.space).space
        return LLMUsage() if space is None else LLMUsage.of(self._record.get_calls(), space)

    # What KerasTuner calls ---------------------------------------------------------------------------------------

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for a trial.

        Returns:
            ``{"status": ..., "values": ...}``: RUNNING with a value for every active hyperparameter; STOPPED when every
            configuration has been a trial; IDLE while nothing is known yet of the space and the first trial runs.

        Raises:
            InvalidSpace: A hyperparameter cannot be searched.
        """
        try:
            return self._populate(trial_id)
        except SpaceExhausted as error:
            self._record.record_event("", Event("space_exhausted", error.message))
            return {"status": TrialStatus.STOPPED, "values": None}
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001  # never fatal: KerasTuner can draw at random itself
            values = self._random_values()
            if values is None:
                return {"status": TrialStatus.STOPPED, "values": None}
            note = f"The engine failed ({describe_error(error)}); drawn at random."
            self._keep(trial_id, Proposal({}, Origin("sobol", note), (note,)))
            return {"status": TrialStatus.RUNNING, "values": values}

    @keras_tuner.synchronized  # type: ignore[untyped-decorator]  # KerasTuner ships no types
    def end_trial(self, trial: KerasTrial) -> None:
        """Note when a trial ended, and do what every oracle does."""
        self._record.ended[trial.trial_id] = datetime.now(UTC)
        super().end_trial(trial)

    def get_state(self) -> dict[str, Any]:
        """The state of every oracle, and what is told of each trial's origin, of the LLM's calls and of events."""
        objective = {"name": self.objective.name, "direction": self.objective.direction}
        return {**super().get_state(), _STATE: {**self._record.to_data(), "objective": objective}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with a project. One of another oracle may be taken over: its trials are learned from.

        Raises:
            StudyMismatch: The project has another objective, or other hyperparameters than those given.
        """
        ours = state.get(_STATE)
        saved = keras_tuner.HyperParameters.from_config(copy.deepcopy(state["hyperparameters"]))  # eats its argument
        rows = differences(saved.space, self._declared)
        if ours is not None:
            rows += _changes(ours["objective"], self.objective)
        if rows:
            raise StudyMismatch(f"the project in {self._project_dir!r} differs: {'; '.join(rows)}.", _ANEW)
        super().set_state(state)
        if ours is not None:
            self._record = Record.from_data(ours)

    def reload(self) -> None:
        """Go on with the project in the folder.

        Raises:
            StudyMismatch: As :meth:`set_state`.
            StoreCorrupt: A file of it cannot be read, or is none of KerasTuner's.
        """
        try:
            super().reload()
        except UserError:
            raise
        except Exception as error:  # whatever reading a damaged file raises
            path = damaged(self._project_dir, self._get_oracle_fname())
            remedy = f"Restore it from a backup. {_ANEW}"
            raise StoreCorrupt(f"{path} cannot be read ({describe_error(error)}).", remedy) from error

    # Inside ------------------------------------------------------------------------------------------------------

    def _record_values(self, trial: KerasTrial) -> None:
        """Keep values whose names are declared in an inactive scope too: KerasTuner takes those away (1.4.8 does)."""
        values = dict(trial.hyperparameters.values)
        super()._record_values(trial)
        trial.hyperparameters.values.update(values)

    def _populate(self, trial_id: str) -> dict[str, Any]:
        known = KerasSpace.of(self.hyperparameters.space)
        if known.space is None:
            return self._without_space(trial_id, known)
        trials = [self.trials[key] for key in self.start_order]
        history, notes = self._record.history(trials, known)
        proposal = self._propose(known.space, history, len(trials))
        self._keep(trial_id, proposal, notes)
        return {"status": TrialStatus.RUNNING, "values": known.to_values(proposal.params)}

    def _without_space(self, trial_id: str, known: KerasSpace) -> dict[str, Any]:
        """There is nothing to search: one trial, which may declare something."""
        if self.ongoing_trials:
            return {"status": TrialStatus.IDLE}
        if self.trials:
            raise SpaceExhausted("no hyperparameter has more than one value.", "Declare some in the model.")
        self._keep(trial_id, Proposal({}, Origin("default", _NO_SPACE)))
        return {"status": TrialStatus.RUNNING, "values": known.to_values({})}

    def _propose(self, space: Space, history: History, number: int) -> Proposal:
        objective = Objective.of("maximize" if self.objective.direction == "max" else "minimize")
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, number]))
        engine = Engine(space, objective, self._settings, self._task, self._backend is not None, self.seed)

        def answer(request: ChatRequest) -> ChatReply | ChatFailure:
            if self._backend is None:
                return ChatFailure("BackendError", "no language model is set")
            llm = self._settings.llm
            consultant = Consultant(self._backend, self._record, "", space, llm, remedy=_REMEDY)
            return answer_growing(consultant, self._record.get_calls(), request, number, llm)

        try:
            return run_steps(engine.suggest(history, 1, rng), answer)[0]
        except SpaceExhausted:
            raise
        except Exception as error:  # noqa: BLE001  # never fatal: whatever the engine does, the search goes on
            return fill_in(space, history, self.seed, error)

    def _keep(self, trial_id: str, proposal: Proposal, notes: Sequence[str] = ()) -> None:
        """Write down who proposed a trial and why, and what had to be given up on the way."""
        self._record.origins[trial_id] = proposal.origin
        self._record.started[trial_id] = datetime.now(UTC)
        for note in (*notes, *proposal.notes):
            if note not in self._told:
                _logger.warning("trial %s: %s", trial_id, note)
                self._told.add(note)
            self._record.record_event("", Event("fallback", note, len(self.start_order)))


def _changes(saved: Mapping[str, str], objective: Any) -> list[str]:
    """What is another objective than the project's, one sentence each."""
    now = {"name": objective.name, "direction": objective.direction}
    return [f"the objective's {key} was {saved[key]!r}, now {now[key]!r}" for key in saved if saved[key] != now[key]]
