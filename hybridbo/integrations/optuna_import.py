"""An Optuna study as one of hybridbo: past trials warm-start a new search."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from hybridbo.errors import InvalidParams, InvalidState, StudyMismatch
from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.integrations.optuna_history import objective_of, params_of, trial_of, values_of
from hybridbo.integrations.optuna_plan import plan_of
from hybridbo.integrations.optuna_space import Column, Columns, column_of, distribution_of, inside, space_of
from hybridbo.integrations.optuna_storage import Where, opened
from hybridbo.objective import Objective
from hybridbo.opening import checked_seed
from hybridbo.optimizer import Optimizer
from hybridbo.parameters import Categorical, Choice, Params
from hybridbo.ports import TrialStore
from hybridbo.space import Space, SpaceLike
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Trial, TrialState
from hybridbo.values import is_number


@dataclass(frozen=True)
class Imported:
    """What has come over.

    Attributes:
        trials: How many finished trials.
        queued: How many enqueued configurations.
        left: What stayed behind, and why, one sentence each.
    """

    trials: int
    queued: int
    left: tuple[str, ...] = ()


def import_from_optuna(
    source: optuna.Study | Where,
    store: str | PathLike[str] | TrialStore,
    study: str,
    *,
    optuna_study: str | None = None,
    space: SpaceLike | None = None,
    task: str = "",
    llm: str | None = "auto",
    seed: int | None = None,
) -> Imported:
    """Bring the trials of an Optuna study into a study of hybridbo, which is made if it is not there.

    Every finished trial comes over with its values and times: complete, pruned (by its last value) and failed. What
    somebody else proposed has the origin ``"user"``: it counts as known, but neither as the control nor as the language
    model's, whose standing it must not touch. Enqueued configurations are queued; running trials stay behind. To import
    again brings what is new.

    Args:
        source: An Optuna study; or a path, URL or storage, where ``optuna_study`` says which.
        store: The store of hybridbo.
        study: The study there.
        optuna_study: The name of the study in Optuna; None if it is the only one.
        space: The space of a new study; by default what the trials show of it, conditions included.
        task: For a new study, what is tuned, in words.
        llm: For a new study, its language model.
        seed: For a new study, its seed.

    Raises:
        InvalidState: There is no such Optuna study, or its trials show no space.
        StudyMismatch: The study exists, and minimises what Optuna's maximises, or has another number of objectives.
        StoreError: A storage or the store cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        found = source if isinstance(source, optuna.Study) else _study_in(stack, source, optuna_study)
        trials = found.get_trials(deepcopy=False)
        shape = _Shape.of(found, trials, space)
        opt = _target(stack, store, study, shape, {"task": task, "llm": llm, "seed": seed})
        return _bring(found, trials, opt, shape.left)


# Where from ------------------------------------------------------------------------------------------------------


def _study_in(stack: contextlib.ExitStack, where: Where, name: str | None) -> optuna.Study:
    storage: BaseStorage = stack.enter_context(opened(where, must_exist=True))
    names = [study.study_name for study in storage.get_all_studies()]
    known = f"Studies there: {', '.join(map(repr, names)) or 'none'}."
    if name is None and len(names) != 1:
        raise InvalidState(f"the Optuna storage has {len(names)} studies, and none is named.", f"Name one. {known}")
    if name is not None and name not in names:
        raise InvalidState(f"the Optuna storage has no study {name!r}.", known)
    return optuna.load_study(study_name=name or names[0], storage=storage)


@dataclass(frozen=True)
class _Shape:
    """What a new study is made of.

    Attributes:
        space: Its space; None if the trials show none.
        objective: Its objective.
        settings: Those of an exported study.
        seed: That of an exported study.
        left: What of the space could not come over.
    """

    space: Space | None
    objective: Objective
    settings: dict[str, Any] | None = None
    seed: int | None = None
    left: tuple[str, ...] = ()

    @classmethod
    def of(cls, study: optuna.Study, trials: Sequence[FrozenTrial], given: SpaceLike | None) -> _Shape:
        """The shape that an exported study tells, or that the trials show."""
        kept = attrs.study_attrs(study)
        stored = kept.get(attrs.STUDY)
        if isinstance(stored, Mapping):  # it was ours
            own = Space.from_json(stored["space"]) if given is None else Space.of(given)
            goals, settings = Objective.from_json(stored["objective"]), json.loads(stored["settings"])
            return cls(own, goals, settings, checked_seed(kept.get(attrs.SEED)))
        objective = objective_of(study, trials)
        if given is not None:
            return cls(Space.of(given), objective)
        space, left = _shown(trials)
        return cls(space, objective, left=left)


def _shown(trials: Sequence[FrozenTrial]) -> tuple[Space | None, tuple[str, ...]]:
    """The space that trials show, and what of it cannot be told."""
    plan = plan_of(trials, looks_back=True)
    finished = [trial for trial in trials if trial.state in (State.COMPLETE, State.PRUNED) and trial.params]
    columns, left = _constants(finished) | plan.columns, []
    for name, column in ((name, column) for group in plan.groups for name, column in group.items()):
        n = sum(name in trial.params for trial in finished)
        often = 2 * n >= len(finished)
        if often:
            columns[name] = column
        what = "it is searched always" if often else "it is left out of the space"
        left.append(f"{name!r} is in {n} of {len(finished)} trials, for no reason that they show: {what}")
    return (space_of(columns, plan.conditions) if columns else None), tuple(left)


def _constants(finished: Sequence[FrozenTrial]) -> Columns:
    """What every trial has at the same value: a choice of one."""
    columns: Columns = {}
    for name, distribution in (finished[0].distributions if finished else {}).items():
        value = finished[0].params[name]
        alike = all(t.distributions.get(name) == distribution for t in finished)
        if distribution.single() and alike and not Categorical([value]).problems():
            columns[name] = Column(CategoricalDistribution((value,)), Categorical([value]))
    return columns


