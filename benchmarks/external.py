"""Peers whose packages do not go together with ours: each in an environment and a process of its own.

``make bench-peers`` makes the environments in ``.cache/peers``, or in ``$HYBRIDBO_BENCH_PEERS``. The child programs are
in :mod:`benchmarks.outside`; :mod:`benchmarks.outside.wire` has the messages.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods import NotApplicable
from benchmarks.problem import Problem
from benchmarks.run import THREADS
from hybridbo.errors import InvalidParams
from hybridbo.parameters import Params

Message = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
START_S, ANSWER_S = 180.0, 600.0  # importing torch on a busy machine; an ask, which takes seconds


class PeerBroken(RuntimeError):
    """The child died, was silent for too long, or said what is no answer."""


class Child:
    """A child program and the line to it.

    Args:
        command: How it is started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # one thread each as for every method; hashes decide in which order sets are walked
        environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONHASHSEED": "0"}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the child; a pipe that nobody empties blocks
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        self._unread = b""

    def request(self, message: Message, timeout_s: float) -> Message:
        """Send a message and wait for its answer.

        Raises:
            PeerBroken: There is none in time, or it is an error. The child is ended.
        """
        try:
            return self._answer(message, timeout_s)
        except PeerBroken as why:
            self._end()
            raise PeerBroken(f"{why}{self._last_words()}") from None

    def close(self) -> None:
        """End the child; again is harmless."""
        self._end()
        self._said.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self, message: Message, timeout_s: float) -> Message:
        assert self._process.stdin is not None  # noqa: S101  # for mypy: it is a pipe
        if self._process.stdin.closed:
            raise PeerBroken("it was ended before")
        try:
            # unbuffered, so that closing has nothing left to write
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError:
            raise PeerBroken(f"it has ended with status {self._process.wait()}") from None
        line = self._line(time.monotonic() + timeout_s, timeout_s)
        try:
            reply = json.loads(line, parse_constant=_refuse)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise PeerBroken(f"it said what is no JSON object: {line[:200]!r}")
        if "error" in reply:
            raise PeerBroken(str(reply["error"]).strip())
        return reply

    def _line(self, deadline: float, timeout_s: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  # for mypy: it is a pipe
        out = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise PeerBroken(f"it did not answer within {timeout_s:g} s")
            if not (read := os.read(out, 65536)):
                raise PeerBroken(f"it has ended with status {self._process.wait()}")
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read()[-2000:].decode(errors="replace").strip().splitlines()
        return "".join(f"\n  {line}" for line in lines[-5:])


class External:
    """A search by a child program.

    Args:
        command: The child, see ``command_of``.
        problem: What is optimised.
        seed: Of the child.
        budget: Trials, which some peers plan with.
        given: Configurations that are evaluated first.
        start_s: How long the child may take to start.

    Raises:
        NotApplicable: The child does not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        problem: Problem,
        seed: int,
        budget: int,
        given: Sequence[Params] = (),
        start_s: float = START_S,
    ) -> None:
        self._problem, self._given = problem, list(given)
        self._foreign: Params | None = None  # the running trial, where the child has not proposed it
        self._child = Child(command)
        self.ask_cpu_s = 0.0
        start = {"op": "start", "space": json.loads(problem.space.to_json()), "seed": seed, "budget": budget}
        try:
            self.versions = dict(self._child.request(start, start_s).get("versions", {}))
        except PeerBroken as why:
            self.close()
            raise NotApplicable(f"{command[-1]} does not start: {why}") from None

    def add(self, params: Params, value: float) -> None:
        """Take in a trial that was made elsewhere."""
        self._foreign = params
        self.tell(value)

    def ask(self) -> tuple[Params, str]:
        """See Method."""
        self.ask_cpu_s = 0.0
        self._foreign = self._given.pop(0) if self._given else None
        if self._foreign is not None:
            return self._foreign, "given"
        reply = self._child.request({"op": "ask"}, ANSWER_S)
        try:
            self.ask_cpu_s = float(reply["cpu_s"])
            return self._problem.space.validate(self._problem.space.round(reply["params"])), str(reply["source"])
        except (KeyError, TypeError, ValueError, InvalidParams) as why:
            raise PeerBroken(f"it proposed {str(reply)[:500]}: {why!r}") from why

    def tell(self, value: float) -> None:
        """See Method."""
        self._tell(self._problem.loss(value))

    def fail(self, reason: str) -> None:  # noqa: ARG002  # the peers keep no reason
        """See Method."""
        self._tell(None)

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _tell(self, loss: float | None) -> None:
        foreign = {} if self._foreign is None else {"params": self._foreign}
        self._child.request({"op": "tell", "loss": loss, **foreign}, ANSWER_S)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not in JSON")


def command_of(peer: str) -> list[str]:
    """How the child of a peer is started.

    Args:
        peer: ``"smac"`` or ``"hebo"``.

    Raises:
        NotApplicable: Its environment is not there.
    """
    folder = Path(os.environ.get("HYBRIDBO_BENCH_PEERS") or ROOT / ".cache" / "peers") / peer
    if not (folder / ".ready").exists():
        raise NotApplicable(f"there is no environment of {peer}: make bench-peers")
    return [str(folder / "bin" / "python"), "-m", f"benchmarks.outside.{peer}_child"]
