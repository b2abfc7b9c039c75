"""All that is sound comes out of a damaged store, and what does not is named."""

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridbo import Float, Optimizer
from hybridbo.cli import main
from hybridbo.errors import StoreCorrupt, StudyNotFound
from hybridbo.ports import Event
from hybridbo.space import Space
from hybridbo.storage import open_store
from hybridbo.storage.salvage import salvage
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def search(path):
    """A search of ten trials and an event."""
    with Optimizer({"x": Float(0, 100)}, study="s", store=path, llm=None, seed=0) as opt:
        for n in range(10):
            proposal = Proposal({"x": float(n)}, Origin("sobol", "r"))
            opt.store.create_trial("s", proposal, key=str(n), owner="o", seen=n)
            opt.store.finish_trial("s", n, Outcome(TrialState.COMPLETE, {"value": n / 7}, n / 7))
        opt.store.record_event("s", Event("k", "m"))
    return path


def vandalize(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("PRAGMA ignore_check_constraints = ON")
        for sql in statements:
            conn.execute(sql)


def call(*args):
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    return done.exit_code, done.stdout, done.stderr


def test_sound_study_is_whole(search):
    found = salvage(search, "s")
    with Optimizer.load(search, "s", llm=None) as opt:
        assert [vars(a) | {"diary": None} for a in found.trials] == [vars(b) | {"diary": None} for b in opt.trials]
        assert (found.space, found.objective, found.settings) == (opt.space, opt.objective, opt.settings)
        assert found.events == list(opt.events)
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE trials SET reason = 'x' WHERE number = 4", "its checksum does not match"),
        ("UPDATE trials SET params = '[', content_sum = NULL WHERE number = 4", "Expecting"),
        ("UPDATE trials SET state = 'DONE', outcome_sum = NULL WHERE number = 4", "'DONE'"),
        ("UPDATE trials SET error = CAST(x'ff' AS TEXT) WHERE number = 4", "Could not decode to UTF-8"),
        ("DELETE FROM trials WHERE number = 4", "it is not there"),
        ("UPDATE trials SET number = 40000000000 WHERE number = 4", "it is not there"),
    ],
)
def test_one_bad_row_keeps_no_other_back(search, sql, why):
    vandalize(search, sql)
    before = search.read_bytes()
    found = salvage(search, "s")
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert found.skipped[0].startswith("trial 4 of study 's': ")
    assert why in found.skipped[0]
    assert search.read_bytes() == before


def test_bad_page_costs_what_stands_on_it(path):
    store = open_store(path)
    with Optimizer({"x": Float(0, 1000)}, study="s", store=store, llm=None, seed=0):
        for n in range(300):
            proposal = Proposal({"x": float(n)}, Origin("sobol", "r" * 200))
            store.create_trial("s", proposal, key=str(n), owner="o", seen=n)
    store.close()
    content = bytearray(path.read_bytes())
    page = content.index(b"150.0") // 4096 * 4096
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    found = salvage(path, "s")
    numbers = {trial.number for trial in found.trials}
    assert len(numbers) > 270
    assert {0, 299} <= numbers
    assert len(found.skipped) == 300 - len(numbers) > 0


def test_bad_event_is_named(search):
    vandalize(search, "UPDATE events SET message = 'x' WHERE kind = 'k'")
    found = salvage(search, "s")
    assert [event.kind for event in found.events if event.kind == "k"] == []
    assert [row for row in found.skipped if row.startswith("event ") and "checksum" in row]


def test_older_schema(path):
    shutil.copy(DATA / "search_schema_1.db", path)
    before = path.read_bytes()
    assert len(salvage(path, "mlp").trials) == 9
    assert path.read_bytes() == before


def test_what_is_no_study(search, tmp_path):
    with pytest.raises(StudyNotFound, match="there is no store"):
        salvage(tmp_path / "none.db", "s")
    with pytest.raises(StudyNotFound, match=r"no study 't' .*There are: 's'"):
        salvage(search, "t")
    vandalize(search, "UPDATE studies SET task = 'x'")
    with pytest.raises(StoreCorrupt, match="a row in studies that cannot be read"):
        salvage(search, "s")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_export_names_what_it_skips(search, form):
    vandalize(search, "UPDATE trials SET reason = 'x' WHERE number = 4")
    status, out, err = call("export", search, "s", "--format", form)
    assert (status, out) == (1, "")
    assert "`hybridbo export --skip-damaged` writes all that is sound" in err
    status, out, err = call("export", search, "s", "--format", form, "--skip-damaged")
    assert status == 1
    assert err == "skipped: trial 4 of study 's': its checksum does not match\n"
    written = json.loads(out)["trials"] if form == "json" else list(csv.DictReader(io.StringIO(out)))
    assert [int(trial["number"]) for trial in written] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_export_of_a_sound_study_is_the_same(search):
    status, out, err = call("export", search, "s", "--format", "csv", "--skip-damaged")
    assert (status, err) == (0, "")
    assert out == call("export", search, "s", "--format", "csv")[1]
    data = json.loads(call("export", search, "s", "--format", "json", "--skip-damaged")[1])
    whole = json.loads(call("export", search, "s", "--format", "json")[1])
    assert data == {key: whole[key] for key in data}
    assert Space.from_json(data["space"]) == Space({"x": Float(0, 100)})


def test_optuna_storage_is_not_written_of_a_part(search, tmp_path):
    out = tmp_path / "optuna.db"
    status, _, err = call("export", search, "s", "--format", "optuna", "--skip-damaged", "-o", out)
    assert status == 2
    assert "Give --format csv, or json" in err
    assert not out.exists()
