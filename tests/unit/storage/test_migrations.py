import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlite_utils import Database

from hybridbo.cli import main
from hybridbo.errors import StoreError, StoreTooNew
from hybridbo.optimizer import Optimizer
from hybridbo.ports import ChatReply
from hybridbo.storage import migrations, open_store, rows
from hybridbo.storage.check import check_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

COMPLETE = Outcome(TrialState.COMPLETE, {"value": 0.1 + 0.2}, 0.1 + 0.2)
DATA = Path(__file__).parents[2] / "data"
FIXTURE = DATA / "store_schema_1.db"
LAST = migrations.MIGRATIONS[-1].number
TABLES = {"studies", "trials", "requests", "llm_calls", "events", "queue", "alterations", "logs", "migrations"}


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


def pragma(conn, name):
    return conn.execute(f"PRAGMA {name}").fetchone()[0]


BROKEN = migrations.Migration(
    LAST + 1, "more", ("ALTER TABLE trials ADD COLUMN more TEXT", "CREATE TABLE t (a) STRICT")
)
GOOD = migrations.Migration(LAST + 1, "more", ("ALTER TABLE trials ADD COLUMN more TEXT",))


def content(path):
    """All that a file says: bytes of its header count writes."""
    with closing(sqlite3.connect(path)) as conn:
        return pragma(conn, "user_version"), pragma(conn, "application_id"), list(conn.iterdump())


def now_known(patch, *steps):
    """The code has been updated, and knows a further migration."""
    patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, *steps))


def test_failing_migration_leaves_the_file_as_it_was(store, path, monkeypatch):
    create(store)
    store.close()
    before = content(path)
    with monkeypatch.context() as patch:
        now_known(patch, BROKEN)
        for _ in range(2):
            with pytest.raises(StoreError):
                open_store(path)
            assert content(path) == before
    backup = path.with_name(f"search.db.schema{LAST}-backup")
    assert sorted(path.parent.iterdir()) == [path, backup]
    assert content(backup) == before
    open_store(path).close()


