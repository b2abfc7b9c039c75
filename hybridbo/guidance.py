"""What beliefs weigh: worked out here for the engine's proposals, and by the same code for whoever asks after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from hybridbo import knowledge, policy
from hybridbo.belief import Advice, Belief
from hybridbo.errors import SurrogateError
from hybridbo.objective import Objective
from hybridbo.observe import Observations, observe
from hybridbo.rivals import Rivals
from hybridbo.space import Space
from hybridbo.trial import History, Source

if TYPE_CHECKING:
    from hybridbo.gp.propose import Guide

Whose = Literal["llm", "published"]

_OWNERS: dict[Whose, str] = {"llm": "The LLM's", "published": "Published"}


@dataclass(frozen=True)
class BeliefTrust:
    """What the beliefs of one source weigh.

    Attributes:
        source: ``"llm"``, or ``"published"``: the usual ranges of well-known hyperparameters.
        weight: From 0 to 1, shared among the objectives: with two, each half of it.
        reason: One or two sentences.
        beliefs: By parameter.
    """

    source: Whose
    weight: float
    reason: str
    beliefs: Mapping[str, Belief] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{_OWNERS[self.source]} beliefs weigh {self.weight:.2g}: {self.reason}"


@dataclass(frozen=True)
class TrustReport:
    """How much beliefs steer a search at present, whose they are, and why.

    Attributes:
        weight: What the beliefs that steer weigh, from 0 to 1; 0 where none do.
        reason: Why, in one or two sentences.
        source: Whose beliefs steer: the LLM's, or published ones where the LLM has none that count; None for nobody's.
        standing: How the LLM's configurations have done against the default and Sobol points.
        exponent: The power to which the acquisition takes the density of the beliefs in the next proposal of the
            Gaussian process: the weight times 3 / n after n values, and times 24 / n^2 from eight on (piBO). 0 while
            something else speaks.
        use: What comes of it, in one sentence.
        sources: Every source of beliefs that was looked at, in the order in which they are listened to.
    """

    weight: float
    reason: str
    source: Whose | None
    standing: policy.Standing
    exponent: float
    use: str
    sources: tuple[BeliefTrust, ...] = ()

    def __str__(self) -> str:
        return "\n".join([*map(str, self.sources), *([] if self.source else [self.reason]), self.use])

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        sources = [{"source": s.source, "weight": s.weight, "reason": s.reason} for s in self.sources]
        return {**asdict(self), "sources": sources}


@dataclass(frozen=True)
class Voice:
    """What the LLM has said, how its configurations have done, and what it says now that it is consulted."""

    advice: Advice
    standing: policy.Standing
    rivals: Rivals = field(default_factory=Rivals)


def learned(space: Space, objective: Objective, history: History) -> tuple[Observations, tuple[str, ...], str]:
    """What can be learned from, what was left out, and why there is nothing to model; empty if there is.

    Raises:
        SurrogateError: None of the values can be learned from.
    """
    from hybridbo.gp.ladder import clean  # SciPy loads with it

    seen = observe(history, objective)
    if not seen.params:
        return seen, (), f"No trial has every one of {', '.join(objective.names)} yet, so there is nothing to model"
    seen, cleaned = clean(space, seen)
    why = f"All {len(seen.params)} values are equal: there is nothing to model" if seen.is_constant else ""
    return seen, cleaned, why


def asked(space: Space, seen: Observations, voice: Voice) -> tuple[BeliefTrust, ...]:
    """The sources of beliefs that are listened to: up to the first with a weight, whose beliefs steer.

    Args:
        space: The space.
        seen: The results that the beliefs are tested against.
        voice: The LLM's beliefs come before published ones.
    """
    out = []
    for each in _weighed(space, seen, voice):
        out.append(each)
        if each.weight:
            break
    return tuple(out)


def _weighed(space: Space, seen: Observations, voice: Voice) -> Iterator[BeliefTrust]:
    from hybridbo.gp.features import encode
    from hybridbo.gp.prior import log_density

    m = 1 if seen.is_single else seen.losses.shape[1]
    held: tuple[tuple[Whose, Mapping[str, Belief]], ...] = (
        ("llm", voice.advice.beliefs),
        ("published", knowledge.beliefs(space)),
    )
    for whose, beliefs in held:
        if beliefs:
            u = encode(space, [*seen.params, *seen.failed])
            trust = policy.trust(log_density(space, beliefs, u), seen.ranking())
            trust = trust.given(voice.standing) if whose == "llm" else trust
            yield BeliefTrust(whose, trust.weight / m, trust.reason, beliefs)


def guide(space: Space, seen: Observations, voice: Voice, taken: AbstractSet[str]) -> tuple[Guide, list[str]]:
    """What steers the Gaussian process's next proposal, and what each source weighs, in words."""
    from hybridbo.gp.propose import Guide

    sources = asked(space, seen, voice)
    points = voice.advice.points if voice.standing.verdict != "lost" else ()
    if not all(each.weight for each in sources):
        points = ()
    leads = [each for each in sources if each.weight]
    beliefs, weight = (leads[0].beliefs, leads[0].weight) if leads else ({}, 0.0)
    return Guide(taken, beliefs, weight, points=points), [str(each) for each in sources]


def report(
    space: Space, objective: Objective, history: History, voice: Voice, decision: policy.Decision, silent: str
) -> TrustReport:
    """Put in words what beliefs weigh.

    Args:
        space: The space.
        objective: What is optimised.
        history: The results that the beliefs are tested against.
        voice: What the LLM has said, and how it has done.
        decision: Who speaks next.
        silent: Why the LLM has no beliefs; empty if it has some, or there is no LLM.
    """
    from hybridbo.gp.prior import power

    try:
        seen, _, nothing = learned(space, objective, history)
    except SurrogateError as error:
        seen, nothing = observe(History(), objective), error.message.rstrip(".")
    if not seen.params:
        seen = replace(seen, failed=())  # nobody has seen to it that they belong to the space
    if decision.source != "gp":
        nothing = f"{_NAMES[decision.source]} comes first"
    sources = asked(space, seen, voice)
    leads = [each for each in sources if each.weight]
    if silent:
        sources = (BeliefTrust("llm", 0.0, silent), *sources)
    n, finished = len(seen.params), len(seen.params) + len(seen.failed)
    exponent = power(leads[0].weight, n, finished) if leads and not nothing else 0.0
    if not leads:
        reason = sources[-1].reason if sources else "Nobody holds a belief about these parameters."
        return TrustReport(0.0, reason, None, voice.standing, 0.0, "No belief steers the search.", sources)
    use = f"Not used for the next trial: {nothing}."
    if not nothing:
        use = f"After {n} values the acquisition is multiplied by their density to the power of {exponent:.2g}."
    first = leads[0]
    return TrustReport(first.weight, first.reason, first.source, voice.standing, exponent, use, sources)


_NAMES: dict[Source, str] = {
    "user": "what the user has enqueued",
    "default": "the default configuration",
    "llm": "a configuration of the LLM",
    "sobol": "a Sobol point",
}
