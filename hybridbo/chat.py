"""What crosses the border to a language model: a request, a reply or a failure, and who answers.

The contract in :mod:`hybridbo.testing` says what a backend must do; anything that passes it will serve.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

from hybridbo.errors import Advice

_NO_CONTENT = ("timeout_s", "retries", "total_s", "digests")  # of a request: what cannot change the answer


@dataclass(frozen=True)
class ChatRequest:
    """A question to a language model.

    Attributes:
        purpose: What the answer is for: ``"seeds"``.
        task: The user's description of the task, as given.
        space: The space as plain data, as in ``Space.to_dict()``.
        system: The system message.
        user: The user message.
        schema: JSON schema of the answer; None for free text.
        temperature: Sampling temperature; None leaves it to the server.
        max_tokens: Longest reply.
        timeout_s: Deadline of one attempt, in seconds.
        retries: Further attempts after a time-out or a fault of the server.
        total_s: Deadline of all attempts together, pauses included, in seconds; None for no other than theirs.
        digests: The content hash and the topic hash of the request that this one stands for where its texts are not
            kept; None for a request that has its texts.
    """

    purpose: str
    task: str
    space: Mapping[str, Any] = field(hash=False)
    system: str
    user: str
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    temperature: float | None = 0.0
    max_tokens: int = 4096
    timeout_s: float = 60.0
    retries: int = 1
    total_s: float | None = None
    digests: tuple[str, str] | None = None

    @property
    def content_hash(self) -> str:
        """Hash of everything that can change the answer: the key under which a study reuses a reply."""
        if self.digests is not None:
            return self.digests[0]
        content = asdict(self)
        return _digest({key: content[key] for key in content if key not in _NO_CONTENT})

    @property
    def topic_hash(self) -> str:
        """Hash of purpose, task and space alone: the key of a recording, which no rewording of a prompt orphans."""
        if self.digests is not None:
            return self.digests[1]
        return topic_hash(self.purpose, self.task, self.space)


@dataclass(frozen=True)
class ChatReply:
    """A language model's answer.

    Attributes:
        text: The answer, as it came.
        model: The model that the server says it used.
        prompt_tokens: As the server reported; None if it did not.
        completion_tokens: As the server reported; None if it did not.
        cost: In the currency of the user's price list; None if unknown.
        latency_s: Seconds from asking to answer, attempts included.
        note: What was unusual on the way (a schema refused, a retry); empty if nothing.
        recorded: Whether it was replayed from a recording and no model was asked.
    """

    text: str
    model: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    latency_s: float = 0.0
    note: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class ChatFailure:
    """Why there is no answer.

    Attributes:
        error: Name of the error class, for example ``"BackendTimeout"``.
        message: What happened, in words, without any key.
        advice: ``"retry"``, ``"give up"`` or ``"fall back"``, from the error class.
        model: The model that was asked; empty if none was.
        latency_s: Seconds spent.
        prompt_tokens: As the server reported, which charges for an answer that is of no use too; None if it did not.
        completion_tokens: As the server reported; None if it did not.
        cost: In the currency of the user's price list; None if unknown.
        asked: Who was asked: a name, and a mark that changes with the key and the address; empty if nobody was.
    """

    error: str
    message: str
    advice: Advice = "fall back"
    model: str = ""
    latency_s: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    asked: str = ""


@runtime_checkable
class ChatBackend(Protocol):
    """A language model: text in, text out, knowing nothing of optimisation."""

    @property
    def name(self) -> str:
        """A specification such as ``"openai:MODEL"``; goes into the store, so it holds no secret.

        A backend may also have an ``identity``: its name with a mark that changes with its key and address. A study
        that was refused asks again once it has changed.
        """
        ...

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer a request.

        Raises:
            BackendError: Of the class that says whether to retry, fall back or give up.
        """
        ...


def topic_hash(purpose: str, task: str, space: Mapping[str, Any]) -> str:
    """Hash of a task and its space; white space in the task and the order of parameters do not count."""
    return _digest({"purpose": purpose, "task": " ".join(task.split()), "space": space})


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
