"""A connection to a store file that is written to, and what goes with it: WAL mode, the ``-wal``, our presence."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from hybridbo.storage import at_rest
from hybridbo.storage.presence import Presence
from hybridbo.storage.wal import Wal, open_wal

_log = logging.getLogger("hybridbo.storage")

_PAUSE_S = 0.002


class Link:
    """One connection.

    Args:
        conn: The connection.
        path: The file.
        location: The file in the words of messages.
        wait_s: How long to wait for those who take no turns, in seconds.
    """

    def __init__(self, conn: sqlite3.Connection, path: Path, location: str, wait_s: float) -> None:
        self.conn = conn
        self._wal: Wal | None = None
        self._path, self._location, self._wait_s = path, location, wait_s
        self._presence: Presence | None = None
        self._has_tried = False

    @property
    def is_stale(self) -> bool:
        """Whether the ``-wal`` that it writes to was deleted."""
        return self._wal is not None and self._wal.is_deleted

    def use_wal(self) -> bool:
        """Switch the file to WAL, where readers and a writer do not wait for each other, until the last one closes it.

        Done before the first change: whoever only reads leaves the file as it is.

        Returns:
            Whether that was the first time.
        """
        if self._has_tried:
            return False
        self._has_tried = True
        if self._is_switched():
            self.watch_wal()
        return True

    def watch_wal(self) -> None:
        """Keep the ``-wal`` from being deleted, and notice it; nothing where there is none yet."""
        if self._wal is None and (wal := open_wal(self._path)) is not None:
            self._wal, self._presence = wal, Presence(self._path)

    def rest(self) -> None:
        """Close it; if nobody else has the file open, it is one file in rollback mode then."""
        self._part()
        at_rest.rest(self.conn)

    def drop(self) -> None:
        """Close it and leave the mode of the file alone: others may use another ``-wal`` by now."""
        self._part()
        with suppress(sqlite3.Error):
            self.conn.close()

    def _part(self) -> None:
        if self._wal is not None:
            self._wal.close()
        if self._presence is not None:
            self._presence.end()
        self._wal = self._presence = None

    def _is_switched(self) -> bool:
        deadline = time.monotonic() + self._wait_s
        mode = self.conn.execute("PRAGMA journal_mode").fetchone()[0]
        while mode != "wal":
            try:
                mode = self.conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                # SQLite does not wait here by itself when another process opens the same new file
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > deadline:  # it can be read; a change will meet whoever holds it
                    _log.warning("%s is held by another program: it stays in rollback mode", self._location)
                    return False
                time.sleep(_PAUSE_S)
            else:
                if mode != "wal":
                    _log.warning("%s: no WAL on this file system; processes will wait for each other", self._location)
                    return False
        return True
