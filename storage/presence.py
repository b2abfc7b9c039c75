"""A lock that says that this process has a file open, and that nobody takes away by closing the file.

Whoever closes an SQLite file last merges its ``-wal`` and deletes it. It knows that it is the last one by a lock of the
whole file, which it gets when nobody has a shared one (https://sqlite.org/lockingv3.html). But SQLite's locks are those
of a process: any ``open`` and ``close`` of the file elsewhere in it, a ``shutil.copy`` for example, ends them
(https://sqlite.org/howtocorrupt.html, section 2.2), and the ``-wal`` is deleted while the process writes to it. So we
hold a shared lock of the same bytes that belongs to a descriptor (fcntl(2), open file description locks), where the
system has such.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hybridbo.storage import byte_locks, header

_SHARED_BYTES = 0x40000002, 510  # SHARED_FIRST and SHARED_SIZE of SQLite's os.h, part of its file format


class Presence:
    """The lock, held until :meth:`end`; while SQLite itself holds a shared one, nobody can be in its way.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = None
        if byte_locks.ARE_KNOWN:
            with suppress(OSError):  # SQLite's own locks are what there is then
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                byte_locks.lock(self._fd, byte_locks.SHARED, *_SHARED_BYTES)

    def end(self) -> None:
        """Give the lock back, so that SQLite may find that it is the last one."""
        if self._fd is not None:
            with suppress(OSError):
                byte_locks.lock(self._fd, byte_locks.NONE, *_SHARED_BYTES)
            header.close_when_idle(self._fd)
        self._fd = None
