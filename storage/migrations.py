"""The schema of a store, step by step.

A released migration is never edited: a file written by it is out there. A change is a new migration at the end, with a
real file of the schema before it in ``tests/data``. Each runs in one write transaction together with its own record,
so that a file is always of exactly one schema, whenever the process is killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hybridbo.errors import StoreCorrupt, StoreTooNew
from hybridbo.storage import texts

APPLICATION_ID = 0x6879424F  # "hyBO", at a fixed place of the file's header: `file search.db` shows it


@dataclass(frozen=True)
class Migration:
    """One step: the statements that lead to schema ``number``."""

    number: int
    name: str
    statements: tuple[str, ...]


_COUNT_CHANGE = """
    UPDATE trials SET changed = (SELECT max(changed) + 1 FROM trials WHERE study = NEW.study)
    WHERE study = NEW.study AND number = NEW.number
"""

MIGRATIONS = (
    Migration(
        1,
        "studies, trials, queue, llm_calls and events",
        (
            f"PRAGMA application_id = {APPLICATION_ID}",
            """
            CREATE TABLE migrations (
                number INTEGER PRIMARY KEY,
                name TEXT NOT NULL,
                applied_at TEXT NOT NULL
            ) STRICT
            """,
            # seed: an integer of any size, so as text
            """
            CREATE TABLE studies (
                id INTEGER PRIMARY KEY,
                name TEXT NOT NULL UNIQUE,
                created_at TEXT NOT NULL,
                task TEXT NOT NULL,
                llm TEXT NOT NULL,
                seed TEXT NOT NULL,
                objective TEXT NOT NULL,
                space TEXT NOT NULL,
                settings TEXT NOT NULL
            ) STRICT
            """,
            # values_json: every value told, by name; value: that of the only objective, for people and for sorting.
            # STALE is reserved for a RUNNING trial whose worker is lost.
            """
            CREATE TABLE trials (
                study TEXT NOT NULL REFERENCES studies (name),
                number INTEGER NOT NULL CHECK (number >= 0),
                state TEXT NOT NULL CHECK (state IN ('RUNNING', 'STALE', 'COMPLETE', 'FAILED', 'PRUNED')),
                value REAL CHECK (abs(value) <= 1.7976931348623157e308),
                values_json TEXT NOT NULL CHECK (json_valid(values_json)),
                params TEXT NOT NULL CHECK (json_valid(params)),
                source TEXT NOT NULL,
                reason TEXT NOT NULL,
                predicted_mean REAL CHECK (abs(predicted_mean) <= 1.7976931348623157e308),
                predicted_sd REAL CHECK (abs(predicted_sd) <= 1.7976931348623157e308),
                error TEXT,
                owner TEXT,
                started_at TEXT NOT NULL,
                finished_at TEXT,
                config_key TEXT NOT NULL,
                PRIMARY KEY (study, number),
                CHECK (state <> 'COMPLETE' OR values_json <> '{}'),
                CHECK (state IN ('COMPLETE', 'PRUNED') OR values_json = '{}'),
                CHECK (value IS NULL OR values_json <> '{}'),
                CHECK ((state = 'FAILED') = (error IS NOT NULL)),
                CHECK ((state IN ('RUNNING', 'STALE')) = (finished_at IS NULL))
            ) STRICT
            """,
            """
            CREATE TABLE queue (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL REFERENCES studies (name),
                params TEXT NOT NULL CHECK (json_valid(params)),
                queued_at TEXT NOT NULL,
                config_key TEXT NOT NULL
            ) STRICT
            """,
            "CREATE INDEX queue_study ON queue (study)",
            # trial_number: the trial that was about to be proposed; it may never have come to be
            """
            CREATE TABLE llm_calls (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL REFERENCES studies (name),
                trial_number INTEGER NOT NULL,
                at TEXT NOT NULL,
                purpose TEXT NOT NULL,
                model TEXT NOT NULL,
                reply TEXT,
                error TEXT,
                error_message TEXT,
                advice TEXT,
                note TEXT,
                recorded INTEGER NOT NULL CHECK (recorded IN (0, 1)),
                prompt_tokens INTEGER,
                completion_tokens INTEGER,
                cost REAL,
                latency_s REAL NOT NULL,
                content_hash TEXT NOT NULL,
                topic_hash TEXT NOT NULL,
                request TEXT NOT NULL,
                CHECK ((reply IS NULL) = (error IS NOT NULL))
            ) STRICT
            """,
            "CREATE INDEX llm_calls_study ON llm_calls (study)",
            """
            CREATE TABLE events (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL REFERENCES studies (name),
                at TEXT NOT NULL,
                kind TEXT NOT NULL,
                trial_number INTEGER,
                message TEXT NOT NULL
            ) STRICT
            """,
            "CREATE INDEX events_study ON events (study)",
        ),
    ),
    Migration(
        2,
        "leases, requests and a counter of changes",
        (
            # attempt: how often the trial was handed out before; with the owner it says whose a heartbeat is
            "ALTER TABLE trials ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0)",
            # lost: how many of these workers were lost, and did not give it back
            "ALTER TABLE trials ADD COLUMN lost INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0)",
            # lease_until: a RUNNING trial becomes STALE after that time; NULL for never
            "ALTER TABLE trials ADD COLUMN lease_until TEXT",
            # changed: counts the changes of a study's trials; each row holds the count of its last one, so that a
            # reader who knows all up to a count reads what is beyond it and nothing else
            "ALTER TABLE trials ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
            "UPDATE trials SET changed = rowid",
            "CREATE INDEX trials_changed ON trials (study, changed)",
            # rows that something else writes are counted as well: a person's correction reaches running searches
            f"""
            CREATE TRIGGER trials_updated AFTER UPDATE ON trials WHEN NEW.changed = OLD.changed
            BEGIN {_COUNT_CHANGE}; END
            """,
            f"CREATE TRIGGER trials_inserted AFTER INSERT ON trials WHEN NEW.changed = 0 BEGIN {_COUNT_CHANGE}; END",
            # requests: the trial that was given to whoever asked under that id
            """
            CREATE TABLE requests (
                study TEXT NOT NULL,
                request_id TEXT NOT NULL,
                number INTEGER NOT NULL,
                PRIMARY KEY (study, request_id),
                FOREIGN KEY (study, number) REFERENCES trials (study, number)
            ) STRICT, WITHOUT ROWID
            """,
            "CREATE INDEX queue_key ON queue (study, config_key)",  # a taken entry is found among thousands
        ),
    ),
)


@contextmanager
def immediate(conn: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that takes the write lock at once, so that what is read inside it stays true."""
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                conn.execute("ROLLBACK")
        raise


