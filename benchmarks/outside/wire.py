"""The child's end of the line: one JSON object per line comes in, one goes out. It ends with its standard input.

==================================================================  ===============================================
``{"op": "start", "space": ..., "seed": ..., "budget": ...}``       ``{"versions": {...}}``
``{"op": "ask"}``                                                   ``{"params": ..., "source": ..., "cpu_s": ...}``
``{"op": "tell", "loss": ...}``; null for a trial that has failed   ``{}``
``{"op": "tell", "loss": ..., "params": ...}``: of nobody's asking  ``{}``
anything that goes wrong                                            ``{"error": ...}``, and the child ends
==================================================================  ===============================================

Neither peer is told of a failure as such: their models take numbers. A failure counts as the worst loss so far; one
before the first loss waits for that.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Protocol, TextIO

from benchmarks.outside.axes import Axis, axes, to_params, to_point


class Peer(Protocol):
    """An optimizer that minimises."""

    def ask(self) -> tuple[Any, Mapping[str, float], str]:
        """A handle of the trial, its point, and who proposed it."""
        ...

    def adopt(self, point: Mapping[str, float]) -> Any:
        """A handle for a trial that it did not propose."""
        ...

    def tell(self, handle: Any, loss: float, *, failed: bool) -> None:
        """What came out."""
        ...


Start = Callable[[Mapping[str, Axis], int, int], Peer]


class Session:
    """One search: answers requests."""

    def __init__(self, start: Start, packages: tuple[str, ...]) -> None:
        self._start, self._packages = start, packages
        self._worst: float | None = None
        self._waiting: list[Any] = []  # failed before there was a loss

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        reply: dict[str, Any] = getattr(self, "_on_" + request["op"])(request)
        return reply

    def _on_start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._axes = axes(request["space"])
        self._peer = self._start(self._axes, request["seed"], request["budget"])
        return {"versions": {name: metadata.version(name) for name in self._packages}}

    def _on_ask(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # all requests look alike
        began = time.process_time()  # of all threads
        self._asked, point, source = self._peer.ask()
        params = to_params(self._axes, point)
        return {"params": params, "source": source, "cpu_s": time.process_time() - began}

    def _on_tell(self, request: Mapping[str, Any]) -> dict[str, Any]:
        own = "params" not in request
        handle = self._asked if own else self._peer.adopt(to_point(self._axes, request["params"]))
        loss = request["loss"]
        if loss is None:
            self._waiting.append(handle)
        else:
            self._worst = loss if self._worst is None else max(self._worst, loss)
            self._peer.tell(handle, loss, failed=False)
        while self._waiting and self._worst is not None:
            self._peer.tell(self._waiting.pop(0), self._worst, failed=True)
        return {}


def serve(start: Start, *packages: str) -> None:
    """Answer standard input on standard output until it ends.

    Args:
        start: From axes, seed and budget to a peer.
        packages: Those whose versions are told.
    """
    out = _own_output()
    session = Session(start, packages)
    for line in sys.stdin:
        try:
            reply = session.answer(json.loads(line))
        except Exception:  # noqa: BLE001  # whatever it is, the benchmark must hear of it
            reply = {"error": traceback.format_exc(limit=-6)}
        out.write(json.dumps(reply) + "\n")
        out.flush()
        if "error" in reply:
            return


def _own_output() -> TextIO:
    """Standard output for the answers alone: what libraries print goes to standard error from here on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out
