"""The change of the error: of the objective's own value, not of the regret."""

import math

import pytest

from benchmarks import analyse, errors, report


def row(method, values, problem="suite/one", seed=0, **more):
    trials = [{"params": {}, "source": "x", "ask_s": 0.01, "value": value} for value in values]
    base = {"direction": "minimize", "best": 0.2, "worst": 1.0, "memorised": False, "at": "2026-01-01T00:00:00"}
    return base | {"method": method, "problem": problem, "seed": seed, "budget": len(values), "trials": trials} | more


def test_the_error_is_that_of_the_best_so_far():
    assert errors.error(row("a", [None, 0.5, 0.9, 0.3]), 3) == 0.5
    assert math.isnan(errors.error(row("a", [None, 0.5]), 1))


def test_the_error_of_a_score_is_what_it_lacks_to_one():
    assert errors.error(row("a", [0.7, 0.9], direction="maximize", best=0.95), 2) == pytest.approx(0.1)


def test_a_problem_whose_best_is_negative_has_no_error():
    assert math.isnan(errors.error(row("a", [0.5], best=-3.3), 1))


def test_the_change_is_relative_to_the_error_and_not_to_the_regret():
    rows = [row("a", [0.3]), row("random", [0.4]), row("a", [0.9], "suite/two"), row("random", [0.6], "suite/two")]
    rows += [row("a", [1.0], "suite/three", best=-1.0), row("random", [2.0], "suite/three", best=-1.0)]
    rows += [row("random", [9.0], seed=1)]  # without its pair
    found = errors.change(analyse.tabulate(rows), "a", "random", 1)
    assert found == {"median": pytest.approx(0.125), "mean": pytest.approx(0.125), "problems": 2}  # -25 % and +50 %
    nothing = errors.change(analyse.tabulate(rows[4:6]), "a", "random", 1)
    assert math.isnan(nothing["mean"])


def test_the_report_has_both_changes_and_intervals():
    rows = [row(m, [v + 0.01 * seed], seed=seed) for m, v in (("a", 0.3), ("random", 0.4)) for seed in range(3)]
    text = report.markdown(rows, "a")
    against = text.split("| against random")[1].splitlines()
    assert "error, median | error, mean | regret difference (95 %)" in against[0]
    assert "| -24% | -24% | -0.1250 (-0.1250 to -0.1250) |" in against[2]
    assert "95 % of regret@1" in text
