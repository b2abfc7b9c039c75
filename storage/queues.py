"""Queues of processes, kept by the kernel as locks on a file, so that the kernel takes out those who die.

:class:`TicketQueue` serves in the order of arrival. A plain flock (:class:`FlockQueue`) does not: when it is released,
all who sleep are woken and race, and whoever is on a processor already, often the one that has released it, wins.
"""

from __future__ import annotations

import struct
import sys
import time
from typing import Protocol

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLOCK = struct.Struct("hhqqi4x")  # C's struct flock: type, whence, start, length (0: to the end of all files), pid

_TURN = 1 << 40  # the byte of the turn; those before it are the queue
_SLICE_S = 0.005


class Queue(Protocol):
    """A place in the queue at an open file."""

    def enter(self) -> bool:
        """Queue up; whether the turn has come at once."""
        ...

    def sleep(self) -> None:
        """Wait for the turn, without an end; called after :meth:`enter` was False."""
        ...

    def leave(self) -> None:
        """End the turn, or step out of the queue."""
        ...


class TicketQueue:
    """Locks of byte ranges (Linux: open file description locks): one byte is the turn, many others are the queue.

    Whoever comes locks the first byte behind all that are locked in the queue, sleeps until the one before it is free,
    and then for the turn; the place in the queue is given up when the turn has come. So one process is woken at a time,
    and it is the one that has waited longest. That takes a while on a busy machine: whoever has had the turn for less
    than ``_SLICE_S`` may take it again meanwhile, without which a file would mostly wait for processes to wake up.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ticket = 0
        self._slice_ends = 0.0

    def enter(self) -> bool:
        """See :class:`Queue`."""
        if time.monotonic() < self._slice_ends and self._lock(fcntl.F_WRLCK, _TURN, 1):
            return True
        if self._lock(fcntl.F_WRLCK, 0, _TURN):  # nobody is in the queue: all of it can be had
            self._ticket = 0
            self._lock(fcntl.F_UNLCK, 1, _TURN - 1)
        else:
            self._ticket = self._end()
            while not self._lock(fcntl.F_WRLCK, self._ticket, 1):  # somebody else has just got that place
                self._ticket = self._end()
        if self._ticket or not self._lock(fcntl.F_WRLCK, _TURN, 1):
            return False
        self._begin()
        return True

    def sleep(self) -> None:
        """See :class:`Queue`."""
        if self._ticket:
            self._lock(fcntl.F_RDLCK, self._ticket - 1, 1, wait=True)
            self._lock(fcntl.F_RDLCK, 0, self._ticket, wait=True)  # the one before may have died in the queue
        self._lock(fcntl.F_WRLCK, _TURN, 1, wait=True)
        self._begin()

    def leave(self) -> None:
        """See :class:`Queue`."""
        self._lock(fcntl.F_UNLCK, 0, 0)

    def _begin(self) -> None:
        self._lock(fcntl.F_UNLCK, 0, _TURN)
        self._slice_ends = time.monotonic() + _SLICE_S

    def _end(self) -> int:
        """The first byte behind all that others have locked."""
        end = 0
        while True:
            probe = _FLOCK.pack(fcntl.F_WRLCK, 0, end, _TURN - end, 0)
            kind, _, start, length, _ = _FLOCK.unpack(fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, probe))
            if kind == fcntl.F_UNLCK:
                return end
            # a lock of all is that of somebody who found nobody, and is about to give back all but the first byte
            end = start + (1 if start == 0 else length)

    def _lock(self, kind: int, start: int, length: int, *, wait: bool = False) -> bool:
        how = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
        try:
            fcntl.fcntl(self._fd, how, _FLOCK.pack(kind, 0, start, length, 0))
        except BlockingIOError:
            return False
        return True


class FlockQueue:
    """An flock: no order of arrival, but nobody sleeps longer the longer it has waited."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def enter(self) -> bool:
        """See :class:`Queue`."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sleep(self) -> None:
        """See :class:`Queue`."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def leave(self) -> None:
        """See :class:`Queue`."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)


def kind_of_queue() -> type[TicketQueue | FlockQueue] | None:
    """The best that this system has; None if it has none."""
    if fcntl is None:
        return None
    is_known = sys.platform == "linux" and sys.maxsize > 2**32 and hasattr(fcntl, "F_OFD_SETLKW")
    return TicketQueue if is_known else FlockQueue