def version_of(conn: sqlite3.Connection) -> int:
    """The number of the last migration of this file; 0 for a new one."""
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    return version


def check_identity(conn: sqlite3.Connection, location: str) -> None:
    """See that a file is ours, or empty, before anything in it is changed.

    Raises:
        StoreCorrupt: It belongs to another program.
        StoreTooNew: Its schema is not known here.
    """
    conn.execute("BEGIN")  # one snapshot, or half of another process's first migration might be seen
    try:
        application_id = conn.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(conn)
        is_empty = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    finally:
        conn.execute("ROLLBACK")
    if application_id != APPLICATION_ID and not (is_empty and application_id == 0):
        raise StoreCorrupt(
            f"{location} is a database of another program.", "Choose another path; hybridbo leaves this file as it is."
        )
    known = MIGRATIONS[-1].number
    if version > known:
        message = f"{location} has schema {version}, and this hybridbo knows schemas up to {known}."
        hint = "Update it with `pip install --upgrade hybridbo`."
        if Path(backup_name(location, known)).exists():
            hint += f" What was stored before the change of schema is in {backup_name(location, known)}."
        raise StoreTooNew(message, hint)


def backup_name(location: str, schema: int) -> str:
    """Where a file of that schema is kept when it is changed to a later one."""
    return f"{location}.schema{schema}-backup"


def migrated_copy(conn: sqlite3.Connection) -> sqlite3.Connection:
    """A connection to the present schema for a file that cannot be written: the same, or one to a copy in memory."""
    if version_of(conn) == MIGRATIONS[-1].number:
        return conn
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    conn.backup(copy)
    conn.close()
    migrate(copy)
    return copy


def migrate(conn: sqlite3.Connection, steps: Sequence[Migration] | None = None) -> bool:
    """Bring a file up to the last of ``steps``, by default all; safe when several processes do so at once.

    Returns:
        Whether there was anything to do.
    """
    before = version_of(conn)
    for step in MIGRATIONS if steps is None else steps:
        if version_of(conn) >= step.number:
            continue
        with immediate(conn):
            if version_of(conn) < step.number:  # nobody else was faster
                _apply(conn, step)
    return version_of(conn) > before


def _apply(conn: sqlite3.Connection, step: Migration) -> None:
    for statement in step.statements:
        conn.execute(statement)
    record = (step.number, step.name, texts.encode_time(texts.now()))
    conn.execute("INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)", record)
    conn.execute(f"PRAGMA user_version = {step.number:d}")
