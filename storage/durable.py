"""The ``-wal`` of a connection, by a descriptor of our own: synced after a commit, and known when it was deleted.

With ``synchronous=FULL`` SQLite syncs the ``-wal`` within COMMIT, while all other writers wait: for the disk, and on a
busy machine longer still, for a processor once it is done. What a commit promises to the one who made it needs no lock.
So SQLite is told ``NORMAL``, with which it still orders its own writes, and the writer syncs the ``-wal`` when others
can go on already, and returns after that. Whoever reads meanwhile what is not synced yet and builds on it writes to the
same ``-wal`` later, and so has it synced with its own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_sync = getattr(os, "fdatasync", os.fsync)


class Wal:
    """The open ``-wal`` of a file; closed with the last reference to it, so that a thread may sync what another drops.

    Args:
        path: The file that it belongs to.

    Raises:
        OSError: It is not there, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._fd = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)

    @property
    def is_deleted(self) -> bool:
        """Whether it has lost its name: what is written to it now, nobody will find."""
        return os.fstat(self._fd).st_nlink == 0

    def sync(self) -> None:
        """Have the disk confirm what was written to it.

        Raises:
            OSError: The disk reports a fault.
        """
        _sync(self._fd)


def open_wal(path: Path) -> Wal | None:
    """The ``-wal`` of a file; None where it cannot be had, or must not be: Windows deletes no file that is open."""
    if os.name == "nt":
        return None
    with suppress(OSError):
        return Wal(path)
    return None
