"""The LLM's points of a consultation, which compete with the Gaussian process's own proposal.

A consultation asks, and never decides: its points are scored by the acquisition like any other, and one of them is
taken only where it comes within the slack of :func:`hybridbo.policy.slack` of the best that the GP has found.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

from hybridbo import knowledge, policy
from hybridbo.llm.history import consult_request
from hybridbo.llm.parse import parse_advice
from hybridbo.objective import Objective
from hybridbo.observe import merits
from hybridbo.parameters import Params
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.trial import History


@dataclass(frozen=True)
class Rivals:
    """What a consultation has brought.

    Attributes:
        points: Configurations, most promising first; empty where there was none, or it brought nothing.
        slack: By how much their logarithm of the acquisition may be less than the GP's.
        reason: Why and when the LLM was asked; empty where consultations are off.
        rationale: The LLM's own, one sentence.
        notes: What went wrong.
    """

    points: tuple[Params, ...] = field(default=(), hash=False)
    slack: float = 0.0
    reason: str = ""
    rationale: str = ""
    notes: tuple[str, ...] = ()

    def told(self, taken: int | None, lead: float | None) -> list[str]:
        """What became of them, in sentences.

        Args:
            taken: Which of them is proposed; None for none.
            lead: By how much the logarithm of the best one's acquisition is above the GP's own; None if all were tried.
        """
        if not self.points:
            return [self.reason] if self.reason else []
        if lead is None:
            return [self.reason, f"All {len(self.points)} configurations that it named are known."]
        share, needed = (f"{100 * math.exp(min(x, 700.0)):.3g} %" for x in (lead, -self.slack))
        if taken is None:
            return [self.reason, f"The best of its configurations promises {share} of this one; {needed} were needed."]
        why = f" {self.rationale}" if self.rationale else ""
        verdict = (
            f"Number {taken + 1} of its configurations promises {share} of the GP's own best; {needed} were needed."
        )
        return [self.reason, f"{verdict}{why}"]


class Search(Protocol):
    """What a consultation needs to know of a search; an Engine is one."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def objective(self) -> Objective:
        """What is optimised."""

    @property
    def settings(self) -> Settings:
        """When the LLM is consulted."""

    @property
    def task(self) -> str:
        """The user's description."""

    @property
    def fixed(self) -> Params:
        """Values that every proposal has."""


def no_advice(failure: ChatFailure) -> str:
    """Why there is no advice, as a sentence without its full stop: nobody was asked, or what came of it."""
    if not failure.asked:
        return f"The LLM was not consulted: {failure.message.rstrip('.')}"
    return f"The LLM gave no advice ({failure.error}: {failure.message})"


def consult(
    search: Search, history: History, standing: policy.Standing
) -> Generator[ChatRequest, ChatReply | ChatFailure, Rivals]:
    """Ask the LLM if it is to be asked, and read what it says.

    Args:
        search: What is searched, and how.
        history: What is known.
        standing: How the LLM's configurations have done.
    """
    space, settings = search.space, search.settings
    if settings.llm.consult == "never":
        return Rivals()
    known = merits(history, search.objective)
    due = policy.consultation(history, settings, known, is_single=search.objective.is_single, llm=standing)
    if due.at is None:
        return Rivals(reason=due.reason)
    answer = yield consult_request(space, search.objective, search.task, settings, history, known, due.at)
    if isinstance(answer, ChatFailure):
        if not answer.asked:  # by this process; of another that asks the next trial will see the answer
            return Rivals(reason=f"{no_advice(answer)}.")
        return Rivals(reason=due.reason, notes=(no_advice(answer),))
    advice = parse_advice(answer.text, space, knowledge.defaults(space))
    if not advice.points:
        why = advice.rejections[0].why if advice.rejections else "it names none"
        return Rivals(reason=due.reason, notes=(f"The LLM's reply holds no usable configuration ({why})",))
    points = advice.points[: settings.llm.consult_points]
    if search.fixed:
        fixed = [space.complete({**point, **search.fixed}, knowledge.defaults(space)) for point in points]
        points = tuple(map(space.round, fixed))
    return Rivals(points, due.slack, due.reason, advice.rationale)
