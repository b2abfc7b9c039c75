"""The Optuna sampler beside the Optimizer: the same searches, and what their figures say."""

import pytest

from benchmarks import analyse, dropins, methods, run, suites
from benchmarks.problem import EvaluationFailed


def play(name, problem, n, settings):
    method, asked = methods.make(name, problem, 0, settings), []
    for _ in range(n):
        asked.append(method.ask())
        try:
            method.tell(problem.evaluate(asked[-1][0]))
        except EvaluationFailed as why:
            method.fail(str(why))
    return asked


@pytest.mark.parametrize("problem", ["functions/hartmann6-mixed", "crash/medium", "boosters/linear"])
def test_the_sampler_searches_as_the_optimizer_does(problem):
    quick = {"gp": {"candidates": 64, "restarts": 1}}
    problem = suites.problem(problem)
    assert play("hybridbo-sampler", problem, 9, quick) == play("hybridbo", problem, 9, quick)
    by_run = play("hybridbo-by-run", problem, 9, quick)
    assert by_run[0] == (methods.default(problem), "default")
    assert by_run[-1][1] == "gp"


def row(method, seed, values):
    trials = [{"params": {"x": value}, "value": value} for value in values]
    facts = {"direction": "minimize", "best": 0.0, "worst": 1.0, "memorised": False, "at": "2026"}
    return {"method": method, "problem": "p", "seed": seed, "budget": len(values), "trials": trials, **facts}


def test_the_table_tells_regret_and_whose_trials_are_the_same():
    mine, theirs = [0.5] * 10 + [0.25] * 20, [0.5] * 30
    rows = [row(dropins.SAMPLER, seed, mine) for seed in range(3)]
    rows += [row("hybridbo", seed, mine) for seed in range(3)] + [row("optuna-gp", seed, theirs) for seed in range(3)]
    text = dropins.markdown(analyse.tabulate(rows))
    assert f"| {dropins.SAMPLER} | 3 | 0.5000 [0.5000, 0.5000] | 0.2500 [0.2500, 0.2500] |" in text
    assert "| hybridbo | 100% | +0.0000" in text
    assert "| optuna-gp | 0% | +0.0000 [+0.0000, +0.0000] | 1 | -0.2500 [-0.2500, -0.2500] |" in text


def test_what_is_not_asked_for_is_left_out(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(dropins.speed, "main", lambda counts, methods: print("timed", counts, *methods))
    assert dropins.main(0, [20], tmp_path / "rows.jsonl", 1) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "timed [20] hybridbo-sampler optuna-gp"
    monkeypatch.setattr(run, "run", lambda *_: (2, 0))
    monkeypatch.setattr(run, "read", lambda _: [row(dropins.SAMPLER, 0, [0.5] * 30) | {"problem": "hpobench/car"}])
    assert dropins.main(1, [], tmp_path / "rows.jsonl", 1) == 1
