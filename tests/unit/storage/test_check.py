"""What `check_store` finds, and that it finds nothing where nothing is wrong."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hybridbo.errors import StoreBusy, StoreCorrupt, StoreError, StudyNotFound
from hybridbo.objective import Objective
from hybridbo.ports import ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.space import Float, Space
from hybridbo.storage import open_store
from hybridbo.storage.check import check_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

SPACE = Space({"x": Float(0, 100)})
DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def search(path):
    """A store with a row in every table, of studies that can be loaded."""
    store = open_store(path)
    store.create_study(StudyRecord("s", SPACE.to_json(), Objective().to_json()))
    store.create_study(StudyRecord("empty", SPACE.to_json(), Objective().to_json()))
    for n in range(20):
        proposal = Proposal({"x": float(n)}, Origin("sobol", "r", 0.1, 0.2))
        store.create_trial("s", proposal, key=str(n), owner="o", seen=n)
        if n < 15:
            store.finish_trial("s", n, Outcome(TrialState.COMPLETE, {"value": n / 7}, n / 7))
    store.enqueue("s", {"x": 99.0}, key="99")
    store.record_event("s", Event("k", "m", 3))
    store.record_call("s", LLMCall(ChatRequest("p", "t", {}, "s", "u"), ChatReply("r", "m"), 20, datetime.now(UTC)))
    store.bind_request("s", "job", 3)
    store.append_log("s", 17, {"loss": [(0, 0.5)]})
    yield store
    store.close()


@pytest.fixture
def vandal(path, search):
    """A connection that may break every rule."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("PRAGMA ignore_check_constraints = ON")
        yield conn


def found(path):
    """What is wrong, without the triggers that the vandal has dropped."""
    return [problem for problem in check_store(path).problems if "is missing from the tables" not in problem]


def test_sound_store_in_use_and_at_rest(search, path):
    before = sorted(path.parent.iterdir())
    report = check_store(path)
    assert (report.problems, report.notes, report.is_sound) == ((), (), True)
    assert (report.schema, report.studies, report.trials) == (4, 2, 20)
    assert sorted(path.parent.iterdir()) == before
    search.close()
    content = path.read_bytes()
    assert check_store(path).is_sound
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["search_schema_1.db"])
def test_older_schema_is_checked_as_it_is(path, name):
    shutil.copy(DATA / name, path)
    report = check_store(path)
    assert (report.problems, report.notes, report.schema, report.trials) == ((), (), 1, 9)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("DELETE FROM trials WHERE number IN (4, 5)", "study 's': trials 4 to 5 are missing"),
        ("DELETE FROM studies WHERE name = 's'", "refers to a row of studies that is not there"),
        ("UPDATE requests SET number = 77", "requests: row None refers to a row of trials that is not there"),
        ("UPDATE events SET trial_number = 77", "events: row 1 of study 's' tells of trial 77, which is not there"),
        ("UPDATE trials SET reason = 'x' WHERE number = 2", "trial 2 of study 's' cannot be read: trial 2 of study"),
        (
            "UPDATE trials SET value = 9.5 WHERE number = 2",
            "the outcome of trial 2 of study 's': its checksum",
        ),
        (
            "UPDATE trials SET state = 'RUNNING', finished_at = NULL WHERE number = 2",
            "trial 2 of study 's' had ended, and is RUNNING now",
        ),
        (
            "UPDATE trials SET params = 'x', content_sum = NULL WHERE number = 2",
            "trial 2 of study 's' cannot be read",
        ),
        (
            "UPDATE trials SET state = 'DONE', outcome_sum = NULL WHERE number = 2",
            "trial 2 of study 's' cannot be read: 'DONE'",
        ),
        ("UPDATE logs SET series = '{}'", "logs: row 1 of study 's' cannot be read: its checksum"),
        ("UPDATE logs SET trial_number = 77, checksum = NULL", "logs: row 1 refers to a row of trials"),
        ("UPDATE queue SET config_key = 'x'", "queue: row 1 of study 's' cannot be read: its checksum"),
        ("UPDATE llm_calls SET reply = 'x'", "llm_calls: row 1 of study 's' cannot be read: its checksum"),
        ("UPDATE requests SET request_id = 'x'", "requests: row x of study 's' cannot be read: its checksum"),
        ("UPDATE studies SET space = '{}', checksum = NULL", "study 's': its space cannot be read: the space is empty"),
        ("UPDATE studies SET settings = '[', checksum = NULL", "study 's': its settings cannot be read"),
        ("UPDATE studies SET seed = 'x', checksum = NULL", "study 's' cannot be read: invalid literal"),
        ("DROP INDEX trials_changed", "trials_changed is missing from the tables, indexes and triggers of schema 4"),
        ("DROP TABLE alterations", "alterations is missing"),
        ("ALTER TABLE trials ADD COLUMN mine TEXT", "trials is not as schema 4 has it"),
        (
            "DELETE FROM migrations WHERE number = 2",
            "is of schema 4, and its record tells of [1, 3, 4]",
        ),
    ],
)
def test_what_is_wrong_is_found(vandal, path, sql, problem):
    vandal.execute(sql)
    assert any(problem in line for line in check_store(path).problems), check_store(path).problems


