"""What can go wrong with a store, in the words of hybridbo's errors, each with its remedy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from hybridbo.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StudyMismatch,
    StudyNotFound,
    TellConflict,
    TrialNotFound,
)
from hybridbo.trial import Outcome, Trial

# of 255 and 512, as file systems and SQLite have it, less what the side files need
LONGEST_NAME = 220
LONGEST_PATH = 500
_LONGEST = 200  # of a text quoted in a message

# what reading a row raises that hybridbo has not written
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_SALVAGE = "`hybridbo export --skip-damaged` writes all that is sound."
_MAKE_WRITABLE = "Make the file and its folder writable for this user, or work on a copy."

# SQLite's primary result codes -> error class, what happened, remedy
_FAULTS: dict[int, tuple[type[StoreError], str, str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "is locked by another process",
        "Try again; if it stays locked, end the process that holds it open in a transaction.",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "is locked within this process", "Try again."),
    sqlite3.SQLITE_FULL: (
        StoreError,
        "cannot grow: the disk is full",
        "Free some space and call again; nothing is half-written.",
    ),
    sqlite3.SQLITE_READONLY: (StoreError, "is read-only", _MAKE_WRITABLE),
    sqlite3.SQLITE_PERM: (StoreError, "may not be used", "Make the file readable and writable for this user."),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "cannot be opened",
        "Check that its folder exists and is writable for this user (SQLite keeps two side files there).",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "cannot be read or written: the disk reports a fault",
        "Check the disk, and keep the file off network drives.",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreCorrupt,
        "is no SQLite database",
        "Choose another path; hybridbo does not overwrite other files.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorrupt,
        "is damaged",
        f'Restore a copy, or save what is readable with `sqlite3 FILE ".recover"`. {_SALVAGE}',
    ),
    sqlite3.SQLITE_ERROR: (
        StoreCorrupt,
        "does not have the tables of a hybridbo store",
        "Restore a copy; something else has changed this file.",
    ),
    sqlite3.SQLITE_CONSTRAINT: (
        StoreError,
        "refused a row that breaks its rules; nothing was stored",
        "Please report this as a fault of hybridbo.",
    ),
    sqlite3.SQLITE_TOOBIG: (StoreError, "cannot hold a text of that length", "Shorten it; the limit is 1 GB."),
}
_UNKNOWN = (StoreError, "cannot be used", "Restore a copy if this happens again.")


def store_error(error: sqlite3.Error, location: str) -> StoreError:
    """The StoreError, of the right kind, for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    kind, what, hint = _UNKNOWN if code is None else _FAULTS.get(code & 0xFF, _UNKNOWN)
    return kind(f"{location} {what} ({error}).", hint)


