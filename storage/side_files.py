"""Small files beside a store: appended to whole and synced, locked while they are changed, and one's own."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: appends are then not kept apart from a merge
    fcntl = None  # type: ignore[assignment]

_WAIT_S = 5.0  # for whoever merges or appends
_PAUSE_S = 0.01
_READ_WRITE = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


def append(place: Path, data: bytes) -> None:
    """Append to a file and sync it: all of ``data``, or nothing of it."""
    is_new = not place.exists()
    with locked(place, wait_s=_WAIT_S, create=True) as fd:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":  # somebody was killed in the middle of a line
            data = b"\n" + data
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, size)
            if is_new:
                with suppress(OSError):
                    place.unlink()
            raise
    if is_new:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut, where the system can."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def locked(place: Path, *, wait_s: float, create: bool = False) -> Iterator[int]:
    """A file of ours, open and locked; the one that is at that path once the lock is held.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: It cannot be opened, or is somebody else's.
    """
    deadline = time.monotonic() + wait_s
    while True:
        fd = os.open(place, _READ_WRITE | os.O_APPEND | (os.O_CREAT if create else 0), 0o666)
        try:
            if _lock(fd, deadline) and _is_at(fd, place):
                yield fd
                return
        finally:
            os.close(fd)


def _lock(fd: int, deadline: float) -> bool:
    while fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_S)
    return True


def _is_at(fd: int, place: Path) -> bool:
    """Whether the open file still has its name: a merge may have removed it meanwhile."""
    try:
        there, here = os.stat(place), os.fstat(fd)  # noqa: PTH116 - beside fstat
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def make_private(folder: Path) -> None:
    """A folder that only this user can write.

    Raises:
        OSError: It cannot be made, or is there and somebody else's.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_private(folder)


def check_private(folder: Path) -> None:
    """Among the temporary files anybody can make a folder of any name, and fill it with results.

    Raises:
        OSError: It is not this user's own.
    """
    stat = os.lstat(folder)
    if hasattr(os, "getuid") and (stat.st_uid != os.getuid() or stat.st_mode & 0o022):
        raise PermissionError(errno.EPERM, "others than this user can write there", str(folder))


def lines(fd: int) -> list[bytes]:
    """The lines of an open file, empty ones left out."""
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(os.dup(fd), "rb") as file:
        return [line for line in file.read().splitlines() if line.strip()]
