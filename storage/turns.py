"""Taking turns at a file: whoever waits first is served first, also when many processes write without a pause.

SQLite's busy handler sleeps and tries again, longer each time, so that a newcomer finds the lock free more often than
one who has waited: of eight processes the least served got one trial while the most served got a thousand. So writers
queue up at a side file, with locks that the kernel gives back when their holder dies, by SIGKILL too. They decide the
order alone: what is correct is SQLite's own lock, which every writer takes as well. So nothing is lost where there are
no such locks (Windows, some network drives) or somebody deletes the side file, and a turn that does not come is not
waited for for ever: processes wait for each other in SQLite's way then.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hybridbo.storage.queues import Queue, kind_of_queue

_log = logging.getLogger("hybridbo.storage")

SUFFIX = "-lock"


class Turns:
    """A place in the queue of those who write to one file; one thread at a time uses it.

    Args:
        path: The file; the side file stands beside it.
        location: The file in the words of messages.
        timeout_s: How long to wait for a turn, in seconds.
    """

    def __init__(self, path: Path, location: str, timeout_s: float) -> None:
        self._path = path
        self._place = Path(f"{path}{SUFFIX}")
        self._location = location
        self._timeout_s = timeout_s
        self._fd = -1
        self._queue: Queue | None = None
        self._end: weakref.finalize[[int], Turns] | None = None
        self._kind = kind_of_queue()

    def take(self, wait_s: float | None = None) -> None:
        """Wait for a turn; one that does not come in time is not waited for any longer.

        Args:
            wait_s: How long it is waited for, in seconds; None for the time of a writer, who wonders if that ends.
        """
        deadline = time.monotonic() + (self._timeout_s if wait_s is None else wait_s)
        while self._kind is not None:
            try:
                has_come = self._wait(self._queue or self._open(self._kind), deadline)
                if has_come and self._is_at_place():
                    return
            except OSError as error:
                self._do_without(error)
                return
            except BaseException:
                self.drop()
                raise
            self.drop()
            if not has_come:
                if wait_s is None:
                    _log.warning("%s: no turn to write within %g s", self._location, self._timeout_s)
                return
            # else the side file was deleted, or replaced, and those who come after us queue up at another one

    def leave(self) -> None:
        """End a turn, if there is one."""
        if self._queue is not None:
            self._queue.leave()

    def drop(self) -> None:
        """Close the side file, which ends a turn; the next one opens it again. Needed before a fork."""
        if self._queue is not None:
            with suppress(OSError):
                self._queue.leave()  # what a process forked without our knowledge holds of it, too
        self._queue = None
        if self._end is not None:
            self._end()

    def close(self) -> None:
        """Close the side file, and delete it unless somebody is using it."""
        with suppress(OSError):  # the folder is gone, or read-only by now
            if self._queue is not None and self._queue.enter() and self._is_at_place():
                self._place.unlink()
        self.drop()

    def _open(self, kind: Callable[[int], Queue]) -> Queue:
        self._fd = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._end = weakref.finalize(self, os.close, self._fd)
        self._end.atexit = False  # a file that nobody has closed takes a last turn there
        self._queue = kind(self._fd)
        with suppress(OSError):  # whoever may write the store may queue for it, whatever our umask
            if os.fstat(self._fd).st_mode != (mode := self._path.stat().st_mode):
                os.fchmod(self._fd, mode & 0o777)
        return self._queue

    def _wait(self, queue: Queue, deadline: float) -> bool:
        has_come = queue.enter()
        while not has_come and time.monotonic() < deadline:
            time.sleep(queue.pause_s)
            has_come = queue.has_come()
        return has_come

    def _is_at_place(self) -> bool:
        """Whether the open side file is the one that others find."""
        try:
            here = os.stat(self._place)  # noqa: PTH116 - on the fast path
        except FileNotFoundError:
            return False
        mine = os.fstat(self._fd)
        return (here.st_dev, here.st_ino) == (mine.st_dev, mine.st_ino)

    def _do_without(self, error: OSError) -> None:
        self.drop()
        if self._path.parent.is_dir():  # else the store has vanished, which is said elsewhere
            self._kind = None
            _log.warning("%s: no fair waiting between processes (%s); SQLite's own is used", self._location, error)
