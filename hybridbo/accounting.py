"""What is known of the LLM's part in a study, read from its store: nothing is asked, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridbo import attribution as attributing
from hybridbo import guidance
from hybridbo.asking import Asker, run_steps
from hybridbo.attribution import Attribution, Counterfactual
from hybridbo.engine import Engine
from hybridbo.errors import SurrogateError
from hybridbo.guidance import TrustReport
from hybridbo.observe import Observations, merits
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.stored import reply_to
from hybridbo.trial import History, Trial

if TYPE_CHECKING:
    from hybridbo.gp.counterfactual import Arm

_STREAM = 1  # its random numbers are none that a proposal uses


def trust(asker: Asker) -> TrustReport:
    """How much beliefs steer the study at present, and why: see ``Optimizer.trust``."""
    calls = asker.store.get_calls(asker.study)
    steps = asker.engine.trust(asker.ledger.history(asker.store))
    with np.errstate(all="ignore"):  # the user's debugging aids are not for us
        return run_steps(steps, lambda request: _known(calls, request))


def _known(calls: list[LLMCall], request: ChatRequest) -> ChatReply | ChatFailure:
    """The stored reply, else the last failure, else that nobody has asked."""
    failed = [call.result for call in calls if call.request.topic_hash == request.topic_hash]
    last = failed[-1] if failed and isinstance(failed[-1], ChatFailure) else None
    return reply_to(calls, request) or last or ChatFailure("not asked", "no reply to the present question is stored")


def attribution(asker: Asker) -> Attribution:
    """What each source has brought, and whether the LLM's seeds helped: see ``Optimizer.attribution``."""
    engine, history = asker.engine, asker.ledger.history(asker.store)
    figures = merits(history, engine.objective)
    records = attributing.records(history.trials, engine.objective, figures)
    seeds = attributing.seeds_of_llm(history.trials)
    found = _counterfactual(engine, history, seeds)
    if isinstance(found, str):
        return Attribution("cannot tell yet", found, records)
    verdict, reason = attributing.judge(found)
    return Attribution(verdict, reason, records, found)


def _counterfactual(engine: Engine, history: History, seeds: Sequence[Trial]) -> Counterfactual | str:
    """Where the LLM's seeds stand, or why nothing can be told of it."""
    if not seeds:  # as it is without an LLM: nothing is loaded then
        return "No trial of the LLM's has finished before the Gaussian process took over."
    try:
        seen, _, nothing = guidance.learned(engine.space, engine.objective, history)
        results = len(seen.params) + len(seen.failed)
        why = _untold(engine, seen, nothing)
        return why or _drawn(engine, history, seen, seeds, results)
    except SurrogateError as error:
        return f"The model failed: {error}"


def _untold(engine: Engine, seen: Observations, nothing: str) -> str:
    """Why nothing can be told of the LLM's seeds; empty if something can."""
    if not engine.objective.is_single:
        return "With several objectives there is no one order in which to place them among random configurations."
    if nothing or seen.seeks_feasible:
        return f"{nothing or 'No trial keeps the constraints yet'}."
    results, fewest = len(seen.params) + len(seen.failed), attributing.FEWEST
    return (
        "" if results >= fewest else f"The model of random configurations takes {fewest} results; there are {results}."
    )


def _drawn(
    engine: Engine, history: History, seen: Observations, seeds: Sequence[Trial], results: int
) -> Counterfactual:
    from hybridbo.gp.counterfactual import draw  # SciPy loads with it

    defaults = [_arm(engine, trial) for trial in engine.defaults_of(history) if trial.state.is_finished]
    rng = np.random.default_rng([engine.seed, results, _STREAM])
    found = draw(engine.space, seen, [_arm(engine, t) for t in seeds], next(iter(defaults), None), rng)
    return attributing.counterfactual(
        [t.number for t in seeds], found.as_good, found.beats_default, found.wins, results
    )


def _arm(engine: Engine, trial: Trial) -> Arm:
    from hybridbo.gp.counterfactual import Arm

    has_all = set(engine.objective.names) <= trial.values.keys()
    return Arm(trial.params, has_all and engine.objective.is_feasible(trial.values))
