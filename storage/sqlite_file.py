"""One SQLite file: opening it, its transactions, threads, forks, and the errors of all of these in our words."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from sqlite_utils import Database

from hybridbo.errors import InvalidSettings, StoreError
from hybridbo.storage import at_rest, backup, faults, migrations, sums
from hybridbo.storage.stamps import Stamp
from hybridbo.storage.turns import Turns

_log = logging.getLogger("hybridbo.storage")

_OLDEST_SQLITE = (3, 37)  # the first with STRICT tables
_MOST_STATEMENTS = 128  # prepared once and kept


class SqliteFile:
    """An open store file: one connection, which the threads of a process take in turn.

    A file that cannot be written is opened to be read; a change of it is then a StoreError.

    Args:
        location: Its path.
        timeout_s: How long to wait for another process that writes, in seconds.
        synchronous: ``"FULL"`` or ``"NORMAL"``, as SQLite means it.

    Raises:
        StoreError: It cannot be opened; its kinds say why.
    """

    def __init__(self, location: str, *, timeout_s: float, synchronous: str) -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise InvalidSettings(f"synchronous={synchronous!r} is unknown.", 'Use "FULL" or "NORMAL".')
        self.location = location
        self.path = Path(os.path.abspath(location))  # noqa: PTH100 - resolve() would follow a link that may change
        self._timeout_s = timeout_s
        self._synchronous = synchronous
        self._lock = RLock()
        # half of the time for a turn, and half for those who do not take turns: other programs
        self._turns = Turns(self.path, location, timeout_s / 2)
        self._stamp = Stamp(self.path)
        self._translated = faults.Translated(location)
        self._identity: tuple[int, int] | None = None
        self._db: Database | None = None
        self._is_closed = False
        self._has_wal = False  # or has tried to
        self._is_writing = False  # a transaction of the thread that has the lock is open
        self._open: list[sqlite3.Connection] = []
        _check_place(location, self.path)
        if at_rest.is_wal_orphaned(self.path):  # SQLite would delete it with a new file
            raise faults.orphaned_wal(location)
        self.is_read_only = self.path.exists() and not at_rest.is_writable(self.path)
        self.is_wal_missing = at_rest.is_wal_missing(self.path)
        with self._translated:
            self._connect()
        _FILES.add(self)
        weakref.finalize(self, _rest, self._open)  # a script need not close what it opened

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The database, for this thread alone; each statement sees what was committed before it."""
        with self._lock, self._translated:
            yield self._database()

    @contextmanager
    def snapshot(self) -> Iterator[Database]:
        """The database as it is at one moment, for several statements."""
        with self.reading() as db:
            if db.conn.in_transaction:
                yield db
                return
            db.conn.execute("BEGIN")
            try:
                yield db
            finally:
                if db.conn.in_transaction:  # SQLite ends it by itself at some faults
                    db.conn.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """A write transaction: committed at the end of the block, rolled back if the block raises.

        Within another one of the same thread it is a part of that one.
        """
        with self._lock, self._translated:
            if self._is_writing:
                yield self._database()
                return
            self._database()  # a file that is gone gets no side file
            if self.is_read_only:
                raise faults.read_only(self.location)
            try:
                self._turns.take()
                db = self._database()  # it may be gone by now
                self._use_wal(db.conn)
                self._is_writing = True
                with migrations.immediate(db.conn):
                    yield db
                self._stamp.renew()
            finally:
                self._is_writing = False
                self._turns.leave()

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closed

    def close(self) -> None:
        """Close the file; its side files are merged into it then, unless another process has it open."""
        with self._lock:
            self._is_closed = True
            if self._db is not None:
                self._turns.close()
            self.disconnect()

    def disconnect(self) -> None:
        """Drop the connection and the place in the queue; the next use makes new ones."""
        self._turns.drop()
        self._db, self._has_wal = None, False
        _rest(self._open)

    def _database(self) -> Database:
        if self._is_closed:
            raise faults.closed(self.location)
        if self._is_writing and self._db is not None and self._db.conn.in_transaction:
            return self._db  # looked at when the transaction began
        if self._identity != _identity(self.path):
            raise faults.vanished(self.location)
        db = self._connect() if self._db is None else self._db
        if db.conn.in_transaction is not self._is_writing:
            if self._is_writing:  # SQLite has ended it by itself: what follows must not be stored without the rest
                raise faults.undone(self.location)
            db.conn.execute("ROLLBACK")  # an interrupt hit the few instructions that no handler covers
        return db

    def _connect(self) -> Database:
        conn = at_rest.connect_read_only(self.path, self._timeout_s) if self.is_read_only else self._connect_to_write()
        try:
            migrations.check_identity(conn, self.location)
            conn = migrations.migrated_copy(conn) if self.is_read_only else self._prepared(conn)
        except BaseException:
            at_rest.rest(conn)
            raise
        self._identity = _identity(self.path)
        self._db = Database(conn, recursive_triggers=False, execute_plugins=False)
        self._open.append(conn)
        return self._db

    def _connect_to_write(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path,
            timeout=self._timeout_s / 2,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,  # the lock sees to that
            cached_statements=_MOST_STATEMENTS,
        )

    def _prepared(self, conn: sqlite3.Connection) -> sqlite3.Connection:
        backup.back_up_before_migration(conn, self.path)
        conn.execute(f"PRAGMA synchronous = {self._synchronous}")
        if not migrations.is_present(conn):
            self._use_wal(conn)
            migrations.migrate(conn)
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a copy without the -wal is known for what it is
        sums.add_to(conn)
        conn.execute("PRAGMA foreign_keys = ON")  # after the migrations, which may have to rebuild a table
        return conn

    def _use_wal(self, conn: sqlite3.Connection) -> None:
        """Switch a file to WAL, where readers and a writer do not wait for each other, until the last one closes it.

        Done before the first change: whoever only reads leaves the file as it is.
        """
        if self._has_wal:
            return
        self._has_wal = True
        self._stamp.name()
        deadline = time.monotonic() + self._timeout_s / 2
        mode = conn.execute("PRAGMA journal_mode").fetchone()[0]
        while mode != "wal":
            try:
                mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                # SQLite does not wait here by itself when another process opens the same new file
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > deadline:  # it can be read; a change will meet whoever holds it
                    _log.warning("%s is held by another program: it stays in rollback mode", self.location)
                    return
                time.sleep(0.002)
            else:
                if mode != "wal":
                    _log.warning("%s: no WAL on this file system; processes will wait for each other", self.location)
                return


