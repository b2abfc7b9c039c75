"""What is saved of a search in the files of Ray's experiment, and what may go on from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ray import cloudpickle

from hybridbo.errors import InvalidSettings, StoreCorrupt, StudyMismatch
from hybridbo.integrations.ray_ledger import Ledger
from hybridbo.integrations.ray_results import Goal
from hybridbo.integrations.ray_space import RaySpace
from hybridbo.ports import TrialStore
from hybridbo.values import shown

MEMORY = ":memory:"

_REMEDY = "Restore with what the experiment was started with, or start a new one."


@dataclass
class State:
    """The state of a search.

    Attributes:
        space: What is searched; None before Ray has told it.
        goal: What is optimised; None before Ray has told it.
        ledger: Which of Ray's trials is which.
        study: Name of the study.
        memory: The store itself, if it is in memory.
        version: Of this format.
    """

    space: RaySpace | None
    goal: Goal | None
    ledger: Ledger
    study: str
    memory: TrialStore | None
    version: int = 1

    def write(self, path: Path) -> None:
        """Write the state into a file."""
        path.write_bytes(cloudpickle.dumps(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The state in a file.

        Raises:
            StoreCorrupt: There is none.
        """
        try:
            state = cloudpickle.loads(path.read_bytes())
            if isinstance(state, cls):
                return state
            problem = "is none of HybridSearcher"
        except FileNotFoundError:
            problem = "is not there"
        except Exception as error:  # noqa: BLE001  # a pickle raises whatever its content raises
            problem = f"cannot be read ({type(error).__name__}: {error})"
        remedy = "Restore from the folder of an experiment that ran with this version of HybridSearcher."
        raise StoreCorrupt(f"the saved search {str(path)!r} {problem}.", remedy)

    def check(self, space: RaySpace | None, goal: Goal | None, study: str, store: Any) -> None:
        """Refuse to go on with something else.

        Raises:
            StudyMismatch: Listing the differences.
        """
        rows = []
        if goal and self.goal and goal != self.goal:
            rows.append(f"it was to {self.goal}, now {goal}")
        if space and self.space:
            rows += self.space.space.differences(space.space)
        if study != self.study:
            rows.append(f"its study was {self.study!r}, now {study!r}")
        if self.memory is not None and isinstance(store, str) and store != MEMORY:
            rows.append(f"its study was in memory, now in {store!r}")
        if rows:
            raise StudyMismatch(f"the saved search differs: {'; '.join(rows)}.", _REMEDY)


def absolute(store: Any) -> Any:
    """A path that means the same when an experiment is restored from another folder."""
    return os.path.abspath(store) if isinstance(store, (str, os.PathLike)) and store != MEMORY else store  # noqa: PTH100  # resolves ".." as well


def check_pickled(name: str, value: Any, remedy: str) -> None:
    """Refuse what would not arrive.

    Raises:
        InvalidSettings: ``value`` cannot be pickled.
    """
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        why = f"{name}={shown(value)} cannot be pickled, and Ray pickles every searcher: {error}."
        raise InvalidSettings(why, remedy) from error