class Translated(AbstractContextManager[None]):
    """Turns every error of SQLite inside the block into a StoreError; a class, since it stands on the fast path."""

    def __init__(self, location: str) -> None:
        self._location = location

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the StoreError."""
        if isinstance(error, sqlite3.Error):
            raise store_error(error, self._location) from error
        if isinstance(error, UnicodeDecodeError):
            raise unreadable_row(self._location, "some table", error) from error


def closed(location: str) -> StoreError:
    """For a store used after it was closed."""
    return StoreError(f"{location} is closed.", "Open it again with open_store().")


def undone(location: str) -> StoreError:
    """For a transaction that SQLite has rolled back at an earlier fault."""
    return StoreError(f"{location}: an earlier fault has undone the transaction.", "Call again from its beginning.")


def read_only(location: str) -> StoreError:
    """For a change of a file that was opened to be read, since it or its folder cannot be written."""
    return StoreError(f"{location} is read-only, it or its folder, and can only be looked at.", _MAKE_WRITABLE)


def wal_deleted(location: str) -> StoreError:
    """For a transaction written to a side file that somebody has deleted within it."""
    return StoreError(f"{location}: its -wal was deleted during the transaction.", "Call again from its beginning.")


def busy_here(location: str) -> StoreBusy:
    """For a file that has to be opened again while another thread is in the middle of using it."""
    return StoreBusy(f"{location} is in use by another thread, and has to be opened again.", "Try again.")


def long_path(location: str, path: str) -> StoreError:
    """For a path that SQLite, or the file system, does not take."""
    hint = f"Choose one of at most {LONGEST_PATH} bytes, {LONGEST_NAME} of them for the name of the file."
    return StoreError(f"{location!r} is too long a path: {len(os.fsencode(path))} bytes in full.", hint)


def vanished(location: str) -> StoreError:
    """For a file moved, replaced or deleted while it was open."""
    hint = (
        "Put it back, or open the new one with open_store(); nothing was written anywhere. "
        f"If {location}-wal is there, it belongs to the file that was moved: move it beside that."
    )
    return StoreError(f"{location} is gone: it was moved, replaced or deleted while in use.", hint)


def wal_missing(location: str) -> str:
    """For a file that was in use when it was parted from its side file."""
    return (
        f"{location} was not closed by hybridbo, and its side file {location}-wal is not beside it. If it was copied "
        "while a search was running, what was told last is missing: copy both files, or use `hybridbo backup`. If "
        "another program has opened it since, and merged the side file into it, all is there."
    )


def empty(location: str) -> str:
    """For a file without a byte in it."""
    return f"{location} is empty, 0 bytes: no search was begun in it, or something has cut it off."


def wal_merged(location: str) -> str:
    """For a file whose side file another program has merged."""
    return f"{location} was not closed by hybridbo; another program has merged its side file, and all is there."


def orphaned_wal(location: str) -> StoreError:
    """For a place where only the side file of a store is left."""
    hint = (
        f"Put the store back, or move {location}-wal beside it under its new name, and open that. "
        f"If you do not want it, delete {location}-wal."
    )
    what = "what was told last to a store that was moved or deleted"
    return StoreError(f"{location} is not there, but {location}-wal is: {what}.", hint)


def torn(location: str, found: str) -> StoreCorrupt:
    """For a file that was copied in the middle of a change."""
    hint = "Copy it together with its -wal, or use `hybridbo backup`."
    return StoreCorrupt(f"{location} was copied while it was in use, and is damaged ({found}).", hint)


def altered_meanwhile(study: str) -> StudyMismatch:
    """For a space that somebody else has altered since it was read."""
    return StudyMismatch(f"the space of study {study!r} was altered by another process.", "Load the study again.")


def damaged_index(location: str) -> StoreCorrupt:
    """For a row that is in its table and not in the table's index, or the other way round."""
    hint = "Back the file up, then mend it with `sqlite3 FILE REINDEX`; `hybridbo check` tells whether that was all."
    return StoreCorrupt(f"{location} is damaged: a table and its index do not hold the same rows.", hint)


def missing_trial(location: str, study: str, number: int) -> StoreCorrupt:
    """For numbers that are not 0, 1, 2, ..., as every writer of hybridbo leaves them."""
    hint = f"Restore a copy: the file is damaged, or something else has removed the trial. {_SALVAGE}"
    return StoreCorrupt(f"{location} has no trial {number} of study {study!r}, though it has others.", hint)


def unreadable_row(location: str, table: str, error: Exception) -> StoreCorrupt:
    """For a row that something else than hybridbo has written."""
    hint = f"Restore a copy, or correct the row; `hybridbo check` lists all of its kind. {_SALVAGE}"
    return StoreCorrupt(f"{location} has a row in {table} that cannot be read ({error}).", hint)


def study_not_found(study: str, location: str, known: Sequence[str], note: str = "") -> StudyNotFound:
    """For a name that the store does not know; ``note`` is a reason why it may have been there."""
    names = ", ".join(repr(name) for name in known[:5]) + (", ..." if len(known) > 5 else "")
    there = f"There are: {names}." if known else "It is empty."
    return StudyNotFound(f"no study {study!r} in {location}.", f"{there} {note}".strip())


def trial_not_found(study: str, number: object, count: int) -> TrialNotFound:
    """For a number that the study has not reached."""
    hint = f"It has the trials 0 to {count - 1}." if count else "It has no trials yet."
    return TrialNotFound(f"no trial {number!r} in study {study!r}.", hint)


def tell_conflict(study: str, trial: Trial, outcome: Outcome) -> TellConflict:
    """For a finished trial that is told something else."""
    was, told = ending(trial), ending(outcome)
    message = f"trial {trial.number} of study {study!r} is {was} already and cannot become {told}."
    return TellConflict(message, "What was stored first stands; ask for a new trial to evaluate again.")


def ending(end: Outcome | Trial) -> str:
    """How a trial ended, in words: ``COMPLETE with 0.5``."""
    if end.error is not None:
        text = end.error if len(end.error) <= _LONGEST else end.error[:_LONGEST] + "..."
        return f"{end.state} ({text!r})"
    told = repr(dict(end.values)) if end.value is None or len(end.values) > 1 else repr(end.value)
    return f"{end.state} with {told}"
