"""The engine: from a history to proposals, asking for advice instead of fetching it.

``Engine.suggest`` is a generator. It yields a ChatRequest whenever it wants advice, is sent a ChatReply or a
ChatFailure, and returns proposals. It does no I/O and keeps no state between calls: the same history and the same
random generator give the same proposals, in whichever process.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Generator, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np

from hybridbo import coverage, guidance, knowledge, policy
from hybridbo.belief import Advice
from hybridbo.errors import SpaceExhausted
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.prompts import seed_request
from hybridbo.objective import Objective
from hybridbo.observe import Observations, merits, weighed
from hybridbo.parameters import Array, Params
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest
from hybridbo.rivals import Rivals, consult, no_advice
from hybridbo.settings import Settings
from hybridbo.sobol import SobolPoints
from hybridbo.space import Space
from hybridbo.trial import History, Origin, Proposal, Trial

Taken: TypeAlias = AbstractSet[str]  # Space.key of every trial
Steps: TypeAlias = Generator[ChatRequest, ChatReply | ChatFailure, list[Proposal]]

_logger = logging.getLogger(__name__)
_SOBOL_POINTS = 1024  # looked through beyond the points used before a space counts as used up


@dataclass(frozen=True)
class Engine:
    """Proposes configurations.

    Attributes:
        space: What is searched.
        objective: What is optimised.
        settings: How.
        task: The user's description, for the language model.
        has_llm: Whether somebody answers the requests.
        seed: Seed of the Sobol sequence, which the trials of a study share.
        fixed: Values that are decided already: every proposal but a queued one has them.
    """

    space: Space
    objective: Objective
    settings: Settings
    task: str = ""
    has_llm: bool = False
    seed: int = 0
    fixed: Params = field(default_factory=dict, hash=False)

    def suggest(self, history: History, n: int, rng: np.random.Generator) -> Steps:
        """Propose ``n`` different configurations.

        Args:
            history: What is known; pending trials are neither repeated nor crowded.
            n: How many.
            rng: Source of all randomness but the Sobol sequence's.

        Yields:
            Requests for advice; send the reply, or why there is none.

        Returns:
            ``n`` proposals, or fewer where the space ends.

        Raises:
            SpaceExhausted: Every configuration of a finite space has been proposed.
        """
        proposals: list[Proposal] = []
        for _ in range(n):
            try:
                proposal = yield from self._suggest_one(history, rng)
            except SpaceExhausted:
                if not proposals:
                    raise
                break
            proposals.append(proposal)
            history = history.with_pending(proposal)
        return proposals

    def default_params(self) -> Params:
        """The default configuration (arm 0): declared, else published, else middle values."""
        return self._with_fixed({})

    def _with_fixed(self, params: Params) -> Params:
        return self.space.complete({**params, **self.fixed}, knowledge.defaults(self.space))

    def is_quick(self, history: History) -> bool:
        """Whether the next proposal takes no model and no advice, hence microseconds; what it needs is loaded then."""
        decision = self._decide(history, policy.Standing())
        if decision.source == "sobol" and not self.has_llm:
            self._points.prepare()
            return True
        return decision.source in {"user", "default"}

    def trust(self, history: History) -> Generator[ChatRequest, ChatReply | ChatFailure, guidance.TrustReport]:
        """What beliefs weigh at present and why, by the code that proposals go through.

        Args:
            history: What is known.

        Yields:
            The request whose reply holds the LLM's beliefs; send what is known of it.
        """
        advice, trouble = yield from self._advice()
        standing = self.standing(history)
        decision, voice = self._decide(history, standing), guidance.Voice(advice, standing)
        silent = "" if advice.beliefs or not self.has_llm else f"{trouble or 'Its reply holds no belief'}."
        return guidance.report(self.space, self.objective, history, voice, decision, silent)

    def _suggest_one(
        self, history: History, rng: np.random.Generator
    ) -> Generator[ChatRequest, ChatReply | ChatFailure, Proposal]:
        digest = history.digested(self.space.any_key)
        history, taken = replace(history, digest=digest), digest.keys
        standing = self.standing(history)
        decision = self._decide(history, standing)
        if decision.source == "user":
            return Proposal(history.queued[0], Origin("user", decision.reason))
        if len(taken) >= self.space.size and not self.fixed:
            raise SpaceExhausted(
                f"all {self.space.size} configurations of the space have been proposed.", "The search is complete."
            )
        if decision.source == "default":
            return Proposal(self.default_params(), Origin("default", decision.reason))
        advice, trouble = yield from self._advice()
        notes = (trouble,) if trouble else ()
        if decision.source == "gp":
            rivals = (yield from consult(self, history, standing)) if self.has_llm else Rivals()
            proposal = self._gp(history, taken, guidance.Voice(advice, standing, rivals), trouble, rng)
        elif decision.source == "llm":
            return self._seed(history, taken, advice, trouble, decision.reason)
        else:
            proposal = self._sobol(history, taken, decision.reason, notes, towards=True)
        return replace(proposal, lasting=notes)

    def _decide(self, history: History, standing: policy.Standing) -> policy.Decision:
        default_is_open = self._default_key not in history.digested(self.space.any_key).keys
        if default_is_open:  # unless the default of a narrower space has been a trial
            every = chain(history.completed, history.failed, history.pending)
            default_is_open = all(trial.origin.source != "default" for trial in every)
        return policy.next_source(
            history, self.settings, default_is_open=default_is_open, has_llm=self.has_llm, llm=standing
        )

    def standing(self, history: History) -> policy.Standing:
        """How the LLM's configurations have done; open without an LLM."""
        if not self.has_llm:
            return policy.Standing()
        defaults = {trial.number for trial in self.defaults_of(history)}
        return policy.standing(history, merits(history, self.objective), defaults)

    def defaults_of(self, history: History) -> list[Trial]:
        """The trials of the default configuration, by number, whoever asked for them."""
        default = self.default_params()
        same = (trial for trial in history.trials if trial.params == default)  # 1 equals True, their keys differ
        return [trial for trial in same if self.space.any_key(trial.params) == self._default_key]

    @cached_property
    def _default_key(self) -> str:
        return self.space.key(self.default_params())

    @cached_property
    def _points(self) -> SobolPoints:
        return SobolPoints(len(self.space), self.seed)

    # Advice ------------------------------------------------------------------------------------------------------

    def _advice(self) -> Generator[ChatRequest, ChatReply | ChatFailure, tuple[Advice, str | None]]:
        """The language model's advice, and what is wrong with it in one sentence."""
        if not self.has_llm:
            return Advice(), None
        answer = yield seed_request(self.space, self.objective, self.task, self.settings)
        if isinstance(answer, ChatFailure):
            return Advice(), no_advice(answer)
        advice = parse_advice(answer.text, self.space, knowledge.defaults(self.space))
        if advice.points:
            return advice, None
        why = advice.rejections[0].why if advice.rejections else "it names none"
        return advice, f"The LLM's reply holds no usable configuration ({why})"

    def _seed(self, history: History, taken: Taken, advice: Advice, trouble: str | None, reason: str) -> Proposal:
        for rank, named in enumerate(advice.points):
            point = self.space.round(self._with_fixed(named)) if self.fixed else named
            if self.space.key(point) not in taken:
                why = advice.why(rank)
                return Proposal(point, Origin("llm", f"{reason} Number {rank + 1} of the LLM's advice. {why}".rstrip()))
        if trouble is None:
            trouble = f"All {len(advice.points)} usable configurations of the LLM's reply have been tried"
        return replace(self._sobol(history, taken, reason, (trouble,)), lasting=(trouble,))

    # Sources -----------------------------------------------------------------------------------------------------

    def _sobol(
        self, history: History, taken: Taken, reason: str, notes: tuple[str, ...], *, towards: bool = False
    ) -> Proposal:
        """The next point of the study's Sobol sequence that has not been taken.

        ``towards``: every second one is drawn towards published beliefs, if there are any.
        """
        reason = " ".join([*(f"{note}; a Sobol point fills in." for note in notes), reason]).strip()
        params = coverage.best_of(self.space, history, self._free(history, taken, towards=towards))
        if params is None:
            raise SpaceExhausted("all configurations of the space have been proposed.", "The search is complete.")
        return Proposal(params, Origin("sobol", reason), notes)

    def _free(self, history: History, taken: Taken, *, towards: bool) -> Iterator[Params]:
        """Points of the sequence that have not been taken; behind them, whatever is left of a finite space."""
        used = history.digested(self.space.any_key).n_sobol
        for index in range(used, used + _SOBOL_POINTS):
            point = self._points[index]
            if towards and index % 2:
                point = self._towards_beliefs(point[None, :])[0]
            params = self.space.decode(self.space.pin(point[None, :], self.fixed)[0])
            if self.space.key(params) not in taken:
                yield params
        yield from (params for params in self.space.configurations(self.fixed) if self.space.key(params) not in taken)

    def _towards_beliefs(self, points: Array) -> Array:
        """Points of the unit cube, shape (n, d), as draws from published beliefs; as they are where there are none."""
        beliefs = knowledge.beliefs(self.space)
        if not beliefs:
            return points
        from hybridbo.gp.prior import warp

        return warp(self.space, beliefs, points)

    def _gp(
        self, history: History, taken: Taken, voice: guidance.Voice, trouble: str | None, rng: np.random.Generator
    ) -> Proposal:
        notes = (*((trouble,) if trouble else ()), *voice.rivals.notes)
        try:
            # the user's debugging aids are not for us: an underflow here is a zero, and torch warns when it is imported
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._gp_proposal(history, taken, voice, notes, rng)
        except Exception as error:  # never fatal: whatever the model does, the search goes on
            _logger.warning("the surrogate failed, a Sobol point fills in", exc_info=error)
            trouble = f"The Gaussian process failed ({type(error).__name__}: {error})"
            return self._sobol(history, taken, "", (*notes, trouble))

    def _gp_proposal(
        self,
        history: History,
        taken: Taken,
        voice: guidance.Voice,
        notes: tuple[str, ...],
        rng: np.random.Generator,
    ) -> Proposal:
        from hybridbo.gp.propose import propose  # SciPy loads with the first proposal of the GP

        seen, cleaned, nothing = guidance.learned(self.space, self.objective, history)
        notes = (*notes, *cleaned)
        if nothing:
            return self._sobol(history, taken, "", (*notes, nothing))
        guide, said = guidance.guide(self.space, seen, voice, taken)
        seen, reason = self._worded(seen, rng)
        power, about_cost = self._cost(history, seen)
        guide = replace(guide, cost_power=power, fixed=self.fixed, rivals=voice.rivals.points, slack=voice.rivals.slack)
        found = propose(self.space, seen, guide, rng, self.settings.gp)
        notes = (*notes, *found.notes)
        sentences = [
            reason,
            *said,
            *about_cost,
            *voice.rivals.told(found.rival, found.lead),
            *(note if note.endswith(".") else f"{note}." for note in notes),
        ]
        reason = " ".join(dict.fromkeys(sentences))  # what bars the seeds bars a consultation, in the same words
        return Proposal(
            found.params,
            Origin("gp" if found.rival is None else "llm", reason, *self._prediction(found.loss_mean, found.loss_sd)),
            notes,
            tuple(said),
        )

    def _worded(self, seen: Observations, rng: np.random.Generator) -> tuple[Observations, str]:
        """What is to be modelled, with as many objectives as can be, and what is sought."""
        n, m = len(seen.params), len(self.objective.directions)
        if seen.seeks_feasible:
            return seen, f"None of {n} trials keeps the constraints: the best chance to keep them is sought."
        if seen.is_single:
            return seen, f"Largest expected improvement after {n} values."
        from hybridbo.gp.front import MOST_OBJECTIVES  # torch loads with several objectives

        if m <= MOST_OBJECTIVES:
            return seen, f"Largest expected improvement of the hypervolume of {m} objectives after {n} values."
        why = f"The hypervolume of more than {MOST_OBJECTIVES} objectives takes too long to compute"
        return replace(seen, losses=weighed(seen.losses, rng)), f"{why}: {m} of them are weighed at random (ParEGO)."

    def _cost(self, history: History, seen: Observations) -> tuple[float, tuple[str, ...]]:
        """The power of the duration that the improvement is divided by, and why."""
        if not self.settings.gp.cost_aware:
            return 0.0, ()
        from hybridbo.gp.cost import are_telling, cooled  # SciPy loads with it

        if not are_telling(seen.seconds):
            return 0.0, ("Durations do not count: fewer than three are known, or all are the same.",)
        power, why = cooled(len(history), self.settings.seed_trials, self.settings.budget)
        if not power:
            return power, (f"Durations do not count any more: {why}.",)
        return power, (f"Divided by the expected duration to the power of {power:.2g}: {why}.",)

    # Values ------------------------------------------------------------------------------------------------------

    def _prediction(self, loss: float, sd: float) -> tuple[float | None, float | None]:
        """The predicted loss in the user's direction, to the six digits that it is worth; None if it has no unit."""
        if not self.objective.is_single or not (math.isfinite(loss) and math.isfinite(sd)):
            return None, None
        sign = 1.0 if self.objective.directions[0][1] == "minimize" else -1.0
        return float(f"{sign * loss:.6g}"), float(f"{sd:.6g}")
