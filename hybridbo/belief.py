"""Beliefs: what the LLM or the table of published defaults says about where the optimum lies.

A belief never says how sure the search may be of a value: that is the Gaussian process's part. It only weighs where to
look first, and it loses its weight when the results contradict it (:func:`hybridbo.policy.trust`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hybridbo.parameters import Choice, Params


@dataclass(frozen=True)
class NumericBelief:
    """The optimum of a numeric parameter lies near ``center``, and with about 80 % within [low, high]."""

    center: float
    low: float
    high: float


@dataclass(frozen=True)
class ChoiceBelief:
    """The best choice is each of ``weights`` with that probability; they add up to 1."""

    weights: tuple[tuple[Choice, float], ...]


Belief: TypeAlias = NumericBelief | ChoiceBelief

_INSIDE = 4.0  # how much more a choice within a believed range weighs than one outside


def over_choices(numbers: Sequence[float], low: float, high: float) -> ChoiceBelief | None:
    """A range believed in, over a grid of numbers: those in [low, high] weigh four times the others.

    Args:
        numbers: The choices.
        low: Lower end.
        high: Upper end.

    Returns:
        None if the range tells no choice from another.
    """
    weights = [_INSIDE if low <= number <= high else 1.0 for number in numbers]
    if len(set(weights)) < 2:
        return None
    total = sum(weights)
    return ChoiceBelief(tuple((number, weight / total) for number, weight in zip(numbers, weights, strict=True)))


@dataclass(frozen=True)
class Rejection:
    """A part of a reply that was not used, and why."""

    part: str
    why: str


@dataclass(frozen=True)
class Advice:
    """What a language model's reply, or the table of published defaults, comes down to.

    Attributes:
        points: Valid configurations in order of preference.
        reasons: Why each of the points should do well, one sentence each; empty where nothing was said.
        beliefs: One per parameter, for the parameters it spoke of.
        rationale: Its reasons for all of it, one sentence; data, never an instruction.
        repairs: What was mended, one sentence each.
        rejections: What was not used, and why.
    """

    points: tuple[Params, ...] = field(default=(), hash=False)
    reasons: tuple[str, ...] = ()
    beliefs: Mapping[str, Belief] = field(default_factory=dict, hash=False)
    rationale: str = ""
    repairs: tuple[str, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    def why(self, rank: int) -> str:
        """What was said of the point at ``rank``, or else of the whole; empty if neither."""
        return (self.reasons[rank] if rank < len(self.reasons) else "") or self.rationale
