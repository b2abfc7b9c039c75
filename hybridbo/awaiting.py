"""Asking without blocking an event loop: ``await opt.ask_async()``.

One thread does what ``ask`` does, from reading the history to storing the trial: the fit of the Gaussian process and
the waiting for the store block it alone. A backend that offers ``complete_async`` is awaited in the caller's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from hybridbo.chat import ChatBackend, ChatReply, ChatRequest
from hybridbo.errors import BackendTimeout

T = TypeVar("T")

_GRACE_S = 30.0  # for the pauses between attempts
_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar("hybridbo_loop", default=None)


class Abandoned(BaseException):
    """Nobody waits for this trial any more. No Exception: nothing on the way may take it for a failure."""


class Gate:
    """Decides between whoever is about to store a trial and whoever stops waiting for it: one of them is first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = self._closed = False

    def enter(self) -> None:
        """Called before a trial is stored.

        Raises:
            Abandoned: Nobody waits for it any more.
        """
        with self._lock:
            if self._closed:
                raise Abandoned
            self._entered = True

    def check(self) -> None:
        """Called before anything that takes long.

        Raises:
            Abandoned: Nobody waits any more.
        """
        with self._lock:
            if self._closed:
                raise Abandoned

    def close(self) -> bool:
        """Let nothing be stored from now on; whether something may have been already."""
        with self._lock:
            self._closed = True
            return self._entered


@runtime_checkable
class AsyncBackend(Protocol):
    """A ChatBackend that can be awaited, too."""

    def complete_async(self, request: ChatRequest) -> Coroutine[Any, Any, ChatReply]:
        """As ``complete``."""


def complete(backend: ChatBackend, request: ChatRequest) -> ChatReply:
    """The backend's answer; awaited in the loop that waits for this thread, if there is one and the backend can.

    Raises:
        BackendError: From the backend.
        BackendTimeout: The loop does not come to it: something blocks it.
    """
    loop = _loop.get()
    if loop is None or not isinstance(backend, AsyncBackend):
        return backend.complete(request)
    future = asyncio.run_coroutine_threadsafe(backend.complete_async(request), loop)
    limit = request.timeout_s * (request.retries + 1) + _GRACE_S
    try:
        return future.result(limit)
    except TimeoutError:
        if future.done():  # its own
            raise
        future.cancel()
        raise BackendTimeout(
            f"{backend.name} gave no reply within {limit:g} s.",
            "Does something block the event loop? Within it, await opt.ask_async() rather than call opt.ask().",
        ) from None


@dataclass
class _Work(Generic[T]):
    """What a thread does for a loop."""

    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[T]

    def start(self, work: Callable[[], T]) -> None:
        # a daemon: a program that is ended does not wait for a language model
        run = contextvars.copy_context().run  # of the caller, as asyncio.to_thread does
        threading.Thread(target=run, args=(self._run, work), name="hybridbo-ask", daemon=True).start()

    def _run(self, work: Callable[[], T]) -> None:
        _loop.set(self.loop)
        try:
            self._tell(self.done.set_result, work())
        except Abandoned:
            self._tell(self.done.cancel)
        except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
            self._tell(self.done.set_exception, error)

    def _tell(self, how: Callable[..., Any], *what: Any) -> None:
        def tell() -> None:
            if not self.done.done():
                how(*what)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            self.loop.call_soon_threadsafe(tell)


async def in_thread(work: Callable[[Gate], T], undo: Callable[[T], object]) -> T:
    """What ``work`` returns, done in a thread of its own.

    Cancelled before the gate was entered, it stores nothing, and what the thread computes is dropped. Cancelled later,
    it waits for the thread, a moment, and undoes its result: either way all is settled when CancelledError is raised.

    Args:
        work: Given a gate, which it enters before it stores anything.
        undo: Takes back a result that nobody received.
    """
    loop, gate = asyncio.get_running_loop(), Gate()
    task: _Work[T] = _Work(loop, loop.create_future())
    task.start(lambda: work(gate))
    try:
        return await asyncio.shield(task.done)
    except asyncio.CancelledError:
        if gate.close():
            await _settle(task.done, undo)
        raise


async def _settle(done: asyncio.Future[T], undo: Callable[[T], object]) -> None:
    """Wait for a result, through further cancellations, and take it back."""
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([done])
    if not done.cancelled() and done.exception() is None:
        await asyncio.to_thread(undo, done.result())
