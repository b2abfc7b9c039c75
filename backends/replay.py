"""Recording what a model answers, and playing it back: offline tests and exact re-runs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridbo.backends.recordings import load
from hybridbo.errors import BackendBadReply, InvalidSettings
from hybridbo.ports import ChatBackend, ChatReply, ChatRequest

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger("hybridbo.backends.replay")


class Replay:
    """Plays a recording; no model is asked.

    A reply is found by the very same request, and otherwise by purpose, task and space: rewording a prompt does not
    orphan a recording.

    Args:
        path: The file, in either format of :mod:`hybridbo.backends.recordings`.
        sample: Which of several replies to the same request, counted from 0.

    Raises:
        InvalidSettings: The file cannot be read, holds no reply, or nowhere as many samples.
    """

    def __init__(self, path: str | os.PathLike[str], sample: int = 0) -> None:
        self._path = Path(path)
        self._sample = sample
        self._recording = load(self._path)
        most = self._recording.longest()
        if not 0 <= sample < most:
            raise InvalidSettings(
                f"the recording {str(self._path)!r} has no sample {sample}.", f"Choose one from 0 to {most - 1}."
            )

    @property
    def name(self) -> str:
        """``"replay:FILE"``, with ``#SAMPLE`` behind it if that is not the first."""
        return f"replay:{self._path}" + (f"#{self._sample}" if self._sample else "")

    def complete(self, request: ChatRequest) -> ChatReply:
        """The recorded reply.

        Raises:
            BackendBadReply: This request was not recorded.
        """
        samples = self._recording.samples(request)
        if self._sample < len(samples):
            return replace(samples[self._sample], note=f"replayed from {self._path.name}")
        task = " ".join(request.task.split())
        shown = repr(task if len(task) <= 80 else f"{task[:77]}...")
        held = f"only {len(samples)} samples" if samples else "no reply"
        raise BackendBadReply(
            f"{self._path} holds {held} for {request.purpose} of the task {shown} with the parameters "
            f"{', '.join(list(request.space)[:20])}.",
            "Give task and space as they were recorded, record this one, or use a live model.",
        )


class Recorder:
    """Asks another backend and appends each reply to a file that :class:`Replay` plays.

    Several processes may append to one file. A reply that cannot be written is returned all the same, and its note
    says so.

    Args:
        inner: The backend that is asked.
        path: The file; made if it is missing.

    Raises:
        InvalidSettings: Its folder does not exist, or it is a folder itself.
    """

    def __init__(self, inner: ChatBackend, path: str | os.PathLike[str]) -> None:
        self._inner = inner
        self._path = Path(path)
        if not self._path.parent.is_dir() or self._path.is_dir():
            raise InvalidSettings(
                f"{str(self._path)!r} cannot be recorded into.", "Name a file in a folder that exists."
            )

    @property
    def name(self) -> str:
        """The name of the backend that is asked."""
        return self._inner.name

    def complete(self, request: ChatRequest) -> ChatReply:
        """Ask the inner backend and record what it answers.

        Raises:
            BackendError: From the inner backend; nothing is recorded then.
        """
        reply = self._inner.complete(request)
        line = json.dumps(_entry(request, reply), ensure_ascii=True, default=str) + "\n"
        try:
            _append(self._path, line.encode())
        except OSError as error:
            _log.warning("the reply was not recorded in %s: %s", self._path, error)
            return replace(
                reply, note="; ".join(filter(None, [reply.note, f"not recorded: {error.strerror or error}"]))
            )
        return reply


def _entry(request: ChatRequest, reply: ChatReply) -> dict[str, Any]:
    return {
        "topic": request.topic_hash,
        "purpose": request.purpose,
        "task": request.task,
        "space": dict(request.space),
        "content": request.content_hash,
        "model": reply.model,
        "text": reply.text,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _append(path: Path, line: bytes) -> None:
    """Append a line whole or not at all, as other processes see it, and have it on the disk on return."""
    with _locked(path) as file:
        end = os.lseek(file, 0, os.SEEK_END)
        if end:
            os.lseek(file, end - 1, os.SEEK_SET)
            if os.read(file, 1) != b"\n":  # a writer was killed: its half line must not spoil ours
                line = b"\n" + line
        try:
            while line:
                line = line[os.write(file, line) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)  # the disk is full: no half lines
            raise


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, by a kill too
        yield file
    finally:
        os.close(file)
