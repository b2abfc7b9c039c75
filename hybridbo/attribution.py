"""Who brought what: the part of each source in a study, and whether the LLM's first configurations helped. Pure.

How the verdict comes about. The LLM's seeds are its finished trials before the first one of the Gaussian process. Their
rival is what a search would have done without them: as many random configurations, beside the default, which is tried
anyway. Were the advice no better than chance, the probability that k random configurations hold one at least as good
as the best of the k seeds would be uniform on [0, 1]: with q the share of random configurations at least as good as the
best seed, it is 1 - (1 - q)^k, the p-value of a randomisation test (Fisher 1935, The Design of Experiments; here of
the minimum). Nobody knows q, so that it is averaged over functions drawn from the Gaussian process that has seen all
results (:mod:`hybridbo.gp.counterfactual`): where few results leave the random configurations open, p stays near 1/2.

What it cannot do. The model saw few results, many of them where the advice and its own proposals led. Declustering
takes out part of that, not all: p comes out too high by about 0.2 where advice is good, so that "cannot tell yet" is
often said of advice that has helped. Only the seeds are judged. What beliefs did to later proposals cannot be told from
one search; see ``Optimizer.trust``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hybridbo.objective import Objective
from hybridbo.parameters import Array
from hybridbo.trial import Source, Trial, TrialState

Verdict = Literal["helped", "did not help", "cannot tell yet"]

_ORDER: tuple[Source, ...] = ("user", "default", "llm", "sobol", "gp")
_CHANCE = 0.1  # advice that random configurations match with at most this probability has helped
_NO_BETTER = 0.75  # and with at least this one it has not: beyond 1/2, since the model errs against the advice
_SURE = 0.9  # of the comparison with the default
FEWEST = 5  # results: fewer tell a model nothing of random configurations


@dataclass(frozen=True)
class SourceRecord:
    """What one source has brought.

    Attributes:
        source: ``"user"``, ``"default"``, ``"llm"``, ``"sobol"`` or ``"gp"``.
        trials: How many it proposed, those still running included.
        finished: How many have ended.
        failed: How many of them failed.
        best: The best value within the constraints, in the user's units; None without one, or with several objectives.
        mean_rank: Mean rank among all finished trials, 1 for the best; failed ones share the last place. With several
            objectives trials rank by how many others dominate them. None without a finished trial.
        improvements: Trials better than every one before it, by number; with several objectives, trials that none
            before it dominates or equals. The first trial with a value improves on nothing and does not count.
        gain: By how much these improved on the incumbent, in total, in the user's units; None with several objectives.
    """

    source: Source
    trials: int
    finished: int
    failed: int
    best: float | None
    mean_rank: float | None
    improvements: int
    gain: float | None


@dataclass(frozen=True)
class Place:
    """Where one of the LLM's seeds stands among random configurations.

    Attributes:
        trial: Its number.
        as_good: Expected share of random configurations that are at least as good.
        low: The 5 % quantile of that share.
        high: The 95 % quantile.
    """

    trial: int
    as_good: float
    low: float
    high: float


@dataclass(frozen=True)
class Counterfactual:
    """What would have been without the LLM's seeds, as far as the model of all results can tell.

    Attributes:
        places: The seeds.
        chance_as_good: Probability that as many random configurations hold one at least as good as the best seed.
        beats_default: Probability that the best seed is better than the default; None if the default was not tried.
        random_beats_default: Probability that the best of as many random configurations is; None likewise.
        results: How many finished trials the model rests on.
    """

    places: tuple[Place, ...]
    chance_as_good: float
    beats_default: float | None
    random_beats_default: float | None
    results: int


@dataclass(frozen=True)
class Attribution:
    """What each source has brought, and whether the LLM's seeds helped.

    Attributes:
        verdict: ``"helped"``, ``"did not help"`` or ``"cannot tell yet"``.
        reason: Why, with the figures it rests on.
        sources: Those that proposed a trial.
        counterfactual: The evidence; None where there is none.
    """

    verdict: Verdict
    reason: str
    sources: tuple[SourceRecord, ...] = ()
    counterfactual: Counterfactual | None = None

    def __str__(self) -> str:
        lines = [f"The LLM's configurations: {self.verdict}. {self.reason}"]
        for one in self.sources:
            best = "" if one.best is None else f", best {one.best:.6g}"
            rank = "" if one.mean_rank is None else f", mean rank {one.mean_rank:.1f}"
            gain = "" if not one.gain else f" by {one.gain:.6g}"
            told = f"{one.finished} of {one.trials} finished, {one.failed} failed{best}{rank}"
            lines.append(f"{one.source}: {told}, {one.improvements} improvements{gain}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


# What each source has brought ------------------------------------------------------------------------------------


def records(trials: Sequence[Trial], objective: Objective, merits: Mapping[int, float]) -> tuple[SourceRecord, ...]:
    """What each source has brought.

    Args:
        trials: All of a study.
        objective: Tells better from worse.
        merits: :func:`hybridbo.observe.merits` of the same.
    """
    ranks = _ranks(merits)
    gains = _gains(sorted(trials, key=lambda trial: trial.number), objective)
    out = []
    for source in _ORDER:
        own = [trial for trial in trials if trial.origin.source == source]
        if own:
            out.append(_record(source, own, objective, ranks, gains))
    return tuple(out)


def _record(
    source: Source,
    own: Sequence[Trial],
    objective: Objective,
    ranks: Mapping[int, float],
    gains: Mapping[int, float],
) -> SourceRecord:
    best = objective.best(own)
    ranked = [ranks[trial.number] for trial in own if trial.number in ranks]
    improved = [gains[trial.number] for trial in own if trial.number in gains]
    return SourceRecord(
        source=source,
        trials=len(own),
        finished=sum(trial.state.is_finished for trial in own),
        failed=sum(trial.state is TrialState.FAILED for trial in own),
        best=best.value if best else None,
        mean_rank=float(np.mean(ranked)) if ranked else None,
        improvements=len(improved),
        gain=_finite(math.fsum(improved)) if objective.is_single else None,
    )


def _ranks(merits: Mapping[int, float]) -> dict[int, float]:
    """The rank of each trial, 1 for the smallest figure; equal ones share the mean of their places."""
    _, inverse, counts = np.unique(list(merits.values()), return_inverse=True, return_counts=True)
    places = np.cumsum(counts) - (counts - 1) / 2.0
    return {number: float(places[i]) for number, i in zip(merits, inverse.reshape(-1), strict=True)}


def _gains(trials: Sequence[Trial], objective: Objective) -> dict[int, float]:
    """By how much each trial improved on those before it, by number, without those that did not."""
    gains: dict[int, float] = {}
    front: list[tuple[float, ...]] = []
    for trial in trials:
        if trial.state is not TrialState.COMPLETE or not objective.is_feasible(trial.values):
            continue
        losses = objective.losses(trial.values)
        if any(all(b <= a for a, b in zip(losses, other, strict=True)) for other in front):
            continue
        if front:
            gains[trial.number] = front[-1][0] - losses[0] if objective.is_single else 0.0
        front.append(losses)
    return gains


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # 1e308 and -1e308 are farther apart than a double can tell


# The LLM's seeds -------------------------------------------------------------------------------------------------


def seeds_of_llm(trials: Sequence[Trial]) -> list[Trial]:
    """The LLM's finished trials before the first one of the Gaussian process, by number.

    What it proposes later it proposes knowing results: no random configuration is a fair rival to that.
    """
    first = min((trial.number for trial in trials if trial.origin.source == "gp"), default=math.inf)
    own = (trial for trial in trials if trial.origin.source == "llm" and trial.number < first)
    return sorted((trial for trial in own if trial.state.is_finished), key=lambda trial: trial.number)


def counterfactual(
    numbers: Sequence[int],
    as_good: Array,
    beats_default: Array | None,
    wins: NDArray[np.bool_] | None,
    results: int,
) -> Counterfactual:
    """Sum up the draws of :func:`hybridbo.gp.counterfactual.draw`.

    Args:
        numbers: Of the seeds, k of them.
        as_good: Share of random configurations at least as good as each seed, by draw, shape (s, k).
        beats_default: Share of random configurations better than the default, shape (s,).
        wins: Whether the best seed is better than the default, shape (s,).
        results: How many finished trials the model rests on.
    """
    k = len(numbers)
    low, high = np.quantile(as_good, [0.05, 0.95], axis=0)
    places = [Place(n, float(as_good[:, i].mean()), float(low[i]), float(high[i])) for i, n in enumerate(numbers)]
    return Counterfactual(
        places=tuple(places),
        chance_as_good=_any_of(as_good.min(axis=1), k),
        beats_default=None if wins is None else float(wins.mean()),
        random_beats_default=None if beats_default is None else _any_of(beats_default, k),
        results=results,
    )


def _any_of(share: Array, k: int) -> float:
    """Probability that one of ``k`` random configurations is in a share of the space, averaged over draws."""
    return float(np.mean(1.0 - (1.0 - share) ** k))


def judge(found: Counterfactual) -> tuple[Verdict, str]:
    """The verdict on the LLM's seeds, and why."""
    k, p = len(found.places), found.chance_as_good
    them = f"{k} random configurations" if k > 1 else "a random configuration"
    chance = f"{them} would have done as well with probability {p:.2g}"
    if found.beats_default is not None:
        chance += f", and the best of the LLM's beats the default with probability {found.beats_default:.2g}"
    reason = f"By the model of {found.results} results, {chance}."
    if found.beats_default is not None and found.beats_default <= 1 - _SURE:
        return "did not help", reason
    if p >= _NO_BETTER:
        return "did not help", reason
    if p <= _CHANCE and (found.beats_default is None or found.beats_default >= _SURE):
        return "helped", reason
    return "cannot tell yet", reason
