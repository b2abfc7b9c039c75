"""Which source speaks next, and with how much trust. Pure: counts and figures in, a decision with its reason out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, permutations
from typing import Literal

import numpy as np

from hybridbo.parameters import Array
from hybridbo.settings import Settings
from hybridbo.trial import History, Source

_CONTRADICTED = 0.15  # a belief weighs nothing where chance explains the contradiction with at most this probability
_UNTOUCHED = 0.65  # and all its weight from this one on: where denser is rather better
_FEWEST_TO_TEST = 2
_EXACT_BELOW = 5  # results: from there on a t distribution tells the chance well, below every order is counted
_IN_DOUBT = 1 / 3  # of a belief's weight is left to an LLM whose configurations are no better than the default
_FEWEST_TO_JUDGE = 2
_SLACK = 20.0  # divided by the number of values; see slack()
_IMPROVEMENT = 0.01  # of what separates the best from the median: polishing is stagnation too


@dataclass(frozen=True)
class Decision:
    """Who proposes the next trial, and why."""

    source: Source
    reason: str


@dataclass(frozen=True)
class Standing:
    """How the LLM's configurations have done against the controls: the default configuration and a Sobol point.

    Attributes:
        verdict: ``"open"``; ``"doubtful"``: they lost to the default; ``"lost"``: to a Sobol point as well.
        reason: In one sentence; empty while open.
    """

    verdict: Literal["open", "doubtful", "lost"] = "open"
    reason: str = ""

    @property
    def weight(self) -> float:
        """What is left of the weight of the LLM's beliefs: advice no better than a default is a weak guide."""
        return {"open": 1.0, "doubtful": _IN_DOUBT, "lost": 0.0}[self.verdict]


@dataclass(frozen=True)
class Trust:
    """How much a belief still weighs, from 0 to 1, and why."""

    weight: float
    reason: str

    def given(self, standing: Standing) -> Trust:
        """The trust in a belief of an LLM whose configurations have that standing."""
        if standing.verdict == "open":
            return self
        if standing.verdict == "lost":
            return Trust(0.0, standing.reason)
        return Trust(self.weight * standing.weight, f"{standing.reason} {self.reason}")


_OPEN = Standing()


