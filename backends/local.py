"""A language model in a file, run by llama.cpp in a child process: no network, no server, no key."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hybridbo.backends.dialect import Complaint, Dialect
from hybridbo.backends.local_process import Child, Ended, LateError
from hybridbo.backends.openai_faults import Reporter
from hybridbo.backends.openai_reply import read_reply
from hybridbo.backends.redact import Redactor
from hybridbo.errors import (
    BackendBadReply,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    InvalidSettings,
    UnknownBackend,
)
from hybridbo.ports import ChatReply, ChatRequest

PROGRAM = Path(__file__).with_name("local_child.py")
"""What runs in the child."""

_MAGIC = b"GGUF"
_MOST_THREADS = 8  # more of them make a small model slower
_LONGEST_NAME = 280
_SEED = 0  # of the sampling at temperatures above 0: the same request has the same answer

_log = logging.getLogger("hybridbo.backends.local")


class LocalModel:
    """A model in a GGUF file.

    llama.cpp runs in a child process, which is started by the first request and serves all later ones: a crash, its
    memory and its threads are not the program's, and a deadline ends a computation that nothing else would. The child
    ends with this process, however that ends. Threads may share a model; their requests take turns, and the waiting
    counts towards ``timeout_s``. A copy in another process has a child of its own.

    The same request has the same answer, at any temperature.

    Args:
        path: The file; ``~`` is the home folder.
        n_ctx: The longest prompt and reply together, in tokens.
        n_threads: Threads of the child; None for half of the processors that this process may use, at most eight: they
            wait for each other, and one that is held up by other work holds up all.

    Raises:
        InvalidSettings: There is no such file, or it is no GGUF file; ``n_ctx`` or ``n_threads`` is not positive.
        UnknownBackend: The package xllamacpp is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], n_ctx: int = 8192, n_threads: int | None = None) -> None:
        self._path = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # links stay what they are called
        _check_file(self._path)
        for name, value in (("n_ctx", n_ctx), ("n_threads", 1 if n_threads is None else n_threads)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidSettings(f"{name}={value!r} is not a positive integer.", "Give 1 or more.")
        self._n_ctx, self._n_threads = n_ctx, n_threads
        self._folder = _folder_of_package()
        self._children: dict[int, Child] = {}  # by the process that started it: a fork must not talk to its parent's

    @property
    def name(self) -> str:
        """``"local:PATH"``, with ``~`` for the home folder, so that a study finds its model again."""
        return f"local:{_shown(self._path)}"

    def __repr__(self) -> str:
        return f"<LocalModel {self._path.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self._path), self._n_ctx, self._n_threads)

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer a request.

        Each attempt has ``request.timeout_s``. A model that is still being loaded then goes on loading, and the next
        attempt finds it further.

        Raises:
            BackendTimeout: No answer in time.
            BackendUnavailable: The child died, for instance because memory ran out.
            BackendRefused: The model cannot be loaded, or takes no such request.
            BackendBadReply: It wrote nothing.
        """
        started = time.monotonic()
        for attempt in range(1, request.retries + 2):
            try:
                reply = self._attempt(request)
            except BackendError as error:
                if error.advice != "retry" or attempt > request.retries:
                    raise
                _log.info("attempt %d failed: %s", attempt, error.message)
            else:
                note = "; ".join(filter(None, [reply.note, f"answered at attempt {attempt}" if attempt > 1 else ""]))
                return replace(reply, latency_s=time.monotonic() - started, note=note)
        raise AssertionError  # the loop has returned or raised

    def close(self) -> None:
        """End the child process; a later request starts another."""
        child = self._children.pop(os.getpid(), None)
        if child is not None:
            child.close()

    def _attempt(self, request: ChatRequest) -> ChatReply:
        """One attempt: asks anew, with less, where the model's template or the grammar does not take all of it."""
        deadline = time.monotonic() + request.timeout_s
        dialect = Dialect()
        notes: list[str] = []
        reporter = _LocalReporter(f"the local model {self._path.name!r}", Redactor())
        while True:
            told = self._asked({**dialect.fields(request), "seed": _SEED, "cache_prompt": False}, deadline, request)
            complaint = _complaint(told)
            if complaint is None:
                body = json.dumps(told.get("body")).encode()
                reply = read_reply(body, self._path.stem, reporter)
                return replace(reply, model=self._path.stem, note="; ".join(filter(None, [*notes, reply.note])))
            step = dialect.after(complaint, request)
            if step is None:
                raise reporter.refused(complaint)
            dialect = step[0]
            notes.append(step[1])

    def _asked(self, question: Mapping[str, Any], deadline: float, request: ChatRequest) -> Mapping[str, Any]:
        who = f"the local model {self._path.name!r}"
        try:
            return self._child().ask(question, deadline)
        except LateError as late:
            raise BackendTimeout(
                f"{who} gave no whole reply within {request.timeout_s:g} s (waited for {late.what}).",
                "Raise settings.llm.timeout_s, ask for fewer points or tokens, or use a smaller model.",
            ) from None
        except Ended as ended:
            words = Redactor().message(str(ended))
            if ended.told:
                hint = "Check that this llama.cpp knows the model (pip install -U xllamacpp); download it anew."
                raise BackendRefused(f"{who} cannot be loaded: {words}.", hint) from None
            hint = "If memory ran out, use a smaller model or a smaller n_ctx."
            raise BackendUnavailable(f"the process of {who} died: {words}.", hint) from None
        except OSError as error:
            words = Redactor().message(str(error))
            raise BackendUnavailable(f"{who}: no process can be started: {words}.", "Free some memory.") from None

    def _child(self) -> Child:
        pid = os.getpid()
        child = self._children.get(pid)
        if child is None:
            first = {
                "model": str(self._path),
                "n_ctx": self._n_ctx,
                "n_threads": self._n_threads or min(max(1, _processors() // 2), _MOST_THREADS),
                "folder": self._folder,
            }
            # -I: neither the working folder nor PYTHON* variables change what the child imports
            child = self._children.setdefault(pid, Child([sys.executable, "-I", str(PROGRAM)], first))
        return child


@dataclass(frozen=True)
class _LocalReporter(Reporter):
    """Writes errors whose remedies suit a file."""

    def bad_reply(self, what: str, hint: str = "") -> BackendBadReply:
        """See Reporter."""
        return super().bad_reply(what, hint or "Use another model: this one may not be made for chats.")

    def refused(self, complaint: Complaint) -> BackendRefused:
        """The error for a request that the model does not take."""
        hint = "Use another model."
        if "context" in complaint.words:
            hint = "Shorten the task, or give hybridbo.backends.local.LocalModel(PATH, n_ctx=...) more room."
        return BackendRefused(f"{self.who} does not take this: {self.redactor.message(complaint.words)}.", hint)


def _complaint(told: Mapping[str, Any]) -> Complaint | None:
    """What the child objects to; None if it has answered."""
    if "error" in told:
        return Complaint(400, str(told["error"]))
    body = told.get("body")
    fault = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(fault, Mapping):
        return None
    code = fault.get("code")
    return Complaint(code if isinstance(code, int) else 400, str(fault.get("message") or "no reason given"))


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise InvalidSettings(
            f"the model {str(path)!r} cannot be read: {error.strerror or error}.",
            'Correct the path: llm="local:PATH.gguf".',
        ) from None
    if magic != _MAGIC:
        raise InvalidSettings(
            f"{str(path)!r} is no GGUF file.", "Give a model in llama.cpp's format; its name mostly ends in .gguf."
        )


def _folder_of_package() -> str:
    spec = find_spec("xllamacpp")
    if spec is None or not spec.origin:
        raise UnknownBackend(
            "a local model needs the package xllamacpp, which is not installed.", "pip install 'hybridbo[local]'"
        )
    origin = Path(spec.origin)
    return str(origin.parent.parent if spec.submodule_search_locations else origin.parent)


def _shown(path: Path) -> str:
    try:
        inside = path.relative_to(Path.home())
    except (RuntimeError, ValueError):
        text = str(path)
    else:
        text = f"~/{inside.as_posix()}"
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _LONGEST_NAME else f"...{text[-_LONGEST_NAME:]}"


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
