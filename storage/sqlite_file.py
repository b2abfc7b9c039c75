"""One SQLite file: opening it, its transactions, threads, forks, and the errors of all of these in our words."""

from __future__ import annotations

import logging
import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from sqlite_utils import Database

from hybridbo.errors import InvalidSettings, StoreError
from hybridbo.storage import at_rest, backup, faults, header, migrations, open_files, sums
from hybridbo.storage.link import Link
from hybridbo.storage.stamps import Stamp
from hybridbo.storage.turns import Turns

_log = logging.getLogger("hybridbo.storage")

_OLDEST_SQLITE = (3, 37)  # the first with STRICT tables
_MOST_STATEMENTS = 128  # prepared once and kept
_LAST_TURN_S = 1.0  # to close a file in


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
        self.path = at_rest.place_of(location)
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
        self._is_writing = False  # a transaction of the thread that has the lock is open
        self._links: list[Link] = []  # one, or none
        _check_place(location, self.path)
        if at_rest.is_wal_orphaned(self.path):  # SQLite would delete it with a new file
            raise faults.orphaned_wal(location)
        self.is_read_only = self.path.exists() and not at_rest.is_writable(self.path)
        self.is_wal_missing = at_rest.is_wal_missing(self.path)
        with self._translated:
            self._connect()
        open_files.add(self)
        weakref.finalize(self, _close, self._links, self._turns, 0)  # a script need not close what it opened

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
                link = self._links[0]
                if link.use_wal():
                    self._stamp.name()
                self._is_writing = True
                with migrations.immediate(db.conn):
                    yield db
                if link.is_stale:  # within these moments
                    raise faults.wal_deleted(self.location)
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
            self._db = None
            _close(self._links, self._turns, _LAST_TURN_S)

    # What open_files asks of a file, see there

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file that was opened."""
        return self._identity

    def hold(self, timeout_s: float = -1) -> bool:
        """Keep other threads from using it."""
        return self._lock.acquire(timeout=timeout_s)

    def let_go(self) -> None:
        """Let other threads use it again."""
        self._lock.release()

    def disconnect(self) -> None:
        """Drop the connection and the place in the queue; the next use makes new ones."""
        self._turns.drop()
        self._db = None
        _rest(self._links)

    def drop(self) -> None:
        """Drop the connection, whose ``-wal`` was deleted; the next use makes a new one."""
        self._db = None
        while self._links:
            self._links.pop().drop()

    def be_born(self) -> None:
        """Forget the threads of the parent."""
        self._lock, self._is_writing = RLock(), False

    def _database(self) -> Database:
        if self._is_closed:
            raise faults.closed(self.location)
        if self._is_writing and self._db is not None and self._db.conn.in_transaction:
            return self._db  # looked at when the transaction began
        if self._identity != _identity(self.path):
            raise faults.vanished(self.location)
        if self._links and self._links[0].is_stale:
            self._begin_anew()
        db = self._connect() if self._db is None else self._db
        if db.conn.in_transaction is not self._is_writing:
            if self._is_writing:  # SQLite has ended it by itself: what follows must not be stored without the rest
                raise faults.undone(self.location)
            db.conn.execute("ROLLBACK")  # an interrupt hit the few instructions that no handler covers
        return db

    def _connect(self) -> Database:
        conn = at_rest.connect_read_only(self.path, self._timeout_s) if self.is_read_only else self._connect_to_write()
        link = Link(conn, self.path, self.location, self._timeout_s / 2)
        try:
            migrations.check_identity(conn, self.location)
            if self.is_read_only:
                link.conn = migrations.migrated_copy(conn)
            else:
                self._prepare(link)
        except BaseException:
            link.rest()
            raise
        self._identity = _identity(self.path)
        self._db = Database(link.conn, recursive_triggers=False, execute_plugins=False)
        self._links.append(link)
        return self._db

    def _connect_to_write(self) -> sqlite3.Connection:
        return header.connect(
            self.path,
            timeout=self._timeout_s / 2,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,  # the lock sees to that
            cached_statements=_MOST_STATEMENTS,
        )

    def _prepare(self, link: Link) -> None:
        conn = link.conn
        backup.back_up_before_migration(conn, self.path)
        conn.execute(f"PRAGMA synchronous = {self._synchronous}")
        if not migrations.is_present(conn):
            link.use_wal()
            self._stamp.name()
            migrations.migrate(conn)
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a copy without the -wal is known for what it is
            link.watch_wal()  # there is none for a file that is empty
        sums.add_to(conn)
        conn.execute("PRAGMA foreign_keys = ON")  # after the migrations, which may have to rebuild a table

    def _begin_anew(self) -> None:
        """Open a file again whose ``-wal`` was deleted while it was open here.

        SQLite deletes it when the last process closes the file, so something has made it believe that we had: any
        ``open`` and ``close`` of the file in this process, a ``shutil.copy`` for example, ends SQLite's locks. All that
        was told is in the file itself by then.

        Raises:
            StoreBusy: Another thread is using the same file, for long.
        """
        _log.warning("%s: another process has merged its -wal while it was open here; opening it again", self.location)
        if not open_files.drop_all(self, self._timeout_s / 2):
            raise faults.busy_here(self.location)


def _check_place(location: str, path: Path) -> None:
    """What SQLite would call "unable to open database file", told apart."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        hint = "Use a Python built with SQLite 3.37 or newer."
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old.", hint)
    if not location or "\0" in location:
        raise StoreError(f"{location!r} is no path.", 'Give a path such as "search.db", or ":memory:".')
    if len(os.fsencode(path.name)) > faults.LONGEST_NAME or len(os.fsencode(path)) > faults.LONGEST_PATH:
        raise faults.long_path(location, str(path))
    if path.is_dir():
        raise StoreError(f"{location} is a folder.", f'Give a file in it, such as "{path / "search.db"}".')
    if not path.parent.is_dir():
        raise StoreError(f"{location}: there is no folder {path.parent}.", "Create it first.")
    if not path.exists() and not os.access(path.parent, os.W_OK):
        hint = "Make it writable for this user, or choose another."
        raise StoreError(f"{location}: the folder {path.parent} is read-only.", hint)
    if path.exists() and not os.access(path, os.R_OK):
        raise StoreError(f"{location} may not be read by this user.", "Make it readable, or work on a copy.")


def _close(links: list[Link], turns: Turns, wait_s: float) -> None:
    """Close a file in a turn, since whoever is the last deletes the ``-wal``: nobody is writing to it then."""
    if links:
        turns.take(wait_s)
        _rest(links)
        turns.close()


def _rest(links: list[Link]) -> None:
    while links:
        link = links.pop()
        (link.drop if link.is_stale else link.rest)()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at ``path``; None if there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - on the fast path
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