def test_every_fault_is_told_and_many_of_a_kind_cut_short(vandal, path):
    vandal.execute("DELETE FROM trials WHERE number = 4")
    vandal.execute("UPDATE queue SET config_key = 'x'")
    assert len(found(path)) == 2
    for _ in range(300):
        vandal.execute("INSERT INTO events (study, at, kind, message) VALUES ('s', 'yesterday', 'k', 'm')")
    assert found(path)[-1] == "... and more of this kind than 100"


def test_damaged_pages_are_reported_and_not_raised(search, path):
    for _ in range(300):
        search.record_event("s", Event("k", "m" * 200))
    search.close()
    content = bytearray(path.read_bytes())
    content[-30_000:-2_000] = b"\xff" * 28_000
    path.write_bytes(content)
    report = check_store(path)
    assert any(line.startswith("SQLite: ") for line in report.problems)
    assert any("cannot go on" in line for line in report.problems)


def test_rows_of_another_program_are_noted(search, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("UPDATE trials SET reason = 'mine' WHERE number < 3")
    report = check_store(path)
    assert report.is_sound
    assert report.notes == ("trials: 3 rows have no content_sum: something else than hybridbo has written them",)


def test_waiting_results_and_a_missing_side_file_are_noted(search, path, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(open_store(path, timeout_s=0.0)) as hasty,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            hasty.finish_trial("s", 16, Outcome(TrialState.PRUNED))
    hasty.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint")  # the copy has the studies
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    [waiting] = check_store(path).notes
    assert waiting.startswith(f"1 results wait in {path}-spill.jsonl")
    [missing] = check_store(copy).doubts
    assert "its side file" in missing
    assert not check_store(copy).is_sound
    open_store(copy).close()  # after which the file itself looks whole
    [*_, lasting] = check_store(copy).doubts
    assert "what was told last before that may be missing" in lasting
    with closing(sqlite3.connect(copy, isolation_level=None)) as conn:  # the remedy
        conn.execute(lasting.partition("delete the event: ")[2])
    assert check_store(copy).is_sound
    assert path.with_name("search.db-spill.jsonl").exists()


def test_what_is_no_store(path):
    with pytest.raises(StudyNotFound, match="there is no store"):
        check_store(path)
    path.write_bytes(b"a,b\n" * 5000)
    with pytest.raises(StoreCorrupt, match="is no SQLite database"):
        check_store(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    with pytest.raises(StoreError, match="database of another program"):
        check_store(path)


def test_empty_file_is_one_problem(path):
    path.touch()
    report = check_store(path)
    assert report.problems == (f"{path} is empty, 0 bytes: no search was begun in it, or something has cut it off.",)
    assert (report.doubts, report.notes, report.schema, report.is_sound) == ((), (), 0, False)
    assert list(path.parent.iterdir()) == [path]
