"""A search meets faults of its store, from the Optimizer down to the file: no result is lost, and it goes on."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager

import pytest

from hybridbo import Float, Optimizer
from hybridbo.errors import StoreBusy, StoreError
from hybridbo.storage import open_store

SPACE = {"x": Float(0, 1)}


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "search.db"


def opened(path, **options):
    return Optimizer(SPACE, study="s", store=open_store(path, **options), llm=None, seed=0)


@contextmanager
def locked(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("ROLLBACK")


def kinds(opt):
    return [event.kind for event in opt.events]


def test_tell_and_fail_while_another_process_holds_the_store(path):
    with opened(path, timeout_s=0.0) as opt:
        trials = [opt.ask(), opt.ask(), opt.ask()]
        with locked(path):
            for call in (lambda: opt.tell(trials[0], 0.1 + 0.2), lambda: opt.fail(trials[1], "boom\0 \u2603")):
                with pytest.raises(StoreBusy, match=r"The result is kept in .*-spill\.jsonl") as caught:
                    call()
                assert caught.value.kept == f"{path}-spill.jsonl"
    with opened(path) as again:
        assert [(str(t.state), t.value, t.error) for t in again.trials] == [
            *(("COMPLETE", 0.1 + 0.2, None), ("FAILED", None, "boom\0 \u2603"), ("RUNNING", None, None)),
        ]
        assert kinds(again) == ["spill_merged", "spill_merged"]


def test_late_result_that_cannot_be_stored_is_kept(path):
    with opened(path, timeout_s=0.0) as opt:
        trial = opt.ask(lease_s=1e-9)
        assert opt.ask().number == trial.number  # offered again, since its lease is over
        with locked(path), pytest.raises(StoreBusy, match="The result is kept in"):
            opt.tell(trial, 0.5)
    with opened(path) as again:
        assert again.trials[0].value == 0.5


def test_run_whose_folder_vanishes_ends_with_an_error_that_says_where_the_value_is(path, tmp_path):
    def objective(params):
        if len(seen) == 3:
            path.parent.rename(tmp_path / "away")
        seen.append(params)
        return params["x"]

    seen = []
    opt = opened(path)
    with pytest.raises(StoreError, match=r"trial 3 of study 's' is COMPLETE with .* is gone: .*kept in") as caught:
        opt.run(objective, n_trials=10, progress=False)
    assert caught.value.kept.startswith(tempfile.gettempdir())
    opt.close()
    (tmp_path / "away").rename(path.parent)
    with opened(path) as again:
        assert [trial.value for trial in again.trials] == [params["x"] for params in seen]
        again.run(objective, n_trials=6, progress=False)
        assert len(again.trials) == 6
        assert kinds(again) == ["spill_merged"]


def test_command_line_keeps_a_result_and_merges_it(path):
    with opened(path) as opt:
        opt.ask()
    code = """
import sys
from hybridbo.cli import main
from hybridbo.storage import sqlite
init = sqlite.SqliteStore.__init__
sqlite.SqliteStore.__init__ = lambda self, path, **options: init(self, path, timeout_s=0.0)
main(sys.argv[1:])
"""
    with locked(path):
        command = [sys.executable, "-c", code, "tell", str(path), "s", "0", "0.25"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is locked by another process" in done.stderr
    assert "The result is kept in" in done.stderr
    with opened(path) as again:
        assert again.best.value == 0.25


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
def test_read_only_store_can_be_looked_at(path, tmp_path):
    with opened(path) as opt:
        opt.run(lambda params: params["x"], n_trials=3, progress=False)
        best = opt.best
    place = tmp_path / "read only"
    place.mkdir()
    for arguments in (["--bind", path.parent, place], ["-o", "remount,bind,ro", place]):
        done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        there = str(place / path.name)

        def call(*args):
            command = [sys.executable, "-m", "hybridbo", *args]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert json.loads(call("best", there, "s", "--json").stdout)["number"] == best.number
        assert json.loads(call("show", there, "--json").stdout)[0]["trials"] == 3
        assert call("export", there, "s", "--format", "csv").stdout.count("\n") == 4
        assert call("check", there).returncode == 0
        assert call("backup", there, str(tmp_path / "copy.db")).returncode == 0
        for command in (["ask", there, "s"], ["tell", there, "s", "7", "1"], ["check", there, "--no"]):
            done = call(*command)
            assert done.returncode in (1, 2)
            assert len(done.stderr.splitlines()) == 1
        assert (
            "is read-only, it or its folder, and can only be looked at. Make the file" in call("ask", there, "s").stderr
        )
        with Optimizer.load(there, "s") as opt:
            assert opt.best == best
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
    with Optimizer.load(tmp_path / "copy.db", "s") as copy:
        assert copy.best == best
