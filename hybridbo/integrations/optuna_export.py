"""A study of hybridbo as an Optuna study: what optuna-dashboard opens, and what a HybridSampler goes on with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from os import fspath
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from hybridbo.errors import InvalidState
from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.integrations.optuna_space import distribution_of
from hybridbo.integrations.optuna_storage import Where, is_url, opened
from hybridbo.objective import SINGLE, Objective
from hybridbo.optimizer import Optimizer
from hybridbo.trial import Trial, TrialState

_STATES = {TrialState.COMPLETE: State.COMPLETE, TrialState.FAILED: State.FAIL, TrialState.PRUNED: State.PRUNED}


def export_to_optuna(opt: Optimizer, where: Where, study_name: str | None = None) -> None:
    """Write a study into an Optuna storage, with every trial, reply of the language model and decision.

    A HybridSampler that is given the study's space goes on with it as the Optimizer would have. Trials keep their
    numbers, values and times; a running one stays running, and what is queued is enqueued. The last value of a pruned
    trial stands at step 0, since hybridbo knows no steps. A constraint ``mem <= 16`` becomes Optuna's, which is kept at
    0 or less; the value itself is a user attribute.

    Args:
        opt: The study.
        where: The path of a new or existing SQLite file, or journal (.log, .journal, .jsonl); a URL; or a storage.
        study_name: Its name in Optuna; the study's own by default.

    Raises:
        InvalidState: The storage has a study of that name, or the file is no Optuna storage.
        StoreError: The storage cannot be opened.
    """
    name = study_name or opt.study
    if isinstance(where, BaseStorage) or is_url(fspath(where)) or Path(fspath(where)).exists():
        with opened(where, must_exist=False) as storage:
            _write(opt, storage, name)
        return
    with _draft_of(Path(fspath(where))) as draft, opened(draft, must_exist=False) as storage:
        _write(opt, storage, name)


@contextlib.contextmanager
def _draft_of(file: Path) -> Iterator[Path]:
    """A file beside ``file`` that takes its place at the end: it is written whole or not at all."""
    if not file.parent.is_dir():
        raise InvalidState(f"cannot write {str(file)!r}: there is no such folder.", "Give a writable folder.")
    draft = file.with_name(f".{os.getpid()}.part.{file.name}")  # the same ending, which says what it is
    try:
        yield draft
        draft.replace(file)
    except OSError as error:
        raise InvalidState(f"cannot write {str(file)!r}: {error.strerror}.", "Give a writable folder.") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _write(opt: Optimizer, storage: BaseStorage, name: str) -> None:
    verbosity = optuna.logging.get_verbosity()
    ways = [way for _, way in opt.objective.directions]
    try:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it does is told by whoever calls this
        study = optuna.create_study(storage=storage, study_name=name, directions=ways)
    except optuna.exceptions.DuplicatedStudyError:
        hint = "Give another name or another file."
        raise InvalidState(f"the Optuna storage has a study {name!r} already.", hint) from None
    finally:
        optuna.logging.set_verbosity(verbosity)
    try:
        _fill(opt, study)
    except BaseException:
        optuna.delete_study(study_name=name, storage=storage)
        raise


def _fill(opt: Optimizer, study: optuna.Study) -> None:
    record = opt.store.get_study(opt.study)
    kept = {name: getattr(record, name) for name in ("space", "objective", "settings", "llm")}
    attrs.put_study(study, attrs.STUDY, kept)
    attrs.put_study(study, attrs.SEED, opt.seed)
    names = [name for name, _ in opt.objective.directions]
    if names != [SINGLE]:
        attrs.put_study(study, attrs.METRICS, names)
    if opt.task:
        study.set_user_attr("task", opt.task)
    calls = attrs.StudyCalls(study, [])
    for call in opt.store.get_calls(opt.study):
        calls.record_call(study.study_name, call)
    study.add_trials([_frozen(opt, trial) for trial in opt.trials])
    for params in opt.store.get_queue(opt.study):
        study.enqueue_trial(params)


def _frozen(opt: Optimizer, trial: Trial) -> FrozenTrial:
    objective = opt.objective
    state = _STATES.get(trial.state, State.RUNNING)
    values = [trial.values[name] for name, _ in objective.directions if name in trial.values]
    is_pruned = state is State.PRUNED and len(values) == 1
    ways = tuple(way for _, way in objective.directions)
    record = attrs.Record(trial.origin, dict(trial.params), directions=ways)
    frozen = optuna.create_trial(
        state=state,
        values=values if len(values) == len(ways) and state is not State.FAIL else None,
        params=dict(trial.params),
        distributions={name: distribution_of(opt.space[name]) for name in trial.params},
        user_attrs=_told(trial, objective),
        system_attrs={attrs.PROPOSAL: record.to_data(), **_constraints(trial, objective)},
        intermediate_values={0: values[0]} if is_pruned else {},
    )
    frozen.datetime_start = _local(trial.started_at)
    frozen.datetime_complete = _local(trial.finished_at) if trial.finished_at and state.is_finished() else None
    return frozen


def _told(trial: Trial, objective: Objective) -> dict[str, Any]:
    """What a person wants to see of a trial beside its values."""
    bounds = {bound.name: trial.values[bound.name] for bound in objective.constraints if bound.name in trial.values}
    facts = {
        "origin": trial.origin.source,
        "reason": trial.origin.reason,
        "predicted_mean": trial.origin.predicted_mean,
        "predicted_sd": trial.origin.predicted_sd,
        "error": trial.error,
    }
    return {name: value for name, value in facts.items() if value is not None} | bounds


def _constraints(trial: Trial, objective: Objective) -> dict[str, Any]:
    """Optuna's constraints: named ones for Optuna 5, a list for Optuna 4, which knows no names."""
    kept = {b.name: b.violation(trial.values[b.name]) for b in objective.constraints if b.name in trial.values}
    if hasattr(FrozenTrial, "constraints"):
        return {f"{attrs.CONSTRAINTS}:{name}": value for name, value in kept.items()}
    return {attrs.CONSTRAINTS: list(kept.values())} if kept else {}


def _local(moment: datetime) -> datetime:
    """Optuna's times are those of the local clock, without a zone."""
    return moment.astimezone().replace(tzinfo=None)
