"""Searches with several objectives: what is run and recorded, and every figure from the rows alone."""

import json

import pytest

from benchmarks import analyse, methods, pareto, plots, report, run, suites, targets
from benchmarks.cli import main
from benchmarks.run import Job

PEERS = ["optuna-tpe", "optuna-gp", "optuna-nsga2", "optuna-nsga2-10"]


def row(method, points, seed=0, problem="multi/one", **more):
    """Losses a and b below (4, 4); the front's volume is 16; None for a failed trial."""
    values = [None if p is None else dict(zip("abc", p, strict=False)) for p in points]
    trials = [{"params": {}, "source": "x", "ask_s": 0.01, "values": v} for v in values]
    known = {"direction": "maximize", "best": 1.0, "worst": 0.0, "memorised": False, "at": "2026-01-01T00:00:00"}
    several = {"objectives": {"a": "minimize", "b": "minimize"}, "constraints": {}, "reference": {"a": 4.0, "b": 4.0}}
    named = {"method": method, "problem": problem, "seed": seed, "budget": len(points), "trials": trials}
    return known | several | {"volume": 16.0} | named | more


def old_row(method, values):
    trials = [{"params": {}, "source": "x", "ask_s": 0.01, "value": value} for value in values]
    known = {"direction": "minimize", "best": 0.0, "worst": 10.0, "memorised": False, "at": "2026-01-01T00:00:00"}
    return known | {"method": method, "problem": "s/p", "seed": 0, "budget": len(values), "trials": trials}


# Running -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hybridbo", "random", *PEERS])
@pytest.mark.parametrize("problem", ["multi/training", "multi/serving"])
def test_every_method_searches_constraints_failures_and_conditions(name, problem):
    if name in PEERS:
        pytest.importorskip("optuna")
    found = run.search(Job(name, problem, 1, 11))
    assert "broken" not in found
    told = [trial["values"] for trial in found["trials"] if trial["values"] is not None]
    assert all(set(values) == {*found["objectives"], *found["constraints"]} for values in told)
    assert any(trial["values"] is None and "memory" in trial["error"] for trial in found["trials"]) == (
        problem == "multi/serving"
    )
    assert found == json.loads(json.dumps(found))


def test_a_peer_is_told_directions_and_by_how_much_a_constraint_is_broken():
    pytest.importorskip("optuna")
    problem = suites.problem("multi/training")
    method = methods.make("optuna-nsga2", problem, 0)
    method.ask()
    method.tell({"accuracy": 0.9, "log10_hours": -1.0, "memory_gb": 20.5})
    method.ask()
    method.tell({"accuracy": 0.8, "log10_hours": -1.0, "memory_gb": 12.0})
    study = method._study
    assert [way.name for way in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == [0.9, -1.0]
    assert [trial.system_attrs["constraints:memory_gb"] for trial in study.trials] == [4.5, -4.0]
    assert [trial.number for trial in study.best_trials] == [1]


def test_a_genetic_method_waits_for_several_objectives():
    assert run.search(Job("optuna-nsga2", "functions/branin", 0, 1))["skipped"] == "it is for several objectives"


def test_constraints_need_an_optuna_that_has_them(monkeypatch):
    optuna = pytest.importorskip("optuna")
    for trial in (optuna.trial.Trial, optuna.trial.BaseTrial):
        monkeypatch.delattr(trial, "set_constraint")
    assert "Optuna 5" in run.search(Job("optuna-tpe", "multi/training", 0, 1))["skipped"]
    assert "skipped" not in run.search(Job("optuna-tpe", "multi/zdt1", 0, 1))


def test_rows_are_resumed_and_analysed_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "x.jsonl"
    call = ["run", "--suite", "multi/training", "--methods", "random", "--seeds", "2", "--budget", "12"]
    assert main([*call, "--out", str(out), "--workers", "1"]) == 0
    assert main([*call, "--out", str(out), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "0 searches to run, 2 already" in said
    assert main(["analyse", str(out)]) == 0
    said = capsys.readouterr().out
    assert "share@5" in said
    assert "regret" not in said


def test_fronts_are_given_fifty_trials():
    assert (suites.budget("multi/zdt1"), suites.budget("functions/branin")) == (50, 30)


# Figures -------------------------------------------------------------------------------------------------------------


def test_a_row_is_read_as_the_share_reached_so_far():
    found = pareto.as_single(row("m", [(2, 2), None, (3, 3), (0, 3), (9, 0)]))
    assert [trial["value"] for trial in found["trials"]] == [0.25, None, 0.25, 0.375, 0.375]
    assert analyse.regret_curve(found, *analyse.extremes([found])).tolist() == [0.75, 0.75, 0.75, 0.625, 0.625]


def test_rows_of_one_objective_stay_as_they_are():
    old = old_row("m", [3.0, None])
    single, several = pareto.split([old, row("m", [(2, 2)])])
    assert single == [old]
    assert len(several) == 1
    assert pareto.as_single(old) is old


def test_infeasible_trials_count_nothing_and_are_counted():
    bound = {"constraints": {"c": "<= 1"}}
    rows = [row("m", [(0, 0, 2), (2, 2, 1), None, (3, 3, 0)], **bound), row("m", [(1, 1)] * 4, problem="multi/free")]
    assert pareto.as_single(rows[0])["trials"][0]["value"] == 0.0
    assert pareto.infeasible_share(rows, "m", 1) == 0.5
    assert str(pareto.infeasible_share(rows, "nobody")) == "nan"


def many():
    points = {"hybridbo": (1, 1), "optuna-gp": (2, 2), "optuna-nsga2": (3, 3), "random": (9, 9)}
    return [row(method, [at] * 50, seed) for method, at in points.items() for seed in range(6)]


def test_the_report_parts_one_objective_from_several():
    text = report.markdown([*many(), old_row("hybridbo", [1.0])], "hybridbo")
    parts = {part.splitlines()[0].split("(")[0].split(":")[0].strip(): part for part in text.split("## ")[1:]}
    assert list(parts) == ["s", "multi", "figures to reach"]
    assert "| hybridbo | 6 | 0.562 | 0.562 | 0.562 | 0.562 | 1.00 |" in parts["multi"]
    assert (
        "| optuna-gp | 50 | 0% | +71% | +71% | +71% | +71% | +0.3125 (0.3125 to 0.3125) | 0.031 | 6 |" in parts["multi"]
    )
    assert "| multi/one | 0.562 | 0.250 | 0.062 | 0.000 |" in parts["multi"]
    assert "multi" not in parts["s"]


def test_the_first_mean_rank_is_a_figure_to_reach():
    ahead = {t.what: t for t in targets.check(many())}
    assert list(ahead) == ["hypervolume, mean rank@20", "hypervolume, mean rank@50"]
    assert all(t.reached for t in ahead.values())
    assert ahead["hypervolume, mean rank@50"].found == "1.00; optuna-gp 2.00, optuna-nsga2 3.00"
    names = {"hybridbo": "optuna-gp", "optuna-gp": "hybridbo"}
    behind = targets.check([r | {"method": names.get(r["method"], r["method"])} for r in many()])
    assert not any(t.reached for t in behind)
    assert targets.check([r for r in many() if r["method"] == "hybridbo"]) == []


def test_shares_and_regrets_are_drawn_apart(tmp_path):
    pytest.importorskip("matplotlib")
    files = plots.save([*many(), old_row("hybridbo", [3.0, 1.0])], tmp_path)
    assert sorted(file.name for file in files) == ["multi.png", "multi.svg", "s.png", "s.svg"]
    assert "hypervolume" in (tmp_path / "multi.svg").read_text()
