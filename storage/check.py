"""What is wrong with a store's file: all of it, without changing a byte.

SQLite's own checks come first (https://sqlite.org/pragma.html#pragma_integrity_check), then what only hybridbo knows:
that every row is as it was written and can be read, that nothing is missing or dangling.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridbo.errors import HybridboError, StudyNotFound
from hybridbo.objective import Objective
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.storage import at_rest, faults, migrations, records, rows, spill, sums

_TIMEOUT_S = 30.0
_MOST = 100  # problems of a kind

Row = dict[str, Any]
Problems = Iterator[str]


@dataclass(frozen=True)
class Report:
    """What a check has found.

    Attributes:
        schema: Number of the file's schema.
        studies: How many studies can be counted.
        trials: How many trials can be counted.
        problems: What is wrong, a sentence each; empty for a sound store.
        doubts: What may be missing, and nothing proves that it is not; a sentence each.
        notes: What is worth knowing and no fault of the file.
    """

    schema: int
    studies: int
    trials: int
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, or may be missing."""
        return not self.problems and not self.doubts


def check_store(store: str | os.PathLike[str]) -> Report:
    """Check a store, which may be in use, of the present schema or an older one.

    Args:
        store: Its path.

    Raises:
        StudyNotFound: There is no such file.
        StoreError: The file is no store of hybridbo, or it cannot be read at all.
    """
    path = at_rest.place_of(store)
    if not path.is_file():
        raise StudyNotFound(f"there is no store {str(store)!r}.", "Check the path.")
    if not path.stat().st_size and not at_rest.has_wal(path):  # SQLite takes it for a database without tables
        return Report(0, 0, 0, (faults.empty(str(store)),), (), tuple(_waiting(path)))
    notes = [*_waiting(path), *([faults.wal_merged(str(store))] if at_rest.is_wal_merged(path) else [])]
    doubts = [faults.wal_missing(str(store))] if at_rest.is_wal_missing(path) else []
    with faults.Translated(str(store)), closing(at_rest.connect_read_only(path, _TIMEOUT_S)) as conn:
        migrations.check_identity(conn, str(store))
        conn.execute("BEGIN")  # one snapshot, whatever others write meanwhile
        checks: Sequence[Callable[[sqlite3.Connection], Problems]]
        checks = (_integrity, _schema, _references, _studies, _numbering, _trials, _records)
        problems = [problem for check in checks for problem in _all_of(check, conn)]
        notes += _all_of(_unsummed, conn)
        doubts += _parted(conn)
        studies, trials = _count(conn, "studies"), _count(conn, "trials")
        found = tuple(dict.fromkeys(problems)), tuple(doubts), tuple(notes)
        return Report(migrations.version_of(conn), studies, trials, *found)


def _all_of(check: Callable[[sqlite3.Connection], Problems], conn: sqlite3.Connection) -> list[str]:
    """What a check finds, up to the fault that ends it."""
    found: list[str] = []
    try:
        for problem in check(conn):
            found.append(problem)
            if len(found) >= _MOST:
                found.append(f"... and more of this kind than {_MOST}")
                break
    except (sqlite3.Error, UnicodeDecodeError) as error:
        found.append(f"the check of {check.__name__.strip('_')} cannot go on: {error}")
    return found


# SQLite's own checks ----------------------------------------------------------------------------------------------


