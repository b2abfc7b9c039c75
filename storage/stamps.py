"""When a store was last written to by hybridbo, kept where a copy of its file does not have it.

A file in WAL mode without its ``-wal`` may lack what was told last (it was copied, or the ``-wal`` deleted), or have
all of it (another program has opened it after a kill, and merged the ``-wal`` when it closed it). The bytes of the file
are the same in both cases. So commits stamp the side file that the writers queue up at, ``search.db-lock``: the last
one was at its time or less than ``_EVERY_S`` later, and it holds the number (inode) of the file that it stands beside.
A file that was changed later than that has had its ``-wal`` merged. It is evidence, and believed only where all of it
is there. Not each commit stamps: a changed time makes the next commit wait for the file system's journal.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

SUFFIX = "-lock"
_LONGEST = 64
_EVERY_S = 0.5
_MARGIN_NS = int(2 * _EVERY_S * 1e9)  # file times are those of a clock that ticks some hundred times a second


class Stamp:
    """The stamp beside one file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, f"{path}{SUFFIX}"
        self._renewed = -_EVERY_S

    def name(self) -> None:
        """Say which file it belongs to; done where somebody begins to write."""
        with suppress(OSError), open(self._place, "rb+") as place:  # noqa: PTH123 - not to be made where it is not
            if place.read(_LONGEST) != (name := _name(self._path)):
                place.seek(0)
                place.write(name)
                place.truncate()

    def renew(self) -> None:
        """Say that something was committed just now, or not long ago."""
        if (now := time.monotonic()) < self._renewed + _EVERY_S:
            return
        self._renewed = now
        with suppress(OSError):  # no queue on this system, or deleted: nothing will be believed
            if not os.stat(self._place).st_size:  # noqa: PTH116 - on the fast path; made anew by the queue
                self.name()
            os.utime(self._place)


def is_merged(path: Path) -> bool:
    """Whether a file that lacks its ``-wal`` was changed after the last commit: the ``-wal`` was merged into it."""
    place = Path(f"{path}{SUFFIX}")
    try:
        is_its_own = place.read_bytes() == _name(path)
        return (
            is_its_own
            and not Path(f"{path}-shm").exists()
            and path.stat().st_mtime_ns > place.stat().st_mtime_ns + _MARGIN_NS
        )
    except OSError:
        return False


def _name(path: Path) -> bytes:
    return f"{path.stat().st_ino}\n".encode()
