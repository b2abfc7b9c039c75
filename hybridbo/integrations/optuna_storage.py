"""Opening an Optuna storage by what a user writes for it: a URL, an SQLite file, a journal file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from hybridbo.errors import HybridboError, InvalidState, StoreError, describe_error

Where: TypeAlias = "str | PathLike[str] | BaseStorage"

_JOURNALS = (".log", ".journal", ".jsonl")
_SQLITE = b"SQLite format 3\0"
_TABLES = {"version_info", "study_directions", "trial_params"}


@contextlib.contextmanager
def opened(where: Where, *, must_exist: bool) -> Iterator[BaseStorage]:
    """The storage at a place, closed afterwards; one that was given as an object stays open.

    Args:
        where: A URL; the path of an SQLite or journal file (a new one ending in .log, .journal or .jsonl is a journal);
            or a storage.
        must_exist: Never make one; a file is looked at first, since Optuna adds its tables to any database.

    Raises:
        InvalidState: There is no such file, or it is no Optuna storage.
        StoreError: It cannot be opened.
    """
    if isinstance(where, BaseStorage):
        yield where
        return
    storage = _open(fspath(where), must_exist=must_exist)
    try:
        yield storage
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def is_url(where: str) -> bool:
    """Whether a text is a URL rather than a path."""
    return "://" in where


def _open(where: str, *, must_exist: bool) -> BaseStorage:
    file = _file_of(where)
    if file is not None and (must_exist or file.exists()):
        _check(file)
    try:
        if file is not None and not is_url(where) and _is_journal(file):
            return JournalStorage(JournalFileBackend(str(file)))
        return RDBStorage(where if is_url(where) else f"sqlite:///{file}", skip_table_creation=must_exist)
    except HybridboError:
        raise
    except Exception as error:  # noqa: BLE001  # SQLAlchemy's, the driver's, Optuna's own
        name = repr(str(file)) if file else "of that URL"
        remedy = "Check the address; `optuna storage upgrade` helps where an older Optuna wrote it."
        raise StoreError(f"the Optuna storage {name} cannot be opened: {describe_error(error)}.", remedy) from None


def _file_of(where: str) -> Path | None:
    """The file of a path, or of the URL of an SQLite file; None for a server."""
    if not is_url(where):
        return Path(where).absolute()
    scheme, _, rest = where.partition(":///")
    return Path(rest.partition("?")[0]).absolute() if scheme.partition("+")[0] == "sqlite" and rest else None


def _is_journal(file: Path) -> bool:
    return not _starts_as_sqlite(file) if file.exists() else file.suffix in _JOURNALS


def _check(file: Path) -> None:
    """See that a file is an Optuna storage.

    Raises:
        InvalidState: It is not there, or something else.
    """
    if not file.is_file():
        raise InvalidState(f"there is no Optuna storage {str(file)!r}.", "Check the path.")
    if not _looks_right(file):
        raise InvalidState(
            f"{str(file)!r} is no Optuna storage.", "Give the SQLite or journal file, or the URL, of Optuna's study."
        )


def _looks_right(file: Path) -> bool:
    if not _starts_as_sqlite(file):
        with file.open("rb") as lines:
            return b'"op_code"' in lines.readline(10_000)
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
            return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} >= _TABLES
    except sqlite3.Error:
        return False


def _starts_as_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