# Where to --------------------------------------------------------------------------------------------------------


def _target(
    stack: contextlib.ExitStack, where: str | PathLike[str] | TrialStore, name: str, shape: _Shape, new: dict[str, Any]
) -> Optimizer:
    store = open_store(where)
    if store is not where:
        stack.callback(store.close)
    if name in [record.name for record in store.list_studies()]:
        opt = Optimizer.load(store, name, llm=None)
        _check_directions(opt.objective, shape.objective, name)
        return opt
    if shape.space is None:
        raise InvalidState("the Optuna study has no trial that shows its search space.", "Give a space.")
    goals = dict(shape.objective.directions)
    bounds = {bound.name: f"{bound.sign} {bound.bound!r}" for bound in shape.objective.constraints}
    seed = shape.seed if new["seed"] is None else new["seed"]
    return Optimizer(
        shape.space,
        objectives=goals,
        constraints=bounds,
        study=name,
        store=store,
        settings=shape.settings,
        **(new | {"seed": seed}),
    )


def _check_directions(own: Objective, theirs: Objective, name: str) -> None:
    if [way for _, way in own.directions] != [way for _, way in theirs.directions]:
        raise StudyMismatch(
            f"study {name!r} is to {_words(own)}, and the Optuna study to {_words(theirs)}.",
            "Import it into a study of its own, or turn the sign of its values first.",
        )


def _words(objective: Objective) -> str:
    return ", ".join(way for _, way in objective.directions)


# What comes over -------------------------------------------------------------------------------------------------


def _bring(study: optuna.Study, trials: Sequence[FrozenTrial], opt: Optimizer, left: Sequence[str]) -> Imported:
    columns = _columns(trials, opt.space)
    known = {_identity(trial) for trial in opt.trials}
    found: list[Trial] = []
    outside, running = [], 0
    for trial in trials:
        if not trial.state.is_finished():
            running += trial.state is State.RUNNING
            continue
        params = params_of(trial, opt.space, columns)
        if params is None:
            outside.append(trial.number)
        elif _identity(one := _trial(study, trial, params, opt.objective)) not in known:
            found.append(one)
    opt.store.add_trials(opt.study, found, keys=[opt.space.key(trial.params) for trial in found])
    _bring_calls(study, opt)
    queued = sum(_enqueue(trial, opt, columns) for trial in trials if trial.state is State.WAITING)
    notes = [*left, *([f"{running} running trials"] if running else [])]
    if outside:
        shown = ", ".join(map(str, outside[:10])) + (", ..." if len(outside) > 10 else "")
        notes.append(f"{len(outside)} trials that lie outside the space or lack a parameter: {shown}")
    message = f"{len(found)} trials of the Optuna study {study.study_name!r}."
    opt.note("imported", " ".join([message, *(f"Left behind: {note}." for note in notes)]))
    return Imported(len(found), queued, tuple(notes))


def _columns(trials: Sequence[FrozenTrial], space: Space) -> Columns:
    """How Optuna calls the parameters of a space: choices that JSON does not know have a text there."""
    columns: Columns = {name: Column(distribution_of(parameter), parameter) for name, parameter in space.items()}
    for name, column in plan_of(trials, looks_back=True).distributions.items():
        shown, own = column_of(name, column), columns.get(name)
        if own and shown and _choices(own) and _choices(own) == _choices(shown):
            columns[name] = Column(column, own.parameter)
    return columns


def _choices(column: Column) -> Sequence[Choice]:
    return column.parameter.choices if isinstance(column.parameter, Categorical) else ()


def _trial(study: optuna.Study, trial: FrozenTrial, params: Params, objective: Objective) -> Trial:
    values = _values(trial, objective)
    made = trial_of(trial.number, trial, params, values)
    if attrs.record_of(trial) is None:
        made = replace(made, origin=Origin("user", f"Trial {trial.number} of the Optuna study {study.study_name!r}."))
    if made.state is TrialState.FAILED:
        reason = trial.user_attrs.get("error") or trial.system_attrs.get("fail_reason")
        return replace(made, values={}, error=str(reason or "It failed in Optuna."))
    return replace(made, value=made.values.get(objective.names[0]) if objective.is_single else None)


def _values(trial: FrozenTrial, objective: Objective) -> dict[str, float] | None:
    """The values by the names of the objective; what a bound holds of an exported trial is a user attribute."""
    told = values_of(trial, objective)
    if told is None:
        return None
    kept = {b.name: trial.user_attrs[b.name] for b in objective.constraints if is_number(trial.user_attrs.get(b.name))}
    return {**told, **{name: float(value) for name, value in kept.items()}}


def _bring_calls(study: optuna.Study, opt: Optimizer) -> None:
    """The language model's calls, of an exported study or of a HybridSampler; each once."""
    known = {(call.request.topic_hash, call.at) for call in opt.store.get_calls(opt.study)}
    for call in attrs.StudyCalls(study, []).get_calls(study.study_name):
        if (call.request.topic_hash, call.at) not in known:
            opt.store.record_call(opt.study, call)


def _enqueue(trial: FrozenTrial, opt: Optimizer, columns: Columns) -> bool:
    try:
        return opt.enqueue(inside(columns, trial.system_attrs.get("fixed_params") or {}))
    except InvalidParams:
        return False


def _identity(trial: Trial) -> tuple[Any, ...]:
    """What makes two trials the same one: when it began, what it was, how it ended."""
    values = tuple(sorted(trial.values.items()))
    return (trial.started_at, json.dumps(dict(trial.params), sort_keys=True), trial.state, values)
