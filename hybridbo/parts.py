"""The parts of a study as it is stored (space, objective, settings), or an error that says which cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hybridbo.errors import HybridboError, StoreCorrupt
from hybridbo.objective import Objective
from hybridbo.ports import StudyRecord
from hybridbo.settings import Settings
from hybridbo.space import Space

T = TypeVar("T")

_UNREADABLE = (HybridboError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def space_of(record: StudyRecord) -> Space:
    """The space of a study.

    Raises:
        StoreCorrupt: It is none that hybridbo has written.
    """
    return _read(record, "space", Space.from_json, record.space)


def objective_of(record: StudyRecord) -> Objective:
    """The objective of a study; likewise."""
    return _read(record, "objective", Objective.from_json, record.objective)


def settings_of(record: StudyRecord) -> Settings:
    """The settings of a study; likewise."""
    return _read(record, "settings", Settings.model_validate_json, record.settings)


def _read(record: StudyRecord, part: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except _UNREADABLE as error:
        why = (
            f"no entry {error}"
            if isinstance(error, KeyError)
            else " ".join(getattr(error, "message", str(error)).split())
        )
        hint = (
            f"Restore a copy, or correct the column {part} of its row in the table studies; `hybridbo check` lists "
            "all that cannot be read. The other studies of the store can be opened."
        )
        raise StoreCorrupt(
            f"study {record.name!r} cannot be opened: its {part} cannot be read ({why}).", hint
        ) from error