def test_failing_first_migration_leaves_an_empty_file(path, monkeypatch):
    first = migrations.Migration(1, "broken", (*migrations.MIGRATIONS[0].statements, "CREATE TABLE"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (first,))
        with pytest.raises(StoreError):
            open_store(path)
    assert Database(path).table_names() == []
    open_store(path).close()
    assert set(Database(path).table_names()) == TABLES


def test_migration_of_an_older_file(store, path):
    trial = create(store)
    with store._file.reading() as db:
        migrations.migrate(db.conn, (*migrations.MIGRATIONS, GOOD))
        migrations.migrate(db.conn, (*migrations.MIGRATIONS, GOOD))
        assert pragma(db.conn, "user_version") == LAST + 1
        assert [row["number"] for row in db["migrations"].rows] == list(range(1, LAST + 2))
        assert "more" in db["trials"].columns_dict
    assert store.get_trials("s") == [trial]


def test_newer_schema_is_refused_with_the_remedy(store, path, raw):
    store.close()
    raw.execute(f"PRAGMA user_version = {LAST + 1}")
    with pytest.raises(StoreTooNew, match=rf"schema {LAST + 1}.*up to {LAST}.*pip install --upgrade hybridbo"):
        open_store(path)
    raw.execute(f"PRAGMA user_version = {LAST}")
    open_store(path).close()


@pytest.mark.parametrize("number", [step.number for step in migrations.MIGRATIONS])
def test_migration_is_never_edited(path, number):
    fixture = DATA / f"store_schema_{number}.db"
    with sqlite3.connect(path) as fresh, sqlite3.connect(f"file:{fixture}?mode=ro&immutable=1", uri=True) as released:
        migrations.migrate(fresh, migrations.MIGRATIONS[:number])
        schemas = [conn.execute("SELECT sql FROM sqlite_master").fetchall() for conn in (fresh, released)]
        recorded = released.execute("SELECT number, name FROM migrations").fetchall()
    fresh.close()
    released.close()
    assert schemas[0] == schemas[1]
    assert recorded == [(step.number, step.name) for step in migrations.MIGRATIONS[:number]]


def test_file_of_schema_1(path):
    shutil.copy(FIXTURE, path)
    store = open_store(path)
    mlp, empty = store.list_studies()
    assert (mlp.name, mlp.task, mlp.llm, mlp.seed, mlp.settings) == (
        *("mlp", "Tune ☃", "openai:m", 2**70),
        '{"seed_trials": 5}',
    )
    assert (empty.name, store.get_trials("empty")) == ("empty", [])
    trials = store.get_trials("mlp")
    assert [(t.number, str(t.state)) for t in trials] == [
        *((0, "COMPLETE"), (1, "COMPLETE"), (2, "FAILED"), (3, "PRUNED"), (4, "PRUNED"), (5, "RUNNING"))
    ]
    assert repr([dict(t.values) for t in trials]) == (
        "[{'value': 0.30000000000000004}, {'value': -0.0, 'memory_gb': 5e-324}, {}, {'value': 2.5}, {}, {}]"
    )
    assert repr([t.value for t in trials]) == "[0.30000000000000004, -0.0, None, 2.5, None, None]"
    assert trials[2].error == "CUDA out of memory ☃"
    assert trials[0].origin == Origin("default", "reason 0")
    assert trials[3].origin == Origin("gp", "reason 3", 0.1 * 3, 1e-300)
    params = {"lr": 1e-05, "n": 5, "big": 10**30, "on": True, "off": None, "name": 'ü"\0'}
    assert trials[5].params == params
    assert store.get_queue("mlp") == [params | {"n": 99}]
    reply, failure = store.get_calls("mlp")
    assert reply.result == ChatReply('{"points": []}', "m-2026", 100, 20, 0.001, 1.25, "retried", recorded=True)
    assert (failure.result.error, failure.request) == ("BackendTimeout", reply.request)
    assert [event.kind for event in store.get_events("mlp")] == ["llm_failed"]
    assert [(t.attempt, t.lost, t.lease_until) for t in trials] == [(0, 0, None)] * 6
    assert store.expire_lease("mlp", 5) is None
    changes = store.get_changes("mlp", 0)
    assert store.finish_trial("mlp", 5, COMPLETE).value == COMPLETE.value
    assert [t.number for t in store.get_changes("mlp", changes.counter).trials] == [5]
    store.close()


def test_file_of_schema_2(path):
    shutil.copy(DATA / "store_schema_2.db", path)
    store = open_store(path)
    trials = store.get_trials("leases")
    assert [(t.number, str(t.state), t.attempt, t.lost) for t in trials] == [
        *((0, "RUNNING", 0, 0), (1, "STALE", 0, 0), (2, "RUNNING", 1, 1), (3, "COMPLETE", 0, 0))
    ]
    assert trials[0].lease_until - trials[0].started_at == timedelta(seconds=60)
    assert store.find_request("leases", "job ☃") == trials[2]
    assert len(store.get_trials("mlp")) == 6
    store.close()


@pytest.mark.parametrize("number", range(1, LAST + 1))
def test_every_released_file_opens_with_the_same_trials(path, number):
    """What the present code makes of an old file is what is in it, column by column."""
    shutil.copy(DATA / f"store_schema_{number}.db", path)
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as conn:
        conn.row_factory = sqlite3.Row
        before = [dict(row) for row in conn.execute("SELECT * FROM trials ORDER BY study, number")]
    with closing(open_store(path)) as store:
        names = sorted(record.name for record in store.list_studies())
        after = [(name, trial) for name in names for trial in store.get_trials(name)]
        for name in names:
            store.get_queue(name), store.get_calls(name), store.get_events(name), store.get_alterations(name)
    for row, (name, trial) in zip(before, after, strict=True):
        fields = dict(zip(rows.TRIAL_COLUMNS, rows.encode_trial(trial), strict=True)) | {"study": name}
        kept = set(row) & set(fields) - {"value"}
        assert {key: row[key] for key in kept} == {key: fields[key] for key in kept}
        assert len(kept) >= 13
    assert path.with_name(f"search.db.schema{number}-backup").exists() == (number < LAST)
    made_up = ("its space", "its objective")  # those of these studies are nobody's
    assert [problem for problem in check_store(path).problems if not any(part in problem for part in made_up)] == []


def test_search_of_schema_1_goes_on(path):
    shutil.copy(DATA / "search_schema_1.db", path)
    with Optimizer.load(path, "mlp") as opt:
        assert [(str(t.state), t.value) for t in opt.trials] == [
            *(("COMPLETE", 4.001), ("COMPLETE", 12.810436313), ("COMPLETE", 3.54212843), ("FAILED", None)),
            *(("COMPLETE", 3.1900734967999997), ("COMPLETE", 3.26101552), ("COMPLETE", 3.1606501010000003)),
            *(("COMPLETE", 3.160324923), ("RUNNING", None)),
        ]
        assert opt.best.number == 7
        opt.tell(8, 3.5)
        trial = opt.ask()
        assert (trial.number, trial.origin.source, trial.params) == (9, "user", opt.space.complete(trial.params))


def test_search_of_schema_4_goes_on(path):
    shutil.copy(DATA / "search_schema_4.db", path)
    assert check_store(path).is_sound
    shown = CliRunner().invoke(main, ["show", str(path), "mlp"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "CUDA out of memory" in shown.stdout
    with Optimizer.load(path, "mlp") as opt:
        assert [(str(t.state), t.value, t.origin.source) for t in opt.trials] == [
            *(("COMPLETE", 0.001, "default"), ("COMPLETE", 4.00399675, "sobol"), ("FAILED", None, "sobol")),
            *(("COMPLETE", 0.00325791, "gp"), ("COMPLETE", 0.000846148, "gp"), ("RUNNING", None, "user")),
        ]
        assert opt.best.number == 4
        assert opt.curves(1) == {"loss": [(0, 0.5)]}
        assert [(made.trial_number, list(opt.space)) for made in opt.alterations] == [(5, ["lr", "layers", "dropout"])]
        opt.tell(5, 0.25)
        assert opt.ask().params == {"lr": 0.02, "layers": 3, "dropout": 0.1}  # what waited
        assert (opt.ask().number, opt.trials[5].value) == (7, 0.25)


def test_person_who_corrects_a_row_takes_its_sum_away(path):
    shutil.copy(DATA / "store_schema_3.db", path)
    with closing(open_store(path)) as store:
        assert store.get_trials("altered")[2].error == "no memory"
        [altered] = store.get_alterations("altered")
        assert (altered.old_space, altered.new_space, altered.trial_number) == ('{"x": 1}', '{"x": 1, "y": 2}', 3)
        assert store.get_queue("altered") == [{"x": 7, "y": 0.1}]


def test_logs_of_schema_4(path):
    shutil.copy(DATA / "store_schema_4.db", path)
    with closing(open_store(path)) as store:
        assert store.get_logged("logs") == [0, 1]
        nan = [(2, float("nan")), (3, float("-inf"))]
        log = {"train_loss": [(0, 0.1 + 0.2), (1, 5e-324), *nan], "val ☃": [(0.5, -0.0)]}
        assert repr(store.get_log("logs", 0)) == repr(log)
        assert store.get_log("logs", 1) == {"loss": [(0, 1.0)]}  # of the second attempt
        assert store.append_log("logs", 2, {"loss": [(0, 1.0)]})


KILLED = """
import os, sys
from hybridbo.optimizer import Optimizer
from hybridbo.storage import migrations, open_store, rows
from hybridbo.storage.check import check_store

def die(*_):
    os._exit(9)

connect = migrations.sums.add_to
def add_to(conn):
    connect(conn)
    conn.create_function("die", 0, die)
migrations.sums.add_to = add_to
step = migrations.Migration(99, "more", ("ALTER TABLE trials ADD COLUMN more TEXT", "SELECT die()"))
migrations.MIGRATIONS = (*migrations.MIGRATIONS, step)
open_store(sys.argv[1])
"""


def test_kill_in_the_middle_of_a_migration_leaves_the_old_file(store, path):
    trial = create(store)
    store.close()
    before = content(path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert done.returncode == 9
    assert content(path.with_name(f"search.db.schema{LAST}-backup")) == before
    with closing(open_store(path)) as again:
        assert again.get_trials("s") == [trial]
    assert content(path) == before
