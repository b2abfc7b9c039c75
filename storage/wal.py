"""The ``-wal`` of a connection, by a descriptor of our own, so that it is known when it was deleted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Wal:
    """The open ``-wal`` of a file, until :meth:`close`.

    Args:
        path: The file that it belongs to.

    Raises:
        OSError: It is not there, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def is_deleted(self) -> bool:
        """Whether it has lost its name: what is written to it now, nobody will find."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def open_wal(path: Path) -> Wal | None:
    """The ``-wal`` of a file; None where it cannot be had, or must not be: Windows deletes no file that is open."""
    if os.name == "nt":
        return None
    with suppress(OSError):
        return Wal(path)
    return None
