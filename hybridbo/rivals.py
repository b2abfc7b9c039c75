"""The LLM's points of a consultation, which compete with the Gaussian process's own proposal.

A consultation asks, and never decides: its points are scored by the acquisition like any other, and one of them is
taken only where it comes within the slack of :func:`hybridbo.policy.slack` of the best that the GP has found.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from hybridbo import knowledge, policy
from hybridbo.llm.history import consult_request
from hybridbo.llm.parse import parse_advice
from hybridbo.objective import Objective
from hybridbo.parameters import Choice, Params
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


def consult(
    space: Space,
    objective: Objective,
    task: str,
    settings: Settings,
    history: History,
    merits: Mapping[int, float],
    fixed: Mapping[str, Choice],
    standing: policy.Standing,
) -> Generator[ChatRequest, ChatReply | ChatFailure, Rivals]:
    """Ask the LLM if it is to be asked, and read what it says.

    Args:
        space: The space.
        objective: Objectives and constraints.
        task: The user's description.
        settings: When to ask.
        history: What is known.
        merits: One figure for each finished trial by number, smaller is better.
        fixed: Values that every proposal has.
        standing: How the LLM's configurations have done.
    """
    due = policy.consultation(history, settings, merits, is_single=objective.is_single, llm=standing)
    if due.at is None:
        return Rivals(reason=due.reason)
    answer = yield consult_request(space, objective, task, settings, history, merits, due.at)
    if isinstance(answer, ChatFailure):
        if answer.error == "BackendBusy":  # of another process, whose answer the next trial will see
            return Rivals(reason=f"No consultation: {answer.message}.")
        return Rivals(reason=due.reason, notes=(f"The LLM gave no advice ({answer.error}: {answer.message})",))
    advice = parse_advice(answer.text, space, knowledge.defaults(space))
    if not advice.points:
        why = advice.rejections[0].why if advice.rejections else "it names none"
        return Rivals(reason=due.reason, notes=(f"The LLM's reply holds no usable configuration ({why})",))
    points = advice.points[: settings.llm.consult_points]
    if fixed:
        points = tuple(space.round(space.complete({**point, **fixed}, knowledge.defaults(space))) for point in points)
    return Rivals(points, due.slack, due.reason, advice.rationale)
