"""What a process knows of the trials of a study, kept up to date by reading what has changed and nothing else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from threading import RLock
from typing import Any

from hybridbo.heap import growing
from hybridbo.parameters import Params
from hybridbo.ports import Changes, TrialStore
from hybridbo.trial import Digest, History, Trial


class Ledger:
    """The trials of a study, sorted as a History has them; nothing in it that could not be read again.

    Its trials are shared: what goes to a user is a copy. Threads may use it.

    Args:
        study: Name of the study.
        key: ``Space.any_key``.
        complete: From a trial as stored to what it means in a space that was altered since.
    """

    def __init__(
        self, study: str, key: Callable[[Mapping[str, Any]], str], complete: Callable[[Trial], Trial] = lambda x: x
    ) -> None:
        self._study, self._key, self._complete = study, key, complete
        self._lock = RLock()
        self._forget()

    def _forget(self) -> None:
        self._counter = 0
        self._trials: list[Trial] = []
        self._completed: list[Trial] = []
        self._failed: list[Trial] = []
        self._open: dict[int, Trial] = {}
        self._keys: set[str] = set()
        self._n_keyed = 0  # those that a store does not tell take a while, and not everybody needs them
        self._n_sobol = 0

    def refresh(self, store: TrialStore) -> None:
        """Read what has changed since the last time.

        Raises:
            StudyNotFound: There is no such study.
            StoreError: The store cannot be read.
        """
        with self._lock, nullcontext() if self._counter else growing():
            changes = store.get_changes(self._study, self._counter)
            if not self._fits(changes):
                changes = store.get_changes(self._study, 0)
            if changes.is_complete:
                self._forget()
            for trial in sorted(changes.trials, key=_number):
                self._take(trial, changes.keys.get(trial.number))
            self._counter = changes.counter

    @property
    def n_trials(self) -> int:
        """How many trials were known when it was last refreshed."""
        return len(self._trials)

    def trials(self, store: TrialStore) -> list[Trial]:
        """All trials by number, shared ones."""
        with self._lock:
            self.refresh(store)
            return self._trials.copy()

    def unfinished(self, store: TrialStore) -> list[Trial]:
        """The RUNNING and STALE trials by number, shared ones."""
        with self._lock:
            self.refresh(store)
            return sorted(self._open.values(), key=_number)

    def history(self, store: TrialStore | None, queued: Iterable[Params] = (), *, in_haste: bool = False) -> History:
        """The trials as the engine is given them; without a store as they were when it was last refreshed.

        ``in_haste``: others wait for us, so that no more keys are made, which take long; ``Digest.n_keyed`` says so.
        """
        with self._lock:
            if store is not None:
                self.refresh(store)
            pending = sorted(self._open.values(), key=_number)
            if not in_haste:
                new = self._trials[self._n_keyed :]
                self._keys.update(self._key(self._complete(trial).params) for trial in new)
                self._n_keyed = len(self._trials)
            return History(
                tuple(self._completed),
                tuple(pending),
                tuple(self._failed),
                tuple(queued),
                Digest(self._keys, self._n_sobol, self._n_keyed),
            )

    def _fits(self, changes: Changes) -> bool:
        """Whether changes can be added to what is known: numbers go on without a gap, and parameters are as they were.

        Neither is otherwise unless somebody writes to the file by hand.
        """
        if changes.is_complete:
            return True
        known, after = len(self._trials), set()
        for trial in changes.trials:
            if trial.number >= known:
                after.add(trial.number)
            elif trial.params != self._trials[trial.number].params:
                return False
        return after == set(range(known, known + len(after)))

    def _take(self, trial: Trial, key: str | None) -> None:
        completed = self._complete(trial)
        if trial.number < len(self._trials):
            self._remove(self._trials[trial.number])
            self._trials[trial.number] = trial
        else:
            self._trials.append(trial)
            if key is not None and trial.number == self._n_keyed:
                self._keys.add(key)
                self._n_keyed += 1
        self._add(completed)

    def _add(self, trial: Trial) -> None:
        self._n_sobol += trial.origin.source == "sobol"
        if not trial.state.is_finished:
            self._open[trial.number] = trial
            return
        group = self._completed if trial.values else self._failed
        if not group or group[-1].number < trial.number:
            group.append(trial)
        else:
            group.insert(bisect_left(group, trial.number, key=_number), trial)

    def _remove(self, trial: Trial) -> None:
        self._n_sobol -= trial.origin.source == "sobol"
        if self._open.pop(trial.number, None) is None:
            group = self._completed if trial.values else self._failed
            del group[bisect_left(group, trial.number, key=_number)]


def _number(trial: Trial) -> int:
    return trial.number
