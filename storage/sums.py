"""Checksums of rows: a bit that has flipped on a disk is found when the row is read, and not believed.

A sum is the CRC-32 of the columns it covers, as text. It finds every error of up to 32 bits in a row and all but one in
four billion others; it is no protection against somebody who wants to deceive. A trial has two: ``content_sum`` covers
what was proposed, and ``outcome_sum`` how it ended, so it is NULL until then. Owner and lease, which come and go, are
not covered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any
from zlib import crc32

# (table, column of the sum) -> what it covers. Part of migration 3, hence never edited.
COLUMNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("studies", "checksum"): ("name", "created_at", "task", "llm", "seed", "objective", "space", "settings"),
    ("trials", "content_sum"): (
        *(
            "study",
            "number",
            "params",
            "source",
            "reason",
            "predicted_mean",
            "predicted_sd",
            "started_at",
            "config_key",
        ),
    ),
    ("trials", "outcome_sum"): ("study", "number", "state", "value", "values_json", "error", "finished_at"),
    ("queue", "checksum"): ("study", "params", "queued_at", "config_key"),
    ("llm_calls", "checksum"): (
        *("study", "trial_number", "at", "purpose", "model", "reply", "error", "error_message", "advice", "note"),
        *(
            "recorded",
            "prompt_tokens",
            "completion_tokens",
            "cost",
            "latency_s",
            "content_hash",
            "topic_hash",
            "request",
        ),
    ),
    ("events", "checksum"): ("study", "at", "kind", "trial_number", "message"),
    ("requests", "checksum"): ("study", "request_id", "number"),
    ("alterations", "checksum"): ("study", "at", "trial_number", "old_space", "new_space"),
}
# Part of migration 4.
LOG_COLUMNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("logs", "checksum"): ("study", "trial_number", "attempt", "at", "n_points", "series"),
}
ALL_COLUMNS = COLUMNS | LOG_COLUMNS
KEYS = {
    "trials": "study = NEW.study AND number = NEW.number",
    "requests": "study = NEW.study AND request_id = NEW.request_id",
    **dict.fromkeys(("studies", "queue", "llm_calls", "events", "alterations", "logs"), "id = NEW.id"),
}
WHERE = {"outcome_sum": " WHERE finished_at IS NOT NULL"}

MISMATCH = "its checksum does not match"

_FUNCTION = "hybridbo_sum"
_WHOLE = 2**53  # beyond it, not every integer is a float


def checksum(*fields: str | float | None) -> int:
    """The sum of the fields of a row, as SQLite returns them."""
    # half of the fields of a trial are texts, and most others NULL: of a hundred thousand trials, each call counts
    return crc32("\x1f".join([x if isinstance(x, str) else "\0" if x is None else _text(x) for x in fields]).encode())


def of_row(table: str, row: Mapping[str, Any]) -> int:
    """The sum of a row that has a single one."""
    return checksum(*(row[column] for column in ALL_COLUMNS[table, "checksum"]))


def verified(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row itself.

    Raises:
        ValueError: It is not as it was written.
    """
    if (stored := row.get("checksum")) is not None and stored != of_row(table, row):
        raise ValueError(MISMATCH)
    return row


def in_sql(table: str, column: str) -> str:
    """The sum as an SQL expression, for connections that :func:`add_to` has taught it."""
    return f"{_FUNCTION}({', '.join(COLUMNS[table, column])})"


def add_to(conn: sqlite3.Connection) -> None:
    """Teach a connection to sum."""
    conn.create_function(_FUNCTION, -1, checksum, deterministic=True)


def _text(value: float) -> str:
    # SQLite keeps 1.0 as 1 and returns either, and it drops the sign of -0.0
    return repr(int(value) if abs(value) < _WHOLE and value == int(value) else value)
