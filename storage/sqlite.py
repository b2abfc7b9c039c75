"""A trial store in one SQLite file, which processes and threads may share.

Every change is one write transaction (BEGIN IMMEDIATE), so what it read is still true when it writes: numbers have no
gaps, one of several rivals wins, and a process killed at any moment leaves the file as it was before or after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlite_utils import Database

from hybridbo.errors import HybridboError
from hybridbo.parameters import Params
from hybridbo.ports import Event, LLMCall, StudyRecord
from hybridbo.storage import faults, rows, texts
from hybridbo.storage.sqlite_file import SqliteFile
from hybridbo.trial import Outcome, Proposal, Trial

T = TypeVar("T")
R = TypeVar("R")

_TRIAL = ", ".join(rows.TRIAL_COLUMNS)
_PLACES = ", ".join("?" * (len(rows.TRIAL_COLUMNS) + 2))

_STUDY = "SELECT * FROM studies WHERE name = ?"
_COUNT = "SELECT (SELECT max(number) + 1 FROM trials WHERE study = name) FROM studies WHERE name = ?"
_SAME_KEY = "SELECT 1 FROM trials WHERE study = ? AND number >= ? AND config_key = ?"
_TAKE_QUEUED = "DELETE FROM queue WHERE id = (SELECT min(id) FROM queue WHERE study = ? AND config_key = ?)"
_CREATE = f"INSERT INTO trials (study, config_key, {_TRIAL}) VALUES ({_PLACES})"  # noqa: S608 - our own column names
_GET = f"SELECT {_TRIAL} FROM trials WHERE study = ? AND number = ?"  # noqa: S608 - as above
_GET_ALL = f"SELECT {_TRIAL} FROM trials WHERE study = ? ORDER BY number"  # noqa: S608 - as above
_TAKE_OVER = """
    UPDATE trials SET owner = ? WHERE study = ? AND number = ? AND state = 'RUNNING' AND owner IS ?
"""
_FINISH = """
    UPDATE trials SET state = ?, value = ?, values_json = ?, error = ?, finished_at = ?
    WHERE study = ? AND number = ? AND state = 'RUNNING'
"""
_IS_KNOWN = """
    SELECT EXISTS (SELECT 1 FROM queue WHERE study = :study AND config_key = :key)
        OR EXISTS (SELECT 1 FROM trials WHERE study = :study AND config_key = :key)
