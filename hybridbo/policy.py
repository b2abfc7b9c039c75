"""Which source speaks next, and with how much trust. Pure: counts and figures in, a decision with its reason out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hybridbo.parameters import Array
from hybridbo.settings import Settings
from hybridbo.trial import History, Source

_CONTRADICTED = 0.15  # a belief weighs nothing where chance explains the contradiction with at most this probability
_UNTOUCHED = 0.65  # and all its weight from this one on: where denser is rather better
_FEWEST_TO_TEST = 5
_FEWEST_TO_JUDGE = 2


@dataclass(frozen=True)
class Decision:
    """Who proposes the next trial, and why."""

    source: Source
    reason: str


@dataclass(frozen=True)
class Trust:
    """How much a belief still weighs, from 0 to 1, and why."""

    weight: float
    reason: str


@dataclass(frozen=True)
class Standing:
    """How the LLM's configurations have done against the controls: the default configuration and a Sobol point.

    Attributes:
        verdict: ``"open"``; ``"doubtful"``: they lost to the default, and there is no Sobol point to compare them with
            yet; ``"lost"``: they lost to both.
        reason: In one sentence; empty while open.
    """

    verdict: Literal["open", "doubtful", "lost"] = "open"
    reason: str = ""


_OPEN = Standing()


def standing(history: History, merits: Mapping[int, float]) -> Standing:
    """Compare the best of at least two configurations of the LLM with the controls.

    Five wasted trials cost a search of thirty a fifth of what it reaches. Two trials are enough to see that advice is
    no better than what costs nothing; where it is better, the second control is never evaluated.

    Args:
        history: Who proposed what.
        merits: One figure for each finished trial by number, smaller is better, inf for a failed one.
    """
    figures: dict[str, list[float]] = {"llm": [], "default": [], "sobol": []}
    for trial in history.trials:
        if trial.number in merits and trial.origin.source in figures:
            figures[trial.origin.source].append(merits[trial.number])
    advised = figures["llm"]
    if len(advised) < _FEWEST_TO_JUDGE or not figures["default"] or min(advised) < min(figures["default"]):
        return Standing()
    if not figures["sobol"]:
        why = f"{len(advised)} configurations of the LLM are no better than the default: a Sobol point is the control."
        return Standing("doubtful", why)
    if min(advised) > min(figures["sobol"]):  # and to the default, as seen above
        return Standing("lost", "The LLM's configurations have lost to the default and to a Sobol point.")
    return Standing()


def next_source(
    history: History, settings: Settings, *, default_is_open: bool, has_llm: bool, llm: Standing = _OPEN
) -> Decision:
    """Decide who proposes the next trial.

    The order is: enqueued configurations; the default configuration (arm 0); points of the LLM for half of the seed
    trials, unless there are none or they have lost; Sobol points up to ``settings.seed_trials`` trials in all; then the
    Gaussian process, to which the LLM's other points are candidates. The Sobol points cost good advice nothing, and
    they are what a search can fall back on where advice misleads: without them it never leaves the region, or the
    branch of a conditional space, that the LLM has named. Trials that failed count as seeds: a search whose first five
    trials crash learns more from modelling the crashes than from five more blind points.

    Args:
        history: What is known.
        settings: How many seeds there are.
        default_is_open: Whether the default configuration has not been a trial yet.
        has_llm: Whether there is a language model to ask.
        llm: How its configurations have done so far.
    """
    n, seeds = len(history), settings.seed_trials
    if history.queued:
        return Decision("user", "Enqueued by the user.")
    if default_is_open:
        return Decision("default", "The default configuration is evaluated first: every other one has to beat it.")
    if n < seeds:
        advised = sum(trial.origin.source == "llm" for trial in history.trials)
        source: Source = "llm" if has_llm and llm.verdict == "open" and advised < max(1, seeds // 2) else "sobol"
        return Decision(source, f"Seed trial {n + 1} of {seeds}. {llm.reason}".rstrip())
    if not history.completed:
        source = "llm" if has_llm and llm.verdict != "lost" else "sobol"
        return Decision(source, f"None of {n} trials has a value yet, so there is nothing to model.")
    return Decision("gp", f"The Gaussian process knows {len(history.completed)} values.")


def trust(log_density: Array | Sequence[float], losses: Array | Sequence[float]) -> Trust:
    """Test a belief against the results.

    A belief that is right puts density where losses are small. Spearman's rank correlation of density and loss over the
    finished trials is tested one-sided against "the belief says nothing". With p the probability that chance makes
    denser places look as bad as they do, the weight is 0 up to p = 0.15, 1 from p = 0.65 on, and between them
    (p - 0.15) / 0.5: a belief keeps its whole weight only where denser is rather better, for one that is merely not
    refuted misleads a short search to its end. The acquisition lets the weight decay with the number of trials anyway
    (piBO, Hvarfner et al. 2022, eq. 6).

    Args:
        log_density: Log density of the belief at the finished trials, shape (n,).
        losses: Their values, or any figures in the same order, smaller is better, inf for a failed trial, shape (n,).
    """
    density, loss = np.asarray(log_density, dtype=float), np.asarray(losses, dtype=float)
    if len(loss) < _FEWEST_TO_TEST:
        return Trust(1.0, f"{len(loss)} results are too few to test the belief.")
    if (density == density[0]).all() or (loss == loss[0]).all():
        return Trust(1.0, "The results do not tell denser from thinner places.")
    from scipy import stats  # takes half a second to import, and most asks do not come here

    test = stats.spearmanr(density, loss, alternative="greater")
    correlation, chance = float(test.statistic), float(test.pvalue)
    weight = float(np.clip((chance - _CONTRADICTED) / (_UNTOUCHED - _CONTRADICTED), 0.0, 1.0))
    verdict = "contradict" if weight == 0.0 else "do not contradict" if weight == 1.0 else "do not bear out"
    return Trust(weight, f"The results {verdict} the belief (rank correlation {correlation:+.2f}).")
