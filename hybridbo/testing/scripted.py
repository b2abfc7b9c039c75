"""A language model that says what the test wrote down for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from hybridbo.errors import BackendUnavailable
from hybridbo.ports import ChatReply, ChatRequest


class ScriptedBackend:
    """Answers with the given replies, one after the other.

    Args:
        replies: A text, a ChatReply, or an exception that is raised.
        name: Its name.

    Attributes:
        requests: What it was asked, in order.
    """

    def __init__(self, replies: Iterable[str | ChatReply | BaseException] = (), name: str = "scripted") -> None:
        self._replies = list(replies)
        self._name = name
        self._lock = threading.Lock()
        self.requests: list[ChatRequest] = []

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    def complete(self, request: ChatRequest) -> ChatReply:
        """The next reply.

        Raises:
            BackendUnavailable: The script has come to its end.
        """
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            reply = self._replies[number - 1] if number <= len(self._replies) else None
        if reply is None:
            held = len(self._replies)
            raise BackendUnavailable(f"{self._name} was asked {number} times and holds {held} replies.", "Script more.")
        if isinstance(reply, BaseException):
            raise reply
        return ChatReply(text=reply, model=self._name) if isinstance(reply, str) else reply