def _integrity(conn: sqlite3.Connection) -> Problems:
    for (line,) in conn.execute(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            yield f"SQLite: {line}"


def _references(conn: sqlite3.Connection) -> Problems:
    for table, rowid, parent, _ in conn.execute("PRAGMA foreign_key_check"):
        yield f"{table}: row {rowid} refers to a row of {parent} that is not there"


def _schema(conn: sqlite3.Connection) -> Problems:
    """Hold the tables against those that this schema has."""
    version = migrations.version_of(conn)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sound:
        migrations.migrate(sound, migrations.MIGRATIONS[:version])
        there, ought = (
            dict(db.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall())
            for db in (conn, sound)
        )
    for name, sql in ought.items():
        if name not in there:
            yield f"{name} is missing from the tables, indexes and triggers of schema {version}"
        elif there[name] != sql:
            yield f"{name} is not as schema {version} has it"
    steps = [number for (number,) in conn.execute("SELECT number FROM migrations ORDER BY number")]
    if steps != list(range(1, version + 1)):
        yield f"migrations: the file is of schema {version}, and its record tells of {steps}"


# Ours -------------------------------------------------------------------------------------------------------------


def _studies(conn: sqlite3.Connection) -> Problems:
    for row in _rows(conn, "studies"):
        yield from _unreadable(f"study {row.get('name')!r}", records.decode_study, row)
        parts = {"space": Space.from_json, "objective": Objective.from_json, "settings": Settings.model_validate_json}
        for column, read in parts.items():
            yield from _unreadable(f"study {row.get('name')!r}: its {column}", read, row[column])


def _numbering(conn: sqlite3.Connection) -> Problems:
    last: dict[str, int] = {}
    for study, number in conn.execute("SELECT study, number FROM trials ORDER BY study, number"):
        if number != (expected := last.get(study, -1) + 1):
            yield f"study {study!r}: trials {expected} to {number - 1} are missing"
        last[study] = number


def _trials(conn: sqlite3.Connection) -> Problems:
    added = dict.fromkeys(("content_sum", "outcome_sum", "lease_until")) | {"attempt": 0, "lost": 0}
    for found in _rows(conn, "trials"):
        row = added | found  # an older schema has fewer columns
        fields = tuple(row[column] for column in rows.STORED_COLUMNS)
        yield from _unreadable(f"trial {row['number']} of study {row['study']!r}", rows.decode_stored, [fields])
        if row["outcome_sum"] is not None and row["finished_at"] is None:
            yield f"trial {row['number']} of study {row['study']!r} had ended, and is {row['state']} now"


def _records(conn: sqlite3.Connection) -> Problems:
    tables = _tables(conn)
    for table, decode in _DECODERS.items():
        for row in _rows(conn, table) if table in tables else ():
            name = row.get("id", row.get("request_id"))
            yield from _unreadable(f"{table}: row {name} of study {row['study']!r}", decode, row)
    dangling = """
        SELECT id, study, trial_number FROM events
        WHERE trial_number IS NOT NULL AND trial_number NOT IN (SELECT number FROM trials WHERE study = events.study)
    """
    for event, study, number in conn.execute(dangling):
        yield f"events: row {event} of study {study!r} tells of trial {number}, which is not there"


def _parted(conn: sqlite3.Connection) -> list[str]:
    """What an earlier opening has found, which the file itself no longer shows."""
    told = "SELECT study, min(at) FROM events WHERE kind = 'wal_missing' GROUP BY study ORDER BY study"
    with suppress(sqlite3.Error):  # which is among the problems
        return [
            f"study {study!r} lacked its side file when it was opened at {at}: what was told last before that may be "
            f"missing. If you know that it is not, delete the event: {_FORGET}"
            for study, at in conn.execute(told)
        ]
    return []


def _unsummed(conn: sqlite3.Connection) -> Problems:
    """Rows that something else than hybridbo has written: no damage, but nobody vouches for them."""
    if migrations.version_of(conn) < _SUMMED:
        return
    tables = _tables(conn)
    for table, column in sums.ALL_COLUMNS:
        if table not in tables:
            continue
        where = f"{column} IS NULL" + (" AND finished_at IS NOT NULL" if column == "outcome_sum" else "")
        number = conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]  # noqa: S608 - our own names
        if number:
            yield f"{table}: {number} rows have no {column}: something else than hybridbo has written them"


_FORGET = "DELETE FROM events WHERE kind = 'wal_missing'"
_SUMMED = 3  # the first schema with checksums
_DECODERS: dict[str, Callable[[Row], Any]] = {
    "queue": records.decode_queued,
    "llm_calls": records.decode_call,
    "events": records.decode_event,
    "alterations": records.decode_alteration,
    "logs": records.decode_log,
    "requests": lambda row: sums.verified("requests", row),
}


def _waiting(path: Path) -> Iterator[str]:
    for place in spill.Spill(path).waiting:
        yield f"{len(spill.read(place))} results wait in {place}, and will be merged when the store is opened"


def _unreadable(what: str, read: Callable[[Any], Any], data: Any) -> Problems:
    try:
        read(data)
    except HybridboError as error:
        yield f"{what} cannot be read: {error.message}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        yield f"{what} cannot be read: {error}"


def _rows(conn: sqlite3.Connection, table: str) -> Iterator[Row]:
    found = conn.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own names
    names = [column[0] for column in found.description]
    for row in found:
        yield dict(zip(names, row, strict=True))


def _tables(conn: sqlite3.Connection) -> set[str]:
    return {row[1] for row in conn.execute("PRAGMA table_list")}


def _count(conn: sqlite3.Connection, table: str) -> int:
    try:
        number: int = conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
    except sqlite3.Error:
        return 0
    return number
