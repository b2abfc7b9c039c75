"""The first bytes of a file that SQLite may have open, read without taking its locks away.

POSIX locks belong to a process and a file, not to a descriptor: when a process closes any descriptor of a file, all
the locks that it has there are gone (fcntl(2)), those of SQLite's connections too. Another process that closes the
store would then believe that it is the last one, and delete the ``-wal`` that this one is writing to
(https://sqlite.org/howtocorrupt.html, section 2.2). So a descriptor that was opened here is closed only while this
process has no other one of the same file, and kept until then.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

_HEADER = 100
_DESCRIPTORS = "/dev/fd"
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_lock = RLock()  # no connection of ours may appear between a look at the descriptors and a close
_kept: dict[int, tuple[int, int]] = {}  # descriptor -> device and inode


def read(path: Path) -> bytes:
    """The 100 bytes of an SQLite header; fewer if the file is shorter, none if it cannot be read."""
    with _lock:
        try:
            return _read(path)
        except OSError:
            return b""
        finally:
            close_idle()


def connect(path: Path | str, **options: Any) -> sqlite3.Connection:
    """``sqlite3.connect``, for files whose headers are read here."""
    with _lock:
        conn: sqlite3.Connection = sqlite3.connect(path, **options)
        return conn


def close_when_idle(fd: int) -> None:
    """Close a descriptor of such a file, as soon as that takes no lock away."""
    with _lock:
        stat = os.fstat(fd)
        _kept[fd] = stat.st_dev, stat.st_ino
        close_idle()


def close_idle() -> None:
    """Close what is kept of files that this process has no longer open otherwise."""
    with _lock:
        if not _kept:
            return
        others = _open_files(set(_kept))
        for fd in [] if others is None else [fd for fd, file in _kept.items() if file not in others]:
            del _kept[fd]
            os.close(fd)


def _read(path: Path) -> bytes:
    stat = path.stat()
    fd = next((fd for fd, file in _kept.items() if file == (stat.st_dev, stat.st_ino)), None)
    if fd is None:
        fd = os.open(path, _FLAGS)
        stat = os.fstat(fd)  # another file may be there by now
        _kept[fd] = stat.st_dev, stat.st_ino
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, _HEADER)


def _open_files(apart_from: set[int]) -> set[tuple[int, int]] | None:
    """Device and inode of all that this process has open; None if the system does not tell."""
    if os.name == "nt":  # locks belong to handles there
        return set()
    found = set()
    try:
        names = os.listdir(_DESCRIPTORS)  # noqa: PTH208 - numbers, not paths
    except OSError:
        return None
    for fd in {int(name) for name in names} - apart_from:
        with suppress(OSError):  # that of the listing is closed by now
            stat = os.fstat(fd)
            found.add((stat.st_dev, stat.st_ino))
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
