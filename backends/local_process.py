"""A child process that answers one line with one line, within a deadline, and never outlives its parent."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any

_LONGEST_LOAD_S = 600.0  # a model that is not there by then will not come
_SECRETS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_LONGEST_LAST_WORDS = 2000


class Ended(Exception):
    """The child has ended, or would not start; its words say why.

    Attributes:
        told: Whether the child itself said so, before it ended in good order.
    """

    def __init__(self, words: str, *, told: bool = False) -> None:
        super().__init__(words)
        self.told = told


class LateError(Exception):
    """No answer before the deadline.

    Attributes:
        what: What was being waited for.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Child:
    """A child process, started at the first question and again after it has ended.

    Threads take turns. A question that is not answered in time, or whose asker is interrupted, ends the process, since
    nothing else stops a computation in it; loading may go on beyond a deadline and serves the next question.

    Args:
        command: The program.
        first: What it is told first, as an object of JSON.
    """

    def __init__(self, command: Sequence[str], first: Mapping[str, Any]) -> None:
        self._command, self._first = list(command), first
        self._turn = threading.Lock()
        self._running: _Running | None = None
        self._finish: weakref.finalize[..., Child] | None = None

    @property
    def pid(self) -> int | None:
        """The process; None if there is none now."""
        return self._running.process.pid if self._running else None

    def ask(self, question: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        """The child's answer.

        Args:
            question: An object of JSON.
            deadline: On the clock of ``time.monotonic``.

        Raises:
            LateError: The deadline has passed.
            Ended: The child ended before it answered.
        """
        if not self._turn.acquire(timeout=_left(deadline)):
            raise LateError("its turn")
        try:
            running = self._ready(deadline)
            try:
                running.tell(question)
                return running.hear(deadline)
            except queue.Empty:
                raise LateError("the answer") from None
        except BaseException as error:
            if not (isinstance(error, LateError) and error.what == "the model"):
                self._end()
            raise
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._turn:
            self._end()

    def _ready(self, deadline: float) -> _Running:
        running = self._running
        if running is None:
            running = self._running = _Running(self._command, self._first)
            self._finish = weakref.finalize(self, running.end)  # at the exit of the interpreter, too
        if running.ready:
            return running
        try:
            told = running.hear(deadline)
        except queue.Empty:
            too_long = time.monotonic() - running.started > _LONGEST_LOAD_S
            raise LateError("a model that does not load" if too_long else "the model") from None
        if "fatal" in told:
            raise Ended(str(told["fatal"]), told=True)
        running.ready = True
        return running

    def _end(self) -> None:
        if self._finish is not None:
            self._finish()
        self._running = self._finish = None


class _Running:
    """One life of the child."""

    def __init__(self, command: Sequence[str], first: Mapping[str, Any]) -> None:
        self._owner = os.getpid()
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self.started, self.ready = time.monotonic(), False
        self.process = subprocess.Popen(  # noqa: S603  # our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, env=_environment(), **_apart()
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # knows the pipe and the queue alone: this object can be collected while it listens
        threading.Thread(
            target=_listen, args=(self.process.stdout, self._lines), name="hybridbo-local", daemon=True
        ).start()
        self.tell(first)

    def tell(self, what: Mapping[str, Any]) -> None:
        """Send a line, from a thread: a child that does not read must not hold us beyond the deadline."""
        line = json.dumps(what).encode() + b"\n"
        threading.Thread(target=_write, args=(self.process.stdin, line), name="hybridbo-local", daemon=True).start()

    def hear(self, deadline: float) -> Mapping[str, Any]:
        """The next line.

        Raises:
            queue.Empty: None before the deadline.
            Ended: There will be none, or it is no object of JSON.
        """
        line = self._lines.get(timeout=_left(deadline))
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if not isinstance(told, Mapping):
            raise Ended(self._why(line))
        return told

    def _why(self, line: bytes) -> str:
        """How the process ended, and the last that it said."""
        if line:
            return f"it wrote {line[:80]!r}, which is no answer"
        self.process.kill()  # it has closed its output: whatever else it does, it will not answer
        code = self.process.wait()
        self._words.seek(max(0, self._words.seek(0, os.SEEK_END) - _LONGEST_LAST_WORDS))
        last = self._words.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        ended = f"it was ended by signal {-code}" if code < 0 else f"it ended with status {code}"
        return f"{ended}: {last}" if last else ended

    def end(self) -> None:
        """Kill the process and wait for it; not if it is our parent's, from which we were forked."""
        if os.getpid() != self._owner:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self._words):
            with contextlib.suppress(OSError):  # what was not flushed cannot be any more
                pipe.close()  # type: ignore[union-attr]  # both are there


def _write(stream: IO[bytes], line: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended, which whoever listens will notice
        stream.write(line)
        stream.flush()


def _listen(stream: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    """Take in lines, and an empty one at the end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")


def _environment() -> dict[str, str]:
    """Ours without keys: a library that reads a file from anywhere has no use for them."""
    return {name: value for name, value in os.environ.items() if not name.upper().endswith(_SECRETS)}


def _apart() -> dict[str, Any]:
    """Out of reach of the Ctrl-C that a terminal sends to all who run in it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _left(deadline: float) -> float:
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
