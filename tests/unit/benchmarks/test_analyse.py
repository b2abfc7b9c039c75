"""The figures, by hand."""

import math

import pytest

from benchmarks import analyse, plots, report, targets


def row(method, values, problem="suite/one", seed=0, **more):
    trials = [{"params": {}, "source": "x", "ask_s": 0.01, "value": value} for value in values]
    base = {"direction": "minimize", "best": 0.0, "worst": 10.0, "memorised": False, "at": "2026-01-01T00:00:00"}
    return base | {"method": method, "problem": problem, "seed": seed, "budget": len(values), "trials": trials} | more


def test_regret_is_that_of_the_best_so_far_and_one_before_the_first_value():
    curve = analyse.regret_curve(row("a", [None, 8.0, 9.0, 5.0]), 0.0, 10.0)
    assert curve.tolist() == [1.0, 0.8, 0.8, 0.5]


def test_regret_of_a_maximised_problem():
    found = row("a", [2.0, 6.0], direction="maximize", best=10.0, worst=0.0)
    assert analyse.regret_curve(found, *analyse.extremes([found])).tolist() == pytest.approx([0.8, 0.4])


def test_a_better_value_in_the_rows_becomes_the_best():
    table = analyse.tabulate([row("a", [-10.0]), row("b", [0.0]), row("c", [99.0])])
    assert analyse.mean_regret(table, "a", 1) == 0.0
    assert analyse.mean_regret(table, "b", 1) == 0.5
    assert analyse.mean_regret(table, "c", 1) == 1.0


def test_a_search_that_broke_down_stays_where_it_was():
    broken = row("a", [4.0, 3.0, 2.0]) | {"trials": row("a", [4.0])["trials"], "broken": "Traceback"}
    assert analyse.regret_curve(broken, 0.0, 10.0).tolist() == [0.4, 0.4, 0.4]


def test_comparison_is_paired():
    rows = [row("a", [1.0], seed=s) for s in range(3)] + [row("b", [2.0], seed=s) for s in range(2)]
    rows += [row("a", [3.0], "suite/two"), row("b", [1.5], "suite/two")]
    found = analyse.against(analyse.tabulate(rows), "a", "b", 1)
    assert found["pairs"] == 3
    assert found["wins"] == 0.5
    assert found["mean"] == pytest.approx((-0.5 + 1.0) / 2)


def test_ranks_share_ties():
    table = analyse.tabulate([row("a", [1.0]), row("b", [1.0]), row("c", [2.0])])
    assert analyse.mean_ranks(table, 1) == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_wilcoxon_of_equals_is_one():
    same = analyse.np.ones(5)
    assert analyse.wilcoxon(same, same) == 1.0
    assert analyse.wilcoxon(same, same + analyse.np.arange(1, 6)) == pytest.approx(2 / 2**5)


def test_trials_to_reach_and_failed_share():
    rows = [row("a", [5.0, 1.0, 1.0]), row("optuna-gp", [5.0, 5.0, 2.0]), row("c", [9.0, None, None])]
    table = analyse.tabulate(rows)
    assert analyse.trials_to_reach(table, "a", "optuna-gp", 3) == 2
    assert analyse.trials_to_reach(table, "c", "optuna-gp", 3) == 4
    assert analyse.failed_share(table, "c", 2, 3) == 1.0
    assert math.isnan(analyse.trials_to_reach(table, "a", "nobody", 3))


def test_top_percent_is_a_geometric_mean():
    rows = [row("a", [5.0, 1.0]), row("a", [5.0, 1.0], seed=1)]
    for r, tops in zip(rows, ((0.5, 0.01), (0.5, 0.0001)), strict=True):
        for trial, top in zip(r["trials"], tops, strict=True):
            trial["top"] = top
    table = analyse.tabulate(rows)
    assert analyse.top_percent(table, "a", 1) == pytest.approx(50)
    assert analyse.top_percent(table, "a", 2) == pytest.approx(0.1)


def test_memorised_problems_are_apart_and_models_are_kept_out_of_the_whole():
    values = {"hybridbo": 1.0, "hybridbo-llm": 0.5, "random": 2.0}
    problems = ("suite/one", "known/one")
    rows = [row(m, [v], p, memorised=p == "known/one") for m, v in values.items() for p in problems]
    text = report.markdown(rows, "hybridbo")
    parts = {part.split("(")[0].splitlines()[0]: part for part in text.split("## ")[1:]}
    assert [title.split(":")[0].strip() for title in parts] == [
        "suite", "known", "all problems, methods without recorded replies",
        "all problems that are not memorised, all methods", "figures to reach",
    ]  # fmt: skip
    together = list(parts.values())[2]
    assert "hybridbo-llm" not in together
    assert "2 problems" in together


def test_plots_are_drawn_as_png_and_svg(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row(m, [9.0, v], seed=s) for m, v in (("a", 1.0), ("b", 2.0)) for s in range(3)]
    files = plots.save(rows, tmp_path)
    assert sorted(file.suffix for file in files) == [".png", ".svg"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_figures_to_reach_are_checked_where_the_rows_allow():
    ours = [row("hybridbo", [v] * 30, "hpobench/x", s) for s, v in enumerate((0.1, 0.2, 0.15, 0.12, 0.1, 0.13))]
    worse = [row("optuna-gp", [v] * 30, "hpobench/x", s) for s, v in enumerate((0.5, 0.6, 0.4, 0.7, 0.55, 0.45))]
    misled = [row("hybridbo-adversarial", [0.9] * 30, "hpobench/x", s) for s in range(6)]
    found = {f"{t.what} {t.goal}": t.reached for t in targets.check([*ours, *worse, *misled])}
    assert found["HPOBench, hybridbo, regret@30 <= 0.016"]
    assert found["all problems, hybridbo@30 beats optuna-gp, p < .05"]
    assert not found["hpobench, hybridbo-adversarial, regret@30 at most +10 %"]
    assert "**no**" in targets.markdown([*ours, *misled])
