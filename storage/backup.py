"""Copies of a store by SQLite's backup API (https://sqlite.org/backup.html): whole, while others go on writing.

A copy appears under its name when it is complete and synced, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from hybridbo.errors import InvalidSettings, StoreCorrupt, StoreError, StudyNotFound
from hybridbo.storage import at_rest, faults, migrations
from hybridbo.storage.side_files import sync_folder

_TIMEOUT_S = 30.0


def backup_store(
    store: str | os.PathLike[str], destination: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Copy a store that may be in use. The copy has everything that was stored when this was called.

    Results that wait beside the store to be merged (see :mod:`hybridbo.storage.spill`) are not part of it.

    Args:
        store: Path of the store.
        destination: Path of the copy.
        overwrite: Replace a file that is there.

    Raises:
        StudyNotFound: There is no such store.
        InvalidSettings: The destination exists, or is the store itself.
        StoreError: The store cannot be read, or the copy cannot be written; nothing is left behind then.
    """
    source, target = at_rest.place_of(store), Path(os.path.abspath(destination))  # noqa: PTH100 - a link is replaced
    if not source.is_file():
        raise StudyNotFound(f"there is no store {str(store)!r}.", "Check the path.")
    _check_target(source, target, overwrite=overwrite)
    with faults.Translated(str(store)), closing(at_rest.connect_read_only(source, _TIMEOUT_S)) as conn:
        migrations.check_identity(conn, str(store))
        with _draft(target) as draft:
            _copy(conn, draft)
            _put(draft, target, overwrite=overwrite)


def back_up_before_migration(conn: sqlite3.Connection, path: Path) -> None:
    """Keep a copy of a file whose schema is about to change, once for each schema: ``search.db.schema1-backup``.

    Raises:
        StoreError: It cannot be made; the file is left as it is.
    """
    schema, present = migrations.version_of(conn), migrations.MIGRATIONS[-1].number
    target = Path(migrations.backup_name(str(path), schema))
    if not 0 < schema < present or target.exists():
        return
    try:
        with _draft(target) as draft:
            _copy(conn, draft)
            with closing(sqlite3.connect(draft)) as copy:
                is_older = migrations.version_of(copy) == schema
            if is_older:  # else another process has made the change meanwhile, and the backup before it
                with contextlib.suppress(InvalidSettings):
                    _put(draft, target, overwrite=False)
    except StoreError as error:
        message = f"{path} has schema {schema}, and cannot be backed up before its change to schema {present}"
        raise type(error)(f"{message}: {error.message}", error.hint) from error


def _check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise InvalidSettings(f"{target} is a folder.", f'Give a file in it, such as "{target / source.name}".')
    if not target.parent.is_dir():
        raise InvalidSettings(f"there is no folder {target.parent}.", "Create it first.")
    if not target.exists():
        return
    if target.samefile(source):
        raise InvalidSettings(f"{target} is the store itself.", "Give another file.")
    if not overwrite:
        raise _exists(target)
    for side in ("-wal", "-journal"):
        if target.with_name(f"{target.name}{side}").exists():  # SQLite would apply it to the copy
            why = f"{target} is in use, or was not closed: there is {target.name}{side}."
            raise InvalidSettings(why, "Close it, or give another file.")


def _exists(target: Path) -> InvalidSettings:
    return InvalidSettings(f"{target} exists.", "Give another file, or overwrite it (on the command line: --force).")


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A name beside ``target`` to write under; what is left there goes away.

    Raises:
        StoreError: It cannot be written.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with faults.Translated(str(target)):
            draft.unlink(missing_ok=True)
            yield draft
    except OSError as error:
        hint = "Free some space there, make the folder writable, or give another place."
        raise StoreError(f"{target} cannot be written: {error.strerror or error}.", hint) from error
    finally:
        for side in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                draft.with_name(f"{draft.name}{side}").unlink(missing_ok=True)


def _copy(conn: sqlite3.Connection, draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        conn.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, whatever mode the store is in
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreCorrupt(f"the store is damaged ({found}), and so would be its copy.", "See `hybridbo check`.")
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def _put(draft: Path, target: Path, *, overwrite: bool) -> None:
    """Give a complete copy its name.

    Raises:
        InvalidSettings: Somebody else has made the file meanwhile.
    """
    if overwrite:
        draft.replace(target)
    else:
        try:
            os.link(draft, target)  # unlike a rename, it replaces nothing
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without links
            draft.replace(target)
    sync_folder(target.parent)
