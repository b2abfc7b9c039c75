"""What a SqliteStore does with a finished result that its file cannot take, and later with what was kept.

The rules are those of a tell: what is there already is left alone, another outcome is a conflict and changes nothing.
A result is stored for the trial it belongs to and for no other: a study that was made afresh under the same name, or a
trial of the same number in a copy that was put back, has started at another time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from sqlite_utils import Database

from hybridbo.errors import StoreError, TellConflict
from hybridbo.ports import Event
from hybridbo.storage import faults, rows, statements, texts
from hybridbo.storage.spill import Reject, Result, Spill
from hybridbo.storage.sqlite_file import SqliteFile
from hybridbo.trial import Outcome, Trial

_log = logging.getLogger("hybridbo.storage")

_CREATED = "SELECT created_at FROM studies WHERE name = ?"
_STARTED = "SELECT started_at, state FROM trials WHERE study = ? AND number = ?"
_ENDED = ("COMPLETE", "FAILED", "PRUNED")
_MOST_REMEMBERED = 10_000  # trials, of which those still running are a few

Told: TypeAlias = tuple[str, int, Outcome]
Finish: TypeAlias = Callable[[str, int, Outcome, str], Trial]
Record: TypeAlias = Callable[[str, Event], None]


class Rescue:
    """Keeps results and merges them.

    Args:
        file: The store's file.
        finish: Stores an outcome, told at the time given, under the rules of a tell.
        record: Stores an event.
    """

    def __init__(self, file: SqliteFile, finish: Finish, record: Record) -> None:
        self._file, self._finish, self._record = file, finish, record
        self._spill = Spill(file.path)
        self._created: dict[str, str] = {}
        self._started: dict[tuple[str, int], Trial] = {}
        self._blocks = _Blocks()

    def remember_study(self, study: str, created_at: str) -> None:
        """Know a study again when the file cannot be read."""
        self._created[study] = created_at

    def remember_trial(self, study: str, trial: Trial) -> None:
        """Know a trial again, likewise."""
        if len(self._started) >= _MOST_REMEMBERED:
            self._started.pop(next(iter(self._started)))
        self._started[study, trial.number] = trial

    @contextmanager
    def keeping(self) -> Iterator[list[Told]]:
        """Around a transaction: results that are put into the list are kept if the store cannot take them.

        A block within another one of the same thread is part of it: the outermost stores, or fails to.

        Raises:
            StoreError: As raised in the block; it says then where the results are.
            TellConflict: The store cannot be written, but it can be read, and the trial had ended otherwise.
        """
        told, is_outermost = self._blocks.told, not self._blocks.depth
        if is_outermost and self._spill.has_kept:  # before somebody is given a trial whose result is kept
            self.merge()
        self._blocks.depth += 1
        try:
            yield told
        except StoreError as error:
            if not is_outermost or not told or self._file.is_closed:
                raise
            raise self._keep(told, error) from error
        else:
            for study, number, _ in told if is_outermost else ():
                self._started.pop((study, number), None)
        finally:
            self._blocks.depth -= 1
            if is_outermost:
                told.clear()

    def merge(self) -> None:
        """Store what is kept beside the file. What goes wrong is logged; the results are then kept on."""
        self._spill.merge(self._take)

    def _keep(self, told: Sequence[Told], error: StoreError) -> StoreError | TellConflict:
        """The error to raise: it says where the results are."""
        out: StoreError | TellConflict = error
        for study, number, outcome in told:
            if (n := rows.trial_number(number)) is None:
                continue
            trial = self._look_up(study, n)
            if trial is not None and trial.state.is_finished:  # nothing is lost that would have to be kept
                out = self._ended(study, trial, outcome, error)
            else:
                out = self._spill.keep(self._result(study, n, outcome, error.message), error)
        return out

    def _ended(self, study: str, trial: Trial, outcome: Outcome, error: StoreError) -> StoreError | TellConflict:
        """The error to raise for a trial that had ended before it was told."""
        if not rows.is_same_outcome(trial, outcome):
            return faults.tell_conflict(study, trial, outcome)
        message = (
            f"trial {trial.number} of study {study!r} is stored as {faults.ending(trial)} already: {error.message}"
        )
        return type(error)(message, f"{error.hint} Nothing has to be told again.")

    def _result(self, study: str, number: int, outcome: Outcome, why: str) -> Result:
        result = Result(study, number, outcome, texts.encode_time(texts.now()), why, self._created.get(study))
        if trial := self._started.get((study, number)):
            started_at, params = texts.encode_time(trial.started_at), texts.encode_params(trial.params)
            return replace(result, started_at=started_at, params=params)
        return result

    def _look_up(self, study: str, number: int) -> Trial | None:
        """The trial as stored, if it can be read: a file that cannot be written often can."""
        with contextlib.suppress(StoreError, ValueError), self._file.reading() as db:
            if found := db.conn.execute(_CREATED, (texts.clean(study),)).fetchone():
                self.remember_study(study, found[0])
            if found := db.conn.execute(statements.GET, (texts.clean(study), number)).fetchone():
                trial = rows.decode_stored([found])[0]
                self.remember_trial(study, trial)
                return trial
        return None

    def _take(self, results: Sequence[Result], reject: Reject) -> None:
        with self._file.writing() as db:
            reject([result for result in results if not self._take_one(db, result)])

    def _take_one(self, db: Database, result: Result) -> bool:
        """Whether the result is in the file now."""
        created = db.conn.execute(_CREATED, (result.study,)).fetchone()
        if created is None or result.created_at not in (None, created[0]):
            _log.warning("%s no longer has the study %r of a kept result.", self._file.location, result.study)
            return False
        started = db.conn.execute(_STARTED, (result.study, result.number)).fetchone()
        if started is None or result.started_at not in (None, started[0]):
            told = f"trial {result.number}, {faults.ending(result.outcome)}, with the parameters {result.params}"
            why = (
                f"A result that was kept is none of a trial of this file: {told}. It is in {self._spill.rejected.name}."
            )
            self._record(result.study, Event("spill_rejected", why))
            return False
        was_running = started[1] not in _ENDED
        try:
            self._finish(result.study, result.number, result.outcome, result.at)
        except TellConflict as error:
            message = f"A result that was kept is not stored: {error.message} It is in {self._spill.rejected.name}."
            self._record(result.study, Event("spill_conflict", message, result.number))
            return False
        if was_running:
            message = (
                f"Its result was kept beside the store and is merged now; what went wrong at {result.at}: {result.why}"
            )
            self._record(result.study, Event("spill_merged", message, result.number))
        return True


class _Blocks(threading.local):
    """The blocks of one thread: how many it is in, and what was told in them."""

    def __init__(self) -> None:
        self.depth = 0
        self.told: list[Told] = []
