"""Answering the engine's requests: from the store if it was asked before, else from the backend, within bounds.

Every call is one row of the store, whatever came of it. A failure never stops a search: the engine is told why there is
no advice, and the store too.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hybridbo import awaiting
from hybridbo.errors import BackendBadReply, BackendError, describe_error
from hybridbo.llm.parse import parse_advice
from hybridbo.ports import ChatBackend, ChatFailure, ChatReply, ChatRequest, Event, LLMCall
from hybridbo.settings import LLMSettings
from hybridbo.space import Space

_logger = logging.getLogger(__name__)
_SHORTEST_SECRET = 8  # shorter values of a *_KEY variable are words, not secrets


@dataclass(frozen=True)
class LLMUsage:
    """What the language model has been asked and what it cost, over the whole study.

    Attributes:
        calls: Requests sent to a model, failed ones included; replayed recordings are not.
        failures: How many of them, or of the replays, gave no reply.
        replayed: Replies that came from a recording.
        prompt_tokens: As the servers reported.
        completion_tokens: As the servers reported.
        cost: Sum of the known costs; None if none is known.
        rejected: Parts of replies that were not used.
        repaired: Parts of replies that were mended.
    """

    calls: int = 0
    failures: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    rejected: int = 0
    repaired: int = 0

    @classmethod
    def of(cls, calls: Sequence[LLMCall], space: Space) -> LLMUsage:
        """Add up a study's calls."""
        replies = [call.result for call in calls if isinstance(call.result, ChatReply)]
        advice = [parse_advice(reply.text, space) for reply in replies]
        costs = [reply.cost for reply in replies if reply.cost is not None]
        return cls(
            calls=sum(not (isinstance(call.result, ChatReply) and call.result.recorded) for call in calls),
            failures=len(calls) - len(replies),
            replayed=sum(reply.recorded for reply in replies),
            prompt_tokens=sum(reply.prompt_tokens or 0 for reply in replies),
            completion_tokens=sum(reply.completion_tokens or 0 for reply in replies),
            cost=sum(costs) if costs else None,
            rejected=sum(len(part.rejections) for part in advice),
            repaired=sum(len(part.repairs) for part in advice),
        )


class CallStore(Protocol):
    """Where calls are kept: a TrialStore, or whatever keeps a study elsewhere."""

    def record_call(self, study: str, call: LLMCall) -> None:
        """Store a call."""

    def get_calls(self, study: str) -> list[LLMCall]:
        """All calls, oldest first."""

    def record_event(self, study: str, event: Event) -> None:
        """Store an event."""


class Consultant:
    """Answers requests for one study.

    Args:
        backend: The language model.
        store: Where calls are kept.
        study: The study's name.
        space: To say what of a new reply is usable.
        settings: After how many failures to stop asking.
        refusals: What has been refused for good in this process, by topic; shared by those who ask the same backend.
    """

    def __init__(
        self,
        backend: ChatBackend,
        store: CallStore,
        study: str,
        space: Space,
        settings: LLMSettings,
        refusals: dict[str, ChatFailure] | None = None,
    ) -> None:
        self._backend, self._store, self._study = backend, store, study
        self._space, self._settings = space, settings
        self._answers: dict[str, ChatReply] = {}  # by topic; rebuilt from the store
        # final for this process: a new one may have a new key
        self._refusals: dict[str, ChatFailure] = {} if refusals is None else refusals

    def answer(self, request: ChatRequest, trial_number: int) -> ChatReply | ChatFailure:
        """The stored reply to the same question, else the backend's, else why there is none.

        A question is the same when purpose, task and space are: a study asks each question once, however it is worded.
        """
        topic = request.topic_hash
        if topic in self._answers:
            return self._answers[topic]
        if topic in self._refusals:
            return self._refusals[topic]
        before = [call for call in self._store.get_calls(self._study) if call.request.topic_hash == topic]
        reply = next((call.result for call in before if isinstance(call.result, ChatReply)), None)
        if reply is not None:
            self._answers[topic] = reply
            return reply
        if len(before) >= self._settings.max_failures:
            last = before[-1].result
            why = last.message if isinstance(last, ChatFailure) else ""
            return ChatFailure("BackendError", f"not asked again after {len(before)} failures; the last: {why}")
        return self._ask(request, trial_number)

    def _ask(self, request: ChatRequest, trial_number: int) -> ChatReply | ChatFailure:
        at, started = datetime.now(UTC), time.monotonic()
        result: ChatReply | ChatFailure
        try:
            result = _checked(awaiting.complete(self._backend, request))
        except BackendError as error:
            result = ChatFailure(type(error).__name__, without_secrets(str(error)), error.advice, self._backend.name)
        except Exception as error:  # noqa: BLE001  # somebody else's backend must not end the search either
            text = without_secrets(describe_error(error))
            result = ChatFailure("BackendError", text, "fall back", self._backend.name)
        if isinstance(result, ChatFailure):
            seconds = time.monotonic() - started
            result = ChatFailure(result.error, result.message, result.advice, result.model, seconds)
        self._store.record_call(self._study, LLMCall(request, result, trial_number, at))
        self._tell(result, trial_number)
        if isinstance(result, ChatReply):
            self._answers[request.topic_hash] = result
        elif result.advice == "give up":
            self._refusals[request.topic_hash] = result
        return result

    def _tell(self, result: ChatReply | ChatFailure, trial_number: int) -> None:
        if isinstance(result, ChatFailure):
            _logger.warning("the language model gave no reply: %s: %s", result.error, result.message)
            self._store.record_event(
                self._study, Event("llm_failed", f"{result.error}: {result.message}", trial_number)
            )
            return
        advice = parse_advice(result.text, self._space)
        if advice.rejections or advice.repairs or result.note:
            rejected = [f" First rejected: {part.part}: {part.why}." for part in advice.rejections[:1]]
            message = (
                f"{len(advice.points)} usable configurations, {len(advice.repairs)} parts repaired, "
                f"{len(advice.rejections)} rejected.{''.join(rejected)} {result.note}"
            )
            self._store.record_event(self._study, Event("llm_reply", message.strip(), trial_number))


def _checked(reply: object) -> ChatReply:
    """What a backend returned, which may be somebody else's first.

    Raises:
        BackendBadReply: No ChatReply, or one without a text.
    """
    if isinstance(reply, ChatReply) and isinstance(reply.text, str):
        return reply
    raise BackendBadReply(f"the backend returned {type(reply).__name__}, not a ChatReply with a text.")


def without_secrets(text: str) -> str:
    """``text`` with the values of environment variables that hold keys and tokens blotted out."""
    for name, value in os.environ.items():
        if name.upper().endswith(("_KEY", "_TOKEN", "_SECRET")) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "[secret]")
    return text
