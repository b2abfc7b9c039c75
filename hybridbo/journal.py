"""Writing and reading the training logs of a study: what :meth:`hybridbo.Trial.log` does.

Points are written at most once a second: a training that logs thousands of steps a second pays for a dictionary entry
each. What waits is written before the trial ends, or before anybody in this process reads it; a process that is killed
loses at most what it has logged within a second of the last write. Every write is a heartbeat of the trial.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from hybridbo.errors import StoreError, TrialNotFound
from hybridbo.findings import Finding, analyse
from hybridbo.ports import TrialStore
from hybridbo.traininglog import Log, Point, checked_step, checked_values, merged, thinned
from hybridbo.trial import Trial

_logger = logging.getLogger(__name__)
_PAUSE_S = 1.0  # between two writes
_MOST_WAITING = 512  # values that wait for one
_MOST_KEPT = 20_000  # values that wait while the store cannot be written; thinned then

Heart = Callable[[], bool]


@dataclass
class _Waiting:
    """What has been logged of one attempt and not been written yet."""

    log: dict[str, list[Point]] = field(default_factory=dict)
    n: int = 0
    next_step: float | None = None  # None: not known yet
    written_at: float = float("-inf")
    is_held: bool = True

    def add(self, step: float, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.log.setdefault(name, []).append((step, value))
        self.n += len(values)
        self.next_step = max(step + 1, self.next_step or 0)


class Journal:
    """The training logs of one study.

    Args:
        store: Where they are kept.
        study: The study's name.
        clock: Seconds, for the pause between two writes.
    """

    def __init__(self, store: TrialStore, study: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._study, self._clock = store, study, clock
        self._lock = RLock()
        self._waiting: dict[tuple[int, int | None], _Waiting] = {}
        self._final: dict[int, tuple[Finding, ...]] = {}  # of trials that have ended

    def page(self, trial: Trial) -> Page:
        """What logs and reads for one trial."""
        return Page(self, trial.number, trial.attempt, trial.heart)

    def log(
        self, number: int, attempt: int | None, step: Any, metrics: Mapping[str, Any], heart: Heart | None = None
    ) -> bool:
        """Add the values of a step.

        Args:
            number: Of the trial.
            attempt: The worker's; None for whoever holds the trial.
            step: A finite number of 0 or more; None for one more than the last.
            metrics: Values by name.
            heart: What sends the trial's heartbeat.

        Returns:
            Whether the trial was this worker's, and running, when it was last written.

        Raises:
            InvalidValue: A step or a value that is none; nothing is logged then.
            TrialNotFound: No trial of that number.
        """
        values = checked_values(metrics)
        with self._lock:
            page = self._waiting.setdefault((number, attempt), _Waiting())
            at = checked_step(self._next_step(page, number) if step is None else step)
            page.add(at, values)
            if page.n >= _MOST_WAITING or self._clock() - page.written_at >= _PAUSE_S:
                self._write(number, attempt, page, heart)
            return page.is_held

    def flush(self, number: int) -> None:
        """Write what waits of a trial."""
        with self._lock:
            for (other, attempt), page in list(self._waiting.items()):
                if other == number:
                    self._write(number, attempt, page, None)

    def close(self, number: int) -> None:
        """Write what waits of a trial that is about to end, and forget about it."""
        with self._lock:
            self.flush(number)
            for key in [key for key in self._waiting if key[0] == number]:
                if lost := self._waiting.pop(key).n:
                    _logger.warning("%d values of the log of trial %d could not be written, and are lost", lost, number)

    def close_all(self) -> None:
        """The same for every trial."""
        with self._lock:
            for number in {number for number, _ in self._waiting}:
                self.close(number)

    def read(self, number: int) -> Log:
        """The log of a trial, by metric and step.

        Raises:
            TrialNotFound: No trial of that number.
        """
        self.flush(number)
        return self._store.get_log(self._study, number)

    def findings(self, number: int) -> tuple[Finding, ...]:
        """What the log of a trial shows; likewise."""
        return analyse(self.read(number))

    def all_findings(self, trials: Sequence[Trial]) -> dict[int, tuple[Finding, ...]]:
        """The findings of every trial that has a log, by number; those of trials that have ended are read once.

        Args:
            trials: All trials, by number.
        """
        out = {}
        with self._lock:
            for number in dict.fromkeys(number for number, _ in self._waiting):
                self.flush(number)
        for number in self._store.get_logged(self._study):
            found = self._final.get(number)
            if found is None:
                found = self.findings(number)
                if number < len(trials) and trials[number].state.is_finished:
                    self._final[number] = found
            out[number] = found
        return out

    def _next_step(self, page: _Waiting, number: int) -> float:
        if page.next_step is None:
            self.flush(number)  # somebody may have logged by the trial itself
            known = self._store.get_log(self._study, number)
            page.next_step = max((points[-1][0] + 1 for points in known.values()), default=0)
        return page.next_step

    def _write(self, number: int, attempt: int | None, page: _Waiting, heart: Heart | None) -> None:
        """Write what waits; what cannot be written waits on, and the training goes on."""
        if not page.n:
            return
        page.written_at = self._clock()
        try:
            with self._store.transaction():
                is_stored = self._store.append_log(self._study, number, merged([page.log]), attempt=attempt)
                page.is_held = is_stored and (heart is None or heart())
        except TrialNotFound:
            page.log, page.n = {}, 0  # there is nothing that it could be the log of
            raise
        except StoreError as error:
            _logger.warning("the log of trial %d cannot be written yet: %s", number, error)
            if page.n > _MOST_KEPT:
                page.log = thinned(merged([page.log]))
                page.n = sum(map(len, page.log.values()))
            return
        if not is_stored:
            _logger.warning("trial %d has ended or been given to another worker: its log was not written", number)
        page.log, page.n = {}, 0


class Page:
    """The log of one trial, for the :class:`~hybridbo.Trial` that stands for it.

    Args:
        journal: Of the study.
        number: Of the trial.
        attempt: Which time it was handed out.
        heart: What sends its heartbeat; None for a trial that this worker does not hold.
    """

    def __init__(self, journal: Journal, number: int, attempt: int, heart: Heart | None = None) -> None:
        self._journal, self._number, self._attempt, self._heart = journal, number, attempt, heart

    def __deepcopy__(self, _: object) -> Page:
        return self  # so that dataclasses.asdict(trial) does not try to copy the store

    def log(self, step: Any, metrics: Mapping[str, Any]) -> bool:
        """See :meth:`Journal.log`."""
        return self._journal.log(self._number, self._attempt, step, metrics, self._heart)

    def findings(self) -> tuple[Finding, ...]:
        """See :meth:`Journal.findings`."""
        return self._journal.findings(self._number)
