"""What a study has asked of its language model, what it cost, and what is left of its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybridbo.breaker import LOST
from hybridbo.budget import spent
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.space_request import PURPOSE
from hybridbo.llm.withhold import counts_of
from hybridbo.ports import ChatFailure, ChatReply, LLMCall
from hybridbo.settings import LLMSettings
from hybridbo.space import Space


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
        lost: Calls among the failures whose outcome nobody knows: their process was killed, or they are under way.
        max_calls: The limit of the calls; None without one. So for the other limits.
        max_total_tokens: The limit of the tokens, sent and received.
        max_cost: The limit of the cost.
        calls_left: What is left of the limit; None without one. So for the other two. Where a server has not reported
            the tokens of a call (it timed out, its process was killed) they are taken for as many as there could be.
        tokens_left: What is left of the tokens.
        cost_left: What is left of the cost; None also where a price is not known.
    """

    calls: int = 0
    failures: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    rejected: int = 0
    repaired: int = 0
    lost: int = 0
    max_calls: int | None = None
    max_total_tokens: int | None = None
    max_cost: float | None = None
    calls_left: int | None = None
    tokens_left: int | None = None
    cost_left: float | None = None

    @classmethod
    def of(cls, calls: Sequence[LLMCall], space: Space, settings: LLMSettings | None = None) -> LLMUsage:
        """Add up a study's calls.

        Args:
            calls: All of them.
            space: To say what of the replies was usable.
            settings: The limits; None for no limits.
        """
        settings = settings or LLMSettings()
        results = [call.result for call in calls]
        replies = [result for result in results if isinstance(result, ChatReply)]
        failures = [result for result in results if isinstance(result, ChatFailure)]
        advice = [  # a space from words is no advice about one
            call.result.text
            for call in calls
            if isinstance(call.result, ChatReply) and not call.request.purpose.startswith(PURPOSE)
        ]
        parts = [counts_of(text, parse_advice(text, space)) for text in advice]
        costs = [result.cost for result in results if result.cost is not None]
        used = spent(calls, settings)
        return cls(
            calls=used.calls,
            failures=len(failures),
            replayed=sum(reply.recorded for reply in replies),
            prompt_tokens=sum(result.prompt_tokens or 0 for result in results),
            completion_tokens=sum(result.completion_tokens or 0 for result in results),
            cost=sum(costs) if costs else None,
            rejected=sum(rejected for rejected, _ in parts),
            repaired=sum(repaired for _, repaired in parts),
            lost=sum(call.is_unsettled for call in calls) + sum(failure.error == LOST for failure in failures),
            max_calls=settings.max_calls,
            max_total_tokens=settings.max_total_tokens,
            max_cost=settings.max_cost,
            calls_left=None if settings.max_calls is None else max(0, settings.max_calls - used.calls),
            tokens_left=None if settings.max_total_tokens is None else max(0, settings.max_total_tokens - used.tokens),
            cost_left=_left(settings.max_cost, used.cost),
        )

    @property
    def limits(self) -> dict[str, tuple[float, float | None]]:
        """What there is a limit of: the limit, and what is left of it; None where a price is not known."""
        every = {
            "calls": (self.max_calls, self.calls_left),
            "tokens": (self.max_total_tokens, self.tokens_left),
            "cost": (self.max_cost, self.cost_left),
        }
        return {name: (most, left) for name, (most, left) in every.items() if most is not None}


def _left(limit: float | None, used: float | None) -> float | None:
    return None if limit is None or used is None else max(0.0, limit - used)
