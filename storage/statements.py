"""The SQL that a :class:`~hybridbo.storage.sqlite.SqliteStore` runs; ``?1`` is the study and ``?2`` a trial's number.

Every change of a trial counts up ``trials.changed`` in the same transaction, so that a reader who knows the trials
up to a count reads those beyond it and no others. Writers come one after the other, hence a higher count is a later
commit.
"""

# ruff: noqa: S608 - nothing but our own column names goes into these texts

from collections.abc import Iterable

from hybridbo.storage import rows

_TRIAL = ", ".join(rows.TRIAL_COLUMNS)
_STORED = ", ".join(rows.STORED_COLUMNS)
_PLACES = ", ".join(f"?{i + 3}" for i in range(len(rows.TRIAL_COLUMNS)))
_NEXT = "(SELECT coalesce(max(changed), 0) + 1 FROM trials WHERE study = ?1)"
_ONE = "WHERE study = ?1 AND number = ?2"

STUDY = "SELECT * FROM studies WHERE name = ?"
COUNT = "SELECT (SELECT max(number) + 1 FROM trials WHERE study = name) FROM studies WHERE name = ?"
SAME_KEY = "SELECT 1 FROM trials WHERE study = ? AND number >= ? AND config_key = ?"
TAKE_QUEUED = "DELETE FROM queue WHERE id = (SELECT min(id) FROM queue WHERE study = ? AND config_key = ?)"
CREATE = f"""
    INSERT INTO trials (study, config_key, changed, {_TRIAL}, content_sum)
    VALUES (?1, ?2, {_NEXT}, {_PLACES}, ?{len(rows.TRIAL_COLUMNS) + 3})
"""
ADD = f"""
    INSERT INTO trials (study, config_key, changed, {_TRIAL}, content_sum, outcome_sum)
    VALUES (?1, ?2, {_NEXT}, {_PLACES}, ?{len(rows.TRIAL_COLUMNS) + 3}, ?{len(rows.TRIAL_COLUMNS) + 4})
"""
GET = f"SELECT {_STORED} FROM trials {_ONE}"
# without an index: a damaged one would leave trials out without a word
GET_ALL = f"SELECT {_STORED} FROM trials NOT INDEXED WHERE study = ?"
GET_COUNTED = f"SELECT {_STORED}, changed FROM trials NOT INDEXED WHERE study = ?"
IS_THERE = "SELECT 1 FROM trials NOT INDEXED WHERE study = ? AND number = ?"
STUDY_IS_THERE = "SELECT 1 FROM studies NOT INDEXED WHERE name = ?"
GET_CHANGED = f"SELECT changed, {_STORED} FROM trials WHERE study = ? AND changed >= ? ORDER BY changed"
TAKE_OVER = f"""
    UPDATE trials SET owner = ?3, state = 'RUNNING', attempt = attempt + 1, lost = lost + ?4, lease_until = ?5,
        changed = {_NEXT}
    {_ONE} AND state IN ('RUNNING', 'STALE') AND owner IS ?6 AND attempt = ?7 RETURNING {_STORED}
"""
RENEW = f"""
    UPDATE trials SET state = 'RUNNING', lease_until = ?3, changed = {_NEXT}
    {_ONE} AND state IN ('RUNNING', 'STALE') AND owner IS ?4 AND attempt = ?5 RETURNING {_STORED}
"""
EXPIRE = f"""
    UPDATE trials SET state = 'STALE', changed = {_NEXT} {_ONE} AND state = 'RUNNING' AND lease_until <= ?3
    RETURNING {_STORED}
"""
FINISH = f"""
    UPDATE trials SET state = ?3, value = ?4, values_json = ?5, error = ?6, finished_at = ?7, outcome_sum = ?8,
        changed = {_NEXT}
    {_ONE} AND state IN ('RUNNING', 'STALE') RETURNING {_STORED}
"""
FIND_REQUEST = f"""
    SELECT {_STORED} FROM trials
    WHERE study = ?1 AND number = (SELECT number FROM requests WHERE study = ?1 AND request_id = ?2)
"""
BIND_REQUEST = """
    INSERT INTO requests (study, request_id, number, checksum) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
IS_KNOWN = """
    SELECT EXISTS (SELECT 1 FROM queue WHERE study = :study AND config_key = :key)
        OR EXISTS (SELECT 1 FROM trials WHERE study = :study AND config_key = :key)
"""
QUEUE = (
    "SELECT params, study, queued_at, config_key, checksum FROM queue NOT INDEXED WHERE study = ? ORDER BY id LIMIT ?"
)
# The space of a study is altered: keys are of the new one, and what is queued has its parameters
PARAMS = "SELECT number, params FROM trials WHERE study = ? ORDER BY number"
RENAME = f"""
    UPDATE trials SET config_key = ?3, changed = {_NEXT}, content_sum = hybridbo_sum(
        study, number, params, source, reason, predicted_mean, predicted_sd, started_at, ?3
    )
    {_ONE} AND config_key <> ?3
"""
QUEUED = "SELECT id, params FROM queue WHERE study = ? ORDER BY id"
REQUEUE = """
    UPDATE queue SET params = ?2, config_key = ?3, checksum = hybridbo_sum(study, ?2, queued_at, ?3) WHERE id = ?1
"""
SET_SPACE = "UPDATE studies SET space = ?2, checksum = ?3 WHERE name = ?1"
# Training logs
LOG = "SELECT * FROM logs WHERE study = ? AND trial_number = ? ORDER BY id"
LOGGED = "SELECT DISTINCT trial_number FROM logs WHERE study = ? ORDER BY trial_number"
DROP_LOG = "DELETE FROM logs WHERE study = ? AND trial_number = ?"
OPEN_ATTEMPT = f"SELECT attempt FROM trials {_ONE} AND state IN ('RUNNING', 'STALE')"


def settle(columns: Iterable[str]) -> str:
    """Put a row in the place of an unsettled call; ``?`` are its columns, its id and the error of such a call."""
    columns = list(columns)
    values = ", ".join(f"{column} = ?{i}" for i, column in enumerate(columns, 1))
    n, study = len(columns), columns.index("study") + 1
    return f"UPDATE llm_calls SET {values} WHERE id = ?{n + 1} AND study = ?{study} AND error = ?{n + 2}"
