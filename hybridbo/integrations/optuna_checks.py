"""Wrong uses of a HybridSampler, told with the remedy: another study's trials, another study's search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from hybridbo.errors import StudyMismatch
from hybridbo.integrations.optuna_attrs import record_of
from hybridbo.integrations.optuna_space import Columns, is_compatible


def refuse_directions(study: Study, trials: Sequence[FrozenTrial]) -> None:
    """Refuse trials that were proposed for other directions than the study's.

    Raises:
        StudyMismatch: They were copied from a study that minimises into one that maximises, or the like.
    """
    own = tuple(way.name.lower() for way in study.directions)
    for trial in trials:
        record = record_of(trial)
        if record is not None and record.directions and record.directions != own:
            raise StudyMismatch(
                f"trial {trial.number} of study {study.study_name!r} was proposed to {_words(record.directions)}, "
                f"and the study is to {_words(own)}.",
                "Create the study with the directions of its trials, or turn the sign of the values that you add.",
            )


def refuse_space(study: str, trials: Sequence[FrozenTrial], given: Columns) -> None:
    """Refuse a search space that the trials contradict; ranges and steps may differ.

    Raises:
        StudyMismatch: A parameter is of another kind or scale, or none of the parameters is the study's.
    """
    asked: dict[str, BaseDistribution] = {}
    for trial in trials:
        asked |= trial.distributions
    for name, distribution in asked.items():
        if name in given and not is_compatible(given[name].distribution, distribution):
            raise StudyMismatch(
                f"study {study!r} asks for {name!r} as {distribution}, search_space= has {given[name].distribution}.",
                "Give the study's own search space, or start a study of another name.",
            )
    finished = [trial for trial in trials if trial.state.is_finished() and trial.params]
    if finished and not _common(asked, given):
        raise StudyMismatch(
            f"study {study!r} asks for {_listed(asked)}, and search_space= has {_listed(given)}: nothing in common.",
            "Give the study's own search space, or start a study of another name.",
        )


def _common(asked: Mapping[str, object], given: Mapping[str, object]) -> bool:
    return any(name in given for name in asked)


def _listed(names: Mapping[str, object]) -> str:
    most = 5
    more = ", ..." if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def _words(directions: Sequence[str]) -> str:
    return ", ".join(directions)
