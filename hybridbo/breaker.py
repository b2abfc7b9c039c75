"""The circuit breaker: from the calls so far to whether the language model may be asked now, or why not.

Pure. As in M. Nygard, *Release It!* (2007), it is closed while calls succeed, open for a while after several failures
in a row, and half open then: one call is tried. A refusal (401, 403, 404, a used-up quota) switches the model off for
the study, until it is another one that is asked (another key, address or model) or somebody switches it on. What it
judges by are the calls in the store, so that all processes of a study agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hybridbo.chat import ChatFailure, ChatReply, ChatRequest
from hybridbo.settings import LLMSettings
from hybridbo.stored import LLMCall

_FAULTS = frozenset({"BackendTimeout", "BackendUnavailable"})
_PAUSE_S = 5.0  # a backend of ours pauses no longer between attempts
_TO_STORE_S = 30.0  # a store waits no longer for another process

LOST = "CallLost"
"""The error of a call whose process ended before the outcome was stored: whether it was answered is not known."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be asked.

    Attributes:
        state: ``"closed"``: it may. ``"half open"``: it may once. ``"open"``: not for a while. ``"off"``: not any more.
        failure: The last failure, where there is one to tell.
        why: In one sentence, the same for as long as the state lasts; empty when closed.
        until: When it may be tried again, for ``"open"``.
    """

    state: Literal["closed", "half open", "open", "off"]
    failure: ChatFailure | None = None
    why: str = ""
    until: datetime | None = None

    @property
    def may_ask(self) -> bool:
        """Whether a call may be made now."""
        return self.state in {"closed", "half open"}


def judge(
    calls: Sequence[LLMCall], now: datetime, settings: LLMSettings, *, asked: str, since: datetime | None = None
) -> Verdict:
    """Whether the model may be asked at ``now``.

    Args:
        calls: All calls of the study, oldest first, those under way included.
        now: UTC.
        settings: After how many failures it opens, and for how long.
        asked: Who would be asked: calls to others do not count.
        since: When somebody switched the model on last: earlier calls do not count.
    """
    streak: list[LLMCall] = []
    for call in reversed(calls):
        result = call.result
        if since is not None and call.at <= since:
            break
        if isinstance(result, ChatReply):
            if result.recorded:
                continue
            break
        if result.asked != asked or call.is_unsettled or result.error == LOST:
            continue
        if result.advice == "give up":
            return _off(result)
        if result.error not in _FAULTS:
            break
        streak.append(call)
    return _after(streak, calls, now, settings)


def is_under_way(call: LLMCall, now: datetime) -> bool:
    """Whether a call may still be answered: it is not settled, and its time is not over."""
    return call.is_unsettled and now < call.at + timedelta(seconds=longest_s(call.request))


def longest_s(request: ChatRequest) -> float:
    """How long a request can take, in seconds: all attempts, the pauses between them, and some time to be stored."""
    attempts = (request.retries + 1) * request.timeout_s + request.retries * _PAUSE_S
    return _TO_STORE_S + (attempts if request.total_s is None else min(attempts, request.total_s))


def _off(failure: ChatFailure) -> Verdict:
    return Verdict("off", failure, f"switched off for this study: {failure.message}")


def _after(streak: Sequence[LLMCall], calls: Sequence[LLMCall], now: datetime, settings: LLMSettings) -> Verdict:
    """The verdict after failures in a row, the latest first."""
    if settings.breaker_failures is None or len(streak) < settings.breaker_failures:
        return Verdict("closed")
    last = streak[0]
    assert isinstance(last.result, ChatFailure)  # noqa: S101  # nothing else is gathered
    until = last.at + timedelta(seconds=last.result.latency_s + settings.breaker_s)
    failed = f"{len(streak)} failures in a row; the last: {last.result.message}"
    if now < until:
        return Verdict("open", last.result, f"left alone until {until:%Y-%m-%d %H:%M:%S} UTC after {failed}", until)
    if any(is_under_way(call, now) and call.at > last.at for call in calls):
        return Verdict("open", last.result, f"being tried again by another process after {failed}", until)
    return Verdict("half open", last.result, f"tried again after {failed}")
