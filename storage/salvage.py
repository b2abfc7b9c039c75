"""What is sound of a study in a damaged store, and what is not, by name: one bad row must not keep the others back.

The table is read first, and each trial that was not found there by its index, so that a bad page costs what stands on
it. A row is believed under the same rules as ever: its checksum matches and it can be read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from hybridbo import parts
from hybridbo.errors import StudyNotFound
from hybridbo.objective import Objective
from hybridbo.ports import Event, StudyRecord
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.storage import at_rest, faults, migrations, records, rows, statements
from hybridbo.trial import Trial

_TIMEOUT_S = 30.0
_COUNT = "SELECT count(*) FROM trials WHERE study = ?"  # by an index, which may know of rows that cannot be read
_EVENTS = "SELECT * FROM events NOT INDEXED WHERE study = ? ORDER BY id"


@dataclass
class Salvaged:
    """The sound part of a study.

    Attributes:
        study: Its name.
        task: What is tuned, in words.
        llm: The specification of its language model.
        seed: Its seed.
        space: What is searched.
        objective: What is optimized.
        settings: Its settings.
        trials: The trials that can be read and are as they were written, by number.
        events: The events likewise, oldest first.
        skipped: What was left out and why, a sentence each.
    """

    study: str
    task: str
    llm: str
    seed: int
    space: Space
    objective: Objective
    settings: Settings
    trials: list[Trial]
    events: list[Event]
    skipped: tuple[str, ...]


def salvage(store: str | os.PathLike[str], study: str) -> Salvaged:
    """Read the sound part of a study, and change nothing.

    Args:
        store: Path of the store, which may be in use.
        study: Name of the study.

    Raises:
        StudyNotFound: There is no such file, or no such study in it.
        StoreError: The file is no store of hybridbo, or the study's own row cannot be read.
    """
    path, location = at_rest.place_of(store), str(store)
    if not path.is_file():
        raise StudyNotFound(f"there is no store {location!r}.", "Check the path.")
    with faults.Translated(location), closing(at_rest.connect_read_only(path, _TIMEOUT_S)) as found:
        migrations.check_identity(found, location)
        with closing(migrations.migrated_copy(found)) as conn:
            conn.execute("BEGIN")  # one snapshot, whatever others write meanwhile
            record = _record(conn, study, location)
            trials, bad_trials = _trials(conn, study)
            events, bad_events = _events(conn, study)
    return Salvaged(
        study=record.name,
        task=record.task,
        llm=record.llm,
        seed=record.seed,
        space=parts.space_of(record),
        objective=parts.objective_of(record),
        settings=parts.settings_of(record),
        trials=trials,
        events=events,
        skipped=(*bad_trials, *bad_events),
    )


def _record(conn: sqlite3.Connection, study: str, location: str) -> StudyRecord:
    for row in _rows(conn, "SELECT * FROM studies NOT INDEXED WHERE name = ?", study):
        try:
            return records.decode_study(row)
        except faults.UNREADABLE as error:
            raise faults.unreadable_row(location, "studies", error) from error
    known = [name for (name,) in conn.execute("SELECT name FROM studies ORDER BY id LIMIT 6")]
    raise faults.study_not_found(study, location, known)


def _trials(conn: sqlite3.Connection, study: str) -> tuple[list[Trial], list[str]]:
    sound: dict[int, Trial] = {}
    why: dict[int, str] = {}
    with suppress(sqlite3.Error):  # what stands behind a bad page is looked for one by one
        for row in conn.execute(statements.GET_ALL, (study,)):
            _take(row, sound, why)
    n = max(sound, default=-1) + 1
    with suppress(sqlite3.Error):
        n = max(n, conn.execute(_COUNT, (study,)).fetchone()[0])
    for number in sorted(set(range(n)) - set(sound) - set(why)):
        try:
            row = conn.execute(statements.GET, (study, number)).fetchone()
        except sqlite3.Error as error:
            why[number] = str(error)
            continue
        if row is None:
            why[number] = "it is not there"
        else:
            _take(row, sound, why)
    bad = [_told(f"trial {number} of study {study!r}", why[number]) for number in sorted(set(why) - set(sound))]
    return [sound[number] for number in sorted(sound)], bad


def _told(what: str, why: str) -> str:
    return why if why.startswith(what) else f"{what}: {why}"


def _take(row: rows.Fields, sound: dict[int, Trial], why: dict[int, str]) -> None:
    try:
        [trial] = rows.decode_stored([row])
    except faults.UNREADABLE as error:
        why[row[0]] = str(error)
    else:
        sound[trial.number] = trial


def _events(conn: sqlite3.Connection, study: str) -> tuple[list[Event], list[str]]:
    sound: list[Event] = []
    bad: list[str] = []
    try:
        for row in _rows(conn, _EVENTS, study):
            try:
                sound.append(records.decode_event(row))
            except faults.UNREADABLE as error:
                bad.append(f"event {row['id']} of study {study!r}: {error}")
    except sqlite3.Error as error:
        bad.append(f"the events of study {study!r} behind the first {len(sound) + len(bad)}: {error}")
    return sound, bad


def _rows(conn: sqlite3.Connection, sql: str, study: str) -> Iterator[dict[str, Any]]:
    found = conn.execute(sql, (study,))
    names = [column[0] for column in found.description]
    for row in found:
        yield dict(zip(names, row, strict=True))
