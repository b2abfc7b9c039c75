"""A trial store in one SQLite file, which processes and threads may share.

Every change is one write transaction (BEGIN IMMEDIATE), so what it read is still true when it writes: numbers have no
gaps, one of several rivals wins, and a process killed at any moment leaves the file as it was before or after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlite_utils import Database

from hybridbo.errors import HybridboError
from hybridbo.parameters import Params
from hybridbo.ports import Changes, Event, LLMCall, StudyRecord
from hybridbo.storage import faults, rows, statements, texts
from hybridbo.storage.rescue import Rescue
from hybridbo.storage.sqlite_file import SqliteFile
from hybridbo.trial import Outcome, Proposal, Trial

_log = logging.getLogger("hybridbo.storage")

T = TypeVar("T")
R = TypeVar("R")


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
        self._rescue = Rescue(self._file, self._finish, self.record_event)
        self._rescue.merge()
        self._tell_of_missing_wal()

    @property
    def location(self) -> str:
        """The path, as given."""
        return self._file.location

    # Studies -----------------------------------------------------------------------------------------------------

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = rows.encode_study(record)
        with self._file.reading() as db:
            found = list(db.query(statements.STUDY, [record.name]))
        if not found:
            with self._file.writing() as db:
                found = list(db.query(statements.STUDY, [record.name]))  # again: another process may have been faster
                if not found:
                    _insert(db, "studies", row)
        return self._study(found or [row])

    def get_study(self, study: str) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = list(db.query(statements.STUDY, [texts.clean(study)]))
            if not found:
                raise self._not_found(db, study)
        return self._study(found)

    def list_studies(self) -> list[StudyRecord]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = list(db.query("SELECT * FROM studies ORDER BY id"))
        return self._decoded(rows.decode_study, "studies", found)

    # Trials ------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._rescue.keeping(), self._file.writing():
            yield

    def create_trial(
        self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int, lease_s: float | None = None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        content, key = rows.encode_proposal(proposal), texts.clean(key)
        with self._file.writing() as db:
            number = self._count(db, study)
            if number > seen and db.conn.execute(statements.SAME_KEY, (study, seen, key)).fetchone():
                return None
            if proposal.origin.source == "user" and not db.conn.execute(statements.TAKE_QUEUED, (study, key)).rowcount:
                return None
            row = rows.new_trial(number, content, owner, lease_s)
            db.conn.execute(statements.CREATE, (study, key, *row))
        return self._running(study, rows.decode_trial(row))

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
        until, holder = rows.encode_lease(lease_s, texts.now()), rows.encode_owner(previous)
        fields = (texts.clean(owner), int(lost), until, holder, attempt)
        taken = self._change(study, number, statements.TAKE_OVER, fields)
        return taken and self._running(study, taken)

    def renew_lease(
        self, study: str, number: int, *, owner: str | None, attempt: int, lease_s: float | None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        until = rows.encode_lease(lease_s, texts.now())
        return self._change(study, number, statements.RENEW, (until, rows.encode_owner(owner), attempt))

    def expire_lease(self, study: str, number: int) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._change(study, number, statements.EXPIRE, (texts.encode_time(texts.now()),))

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        outcome = rows.settled(outcome)
        with self._rescue.keeping() as told:
            told.append((study, number, outcome))
            return self._finish(study, number, outcome, texts.encode_time(texts.now()))

    def get_trial(self, study: str, number: int) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            row = self._get(db, study, number)
        return self._decoded(rows.decode_trial, "trials", [row])[0]

    def get_trials(self, study: str) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded_trials(self._all(statements.GET_ALL, study))

    def get_changes(self, study: str, since: int) -> Changes:
        """See :class:`~hybridbo.ports.TrialStore`."""
        found = self._all(statements.GET_CHANGED, study, since) if since > 0 else []
        if found:  # the last change known is there still, or has been followed by another
            news = [row[1:] for row in found if row[0] > since]
            return Changes(found[-1][0], self._decoded_trials(news))
        found = self._all(statements.GET_COUNTED, study)
        counter = max((row[0] for row in found), default=0)
        return Changes(
            counter, self._decoded(rows.decode_trial, "trials", [row[1:] for row in found]), is_complete=True
        )

    # Requests ----------------------------------------------------------------------------------------------------

    def find_request(self, study: str, request_id: str) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        found = self._all(statements.FIND_REQUEST, study, texts.clean(request_id))
        return self._decoded(rows.decode_trial, "trials", found)[0] if found else None

    def bind_request(self, study: str, request_id: str, number: int) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.writing() as db:
            row = self._get(db, study, number)
            binding = (texts.clean(study), texts.clean(request_id), row[0])
            return db.conn.execute(statements.BIND_REQUEST, binding).rowcount > 0

    # Queue -------------------------------------------------------------------------------------------------------

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = {"study": study, "params": texts.encode_params(params), "config_key": texts.clean(key)}
        with self._file.writing() as db:
            self._count(db, study)
            if db.conn.execute(statements.IS_KNOWN, {"study": study, "key": row["config_key"]}).fetchone()[0]:
                return False
            _insert(db, "queue", row | {"queued_at": texts.encode_time(texts.now())})
        return True

    def get_queue(self, study: str, limit: int | None = None) -> list[Params]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        found = self._all(statements.QUEUE, study, -1 if limit is None else limit)
        return self._decoded(lambda row: texts.decode_params(row[0]), "queue", found)

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

    def _tell_of_missing_wal(self) -> None:
        """Never silently go on with a copy that lacks what was told last."""
        if not self._file.is_wal_missing:
            return
        message = faults.wal_missing(self.location)
        _log.warning(message)
        with self._file.reading() as db:
            if (found := db.conn.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise faults.torn(self.location, found)
            names = [name for (name,) in db.conn.execute("SELECT name FROM studies")]
        if not self._file.is_read_only:
            for name in names:
                self.record_event(name, Event("wal_missing", message))

    # Helpers -----------------------------------------------------------------------------------------------------

    def _count(self, db: Database, study: str) -> int:
        """How many trials the study has."""
        found = db.conn.execute(statements.COUNT, (texts.clean(study),)).fetchone()
        if found is None:
            raise self._not_found(db, study)
        return found[0] or 0

    def _get(self, db: Database, study: str, number: int) -> rows.Fields:
        found: rows.Fields | None = db.conn.execute(
            statements.GET, (texts.clean(study), rows.trial_number(number))
        ).fetchone()
        if found is None:
            raise faults.trial_not_found(study, number, self._count(db, study))
        return found

    def _change(self, study: str, number: int, sql: str, values: rows.Fields) -> Trial | None:
        """The trial as an UPDATE has left it; None if its condition does not hold."""
        n = rows.trial_number(number)
        with self._file.writing() as db:
            changed = db.conn.execute(sql, (texts.clean(study), n, *values)).fetchall()
            if not changed:
                self._get(db, study, number)  # is there, or is not
        return self._decoded(rows.decode_trial, "trials", changed)[0] if changed else None

    def _all(self, sql: str, study: str, *rest: Any) -> list[rows.Fields]:
        with self._file.reading() as db:
            found = db.conn.execute(sql, (texts.clean(study), *rest)).fetchall()
            if not found:
                self._count(db, study)
        return found

    def _finish(self, study: str, number: int, outcome: Outcome, at: str) -> Trial:
        """Store a settled outcome as told at ``at``."""
        end = (*rows.encode_outcome(outcome), at)
        with self._file.writing():
            trial = self._change(study, number, statements.FINISH, end) or self.get_trial(study, number)
        if not rows.is_same_outcome(trial, outcome):
            raise faults.tell_conflict(study, trial, outcome)
        return trial

    def _running(self, study: str, trial: Trial) -> Trial:
        self._rescue.remember_trial(study, trial)
        return trial

    def _study(self, found: Sequence[rows.Row]) -> StudyRecord:
        record = self._decoded(rows.decode_study, "studies", found)[0]
        self._rescue.remember_study(record.name, found[0]["created_at"])
        return record

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

    def _decoded_trials(self, found: list[rows.Fields]) -> list[Trial]:
        try:
            return rows.decode_trials(found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise faults.unreadable_row(self.location, "trials", error) from error

    def _decoded(self, decode: Callable[[R], T], table: str, found: Iterable[R]) -> list[T]:
        try:
            return [decode(row) for row in found]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise faults.unreadable_row(self.location, table, error) from error


def _insert(db: Database, table: str, row: dict[str, Any]) -> None:
    """Insert a row; unlike sqlite-utils' ``insert``, never create a table that ought to be there."""
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - our own names
    db.execute(sql, list(row.values()))
