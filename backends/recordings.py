"""The two formats of recorded replies.

Ours: a JSON object a line, appended by :class:`~hybridbo.backends.replay.Recorder`::

    {"topic": ..., "purpose": "seeds", "task": ..., "space": {...}, "content": ..., "model": ..., "text": ...,
     "prompt_tokens": ..., "completion_tokens": ..., "recorded_at": ...}

And one JSON object ``{"about": ..., "tasks": {KEY: {"task": ..., "samples": [{"configs": ..., "prior": ...}]}}}``, in
which replies are told apart by the words of the task and the names of the parameters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hybridbo.errors import InvalidSettings
from hybridbo.ports import ChatReply, ChatRequest, topic_hash

SEEDS = "seeds"  # the purpose of the replies in the second format

_log = logging.getLogger("hybridbo.backends.recordings")


class Recording(Protocol):
    """Replies to look up."""

    def samples(self, request: ChatRequest) -> Sequence[ChatReply]:
        """The replies recorded for a request, the oldest first; none if it was not recorded."""
        ...

    def longest(self) -> int:
        """The largest number of samples that any request has."""
        ...


@dataclass
class Lines:
    """A recording in our format."""

    by_content: dict[str, list[ChatReply]] = field(default_factory=dict)
    by_topic: dict[str, list[ChatReply]] = field(default_factory=dict)

    def samples(self, request: ChatRequest) -> Sequence[ChatReply]:
        """Those of the very same request, else those of its purpose, task and space, whatever the prompt was."""
        return self.by_content.get(request.content_hash) or self.by_topic.get(request.topic_hash, [])

    def longest(self) -> int:
        """See :class:`Recording`."""
        return max((len(replies) for replies in self.by_topic.values()), default=0)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take in a line.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of a wrong type.
        """
        if not (isinstance(entry["text"], str) and isinstance(entry["task"], str)):
            raise TypeError("text and task are texts")
        reply = ChatReply(
            text=entry["text"],
            model=str(entry.get("model") or "unknown"),
            prompt_tokens=_count(entry.get("prompt_tokens")),
            completion_tokens=_count(entry.get("completion_tokens")),
            recorded=True,
        )
        topic = topic_hash(entry["purpose"], entry["task"], entry["space"])  # not as stored: the hash may change
        self.by_topic.setdefault(topic, []).append(reply)
        if entry.get("content"):
            self.by_content.setdefault(str(entry["content"]), []).append(reply)


@dataclass
class Tasks:
    """A recording in the second format."""

    tasks: Mapping[str, Mapping[str, Any]]
    file: str

    def samples(self, request: ChatRequest) -> Sequence[ChatReply]:
        """Those of the task, by its words or its key, whose parameters are those of the space."""
        wanted = _words(request.task)
        if request.purpose != SEEDS:
            return []
        for key, task in self.tasks.items():
            if wanted in (_words(key), _words(str(task.get("task", "")))):
                replies = [self._reply(i, sample) for i, sample in enumerate(task["samples"]) if _fits(sample, request)]
                if replies:
                    return replies
        return []

    def longest(self) -> int:
        """See :class:`Recording`."""
        return max((len(task["samples"]) for task in self.tasks.values()), default=0)

    def _reply(self, number: int, sample: Mapping[str, Any]) -> ChatReply:
        return ChatReply(json.dumps(sample), f"recorded ({self.file}, sample {number})", recorded=True)


def load(path: Path) -> Recording:
    """Read a recording of either format.

    Raises:
        InvalidSettings: It cannot be read, or holds nothing that can be played; naming the file and the remedy.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InvalidSettings(
            f"the recording {str(path)!r} cannot be read: {error.strerror or error}.",
            "Correct the path.",
        ) from None
    whole = _parsed(text)
    recording = _tasks(whole, path) if isinstance(whole, Mapping) and "tasks" in whole else _lines(text, path)
    if recording.longest() == 0:
        raise InvalidSettings(
            f"the recording {str(path)!r} holds no reply.", "Record one with hybridbo.backends.replay.Recorder."
        )
    return recording


def _lines(text: str, path: Path) -> Lines:
    lines = Lines()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        entry = _parsed(line)
        try:
            lines.add(entry if isinstance(entry, Mapping) else {})
        except (KeyError, TypeError):
            _log.warning("%s, line %d is no whole entry and is skipped; was its writer killed?", path, number)
    return lines


def _tasks(whole: Mapping[str, Any], path: Path) -> Tasks:
    tasks = whole["tasks"]
    sound = isinstance(tasks, Mapping) and all(
        isinstance(task, Mapping) and isinstance(task.get("samples"), list) and all(map(_is_sample, task["samples"]))
        for task in tasks.values()
    )
    if not sound:
        raise InvalidSettings(
            f"the recording {str(path)!r} is damaged: each of its tasks needs samples with configs.", "Copy it anew."
        )
    return Tasks(tasks, path.name)


def _is_sample(sample: Any) -> bool:
    configs = sample.get("configs") if isinstance(sample, Mapping) else None
    sound = isinstance(configs, list) and all(isinstance(config, Mapping) for config in configs)
    return sound and isinstance(sample.get("prior", {}), Mapping)


def _fits(sample: Mapping[str, Any], request: ChatRequest) -> bool:
    names = set(sample.get("prior", {})).union(*sample["configs"])
    return names == set(request.space)


def _words(text: str) -> str:
    return " ".join(text.split())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
