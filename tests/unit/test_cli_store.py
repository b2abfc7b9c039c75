"""`hybridbo check`, `backup` and `alter`: what they print, where, and how they end."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridbo.cli import main
from hybridbo.optimizer import Optimizer
from hybridbo.space import Space

SPACE = {"x": {"type": "float", "low": -1, "high": 1}, "kind": {"type": "categorical", "choices": ["a", "b"]}}
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "HYBRIDBO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with Optimizer(Space.from_json(SPACE), study="s", store="t.db", llm=None, seed=0) as opt:
        opt.tell(opt.ask(), 1.0)
    return tmp_path


def call(*args):
    done = CliRunner().invoke(main, args)
    return done.exit_code, done.stdout, done.stderr


def write(space):
    Path("new.json").write_text(json.dumps(space))
    return "new.json"


def test_check_of_a_sound_store():
    assert call("check", "t.db") == (0, "t.db: no problems; 1 studies, 1 trials, schema 4.\n", "")


def test_check_of_an_older_store_changes_nothing():
    shutil.copy(DATA / "search_schema_1.db", "old.db")
    before = Path("old.db").read_bytes()
    assert call("check", "old.db")[:2] == (0, "old.db: no problems; 1 studies, 9 trials, schema 1.\n")
    assert Path("old.db").read_bytes() == before


def test_check_of_a_damaged_store():
    with closing(sqlite3.connect("t.db", isolation_level=None)) as conn:
        conn.execute("DROP TRIGGER trials_content_sum")
        conn.execute("UPDATE trials SET reason = 'x\ny'")
    status, out, err = call("check", "t.db")
    assert status == 1
    assert out.splitlines() == [
        "problem: trials_content_sum is missing from the tables, indexes and triggers of schema 4",
        "problem: trial 0 of study 's' cannot be read: trial 0 of study 's': its checksum does not match",
        "t.db: 2 problems; 1 studies, 1 trials, schema 4.",
    ]
    assert err.startswith("Restore a backup")


@pytest.mark.parametrize("command", [("check", "no.db"), ("backup", "no.db", "copy.db")])
def test_no_store_is_a_wrong_call(command):
    status, out, err = call(*command)
    assert (status, out) == (2, "")
    assert err.startswith("hybridbo: there is no store 'no.db'. Check the path")
    assert not Path("no.db").exists()


@pytest.mark.parametrize("command", [("check", "text.db"), ("backup", "text.db", "copy.db")])
def test_file_of_another_kind_is_a_fault(command):
    Path("text.db").write_bytes(b"a,b\n" * 5000)
    status, out, err = call(*command)
    assert (status, out) == (1, "")
    assert "is no SQLite database" in err
    assert not Path("copy.db").exists()


def test_backup():
    assert call("backup", "t.db", "copy.db") == (0, "t.db is copied to copy.db.\n", "")
    assert call("check", "copy.db")[0] == 0
    with Optimizer.load("copy.db", "s", llm=None) as copy:
        assert copy.best.value == 1.0
    status, out, err = call("backup", "t.db", "copy.db")
    assert (status, out) == (2, "")
    assert "copy.db exists. Give another file, or overwrite it (on the command line: --force)." in err
    assert call("backup", "t.db", "copy.db", "--force")[0] == 0
    assert call("backup", "t.db", "t.db", "--force")[0] == 2


def range_of(high):
    return json.dumps({"type": "float", "low": -1.0, "high": high})


def test_alter():
    new = {**SPACE, "x": {**SPACE["x"], "high": 5}, "n": {"type": "int", "low": 1, "high": 9, "default": 3}}
    status, out, _ = call("alter", "t.db", "s", "--space", write(new))
    assert status == 0
    assert out.splitlines() == [
        "s: parameter 'n' is new",
        "s: parameter 'x' was " + range_of(1.0) + ", now " + range_of(5.0),
    ]
    assert json.loads(call("ask", "t.db", "s")[1])["params"]["n"] in range(1, 10)
    assert "space_altered" in call("show", "t.db", "s")[1]
    assert call("alter", "t.db", "s", "--space", write(new))[:2] == (0, "s: nothing has changed\n")


@pytest.mark.parametrize(
    ("space", "why"),
    [
        ({"x": SPACE["x"]}, "parameter 'kind' is missing"),
        ({**SPACE, "n": {"type": "int", "low": 1, "high": 9}}, "parameter 'n' is new and has no default"),
        ({**SPACE, "x": {"type": "float", "low": 0.5, "high": 1}}, "'x'=0.0 is out of range"),
        ([], "a space in JSON is an object"),
    ],
)
def test_alter_that_is_refused(space, why):
    status, out, err = call("alter", "t.db", "s", "--space", write(space))
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert why in line
    assert call("show", "t.db", "s", "--json")[1].count("space_altered") == 0


def test_text_that_utf8_cannot_hold_is_printed_all_the_same():
    with Optimizer.load("t.db", "s", llm=None) as opt:
        opt.fail(opt.ask(), "path \udc80\0\x1b[31m \u2603")
        opt.note("odd", "\ud800")
    assert json.loads(call("show", "t.db", "s", "--json")[1])["trials"][1]["error"] == "path \udc80\0\x1b[31m \u2603"
    for command in (("show", "t.db", "s"), ("export", "t.db", "s", "--format", "csv"), ("check", "t.db")):
        status, out, _ = call(*command)
        assert status == 0
        out.encode()
    assert call("export", "t.db", "s", "--format", "csv", "-o", "out.csv")[0] == 0
    assert "path \\udc80" in Path("out.csv").read_text()


def test_check_of_a_copy_without_its_side_file_has_status_1_and_goes_on_so():
    with Optimizer.load("t.db", "s", llm=None) as opt:
        opt.ask()
        shutil.copy("t.db", "copy.db")
    status, out, err = call("check", "copy.db")
    assert (status, err) == (1, "")
    assert out.startswith("may be missing: copy.db was not closed by hybridbo, and its side file copy.db-wal is not")
    assert call("show", "copy.db", "s")[0] == 0
    status, out, err = call("check", "copy.db")
    assert (status, err) == (1, "")
    assert out.startswith("may be missing: study 's' lacked its side file when it was opened at ")
