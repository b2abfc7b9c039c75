"""The reference implementation of a trial store: what each method means, without a database.

It keeps rows, coded as they are in a file: nothing handed out can change what is stored, and every value that a file
would refuse or normalise is refused or normalised here as well. Threads may share it; processes cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from hybridbo.parameters import Params
from hybridbo.ports import Event, LLMCall, StudyRecord
from hybridbo.storage import faults, rows, texts
from hybridbo.trial import Outcome, Proposal, Trial, TrialState


@dataclass
class _Study:
    """One study: rows, each list in the order of its making; ``keys[i]`` is the key of ``trials[i]``."""

    record: rows.Row
    trials: list[rows.Fields] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    queue: list[tuple[str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    events: list[rows.Row] = field(default_factory=list)


class MemoryStore:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}
        self._lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        """What is stored, without the lock: a store in memory may be pickled, and is another one where it arrives."""
        with self._lock:
            return {"_studies": deepcopy(self._studies)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    @property
    def location(self) -> str:
        """``":memory:"``."""
        return ":memory:"

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = rows.encode_study(record)
        with self._lock:
            return rows.decode_study(self._studies.setdefault(record.name, _Study(row)).record)

    def get_study(self, study: str) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return rows.decode_study(self._get(study).record)

    def list_studies(self) -> list[StudyRecord]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [rows.decode_study(study.record) for study in self._studies.values()]

    def create_trial(self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        content, key = rows.encode_proposal(proposal), texts.clean(key)
        with self._lock:
            data = self._get(study)
            if key in data.keys[seen:]:
                return None
            if proposal.origin.source == "user":
                queued = next((i for i, (other, _) in enumerate(data.queue) if other == key), None)
                if queued is None:
                    return None
                del data.queue[queued]
            data.trials.append(rows.new_trial(len(data.trials), content, owner))
            data.keys.append(key)
            return rows.decode_trial(data.trials[-1])

    def take_over(self, study: str, number: int, *, owner: str, previous: str | None) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            trials, trial = self._get(study).trials, self._trial(study, number)
            if trial["state"] != TrialState.RUNNING or trial["owner"] != (previous and texts.clean(previous)):
                return None
            trials[number] = tuple({**trial, "owner": texts.clean(owner)}.values())
            return rows.decode_trial(trials[number])

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        outcome = rows.settled(outcome)
        state, value, values, error = rows.encode_outcome(outcome)
        with self._lock:
            trials, trial = self._get(study).trials, self._trial(study, number)
            if trial["state"] == TrialState.RUNNING:
                end = {"state": state, "value": value, "values_json": values, "error": error}
                trials[number] = tuple({**trial, **end, "finished_at": texts.encode_time(texts.now())}.values())
            stored = rows.decode_trial(trials[number])
        if not rows.is_same_outcome(stored, outcome):
            raise faults.tell_conflict(study, stored, outcome)
        return stored

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            data = self._get(study)
            added = [rows.added_trial(number, trial) for number, trial in enumerate(trials, start=len(data.trials))]
            data.keys += [texts.clean(key) for _, key in zip(added, keys, strict=True)]
            data.trials += added
        return [rows.decode_trial(row) for row in added]

    def get_trials(self, study: str) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            trials = list(self._get(study).trials)
        return [rows.decode_trial(row) for row in trials]

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        text, key = texts.encode_params(params), texts.clean(key)
        with self._lock:
            data = self._get(study)
            if key in data.keys or any(key == other for other, _ in data.queue):
                return False
            data.queue.append((key, text))
            return True

    def get_queue(self, study: str) -> list[Params]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [texts.decode_params(text) for _, text in self._get(study).queue]

    def record_call(self, study: str, call: LLMCall) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = rows.encode_call(call)
        with self._lock:
            self._get(study).calls.append(row)

    def get_calls(self, study: str) -> list[LLMCall]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [rows.decode_call(row) for row in self._get(study).calls]

    def record_event(self, study: str, event: Event) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = rows.encode_event(event)
        with self._lock:
            self._get(study).events.append(row)

    def get_events(self, study: str) -> list[Event]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [rows.decode_event(row) for row in self._get(study).events]

    def close(self) -> None:
        """Nothing to release: what is stored stays readable."""

    def _get(self, study: str) -> _Study:
        try:
            return self._studies[study]
        except KeyError:
            raise faults.study_not_found(study, self.location, list(self._studies)) from None

    def _trial(self, study: str, number: int) -> dict[str, Any]:
        trials = self._get(study).trials
        n = rows.trial_number(number)
        if n is None or n >= len(trials):
            raise faults.trial_not_found(study, number, len(trials))
        return dict(zip(rows.TRIAL_COLUMNS, trials[n], strict=True))
