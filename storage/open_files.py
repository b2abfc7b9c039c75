"""The store files that this process has open, and what concerns them together: forks, and a ``-wal`` that was deleted.

Forks: SQLite keeps its locks in variables of the process. A child that inherits an open file believes in locks that
only its parent holds, even on a connection of its own, and its data can be lost. So all files are closed before a
fork, and each side opens them again when it uses them.

A deleted ``-wal``: SQLite shares the index of a ``-wal`` among the connections of a process, so as long as one of them
is open, a new one would use that of the deleted one. All are closed before one is opened anew.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from threading import Lock
from typing import Protocol


class OpenFile(Protocol):
    """What is asked of a file that is open."""

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file that is open."""
        ...

    def hold(self, timeout_s: float = -1) -> bool:
        """Keep other threads from using it; whether that could be had in time, by default whenever it is."""
        ...

    def let_go(self) -> None:
        """Let other threads use it again."""
        ...

    def disconnect(self) -> None:
        """Close it; the next use opens it again."""
        ...

    def drop(self) -> None:
        """Close it, and merge nothing that stands in a ``-wal`` that was deleted."""
        ...

    def be_born(self) -> None:
        """Be as in a process where no thread has used it; called in the child of a fork, where it is held."""
        ...


_files: weakref.WeakSet[OpenFile] = weakref.WeakSet()
_forking = Lock()  # threads that fork at once would each hold what the other one needs
_held: list[OpenFile] = []


def add(file: OpenFile) -> None:
    """Remember a file for as long as somebody uses it."""
    with _forking:
        _files.add(file)


def drop_all(of: OpenFile, timeout_s: float) -> bool:
    """Drop a file that this thread holds, and all others of this process that are the same one.

    Args:
        of: The file.
        timeout_s: How long to wait for a thread that uses one of them, in seconds.

    Returns:
        Whether all of them could be dropped.
    """
    with ExitStack() as held:
        for file in _same(of):
            if not file.hold(timeout_s):
                return False
            held.callback(file.let_go)
            file.drop()
    return True


def _same(of: OpenFile) -> list[OpenFile]:
    with _forking:
        return [file for file in _files if file.identity == of.identity]


def _before_fork() -> None:
    _forking.acquire()
    for file in list(_files):
        file.hold()  # no other thread is in a transaction then
        _held.append(file)
        file.disconnect()


def _after_in_parent() -> None:
    while _held:
        _held.pop().let_go()
    _forking.release()


def _after_in_child() -> None:
    while _held:
        _held.pop().be_born()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
