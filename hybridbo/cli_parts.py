"""What the commands of the command line share."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridbo.errors import InvalidState

if TYPE_CHECKING:
    from hybridbo.optimizer import Optimizer

STORE = click.argument("store", type=click.Path(dir_okay=False))
STUDY = click.argument("study")


def existing(store: str) -> str:
    """``store`` if there is such a file: to look at a store never makes one."""
    if not Path(store).is_file():
        raise InvalidState(
            f"there is no store {store!r}.", f"Check the path, or start a study: hybridbo init {store} STUDY --space F"
        )
    return store


@contextlib.contextmanager
def opened(store: str, study: str, **options: Any) -> Iterator[Optimizer]:
    """An existing study, closed afterwards."""
    path = existing(store)
    from hybridbo.optimizer import Optimizer

    with Optimizer.load(path, study, **options) as opt:
        yield opt


def llm_of(opt: Optimizer) -> str:
    """The specification as stored: to look at a study, none of it is opened."""
    return opt.store.get_study(opt.study).llm


def json_text(data: Any) -> str:
    """JSON, as it is printed and written."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