def standing(history: History, merits: Mapping[int, float], defaults: AbstractSet[int] = frozenset()) -> Standing:
    """Compare the best of at least two configurations of the LLM with the controls.

    Five wasted trials cost a search of thirty a fifth of what it reaches. Two trials are enough to see that advice is
    no better than what costs nothing.

    Args:
        history: Who proposed what.
        merits: One figure for each finished trial by number, smaller is better, inf for a failed one.
        defaults: Numbers of trials of the default configuration, whoever asked for them: one that the user has
            enqueued is a control like any other.
    """
    figures: dict[str, list[float]] = {"llm": [], "default": [], "sobol": []}
    for trial in history.trials:
        source = "default" if trial.number in defaults else trial.origin.source
        if trial.number in merits and source in figures:
            figures[source].append(merits[trial.number])
    advised = figures["llm"]
    if len(advised) < _FEWEST_TO_JUDGE or not figures["default"] or min(advised) < min(figures["default"]):
        return Standing()
    if figures["sobol"] and min(advised) > min(figures["sobol"]):  # and to the default, as seen above
        return Standing("lost", "The LLM's configurations have lost to the default and to a Sobol point.")
    return Standing("doubtful", f"{len(advised)} configurations of the LLM are no better than the default.")


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
        listens = has_llm and llm.verdict == "open" and _advised(history) < max(1, seeds // 2)  # else nobody counts
        source: Source = "llm" if listens else "sobol"
        return Decision(source, f"Seed trial {n + 1} of {seeds}. {llm.reason}".rstrip())
    if not history.completed:
        source = "llm" if has_llm and llm.verdict != "lost" else "sobol"
        return Decision(source, f"None of {n} trials has a value yet, so there is nothing to model.")
    return Decision("gp", f"The Gaussian process knows {len(history.completed)} values.")


def _advised(history: History) -> int:
    """How many trials are the LLM's."""
    every = chain(history.completed, history.pending, history.failed)
    return sum(trial.origin.source == "llm" for trial in every)


def trust(log_density: Array | Sequence[float], losses: Array | Sequence[float]) -> Trust:
    """Test a belief against the results.

    A belief that is right puts density where losses are small. Spearman's rank correlation of density and loss over the
    finished trials is tested one-sided against "the belief says nothing". With p the probability that chance makes
    denser places look as bad as they do, the weight is 0 up to p = 0.15, 1 from p = 0.65 on, and between them
    (p - 0.15) / 0.5: a belief keeps its whole weight only where denser is rather better, for one that is merely not
    refuted misleads a short search to its end. The acquisition lets the weight decay with the number of trials anyway
    (piBO, Hvarfner et al. 2022, eq. 6). Fewer than five results are tested too, exactly, over all orders that they
    could have come in: two can take three tenths of the weight, and four all of it.

    Args:
        log_density: Log density of the belief at the finished trials, shape (n,).
        losses: Their values, or any figures in the same order, smaller is better, inf for a failed trial, shape (n,).
    """
    density, loss = np.asarray(log_density, dtype=float), np.asarray(losses, dtype=float)
    if len(loss) < _FEWEST_TO_TEST:
        return Trust(1.0, "It takes two results to test the belief.")
    if (density == density[0]).all() or (loss == loss[0]).all():
        return Trust(1.0, "The results do not tell denser from thinner places.")
    correlation, chance = _spearman(density, loss)
    weight = float(np.clip((chance - _CONTRADICTED) / (_UNTOUCHED - _CONTRADICTED), 0.0, 1.0))
    verdict = "contradict" if weight == 0.0 else "do not contradict" if weight == 1.0 else "do not bear out"
    return Trust(weight, f"The results {verdict} the belief (rank correlation {correlation:+.2f}).")


def _spearman(x: Array, y: Array) -> tuple[float, float]:
    """The rank correlation of two columns, shape (n,), and the chance of one at least as large, were there none."""
    from scipy import stats  # takes half a second to import, and most asks do not come here

    test = stats.spearmanr(x, y, alternative="greater")
    if len(x) >= _EXACT_BELOW:
        return float(test.statistic), float(test.pvalue)
    ranks, others = stats.rankdata(x), stats.rankdata(y)
    orders = np.array(list(permutations(ranks))) @ others
    return float(test.statistic), float(np.mean(orders >= ranks @ others - 1e-9))


@dataclass(frozen=True)
class Consultation:
    """Whether the LLM's points compete for the next trial, which of its answers, and with how much slack.

    Attributes:
        at: The number of trials at which it was asked, which names the question; None: it has no say now.
        reason: In one sentence; empty where consultations are off.
        slack: By how much the logarithm of the acquisition may be less for a point of the LLM than for the GP's own.
    """

    at: int | None
    reason: str = ""
    slack: float = 0.0


def consultation(
    history: History,
    settings: Settings,
    merits: Mapping[int, float],
    *,
    is_single: bool = True,
    llm: Standing = _OPEN,
) -> Consultation:
    """Decide whether the LLM is consulted, after the seeds; from the history alone, so that a resumed search agrees.

    On a schedule the question of every so many trials stands until the next one. Where the search stagnates there is
    one question for every ``patience`` trials in a row without an improvement; a new incumbent ends its say. An LLM
    whose configurations have lost to the controls is asked nothing, and it never has more than its share of all trials.

    Args:
        history: What is known.
        settings: When to ask, and the share.
        merits: One figure for each finished trial by number, smaller is better, inf for a failed one.
        is_single: Whether the merits are values, and not ranks.
        llm: How the LLM's configurations have done so far.
    """
    rule, n = settings.llm.consult, len(history)
    if rule == "never" or n < settings.seed_trials:
        return Consultation(None)
    if llm.verdict == "lost":
        return Consultation(None, f"No consultation: {llm.reason}")
    advised = _advised(history)
    if advised + 1 > settings.llm.consult_share * (n + 1):
        return Consultation(None, f"No consultation: {advised} of {n} trials are the LLM's, which is its share.")
    if rule == "stagnation":
        last = _last_improvement(merits, is_single=is_single)
        since, every = last + 1, settings.llm.patience
        gone = sum(number > last for number in merits)  # of those that are still running nothing is known
        why = f"{gone} trials without an improvement"
    else:
        since, every = settings.seed_trials, rule
        gone, why = n - since, f"one every {rule} trials"
    at = since + gone // every * every
    if rule == "stagnation" and (gone < every or at < settings.seed_trials):
        return Consultation(None)
    size = slack(history, merits, settings.seed_trials) * llm.weight
    return Consultation(at, f"The LLM was consulted after {at} trials ({why}).", size)


def slack(history: History, merits: Mapping[int, float], seed_trials: int) -> float:
    """By how much less, in the logarithm of the acquisition, a point of the LLM may promise than the GP's own.

    LLINBO-Justify (Chang, Azvar, Okwudire and Al Kontar 2025, arXiv:2505.14756, section 2.4) refuses a point x of the
    LLM where alpha(x) < max alpha - psi_t, for a psi_t that falls to zero; its authors' experiments use psi_t = c / t.
    Here alpha is a logarithm, so that psi is a ratio of expected improvements: after n values exp(-20 / n), hence one
    seventh after 10 and a half after 30. Besides, the LLM earns it: with k of its consulted points evaluated, w of
    which became the incumbent, psi is multiplied by (1 + w) / (1 + k), so that one who misleads is soon held to the
    GP's own standard.

    Args:
        history: Who proposed what.
        merits: One figure for each finished trial by number, smaller is better, inf for a failed one.
        seed_trials: The LLM's trials among the first so many were none of a consultation.
    """
    tried = won = 0
    best = np.inf
    for trial in history.trials:
        figure = merits.get(trial.number)
        if figure is None:
            continue
        if trial.origin.source == "llm" and trial.number >= seed_trials:
            tried, won = tried + 1, won + (figure < best)
        best = min(best, figure)
    return _SLACK / max(len(history.completed), 1) * (1 + won) / (1 + tried)


def _last_improvement(merits: Mapping[int, float], *, is_single: bool) -> int:
    """The number of the last trial that was better than all before by a hundredth of what separates best and median.

    Of ranks only the present ones are known: it is the last trial of the best rank then.
    """
    told = {number: merits[number] for number in sorted(merits) if np.isfinite(merits[number])}
    if not told:
        return max(merits, default=-1)
    least = min(told.values())
    if not is_single:
        return max(number for number, figure in told.items() if figure == least)
    enough = _IMPROVEMENT * (float(np.median(list(told.values()))) / 2 - least / 2)  # halves: 1e308 has no double
    best, last = np.inf, next(iter(told))
    for number, figure in told.items():
        if best == np.inf or best / 2 - figure / 2 > enough:
            best, last = figure, number
    return last
