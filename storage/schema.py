"""The schema of a store, step by step.

A released migration is never edited: a file written by it is out there. A change is a new migration at the end, with a
real file of the schema before it in ``tests/data``; :mod:`hybridbo.storage.migrations` applies them.
"""

# ruff: noqa: S608 - nothing but our own table and column names goes into these texts

from __future__ import annotations

from dataclasses import dataclass

from hybridbo.storage import sums

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
    Migration(
        3,
        "checksums, and the history of a space",
        (
            # trial_number: the first trial that could be proposed in the new space
            """
            CREATE TABLE alterations (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL REFERENCES studies (name),
                at TEXT NOT NULL,
                trial_number INTEGER NOT NULL CHECK (trial_number >= 0),
                old_space TEXT NOT NULL CHECK (json_valid(old_space)),
                new_space TEXT NOT NULL CHECK (json_valid(new_space))
            ) STRICT
            """,
            "CREATE INDEX alterations_study ON alterations (study)",
            # of every row: sums.py tells which columns a sum covers; NULL where something else has written the row
            *(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER" for table, column in sums.COLUMNS),
            *(
                f"UPDATE {table} SET {column} = {sums.in_sql(table, column)}{sums.WHERE.get(column, '')}"
                for table, column in sums.COLUMNS
            ),
            # a person's correction is no damage: it takes the sum away, which is then reported and not refused
            *(
                f"""
                CREATE TRIGGER {table}_{column} AFTER UPDATE OF {", ".join(covered)} ON {table}
                WHEN NEW.{column} IS OLD.{column} AND OLD.{column} IS NOT NULL
                BEGIN UPDATE {table} SET {column} = NULL WHERE {sums.KEYS[table]}; END
                """
                for (table, column), covered in sums.COLUMNS.items()
            ),
        ),
    ),
    Migration(
        4,
        "training logs",
        (
            # a row for each time something was logged; many rows of a trial are merged into one from time to time.
            # attempt: a trial that is offered again starts a log of its own. series: {metric: [[step, value], ...]},
            # in which a value that is not finite is a text.
            """
            CREATE TABLE logs (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL,
                trial_number INTEGER NOT NULL,
                attempt INTEGER NOT NULL CHECK (attempt >= 0),
                at TEXT NOT NULL,
                n_points INTEGER NOT NULL CHECK (n_points > 0),
                series TEXT NOT NULL CHECK (json_valid(series)),
                checksum INTEGER,
                FOREIGN KEY (study, trial_number) REFERENCES trials (study, number)
            ) STRICT
            """,
            "CREATE INDEX logs_study ON logs (study, trial_number)",
            *(
                f"""
                CREATE TRIGGER {table}_{column} AFTER UPDATE OF {", ".join(covered)} ON {table}
                WHEN NEW.{column} IS OLD.{column} AND OLD.{column} IS NOT NULL
                BEGIN UPDATE {table} SET {column} = NULL WHERE {sums.KEYS[table]}; END
                """
                for (table, column), covered in sums.LOG_COLUMNS.items()
            ),
        ),
    ),
)
