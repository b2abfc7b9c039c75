"""Asking for a space, twice at most: every attempt is kept, with what it cost and why it was of no use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hybridbo.budget import cost_of
from hybridbo.errors import BackendBadReply, BackendError, describe_error
from hybridbo.llm.space_reply import SpaceAdvice, parse_space
from hybridbo.llm.space_request import space_request
from hybridbo.ports import ChatBackend, ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.redaction import without_secrets
from hybridbo.settings import LLMSettings

_REMEDY = "Describe model, data and metric in more words, use another model, or write the space yourself."
_MOST_REASONS = 3


@dataclass(frozen=True)
class Attempt:
    """A request for a space and what came of it.

    Attributes:
        call: As a study keeps it.
        advice: What the reply says; nothing where there was none.
        error: What the backend raised; None if it replied.
    """

    call: LLMCall
    advice: SpaceAdvice
    error: BackendError | None = None

    @property
    def why(self) -> str:
        """Why no space came of it, in one line."""
        if isinstance(self.call.result, ChatFailure):
            return f"{self.call.result.error}: {self.call.result.message}"
        return "; ".join(f"{part.part}: {part.why}" for part in self.advice.rejections[:_MOST_REASONS])

    @property
    def may_be_repeated(self) -> bool:
        """Whether asking again may help: a refusal stays one, and of time-outs the backend has made its attempts."""
        return self.error is None or self.error.advice == "fall back"


def ask_for_space(backend: ChatBackend, task: str, settings: LLMSettings, most: int) -> list[Attempt]:
    """One attempt, or two where nothing of the first is usable; the last has a space.

    Args:
        backend: The language model.
        task: What is asked, facts about the data included.
        settings: How it is asked.
        most: How many parameters at most.

    Raises:
        BackendError: No space came of them; of the class of the last failure, its message with every attempt.
    """
    attempts = [_attempt(backend, space_request(task, settings, most), settings, most)]
    first = attempts[0]
    if first.advice.space is None and first.may_be_repeated:
        is_answered = first.error is None
        request = space_request(task, settings, most, first.advice.rejections, again=is_answered)
        attempts.append(_attempt(backend, request, settings, most))
    if attempts[-1].advice.space is None:
        raise _failed(backend.name, attempts)
    return attempts


def _attempt(backend: ChatBackend, request: ChatRequest, settings: LLMSettings, most: int) -> Attempt:
    at, started = datetime.now(UTC), time.monotonic()
    try:
        reply = _completed(backend, request)
    except BackendError as error:
        failure = _failure(backend, error, time.monotonic() - started, settings)
        return Attempt(LLMCall(request, failure, 0, at), SpaceAdvice(), error)
    return Attempt(LLMCall(request, reply, 0, at), parse_space(reply.text, most))


def _completed(backend: ChatBackend, request: ChatRequest) -> ChatReply:
    """The reply.

    Raises:
        BackendError: Of the backend's class; one of our own where it raised something else or gave no text.
    """
    try:
        reply: object = backend.complete(request)
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever somebody else's backend raises
        raise BackendError(without_secrets(f"{backend.name} failed: {describe_error(error)}."), _REMEDY) from None
    if not isinstance(reply, ChatReply) or not isinstance(reply.text, str):
        raise BackendBadReply(f"{backend.name} returned {type(reply).__name__}, not a ChatReply with a text.", _REMEDY)
    return reply


def _failure(backend: ChatBackend, error: BackendError, seconds: float, settings: LLMSettings) -> ChatFailure:
    asked = without_secrets(str(getattr(backend, "identity", None) or backend.name))
    failure = ChatFailure(
        type(error).__name__,
        without_secrets(str(error)),
        error.advice,
        error.model or backend.name,
        seconds,
        error.prompt_tokens,
        error.completion_tokens,
        error.cost,
        asked,
    )
    cost = cost_of(failure, backend.name, settings.prices)
    return ChatFailure(**{**vars(failure), "model": backend.name, "cost": cost})


def _failed(name: str, attempts: Sequence[Attempt]) -> BackendError:
    """What to raise after these attempts."""
    last = attempts[-1]
    if last.error is not None and len(attempts) == 1:
        return last.error
    kind = BackendBadReply if last.error is None else _ours(last.error)
    told = "; ".join(f"attempt {number}: {attempt.why}" for number, attempt in enumerate(attempts, 1))
    hint = last.error.hint if last.error is not None and last.error.hint else _REMEDY
    return kind(f"no space came of {len(attempts)} attempts with {name} ({told}).", hint)


def _ours(error: BackendError) -> type[BackendError]:
    """The class of ours that an error belongs to: somebody else's may be made otherwise."""
    return next(each for each in type(error).__mro__ if each.__module__ == BackendError.__module__)
