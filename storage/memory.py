"""The reference implementation of a trial store: what each method means, without a database.

It keeps rows, coded as they are in a file: nothing handed out can change what is stored, and every value that a file
would refuse or normalise is refused or normalised here as well. Threads may share it; processes cannot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields
from threading import RLock
from typing import Any

from hybridbo.parameters import Params
from hybridbo.ports import Alteration, Changes, Completer, Event, LLMCall, StudyRecord
from hybridbo.storage import faults, records, rows, texts
from hybridbo.stored import UNSETTLED
from hybridbo.traininglog import Log
from hybridbo.trial import Outcome, Proposal, Trial, TrialState

_OPEN = (TrialState.RUNNING, TrialState.STALE)


@dataclass
class _Study:
    """One study: rows, each list in the order of its making; ``keys[i]`` is the key of ``trials[i]``.

    ``changes`` has the number of a trial for each change of it, so that its length is the count of changes.
    """

    record: rows.Row
    trials: list[rows.Fields] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    events: list[rows.Row] = field(default_factory=list)
    alterations: list[Alteration] = field(default_factory=list)
    logs: dict[int, tuple[rows.Row, ...]] = field(default_factory=dict)

    def copied(self) -> _Study:
        """The same with lists of its own; rows are never changed, only replaced."""
        return _Study(*(copy.copy(getattr(self, f.name)) for f in fields(self)))


class MemoryStore:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}
        self._lock = RLock()
        self._is_writing = False

    def __getstate__(self) -> dict[str, Any]:
        """What is stored, without the lock: a store in memory may be pickled, and is another one where it arrives."""
        with self._lock:
            return {"_studies": copy.deepcopy(self._studies), "_is_writing": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    @property
    def location(self) -> str:
        """``":memory:"``."""
        return ":memory:"

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = records.encode_study(record)
        with self._lock:
            return records.decode_study(self._studies.setdefault(record.name, _Study(row)).record)

    def get_study(self, study: str) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return records.decode_study(self._get(study).record)

    def list_studies(self) -> list[StudyRecord]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [records.decode_study(study.record) for study in self._studies.values()]

    def transaction(self) -> AbstractContextManager[object]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            if self._is_writing:
                yield
                return
            before = {name: study.copied() for name, study in self._studies.items()}
            self._is_writing = True
            try:
                yield
            except BaseException:
                self._studies = before
                raise
            finally:
                self._is_writing = False

    def create_trial(
        self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int, lease_s: float | None = None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        content, key = rows.encode_proposal(proposal), texts.clean(key)
        with self._lock:
            data = self._get(study)
            row = rows.new_trial(len(data.trials), content, owner, lease_s)
            if key in data.keys[seen:]:
                return None
            if proposal.origin.source == "user":
                queued = next((i for i, (other, _) in enumerate(data.queue) if other == key), None)
                if queued is None:
                    return None
                del data.queue[queued]
            data.changes.append(len(data.trials))
            data.trials.append(row)
            data.keys.append(key)
            return rows.decode_trial(row)

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
        """See :class:`~hybridbo.ports.TrialStore`."""
        until = rows.encode_lease(lease_s, texts.now())
        with self._lock:
            trial = self._trial(study, number)
            if not _is_held(trial, previous, attempt):
                return None
            new = {"owner": texts.clean(owner), "attempt": attempt + 1, "lost": trial["lost"] + lost}
            return self._change(study, trial, state=TrialState.RUNNING.value, lease_until=until, **new)

    def renew_lease(
        self, study: str, number: int, *, owner: str | None, attempt: int, lease_s: float | None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        until = rows.encode_lease(lease_s, texts.now())
        with self._lock:
            trial = self._trial(study, number)
            if not _is_held(trial, owner, attempt):
                return None
            return self._change(study, trial, state=TrialState.RUNNING.value, lease_until=until)

    def expire_lease(self, study: str, number: int) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            trial, at = self._trial(study, number), texts.encode_time(texts.now())
            if trial["state"] != TrialState.RUNNING or trial["lease_until"] is None or trial["lease_until"] > at:
                return None
            return self._change(study, trial, state=TrialState.STALE.value)

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        outcome = rows.settled(outcome)
        names = ("state", "value", "values_json", "error")
        end = dict(zip(names, rows.encode_outcome(outcome), strict=True))
        with self._lock:
            trial = self._trial(study, number)
            if trial["state"] in _OPEN:
                self._change(study, trial, **end, finished_at=texts.encode_time(texts.now()))
            stored = self.get_trial(study, number)
        if not rows.is_same_outcome(stored, outcome):
            raise faults.tell_conflict(study, stored, outcome)
        return stored

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            data = self._get(study)
            added = [rows.added_trial(number, trial) for number, trial in enumerate(trials, start=len(data.trials))]
            data.keys += [texts.clean(key) for _, key in zip(added, keys, strict=True)]
            data.changes += [row[0] for row in added]
            data.trials += added
        return [rows.decode_trial(row) for row in added]

    def get_trial(self, study: str, number: int) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return rows.decode_trial(tuple(self._trial(study, number).values()))

    def get_trials(self, study: str) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            trials = list(self._get(study).trials)
        return [rows.decode_trial(row) for row in trials]

    def get_changes(self, study: str, since: int) -> Changes:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            data = self._get(study)
            is_complete = not 0 < since <= len(data.changes)
            numbers = range(len(data.trials)) if is_complete else sorted(set(data.changes[since:]))
            trials = [rows.decode_trial(data.trials[n]) for n in numbers]
            return Changes(len(data.changes), trials, is_complete, {n: data.keys[n] for n in numbers})

    def find_request(self, study: str, request_id: str) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            number = self._get(study).requests.get(texts.clean(request_id))
            return None if number is None else self.get_trial(study, number)

    def bind_request(self, study: str, request_id: str, number: int) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            n, requests = self._trial(study, number)["number"], self._get(study).requests
            if (request_id := texts.clean(request_id)) in requests:
                return False
            requests[request_id] = n
            return True

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        text, key = texts.encode_params(params), texts.clean(key)
        with self._lock:
            data = self._get(study)
            if key in data.keys or any(key == other for other, _ in data.queue):
                return False
            data.queue.append((key, text))
            return True

    def get_queue(self, study: str, limit: int | None = None) -> list[Params]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [texts.decode_params(text) for _, text in self._get(study).queue[:limit]]

    def alter_study(self, study: str, space: str, *, previous: str, complete: Completer) -> Alteration:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            data = self._get(study)
            if data.record["space"] != texts.clean(previous):
                raise faults.altered_meanwhile(study)
            number = rows.TRIAL_COLUMNS.index("params")
            keys = [texts.clean(complete(texts.decode_params(row[number]))[1]) for row in data.trials]
            queue = [complete(texts.decode_params(text)) for _, text in data.queue]
            alteration = Alteration(data.record["space"], texts.clean(space), len(keys), texts.now())
            data.changes += [n for n, key in enumerate(keys) if key != data.keys[n]]
            data.keys, data.queue = keys, [(texts.clean(key), texts.encode_params(params)) for params, key in queue]
            data.record = {**data.record, "space": alteration.new_space}
            data.alterations.append(alteration)
            return alteration

    def get_alterations(self, study: str) -> list[Alteration]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return list(self._get(study).alterations)

    def append_log(self, study: str, number: int, log: Log, *, attempt: int | None = None) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            trial = self._trial(study, number)
            if trial["state"] not in _OPEN or attempt not in (None, trial["attempt"]):
                return False
            logs, row = self._get(study).logs, records.encode_log(trial["number"], trial["attempt"], log)
            logs[trial["number"]] = records.appended(logs.get(trial["number"], ()), row)
            return True

    def get_log(self, study: str, number: int) -> Log:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            found = self._get(study).logs.get(self._trial(study, number)["number"], ())
        return records.whole_log(found)

    def get_logged(self, study: str) -> list[int]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return sorted(self._get(study).logs)

    def record_call(self, study: str, call: LLMCall) -> int:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = records.encode_call(call)
        with self._lock:
            calls = self._get(study).calls
            calls.append({**row, "id": len(calls) + 1})
            return len(calls)

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = records.encode_call(call)
        with self._lock:
            calls = self._get(study).calls
            if not 0 < number <= len(calls) or calls[number - 1]["error"] != UNSETTLED:
                return False
            calls[number - 1] = {**row, "id": number}
            return True

    def get_calls(self, study: str) -> list[LLMCall]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [records.decode_call(row) for row in self._get(study).calls]

    def record_event(self, study: str, event: Event) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = records.encode_event(event)
        with self._lock:
            self._get(study).events.append(row)

    def get_events(self, study: str) -> list[Event]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._lock:
            return [records.decode_event(row) for row in self._get(study).events]

    def close(self) -> None:
        """Nothing to release: what is stored stays readable."""

    def _get(self, study: str) -> _Study:
        try:
            return self._studies[study]
        except KeyError:
            raise faults.study_not_found(study, self.location, list(self._studies)) from None

    def _change(self, study: str, trial: dict[str, Any], **new: Any) -> Trial:
        data, number = self._get(study), trial["number"]
        data.trials[number] = tuple({**trial, **new}.values())
        data.changes.append(number)
        return rows.decode_trial(data.trials[number])

    def _trial(self, study: str, number: int) -> dict[str, Any]:
        trials = self._get(study).trials
        n = rows.trial_number(number)
        if n is None or n >= len(trials):
            raise faults.trial_not_found(study, number, len(trials))
        return dict(zip(rows.TRIAL_COLUMNS, trials[n], strict=True))


def _is_held(trial: dict[str, Any], owner: str | None, attempt: int) -> bool:
    """Whether a trial is in that attempt of that owner."""
    return trial["state"] in _OPEN and (trial["owner"], trial["attempt"]) == (rows.encode_owner(owner), attempt)
