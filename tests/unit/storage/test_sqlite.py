import json
import sqlite3
import subprocess
import sys

import pytest

from hybridbo.errors import InvalidSettings, StoreCorrupt, StoreError
from hybridbo.ports import ChatReply, ChatRequest, Event, LLMCall
from hybridbo.storage import migrations, open_store, texts
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

COMPLETE = Outcome(TrialState.COMPLETE, {"value": 0.1 + 0.2}, 0.1 + 0.2)
TABLES = {"studies", "trials", "requests", "llm_calls", "events", "queue", "alterations", "logs", "migrations"}


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


def connection(store):
    return store._file._db.conn


def pragma(conn, name):
    return conn.execute(f"PRAGMA {name}").fetchone()[0]


def test_pragmas(store):
    conn = connection(store)
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "application_id", "user_version")
    assert [pragma(conn, name) for name in names] == ["wal", 2, 1, 15_000, 0x6879424F, 4]


def test_synchronous_normal(path):
    store = open_store(path, synchronous="NORMAL")
    assert pragma(connection(store), "synchronous") == 1
    store.close()
    with pytest.raises(InvalidSettings, match="'OFF'"):
        open_store(path, synchronous="OFF")


def test_tables_are_strict(store, raw):
    strict = {name: strict for _, name, kind, _, _, strict in raw.execute("PRAGMA table_list") if kind == "table"}
    assert {name for name in strict if not name.startswith("sqlite_")} == TABLES
    assert all(strict[name] for name in TABLES)
    create(store)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in REAL column"):
        raw.execute("UPDATE trials SET value = 'a lot'")


def test_migration_is_recorded_and_equals_user_version(store, raw):
    steps = raw.execute("SELECT number, name, applied_at FROM migrations ORDER BY number").fetchall()
    assert [(number, name) for number, name, _ in steps] == [(m.number, m.name) for m in migrations.MIGRATIONS]
    assert steps[-1][0] == pragma(raw, "user_version")
    for *_, at in steps:
        texts.decode_time(at)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'COMPLETE', finished_at = 'now'",
        "state = 'COMPLETE', values_json = '{\"value\": 1}'",
        "state = 'COMPLETE', values_json = '{\"value\": NaN}', finished_at = 'now'",
        "state = 'FAILED', finished_at = 'now'",
        "state = 'FAILED', error = 'e', values_json = '{\"value\": 1}', finished_at = 'now'",
        "state = 'PRUNED', error = 'e', finished_at = 'now'",
        "state = 'DONE', finished_at = 'now'",
        "value = 1.0",
        "value = 9e999, values_json = '{\"value\": 1}', state = 'COMPLETE', finished_at = 'now'",
        "values_json = '{\"value\": 1}'",
        "error = 'e'",
        "finished_at = 'now'",
        "number = -1",
        "number = NULL",
        "params = '{'",
        "params = NULL",
        "study = 'other'",
        "predicted_mean = 9e999",
        "predicted_sd = -9e999",
        "attempt = -1",
        "lost = NULL",
    ],
)
def test_row_that_means_nothing_is_refused(store, raw, change):
    create(store)
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(f"UPDATE trials SET {change}")


def test_row_that_means_something_is_allowed(store, raw):
    create(store)
    told = "values_json = '{\"value\": 1}', value = 1.0, finished_at = 'now'"
    for change in (f"state = 'COMPLETE', {told}", f"state = 'PRUNED', {told}", "owner = NULL"):
        raw.execute("BEGIN")
        assert raw.execute(f"UPDATE trials SET {change}").rowcount == 1
        raw.execute("ROLLBACK")


def test_a_person_can_read_it(store, path):
    store.finish_trial("s", create(store, "ü").number, COMPLETE)
    request = ChatRequest("seeds", "t", {}, "s", "u")
    store.record_call("s", LLMCall(request, ChatReply("text", "m"), 1, texts.now()))
    store.record_event("s", Event("k", "m"))

    def read(table):
        command = [sys.executable, "-m", "sqlite_utils", "rows", str(path), table]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    [trial] = read("trials")
    assert (trial["study"], trial["number"], trial["state"], trial["source"]) == ("s", 0, "COMPLETE", "sobol")
    assert trial["value"] == 0.30000000000000004
    assert trial["values_json"] == '{"value": 0.30000000000000004}'
    assert trial["params"] == '{"x": "ü"}'
    assert trial["started_at"].endswith("Z")
    assert texts.decode_time(trial["started_at"]) <= texts.decode_time(trial["finished_at"]) <= texts.now()
    [call], [event], [study] = read("llm_calls"), read("events"), read("studies")
    assert (call["reply"], call["content_hash"]) == ("text", request.content_hash)
    assert (event["kind"], study["name"]) == ("k", "s")


def test_closed_store_is_one_file_and_says_so(store, path):
    store.close()
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(StoreError, match="is closed"):
        store.get_trials("s")


def test_sqlite_errors_inside_a_transaction_undo_it(store, raw):
    raw.execute("CREATE TRIGGER t BEFORE INSERT ON trials BEGIN SELECT raise(ABORT, 'no'); END")
    store.enqueue("s", {"x": 1}, key="1")
    with pytest.raises(StoreError, match=r"search\.db refused a row"):
        store.create_trial("s", Proposal({"x": 1}, Origin("user", "")), key="1", owner="", seen=0)
    assert store.get_queue("s") == [{"x": 1}]
    assert not connection(store).in_transaction


def test_interrupt_inside_a_transaction_undoes_it(store):
    def interrupted():
        with store._file.writing() as db:
            db.conn.execute("DELETE FROM studies")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [record.name for record in store.list_studies()] == ["s"]


def test_transaction_left_open_by_an_interrupt_does_not_last(store):
    connection(store).execute("BEGIN IMMEDIATE")
    connection(store).execute("DELETE FROM studies")
    assert [record.name for record in store.list_studies()] == ["s"]


def test_row_changed_by_something_else_is_reported(store, raw):
    create(store)
    raw.execute("UPDATE trials SET started_at = 'yesterday'")
    with pytest.raises(StoreCorrupt, match=r"a row in trials that cannot be read .*yesterday"):
        store.get_trials("s")
