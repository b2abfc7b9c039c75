"""What a store's file says of itself before it is opened, and how it is opened to be read only.

A store that nobody has open is one file in SQLite's rollback mode, which needs no side file: it can be copied, sent and
read in a folder that nobody may write. While it is open it is in WAL mode, where what was told last stands in
``search.db-wal``. The header tells the mode (https://sqlite.org/fileformat2.html, section 1.3), so a file in WAL mode
without a ``-wal`` beside it is one that was copied, or moved, while it was in use: what was told last is missing,
unless another program has merged it (see :mod:`hybridbo.storage.stamps`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from hybridbo.storage import header, stamps

_WAL = 2
_FIRST_TO_REST = 3  # schemas before it stay in WAL mode when they are closed
_PAUSE_S, _LOOKS = 0.002, 25  # another process may be between changing the mode and making the side file


def place_of(location: str | os.PathLike[str]) -> Path:
    """The path of a file, links followed: SQLite keeps its side files beside the file itself, and so do we."""
    text = os.fspath(location)
    return Path(os.path.abspath(text) if "\0" in text else os.path.realpath(text))  # noqa: PTH100 - fixed from here on


def is_wal_missing(path: Path) -> bool:
    """Whether the file was in use when it was parted from its ``-wal``, and nothing tells that it was merged."""
    return _lacks_wal(path) and not stamps.is_merged(path)


def is_wal_merged(path: Path) -> bool:
    """Whether another program has merged the ``-wal`` of a search that did not close its file: all of it is there."""
    return _lacks_wal(path) and stamps.is_merged(path)


def _lacks_wal(path: Path) -> bool:
    for _ in range(_LOOKS):
        if has_wal(path):
            return False
        found = header.read(path)
        if int.from_bytes(found[60:64], "big") < _FIRST_TO_REST or not _is_wal(found):
            return False
        time.sleep(_PAUSE_S)
    return True


def has_wal(path: Path) -> bool:
    """Whether the side file of WAL mode is there."""
    return os.path.exists(f"{path}-wal")  # noqa: PTH110 - fast


def is_wal_orphaned(path: Path) -> bool:
    """Whether a side file with something in it is there, and the file that it belongs to is not."""
    try:
        return Path(f"{path}-wal").stat().st_size > 0 and not path.exists()
    except OSError:
        return False


def is_writable(path: Path) -> bool:
    """Whether a file, and the folder where SQLite keeps its side files, can be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def connect_read_only(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection that changes nothing and leaves no side file behind."""
    # a WAL database would be given side files; where there is none, nobody has it open and all of it is in the file
    is_whole = not has_wal(path) and _is_wal(header.read(path))
    uri = f"{path.as_uri()}?mode=ro{'&immutable=1' if is_whole else ''}"
    return header.connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def rest(conn: sqlite3.Connection) -> None:
    """Close a connection; if nobody else has the file open, it is one file in rollback mode then."""
    with suppress(sqlite3.Error):  # somebody else has it open, who will do this
        if conn.in_transaction:  # what a fault has left open
            conn.execute("ROLLBACK")
        conn.execute("PRAGMA journal_mode = DELETE")
    conn.close()
    header.close_idle()


def _is_wal(found: bytes) -> bool:
    return found[18:20] == bytes([_WAL, _WAL])
