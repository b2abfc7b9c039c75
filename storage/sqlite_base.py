"""What a SqliteStore keeps besides trials: queue, calls, events, the history of a space; and what it does it with."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlite_utils import Database

from hybridbo.errors import HybridboError
from hybridbo.parameters import Params
from hybridbo.ports import Alteration, Completer, Event, LLMCall
from hybridbo.storage import faults, records, rows, statements, sums, texts
from hybridbo.storage.sqlite_file import SqliteFile
from hybridbo.stored import UNSETTLED
from hybridbo.traininglog import Log

_log = logging.getLogger("hybridbo.storage")

T = TypeVar("T")
R = TypeVar("R")


class SqliteBase:
    """The half of a :class:`~hybridbo.storage.sqlite.SqliteStore` that knows nothing of the life of a trial.

    Args:
        file: An open file.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @property
    def location(self) -> str:
        """The path, as given."""
        return self._file.location

    # Queue -------------------------------------------------------------------------------------------------------

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = {"study": texts.clean(study), "params": texts.encode_params(params), "config_key": texts.clean(key)}
        with self._file.writing() as db:
            self._count(db, study)
            if db.conn.execute(statements.IS_KNOWN, {"study": study, "key": row["config_key"]}).fetchone()[0]:
                return False
            insert(db, "queue", row | {"queued_at": texts.encode_time(texts.now())})
        return True

    def get_queue(self, study: str, limit: int | None = None) -> list[Params]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        if limit is None:
            return self._decoded(records.decode_queued, "queue", self._recorded("queue", study))
        found = self._all(statements.QUEUE, study, limit)
        columns = ("params", "study", "queued_at", "config_key", "checksum")
        return self._decoded(records.decode_queued, "queue", (dict(zip(columns, row, strict=True)) for row in found))

    # Calls and events --------------------------------------------------------------------------------------------

    def record_call(self, study: str, call: LLMCall) -> int:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._record("llm_calls", study, records.encode_call(call))

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = {"study": texts.clean(study), **records.encode_call(call)}
        row["checksum"] = sums.of_row("llm_calls", row)
        with self._file.writing() as db:
            self._count(db, study)
            changed = db.conn.execute(statements.settle(row), (*row.values(), number, UNSETTLED)).rowcount
        return changed > 0

    def get_calls(self, study: str) -> list[LLMCall]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(records.decode_call, "llm_calls", self._recorded("llm_calls", study))

    def record_event(self, study: str, event: Event) -> None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        self._record("events", study, records.encode_event(event))

    def get_events(self, study: str) -> list[Event]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(records.decode_event, "events", self._recorded("events", study))

    # Training logs -----------------------------------------------------------------------------------------------

    def get_logged(self, study: str) -> list[int]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return [number for (number,) in self._all(statements.LOGGED, study)]

    def _append_log(self, db: Database, study: str, number: int, attempt: int, log: Log) -> None:
        found = self._logged(db, study, number)
        row = records.encode_log(number, attempt, log)
        rows_now = self._decoded(lambda before: records.appended(before, row), "logs", [found])[0]
        if len(rows_now) <= len(found):
            db.conn.execute(statements.DROP_LOG, (texts.clean(study), number))
        insert(db, "logs", {"study": texts.clean(study), **rows_now[-1]})

    def _logged(self, db: Database, study: str, number: int) -> list[dict[str, Any]]:
        """The rows of a trial's log, oldest first."""
        return list(db.query(statements.LOG, [texts.clean(study), number]))

    # The space ---------------------------------------------------------------------------------------------------

    def alter_study(self, study: str, space: str, *, previous: str, complete: Completer) -> Alteration:
        """See :class:`~hybridbo.ports.TrialStore`."""
        space, at = texts.clean(space), texts.encode_time(texts.now())
        name = texts.clean(study)
        with self._file.writing() as db:
            number = self._count(db, study)
            record = dict(next(iter(db.query(statements.STUDY, [name]))))
            if record["space"] != texts.clean(previous):
                raise faults.altered_meanwhile(study)
            for n, params in db.conn.execute(statements.PARAMS, (name,)).fetchall():
                _, key = complete(self._params(params))
                db.conn.execute(statements.RENAME, (name, n, texts.clean(key)))
            for entry, params in db.conn.execute(statements.QUEUED, (name,)).fetchall():
                completed, key = complete(self._params(params))
                db.conn.execute(statements.REQUEUE, (entry, texts.encode_params(completed), texts.clean(key)))
            total = sums.of_row("studies", record | {"space": space})
            db.conn.execute(statements.SET_SPACE, (name, space, total))
            row = {"at": at, "trial_number": number, "old_space": record["space"], "new_space": space}
            insert(db, "alterations", {"study": name, **row})
        return records.decode_alteration(row)

    def get_alterations(self, study: str) -> list[Alteration]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._decoded(records.decode_alteration, "alterations", self._recorded("alterations", study))

    def _params(self, text: str) -> Params:
        return self._decoded(texts.decode_params, "trials", [text])[0]

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

    def _all(self, sql: str, study: str, *rest: Any) -> list[rows.Fields]:
        with self._file.reading() as db:
            found = db.conn.execute(sql, (texts.clean(study), *rest)).fetchall()
            if not found:
                self._count(db, study)
        return found

    def _record(self, table: str, study: str, row: dict[str, Any]) -> int:
        with self._file.writing() as db:
            self._count(db, study)
            return insert(db, table, {"study": texts.clean(study), **row})

    def _recorded(self, table: str, study: str) -> list[dict[str, Any]]:
        """The rows of a study, oldest first and none of them missing: the table is held against its index."""
        name = texts.clean(study)
        with self._file.snapshot() as db:
            self._count(db, study)
            found = list(db.query(f"SELECT * FROM {table} NOT INDEXED WHERE study = ? ORDER BY id", [name]))  # noqa: S608
            indexed = f"SELECT count(*) FROM {table} INDEXED BY {table}_study WHERE study = ?"  # noqa: S608 - our own
            count = db.conn.execute(indexed, (name,)).fetchone()[0]
        if count != len(found) or any(row["id"] >= after["id"] for row, after in itertools.pairwise(found)):
            raise faults.damaged_index(self.location)
        return found

    def _see_that_none_is_there(self, db: Database, study: str) -> None:
        """Not finding a study by its index means little where the index is damaged."""
        if db.conn.execute(statements.STUDY_IS_THERE, (texts.clean(study),)).fetchone():
            raise faults.damaged_index(self.location)

    def _not_found(self, db: Database, study: str) -> HybridboError:
        self._see_that_none_is_there(db, study)
        known = [name for (name,) in db.conn.execute("SELECT name FROM studies ORDER BY id LIMIT 6")]
        note = faults.wal_missing(self.location) if self._file.is_wal_missing else ""
        return faults.study_not_found(study, self.location, known, note)

    def _decoded(self, decode: Callable[[R], T], table: str, found: Iterable[R]) -> list[T]:
        try:
            return [decode(row) for row in found]
        except faults.UNREADABLE as error:
            raise faults.unreadable_row(self.location, table, error) from error


def insert(db: Database, table: str, row: dict[str, Any]) -> int:
    """Insert a row with its checksum and return its id.

    Unlike sqlite-utils' ``insert``, never create a table that ought to be there.
    """
    row = {**row, "checksum": sums.of_row(table, row)}
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - our own names
    return db.execute(sql, list(row.values())).lastrowid or 0
