"""Locks of ranges of bytes that belong to an open file, not to the process: Linux has them (fcntl(2), F_OFD_SETLK)."""

from __future__ import annotations

import struct
import sys

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLOCK = struct.Struct("hhqqi4x")  # C's struct flock: type, whence, start, length (0: to the end of all files), pid

ARE_KNOWN = fcntl is not None and sys.platform == "linux" and sys.maxsize > 2**32 and hasattr(fcntl, "F_OFD_SETLK")
SHARED, EXCLUSIVE, NONE = (fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK) if fcntl is not None else (0, 1, 2)


def lock(fd: int, kind: int, start: int, length: int) -> bool:
    """Lock bytes, or give them back; whether that was possible at once.

    Args:
        fd: The open file.
        kind: ``SHARED``, ``EXCLUSIVE`` or ``NONE``.
        start: The first byte.
        length: How many; 0 for all that follow.

    Raises:
        OSError: There are no locks here.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, 0, start, length, 0))
    except BlockingIOError:
        return False
    return True


def locked_by_others(fd: int, start: int, length: int) -> tuple[int, int] | None:
    """Start and length of a range that others have locked within one; None if they have none there.

    Raises:
        OSError: There are no locks here.
    """
    probe = _FLOCK.pack(EXCLUSIVE, 0, start, length, 0)
    kind, _, start, length, _ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, probe))
    return None if kind == NONE else (start, length)