"""
_QUEUE = "SELECT params FROM queue WHERE study = ? ORDER BY id"


class SqliteStore:
    """A store in a file; see :func:`hybridbo.storage.open_store`.

    Args:
        path: The file; created if it is not there.
        timeout_s: How long to wait for another process that writes, in seconds; StoreBusy is raised after that.
        synchronous: ``"FULL"`` or ``"NORMAL"``.

    Raises:
        StoreError: The file cannot be opened; its kinds say why.
    """

    def __init__(self, path: str, *, timeout_s: float = 30.0, synchronous: str = "FULL") -> None:
        self._file = SqliteFile(path, timeout_s=timeout_s, synchronous=synchronous)

    @property
    def location(self) -> str:
        """The path, as given."""
        return self._file.location

    # Studies -----------------------------------------------------------------------------------------------------

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = rows.encode_study(record)
        with self._file.reading() as db:
            found = list(db.query(_STUDY, [record.name]))
        if not found:
            with self._file.writing() as db:
                found = list(db.query(_STUDY, [record.name]))  # again: another process may have been faster
                if not found:
                    _insert(db, "studies", row)
        return self._decoded(rows.decode_study, "studies", found or [row])[0]

    def get_study(self, study: str) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = list(db.query(_STUDY, [texts.clean(study)]))
            if not found:
                raise self._not_found(db, study)
        return self._decoded(rows.decode_study, "studies", found)[0]

    def list_studies(self) -> list[StudyRecord]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = list(db.query("SELECT * FROM studies ORDER BY id"))
        return self._decoded(rows.decode_study, "studies", found)

    # Trials ------------------------------------------------------------------------------------------------------

    def create_trial(self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        content, key = rows.encode_proposal(proposal), texts.clean(key)
        with self._file.writing() as db:
            number = self._count(db, study)
            if number > seen and db.conn.execute(_SAME_KEY, (study, seen, key)).fetchone():
                return None
            if proposal.origin.source == "user" and not db.conn.execute(_TAKE_QUEUED, (study, key)).rowcount:
                return None
            row = rows.new_trial(number, content, owner)
            db.conn.execute(_CREATE, (study, key, *row))
        return rows.decode_trial(row)

    def take_over(self, study: str, number: int, *, owner: str, previous: str | None) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        previous = None if previous is None else texts.clean(previous)
        with self._file.writing() as db:
            row = self._get(db, study, number)
            changed = db.conn.execute(_TAKE_OVER, (texts.clean(owner), study, row[0], previous)).rowcount
            row = self._get(db, study, number)
        return self._decoded(rows.decode_trial, "trials", [row])[0] if changed else None

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        outcome = rows.settled(outcome)
        fields, n = rows.encode_outcome(outcome), rows.trial_number(number)
        with self._file.writing() as db:
            db.conn.execute(_FINISH, (*fields, texts.encode_time(texts.now()), texts.clean(study), n))
            row = self._get(db, study, number)
        trial = self._decoded(rows.decode_trial, "trials", [row])[0]
        if not rows.is_same_outcome(trial, outcome):
            raise faults.tell_conflict(study, trial, outcome)
        return trial

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.writing() as db:
            added = [rows.added_trial(number, trial) for number, trial in enumerate(trials, self._count(db, study))]
            places = [(texts.clean(study), texts.clean(key), *row) for row, key in zip(added, keys, strict=True)]
            db.conn.executemany(_CREATE, places)
        return [rows.decode_trial(row) for row in added]

    def get_trials(self, study: str) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(rows.decode_trial, "trials", self._all(_GET_ALL, study))

    # Queue -------------------------------------------------------------------------------------------------------

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = {"study": study, "params": texts.encode_params(params), "config_key": texts.clean(key)}
        with self._file.writing() as db:
            self._count(db, study)
            if db.conn.execute(_IS_KNOWN, {"study": study, "key": row["config_key"]}).fetchone()[0]:
                return False
            _insert(db, "queue", row | {"queued_at": texts.encode_time(texts.now())})
        return True

    def get_queue(self, study: str) -> list[Params]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(lambda row: texts.decode_params(row[0]), "queue", self._all(_QUEUE, study))

    # Calls and events --------------------------------------------------------------------------------------------

    def record_call(self, study: str, call: LLMCall) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        self._record("llm_calls", study, rows.encode_call(call))

    def get_calls(self, study: str) -> list[LLMCall]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(rows.decode_call, "llm_calls", self._recorded("llm_calls", study))

    def record_event(self, study: str, event: Event) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        self._record("events", study, rows.encode_event(event))

    def get_events(self, study: str) -> list[Event]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(rows.decode_event, "events", self._recorded("events", study))

    def close(self) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        self._file.close()

    # Helpers -----------------------------------------------------------------------------------------------------

    def _count(self, db: Database, study: str) -> int:
        """How many trials the study has."""
        found = db.conn.execute(_COUNT, (texts.clean(study),)).fetchone()
        if found is None:
            raise self._not_found(db, study)
        return found[0] or 0

    def _get(self, db: Database, study: str, number: int) -> rows.Fields:
        found: rows.Fields | None = db.conn.execute(_GET, (texts.clean(study), rows.trial_number(number))).fetchone()
        if found is None:
            raise faults.trial_not_found(study, number, self._count(db, study))
        return found

    def _all(self, sql: str, study: str) -> list[rows.Fields]:
        with self._file.reading() as db:
            found = db.conn.execute(sql, (texts.clean(study),)).fetchall()
            if not found:
                self._count(db, study)
        return found

    def _record(self, table: str, study: str, row: dict[str, Any]) -> None:
        with self._file.writing() as db:
            self._count(db, study)
            _insert(db, table, {"study": study, **row})

    def _recorded(self, table: str, study: str) -> list[dict[str, Any]]:
        with self._file.reading() as db:
            self._count(db, study)
            return list(db.query(f"SELECT * FROM {table} WHERE study = ? ORDER BY id", [study]))  # noqa: S608 - our table

    def _not_found(self, db: Database, study: str) -> HybridboError:
        known = [name for (name,) in db.conn.execute("SELECT name FROM studies ORDER BY id LIMIT 6")]
        return faults.study_not_found(study, self.location, known)

    def _decoded(self, decode: Callable[[R], T], table: str, found: Iterable[R]) -> list[T]:
        try:
            return [decode(row) for row in found]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise faults.unreadable_row(self.location, table, error) from error


def _insert(db: Database, table: str, row: dict[str, Any]) -> None:
    """Insert a row; unlike sqlite-utils' ``insert``, never create a table that ought to be there."""
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - our own names
    db.execute(sql, list(row.values()))
