"""Bringing a file to the present schema, which stands in :mod:`hybridbo.storage.schema`.

Each migration runs in one write transaction together with its own record, so that a file is always of exactly one
schema, whenever the process is killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hybridbo.errors import StoreCorrupt, StoreTooNew
from hybridbo.storage import sums, texts
from hybridbo.storage.schema import APPLICATION_ID, MIGRATIONS, Migration

__all__ = ["APPLICATION_ID", "MIGRATIONS", "Migration"]


@contextmanager
def immediate(conn: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that takes the write lock at once, so that what is read inside it stays true."""
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                conn.execute("ROLLBACK")
        raise


def version_of(conn: sqlite3.Connection) -> int:
    """The number of the last migration of this file; 0 for a new one."""
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    return version


def check_identity(conn: sqlite3.Connection, location: str) -> None:
    """See that a file is ours, or empty, before anything in it is changed.

    Raises:
        StoreCorrupt: It belongs to another program.
        StoreTooNew: Its schema is not known here.
    """
    conn.execute("BEGIN")  # one snapshot, or half of another process's first migration might be seen
    try:
        application_id = conn.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(conn)
        is_empty = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    finally:
        conn.execute("ROLLBACK")
    if application_id != APPLICATION_ID and not (is_empty and application_id == 0):
        raise StoreCorrupt(
            f"{location} is a database of another program.", "Choose another path; hybridbo leaves this file as it is."
        )
    known = MIGRATIONS[-1].number
    if version > known:
        message = f"{location} has schema {version}, and this hybridbo knows schemas up to {known}."
        hint = "Update it with `pip install --upgrade hybridbo`."
        if Path(backup_name(location, known)).exists():
            hint += f" What was stored before the change of schema is in {backup_name(location, known)}."
        raise StoreTooNew(message, hint)


def backup_name(location: str, schema: int) -> str:
    """Where a file of that schema is kept when it is changed to a later one."""
    return f"{location}.schema{schema}-backup"


def is_present(conn: sqlite3.Connection) -> bool:
    """Whether a file has the schema that this hybridbo writes."""
    return version_of(conn) == MIGRATIONS[-1].number


def migrated_copy(conn: sqlite3.Connection) -> sqlite3.Connection:
    """A connection to the present schema for a file that cannot be written: the same, or one to a copy in memory."""
    if is_present(conn):
        return conn
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    conn.backup(copy)
    conn.close()
    migrate(copy)
    return copy


def migrate(conn: sqlite3.Connection, steps: Sequence[Migration] | None = None) -> None:
    """Bring a file up to the last of ``steps``, by default all; safe when several processes do so at once."""
    sums.add_to(conn)
    for step in MIGRATIONS if steps is None else steps:
        if version_of(conn) >= step.number:
            continue
        with immediate(conn):
            if version_of(conn) < step.number:  # nobody else was faster
                _apply(conn, step)


def _apply(conn: sqlite3.Connection, step: Migration) -> None:
    for statement in step.statements:
        conn.execute(statement)
    record = (step.number, step.name, texts.encode_time(texts.now()))
    conn.execute("INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)", record)
    conn.execute(f"PRAGMA user_version = {step.number:d}")
