"""A deadline that holds: for connecting, for headers, and for a body that comes one byte a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The work was not done in time."""


class _Box(Generic[T]):
    """What a worker thread leaves behind."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: list[T] = []
        self.error: BaseException | None = None

    def fill(self, work: Callable[[], T]) -> None:
        try:
            self.value.append(work())
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self.error = error
        finally:
            self.done.set()


def within(seconds: float, work: Callable[[], T], abandon: Callable[[], None]) -> T:
    """Do ``work`` in a thread of its own and wait for it no longer than that.

    The time-outs of HTTP libraries hold for one read each, so that a server which drips can keep a caller for hours;
    waiting on a clock cannot be fooled. It works inside a running event loop, and Ctrl-C interrupts it at once.

    Args:
        seconds: How long to wait.
        work: What to do. Its thread is a daemon: when abandoned it delays no exit.
        abandon: Called when nobody waits any more: closes what the work is blocked on.

    Raises:
        DeadlineExceeded: The time is over.
    """
    box: _Box[T] = _Box()
    threading.Thread(target=box.fill, args=(work,), name="hybridbo-llm", daemon=True).start()
    in_time = False
    try:
        in_time = box.done.wait(min(seconds, threading.TIMEOUT_MAX))
    finally:
        if not in_time:
            abandon()
    if not in_time:
        raise DeadlineExceeded
    if box.error is not None:
        raise box.error
    return box.value[0]