def _check_place(location: str, path: Path) -> None:
    """What SQLite would call "unable to open database file", told apart."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        hint = "Use a Python built with SQLite 3.37 or newer."
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old.", hint)
    if not location or "\0" in location:
        raise StoreError(f"{location!r} is no path.", 'Give a path such as "search.db", or ":memory:".')
    if path.is_dir():
        raise StoreError(f"{location} is a folder.", f'Give a file in it, such as "{path / "search.db"}".')
    if not path.parent.is_dir():
        raise StoreError(f"{location}: there is no folder {path.parent}.", "Create it first.")
    if not path.exists() and not os.access(path.parent, os.W_OK):
        hint = "Make it writable for this user, or choose another."
        raise StoreError(f"{location}: the folder {path.parent} is read-only.", hint)
    if path.exists() and not os.access(path, os.R_OK):
        raise StoreError(f"{location} may not be read by this user.", "Make it readable, or work on a copy.")


def _rest(connections: list[sqlite3.Connection]) -> None:
    while connections:
        at_rest.rest(connections.pop())


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at ``path``; None if there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - on the fast path
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


# Forks: SQLite keeps its locks in variables of the process. A child that inherits an open file believes in locks that
# only its parent holds, even on a connection of its own, and its data can be lost. So all files are closed before a
# fork, and each side opens them again when it uses them.

_FILES: weakref.WeakSet[SqliteFile] = weakref.WeakSet()
_HELD: list[SqliteFile] = []


def _before_fork() -> None:
    for file in list(_FILES):
        file._lock.acquire()  # noqa: SLF001 - this module's own; no other thread is in a transaction
        _HELD.append(file)
        file.disconnect()


def _after_in_parent() -> None:
    while _HELD:
        _HELD.pop()._lock.release()  # noqa: SLF001 - as above


def _after_in_child() -> None:
    while _HELD:
        file = _HELD.pop()
        file._lock, file._is_writing = RLock(), False  # noqa: SLF001 - as above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
