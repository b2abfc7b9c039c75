"""Queues of processes, kept by the kernel as locks on a file, so that the kernel takes out those who die.

:class:`TicketQueue` serves in the order of arrival. A plain flock (:class:`FlockQueue`) knows no order. Nobody sleeps
in them: a lock of the kernel has no time-out, and on a busy machine it takes longer to wake a process than to make
many transactions. Whoever waits looks again after a pause, which is short for the one who is next.
"""

from __future__ import annotations

import time
from typing import Protocol

from hybridbo.storage import byte_locks
from hybridbo.storage.byte_locks import EXCLUSIVE, NONE, SHARED

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_TURN = 1 << 40  # the byte of the turn; those before it are the queue
_SLICE_S = 0.06
_RETAKES = 64
_PAUSE_S, _LONG_PAUSE_S = 0.001, 0.01


class Queue(Protocol):
    """A place in the queue at an open file."""

    @property
    def pause_s(self) -> float:
        """How long to wait before looking again, in seconds."""
        ...

    def enter(self) -> bool:
        """Queue up; whether the turn has come at once."""
        ...

    def has_come(self) -> bool:
        """Whether the turn has come by now; called after :meth:`enter` was False."""
        ...

    def leave(self) -> None:
        """End the turn, or step out of the queue."""
        ...


class TicketQueue:
    """Locks of byte ranges (Linux: open file description locks): one byte is the turn, many others are the queue.

    Whoever comes locks the first byte behind all that are locked in the queue, is next when none before it is locked,
    and gives up the place in the queue when the turn has come. Whoever has had the turn for less than ``_SLICE_S`` may
    take it ``_RETAKES`` times again before the next one looks, so that a busy file does not wait for processes to wake
    up.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ticket = 0  # 0: nobody is before us
        self._slice_ends = 0.0
        self._retakes = 0

    @property
    def pause_s(self) -> float:
        """See :class:`Queue`."""
        return _LONG_PAUSE_S if self._ticket else _PAUSE_S

    def enter(self) -> bool:
        """See :class:`Queue`."""
        self._retakes += 1
        is_ours = self._retakes <= _RETAKES and time.monotonic() < self._slice_ends
        if is_ours and byte_locks.lock(self._fd, EXCLUSIVE, _TURN, 1):
            return True
        if byte_locks.lock(self._fd, EXCLUSIVE, 0, _TURN):  # nobody is in the queue: all of it can be had
            self._ticket = 0
            byte_locks.lock(self._fd, NONE, 1, _TURN - 1)
        else:
            self._ticket = self._end()
            while not byte_locks.lock(self._fd, EXCLUSIVE, self._ticket, 1):  # somebody else has just got that place
                self._ticket = self._end()
        return self.has_come()

    def has_come(self) -> bool:
        """See :class:`Queue`."""
        if self._ticket:
            if not byte_locks.lock(self._fd, SHARED, 0, self._ticket):
                return False
            self._ticket = 0
        if not byte_locks.lock(self._fd, EXCLUSIVE, _TURN, 1):
            return False
        byte_locks.lock(self._fd, NONE, 0, _TURN)
        self._slice_ends, self._retakes = time.monotonic() + _SLICE_S, 0
        return True

    def leave(self) -> None:
        """See :class:`Queue`."""
        byte_locks.lock(self._fd, NONE, 0, 0)

    def _end(self) -> int:
        """The first byte behind all that others have locked."""
        end = 0
        while (found := byte_locks.locked_by_others(self._fd, end, _TURN - end)) is not None:
            start, length = found
            # a lock of all is that of somebody who found nobody, and is about to give back all but the first byte
            end = start + (1 if length == _TURN else length)
        return end


class FlockQueue:
    """An flock: no order of arrival, but nobody looks less often the longer it has waited."""

    pause_s = _PAUSE_S

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def enter(self) -> bool:
        """See :class:`Queue`."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    has_come = enter

    def leave(self) -> None:
        """See :class:`Queue`."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)


def kind_of_queue() -> type[TicketQueue | FlockQueue] | None:
    """The best that this system has; None if it has none."""
    if fcntl is None:
        return None
    return TicketQueue if byte_locks.ARE_KNOWN else FlockQueue
