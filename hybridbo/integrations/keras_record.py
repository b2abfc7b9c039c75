"""What a HybridOracle keeps beside KerasTuner's own trials: who proposed each and why, the LLM's calls, events, times.

All of it goes into the ``oracle.json`` of the project, as plain data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from keras_tuner.engine.trial import Trial as KerasTrial
from keras_tuner.engine.trial import TrialStatus

from hybridbo.errors import InvalidParams
from hybridbo.integrations.keras_space import KerasSpace
from hybridbo.objective import SINGLE
from hybridbo.parameters import Params, is_number
from hybridbo.ports import Event, LLMCall
from hybridbo.storage.records import decode_call, encode_call
from hybridbo.stored import UNSETTLED
from hybridbo.trial import History, Origin, Trial, TrialState

_ELSEWHERE = Origin("user", "Proposed by another oracle.")
_DAWN = datetime.min.replace(tzinfo=UTC)


@dataclass
class Record:
    """The memory of an oracle; a Consultant keeps its calls here.

    Attributes:
        origins: Who proposed each trial and why, by KerasTuner's ids.
        started: When each was proposed, UTC.
        ended: When each ended last, UTC.
        events: What befell the search, oldest first.
    """

    origins: dict[str, Origin] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    _calls: list[dict[str, Any]] = field(default_factory=list)

    def transaction(self) -> AbstractContextManager[None]:
        """Nobody else has this record: KerasTuner's workers ask the one oracle of a search."""
        return nullcontext()

    def record_call(self, study: str, call: LLMCall) -> int:  # noqa: ARG002  # the port names the study
        """Keep a call to the language model."""
        self._calls.append({**encode_call(call), "id": len(self._calls)})
        return len(self._calls) - 1

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:  # noqa: ARG002  # as above
        """Put a call in the place of one whose outcome was not known."""
        if not 0 <= number < len(self._calls) or self._calls[number]["error"] != UNSETTLED:
            return False
        self._calls[number] = {**encode_call(call), "id": number}
        return True

    def get_calls(self, study: str = "") -> list[LLMCall]:  # noqa: ARG002  # as above
        """All calls, oldest first."""
        return [decode_call({**row, "id": number}) for number, row in enumerate(self._calls)]

    def get_events(self, study: str = "") -> list[Event]:  # noqa: ARG002  # as above
        """All events, oldest first."""
        return self.events

    def record_event(self, study: str, event: Event) -> None:  # noqa: ARG002  # as above
        """Keep an event."""
        self.events.append(Event(event.kind, event.message, event.trial_number, datetime.now(UTC)))

    def to_data(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "origins": {trial_id: asdict(origin) for trial_id, origin in self.origins.items()},
            "started": {trial_id: at.isoformat() for trial_id, at in self.started.items()},
            "ended": {trial_id: at.isoformat() for trial_id, at in self.ended.items()},
            "events": [{**asdict(event), "at": event.at and event.at.isoformat()} for event in self.events],
            "calls": self._calls,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """What :meth:`to_data` wrote."""
        return cls(
            {trial_id: Origin(**origin) for trial_id, origin in data["origins"].items()},
            {trial_id: datetime.fromisoformat(at) for trial_id, at in data["started"].items()},
            {trial_id: datetime.fromisoformat(at) for trial_id, at in data["ended"].items()},
            [Event(**{**event, "at": event["at"] and datetime.fromisoformat(event["at"])}) for event in data["events"]],
            list(data["calls"]),
        )

    def history(self, trials: Iterable[KerasTrial], space: KerasSpace) -> tuple[History, list[str]]:
        """What the engine is told.

        Args:
            trials: KerasTuner's, in the order in which they were started.
            space: What is searched.

        Returns:
            The history, and what could not be used of it, one sentence each.
        """
        out, notes = [], []
        for number, trial in enumerate(trials):
            try:
                params = space.to_params(trial.hyperparameters.values)
            except InvalidParams as error:
                notes.append(f"Trial {trial.trial_id} is left out: {error.message}")
                continue
            out.append(self._trial(number, trial, params))
        return History.of(out), notes

    def _trial(self, number: int, trial: KerasTrial, params: Params) -> Trial:
        key = trial.trial_id
        state = _STATES.get(trial.status, TrialState.FAILED)
        if state.is_finished and state is not TrialState.FAILED and not is_number(trial.score):
            state = TrialState.FAILED  # an infinite score; KerasTuner itself turns NaN into a failure
        has_value = state in (TrialState.COMPLETE, TrialState.PRUNED)
        is_timed = state.is_finished and key in self.ended and key in self.started
        return Trial(
            number,
            params,
            state,
            self.origins.get(key, _ELSEWHERE),
            self.started.get(key, _DAWN),
            value=float(trial.score) if has_value else None,
            values={SINGLE: float(trial.score)} if has_value else {},
            finished_at=self.ended[key] if is_timed else None,
        )


def damaged(folder: str, state: str) -> str:
    """The first file of a project that is no JSON; ``state`` where all of them are."""
    for path in sorted(Path(folder).glob("trial_*/trial.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return str(path)
    return state


_STATES = {
    TrialStatus.RUNNING: TrialState.RUNNING,
    TrialStatus.IDLE: TrialState.RUNNING,
    TrialStatus.COMPLETED: TrialState.COMPLETE,
    TrialStatus.STOPPED: TrialState.PRUNED,
    TrialStatus.INVALID: TrialState.RUNNING,  # it will be run again
    TrialStatus.FAILED: TrialState.FAILED,
}
