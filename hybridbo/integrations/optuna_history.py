"""From an Optuna study to what the engine is told: its objective, and a History of its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from hybridbo.errors import InvalidParams
from hybridbo.integrations.optuna_attrs import CONSTRAINTS, METRICS, record_of, study_attrs
from hybridbo.integrations.optuna_space import Columns, inside
from hybridbo.objective import SINGLE, Constraint, Direction, Objective
from hybridbo.parameters import Params
from hybridbo.space import Space
from hybridbo.trial import History, Origin, Trial, TrialState

_FOREIGN = Origin("user", "Not proposed by hybridbo.")
_OUTSIDE = "Finished trials that lie outside the search space are left out"
_INFINITE = "Trials with infinite values count as failed"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def objective_of(study: Study, trials: Sequence[FrozenTrial]) -> Objective:
    """The objectives by the names that the study gives them, and a bound of 0 on every constraint that trials have."""
    names = study_attrs(study).get(METRICS)
    directions = study.directions
    if not names:
        names = [SINGLE] if len(directions) == 1 else [f"{SINGLE}_{i}" for i in range(len(directions))]
    pairs: list[tuple[str, Direction]] = [
        (str(name), "maximize" if way is StudyDirection.MAXIMIZE else "minimize")
        for name, way in zip(names, directions, strict=True)
    ]
    keys = dict.fromkeys(key for trial in trials if trial.state.is_finished() for key in constraints_of(trial))
    bounds = tuple(Constraint(_bound_name(key, names), "<=", 0.0) for key in sorted(keys))
    return Objective(tuple(pairs), bounds)


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """The constraints of a trial by name, 0 or less where they are kept; those of a list by their number."""
    attrs = trial.system_attrs
    found: dict[str, float] = {str(i): float(value) for i, value in enumerate(attrs.get(CONSTRAINTS) or ())}
    prefix = f"{CONSTRAINTS}:"
    return found | {key.removeprefix(prefix): float(attrs[key]) for key in attrs if key.startswith(prefix)}


def history_of(
    trials: Sequence[FrozenTrial], space: Space, columns: Columns, objective: Objective, *, but: int
) -> tuple[History, list[str]]:
    """What the engine may learn from.

    A trial is left out when it lies outside the space, lacks an active parameter, or was retried after its process had
    died. A RUNNING trial counts with what was proposed for it, a WAITING one with what was enqueued.

    Args:
        trials: All trials of the study.
        space: The space.
        columns: How its parameters are called in Optuna.
        objective: The objective.
        but: The number of the trial that is asked for.

    Returns:
        The history, and what was left out or changed, one sentence each.
    """
    notes: dict[str, None] = {}
    retried = {trial.system_attrs.get("failed_trial") for trial in trials}
    kept: list[Trial] = []
    for trial in trials:
        if trial.number == but or (trial.state is State.FAIL and trial.number in retried):
            continue
        params = params_of(trial, space, columns)
        if params is None:
            if trial.state in (State.COMPLETE, State.PRUNED):
                notes[_OUTSIDE] = None
            continue
        values = values_of(trial, objective)
        if trial.state is State.COMPLETE and values is None:
            notes[_INFINITE] = None
        kept.append(trial_of(len(kept), trial, params, values))
    return History.of(kept), list(notes)


def params_of(trial: FrozenTrial, space: Space, columns: Columns) -> Params | None:
    """The configuration of a trial; None if it is none of the space."""
    record = record_of(trial)
    fixed = {} if trial.state.is_finished() else trial.system_attrs.get("fixed_params") or {}
    given: Mapping[str, Any] = {**fixed, **trial.params}
    known = inside(columns, given)
    if any(name in columns and name not in known for name in given):
        return None
    # what was proposed but never asked for is filled in, so that a parameter that the objective ignores harms nothing
    proposed = {name: value for name, value in record.params.items() if name in columns} if record else {}
    try:
        return space.validate({**proposed, **known})
    except InvalidParams:
        return None


def trial_of(number: int, trial: FrozenTrial, params: Params, values: Mapping[str, float] | None) -> Trial:
    """A trial as hybridbo has it; one that is COMPLETE and has no finite values has failed."""
    record = record_of(trial)
    states = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAIL: TrialState.FAILED}
    state = states.get(trial.state, TrialState.RUNNING)
    if state is TrialState.COMPLETE and values is None:
        state = TrialState.FAILED
    return Trial(
        number,
        params,
        state,
        record.origin if record else _FOREIGN,
        _utc(trial.datetime_start) or _LONG_AGO,
        values=values or {},
        finished_at=_utc(trial.datetime_complete) if trial.datetime_start else None,
    )


def values_of(trial: FrozenTrial, objective: Objective) -> dict[str, float] | None:
    """The values of a finished trial by name, finite all of them; None if it has none."""
    if trial.state not in (State.COMPLETE, State.PRUNED):
        return None
    values = trial.values
    if values is None and trial.state is State.PRUNED and trial.intermediate_values:
        values = [trial.intermediate_values[max(trial.intermediate_values)]]
    if values is None or len(values) != len(objective.directions) or not all(map(math.isfinite, values)):
        return None
    told = {name: float(value) for (name, _), value in zip(objective.directions, values, strict=True)}
    names = [name for name, _ in objective.directions]
    found = {_bound_name(key, names): value for key, value in constraints_of(trial).items()}
    # a trial without a constraint counts as feasible in Optuna: it keeps the bound, and tells no more
    bounds = {bound.name: found.get(bound.name, 0.0) for bound in objective.constraints}
    largest = 1e300
    return told | {name: min(max(value, -largest), largest) for name, value in bounds.items()}


def _bound_name(key: str, taken: Sequence[str]) -> str:
    return f"constraint {key}" if key in taken or key.isdecimal() else key


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
