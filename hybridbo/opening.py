"""Opening a study: arguments checked, the record stored or found, and the two held against each other."""

from __future__ import annotations

import math
import operator
import secrets
from collections.abc import Mapping
from typing import Any

from hybridbo import parts
from hybridbo.errors import InvalidSettings, StudyMismatch
from hybridbo.objective import Objective
from hybridbo.ports import ChatBackend, StudyRecord, TrialStore
from hybridbo.settings import Settings
from hybridbo.space import Space, SpaceLike
from hybridbo.values import is_number, plain, shown

_LARGEST_SEED = 2**63


def backend_name(backend: ChatBackend | None) -> str:
    """The backend's specification, ``"none"`` without one."""
    return "none" if backend is None else backend.name


def checked_seed(seed: object) -> int | None:
    """The seed as an int, None for None.

    Raises:
        InvalidSettings: Not an integer from 0 to 2**63 - 1.
    """
    if seed is None:
        return None
    if not isinstance(seed, (bool, float)) and hasattr(seed, "__index__") and 0 <= operator.index(seed) < _LARGEST_SEED:
        return operator.index(seed)
    raise InvalidSettings(f"seed={seed!r} is no integer from 0 to 2**63 - 1.", "Give such a seed, or None.")


def checked_lease(lease_s: object) -> float | None:
    """The seconds of a lease, None for the default.

    Raises:
        InvalidSettings: Not a positive number.
    """
    if lease_s is None or lease_s == math.inf or (is_number(lease_s) and lease_s > 0):  # type: ignore[operator]
        seconds: float | None = plain(lease_s)
        return seconds
    remedy = "Give one, math.inf for a lease without an end, or leave it out for the default."
    raise InvalidSettings(f"lease_s={shown(lease_s)} is not a positive number of seconds.", remedy)


def open_study(store: TrialStore, record: StudyRecord) -> StudyRecord:
    """Store a new study, or find the existing one of that name.

    Raises:
        StudyMismatch: It exists with another space, direction or constraint.
        StoreCorrupt: It exists, and cannot be read.
    """
    stored = store.create_study(record)
    hint = "Give the study's own space and direction, or another study name."
    if rows := parts.space_of(stored).differences(Space.from_json(record.space)):
        hint += " To change the space of the study: opt = Optimizer.load(store, study), then opt.alter(space)."
    rows += parts.objective_of(stored).differences(Objective.from_json(record.objective))
    if rows:
        raise StudyMismatch(f"study {stored.name!r} exists and differs: {'; '.join(rows)}.", hint)
    return stored


def new_record(
    space: SpaceLike,
    objective: Objective,
    *,
    study: str,
    task: str,
    llm: str,
    seed: int | None,
    settings: Settings | dict[str, Any] | None,
) -> StudyRecord:
    """The record of a study as the arguments have it; without a seed one is drawn.

    Raises:
        UserError: Of the kind that says which argument is wrong, and the remedy.
    """
    return StudyRecord(
        name=_checked_text("study", study, may_be_empty=False),
        space=Space.of(space).to_json(),
        objective=objective.to_json(),
        task=_checked_text("task", task),
        llm=llm,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        settings=Settings.of(settings).model_dump_json(),
    )


def objective_of(
    direction: str | None, objectives: Mapping[str, str] | None, constraints: Mapping[str, str] | None
) -> Objective:
    """The objective of Optimizer's arguments, every one of them a mapping or None where it should be.

    Raises:
        InvalidSettings: Naming the argument at fault.
    """
    for name, given in (("objectives", objectives), ("constraints", constraints)):
        if given is not None and not isinstance(given, Mapping):
            raise InvalidSettings(f"{name}={given!r:.80} is no dict.", f'Give {name} as {{"name": "..."}}.')
    return Objective.of(direction, objectives, constraints)


def _checked_text(name: str, text: object, *, may_be_empty: bool = True) -> str:
    if not isinstance(text, str) or not (text.strip() or may_be_empty):
        raise InvalidSettings(f"{name}={text!r:.80} is no text.", f"Give {name} as a str.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidSettings(f"{name}={text!r:.80} cannot be written as UTF-8.", "Remove lone surrogates.") from None
    return text
