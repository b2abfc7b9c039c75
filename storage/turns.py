"""Taking turns at a file: whoever waits first is served first, also when many processes write without a pause.

SQLite's busy handler sleeps and tries again, longer each time, so that a newcomer finds the lock free more often than
one who has waited: of eight processes the least served got one trial while the most served got a thousand. An flock on
a side file is given by the kernel to those who sleep in it, and released by the kernel when its holder dies, by SIGKILL
too. It decides the order alone: what is correct is SQLite's own lock, which every writer takes as well. So nothing is
lost where there is no flock (Windows, some network drives) or somebody deletes the side file, and a turn that does not
come is not waited for for ever: processes wait for each other in SQLite's way then.
"""

from __future__ import annotations

import logging
import os
import threading
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
        self._side: _Side | None = None
        self._end: weakref.finalize[[], Turns] | None = None
        self._kind = kind_of_queue()

    def take(self) -> None:
        """Wait for a turn; one that does not come in time is not waited for any longer."""
        deadline = time.monotonic() + self._timeout_s
        while self._kind is not None:
            try:
                side = self._side or self._open(self._kind)
                has_come = side.take(deadline - time.monotonic())
                if has_come and side.is_at(self._place):
                    return
            except OSError as error:
                self._do_without(error)
                return
            except BaseException:
                self.drop()
                raise
            self.drop()
            if not has_come:
                _log.warning("%s: no turn to write within %g s", self._location, self._timeout_s)
                return
            # else the side file was deleted, or replaced, and those who come after us queue up at another one

    def leave(self) -> None:
        """End a turn, if there is one."""
        if self._side is not None:
            self._side.leave()

    def drop(self) -> None:
        """Close the side file, which ends a turn; the next one opens it again. Needed before a fork."""
        self._side = None
        if self._end is not None:
            self._end()

    def close(self) -> None:
        """Close the side file, and delete it unless somebody is using it."""
        with suppress(OSError):  # the folder is gone, or read-only by now
            if self._side is not None and self._side.take(timeout_s=None) and self._side.is_at(self._place):
                self._place.unlink()
        self.drop()

    def _open(self, kind: Callable[[int], Queue]) -> _Side:
        fd = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._side = _Side(fd, kind(fd))
        with suppress(OSError):  # whoever may write the store may queue for it, whatever our umask
            if os.fstat(fd).st_mode != (mode := self._path.stat().st_mode):
                os.fchmod(fd, mode & 0o777)
        self._end = weakref.finalize(self, self._side.close)
        return self._side

    def _do_without(self, error: OSError) -> None:
        self.drop()
        if self._path.parent.is_dir():  # else the store has vanished, which is said elsewhere
            self._kind = None
            _log.warning("%s: no fair waiting between processes (%s); SQLite's own is used", self._location, error)


class _Side:
    """An open side file, and the thread that sleeps in the kernel's queue for it: flock itself knows no time-out.

    The thread is started when a lock is not free at once, and kept. It takes the lock for whoever waits; if nobody does
    any longer when it gets it, it closes the file.
    """

    def __init__(self, fd: int, queue: Queue) -> None:
        self._fd, self._queue = fd, queue
        self._go, self._has_come, self._guard = threading.Lock(), threading.Lock(), threading.Lock()
        self._go.acquire()
        self._has_come.acquire()
        self._is_running = self._is_waiting = self._is_closed = False
        self._error: OSError | None = None

    def take(self, timeout_s: float | None) -> bool:
        """Whether the lock could be had in time; None waits for nothing."""
        if self._queue.enter():
            return True
        if timeout_s is None:
            self._queue.leave()
            return False
        self._is_waiting = True
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._serve, name="hybridbo-turns", daemon=True).start()
        self._go.release()
        if not self._has_come.acquire(timeout=max(timeout_s, 0.0)):
            return False
        if self._error is not None:
            raise self._error
        return True

    def leave(self) -> None:
        """Give the lock back; also what a process forked without our knowledge holds of it."""
        self._queue.leave()

    def is_at(self, path: Path) -> bool:
        """Whether this is the file at ``path``."""
        try:
            here = os.stat(path)  # noqa: PTH116 - on the fast path
        except FileNotFoundError:
            return False
        mine = os.fstat(self._fd)
        return (here.st_dev, here.st_ino) == (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Give the lock back and close the file, at once or when the thread has got it."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            if self._is_waiting:
                return
        self._release()
        if self._is_running:
            self._go.release()

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            if self._is_closed and not self._is_waiting:
                return
            try:
                self._queue.sleep()
            except OSError as error:
                self._error = error
            with self._guard:
                self._is_waiting = False
                if self._is_closed:
                    break
            self._has_come.release()
        self._release()

    def _release(self) -> None:
        with suppress(OSError):
            self._queue.leave()
        os.close(self._fd)
