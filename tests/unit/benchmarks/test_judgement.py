"""The suite to judge with: what its descriptions promise is so. No optimizer but random search is run on it."""

import math

import numpy as np
import pytest
from samples import sampled

from benchmarks import judgement_task, reference, suites
from benchmarks.judgement_task import Task, scored, seed_of
from benchmarks.problem import EvaluationFailed, Problem
from hybridbo import Float, Space

pytest.importorskip("sklearn")
NAMES = suites.select("judgement")


def value(name, params):
    problem = suites.problem(name)
    return problem.evaluate(problem.space.complete(params))


def test_the_suite_holds_ten_problems_with_recorded_ends_that_no_recording_knows():
    problems = [suites.problem(name) for name in NAMES]
    assert len(problems) == 10
    for problem in problems:
        assert problem.loss(problem.best) < problem.loss(problem.worst)
        assert problem.worst not in (1.0, -1.0)  # what stands in where nothing is recorded
        assert problem.trains
        assert problem.recording is None
        assert Space.from_json(problem.space.to_json()) == problem.space


@pytest.mark.parametrize("name", NAMES)
def test_samples_lie_between_the_ends_and_inactive_parameters_change_nothing(name):
    problem = suites.problem(name)
    found = [(params, loss) for params, loss in sampled(name, 40) if math.isfinite(loss)]
    losses = np.array([loss for _, loss in found])
    assert losses.min() >= problem.loss(problem.best)
    assert np.mean(losses < problem.loss(problem.worst)) > 0.7
    params, loss = found[0]
    extra = {key: parameter.middle() for key, parameter in problem.space.items() if key not in params}
    assert problem.loss(problem.evaluate(params | extra)) == loss


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_has_one_value_which_is_kept(name, tmp_path, monkeypatch):
    problem = suites.problem(name)
    params, _ = next((params, loss) for params, loss in sampled(name, 40) if math.isfinite(loss))
    first = problem.evaluate(params)
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))
    assert problem.evaluate(params) == first  # trained again
    monkeypatch.setattr(judgement_task, "scored", None)  # a third training would break
    assert problem.evaluate(params) == first


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_can_be_made(name):
    problem = suites.problem(name)
    rng, seen = np.random.default_rng(3), set()
    wanted = {(key, choice) for key, p in problem.space.items() for choice in getattr(p, "choices", ())}
    for _ in range(600):
        params = problem.sample(rng)
        new = {(key, v) for key, v in params.items() if (key, v) in wanted} - seen
        if new:
            try:
                problem.evaluate(params)
            except EvaluationFailed:
                continue
            seen |= new
    assert seen == wanted


def test_the_seed_is_the_configuration_s_alone():
    assert seed_of({"a": 1.0, "b": "x"}) == seed_of({"b": "x", "a": 1.0})
    assert seed_of({"a": 1.0}) != seed_of({"a": 1.0 + 1e-12})


@pytest.mark.parametrize(("score", "reason"), [
    (lambda _params, _seed: math.nan, "the score is nan"),
    (lambda _params, _seed: 1 / 0, "ZeroDivisionError"),
])  # fmt: skip
def test_what_a_training_raises_and_what_is_no_number_is_a_failure(score, reason):
    task = Task(Space({"x": Float(0, 1)}), "words", "minimize", score)
    with pytest.raises(EvaluationFailed, match=reason):
        scored(task, {"x": 0.5})


# Each problem's promise ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "reason"), [
    ({"machine": "nu", "nu": 0.9}, "nu is infeasible"),
    ({"machine": "linear", "loss": "hinge", "penalty": "l1"}, "Unsupported set of arguments"),
    ({"machine": "linear", "loss": "squared_hinge", "penalty": "l1"}, None),
    ({"machine": "nu", "nu": 0.2}, None),
])  # fmt: skip
def test_what_no_support_vector_machine_solves_fails(params, reason):
    if reason is None:
        assert 0.5 < value("judgement/margins", {"scaler": "standard"} | params) < 1
        return
    with pytest.raises(EvaluationFailed, match=reason):
        value("judgement/margins", {"scaler": "standard"} | params)


def test_a_third_of_the_memory_problem_fails_and_bags_bring_it_about():
    assert 0.25 < np.mean([loss == math.inf for _, loss in sampled("judgement/memory", 200)]) < 0.45
    large = {"features": "poly", "poly_degree": 4, "poly_interaction_only": False, "bag_share": 1.0}
    assert math.isfinite(value("judgement/memory", large | {"bags": 1}))
    with pytest.raises(EvaluationFailed, match="MemoryError: Unable to allocate"):
        value("judgement/memory", large | {"bags": 12})


def test_a_factorisation_diverges_at_large_rates_and_its_values_are_noisy():
    good = {"rank": 3, "lr": 0.1, "lr_decay": 0.9, "passes": 12, "penalty": 0.05, "bias_penalty": 0.05, "init_sd": 0.1}
    near = [value("judgement/ratings", good | {"lr": 0.1 + 1e-6 * i}) for i in range(12)]
    assert 0.02 < np.std(near) < 0.1
    with pytest.raises(EvaluationFailed, match="the score is nan"):
        value("judgement/ratings", good | {"lr": 3.0, "init_sd": 2.0, "passes": 30})


@pytest.mark.parametrize(("name", "good", "slow", "wild"), [
    ("judgement/spirals", {"lr": 0.3, "momentum": 0.9, "hidden": 40, "batch_size": 16}, 1e-4, 10.0),
    ("judgement/adam", {"lr": 3e-3, "one_minus_beta1": 0.1, "one_minus_beta2": 0.01, "epsilon": 1e-8, "clip": 1.0,
                        "init_gain": 1.0, "weight_decay": 0.01}, 1e-5, 0.1),
])  # fmt: skip
def test_a_rate_learns_too_slowly_well_and_not_at_all(name, good, slow, wild):
    at = value(name, good)
    assert at < value(name, good | {"lr": slow}) - 0.1
    assert at < value(name, good | {"lr": wild}) - 0.1


def test_the_forecast_has_a_season():
    common = {"differences": 0, "lags": 6, "lag_stride": 1, "seasonal_lags": 0, "smoothing": 1, "window": 400,
              "waves": 2, "ridge": 0.1}  # fmt: skip
    errors = {season: value("judgement/lags", common | {"season": season}) for season in range(10, 25)}
    assert min(errors, key=errors.get) == 17


@pytest.mark.parametrize("booster", ["tree", "droptree", "linear"])
def test_every_kind_of_boosting_learns_and_learns_too_much(booster):
    params = {"booster": booster, "l2": 1.0, "leaf_rows": 5, "row_share": 0.7, "column_share": 0.7, "tree_depth": 4,
              "drop_probability": 0.1, "selection": "in_turn"}  # fmt: skip
    little, right = ({"rounds": r, "shrinkage": 0.1} for r in (4, 30))
    assert value("judgement/boosting", params | right) < value("judgement/boosting", params | little)
    if booster == "tree":
        much = {"rounds": 80, "shrinkage": 1.0, "tree_depth": 9, "leaf_rows": 1}
        assert value("judgement/boosting", params | much) > value("judgement/boosting", params | right) + 0.1


# The search of the ends ---------------------------------------------------------------------------------------------


def test_climbs_find_what_random_points_do_not():
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(4)})
    bowl = Problem(
        "a/bowl", space, "minimize", "", lambda params: sum((float(v) - 0.3) ** 2 for v in params.values()), 0.0, 1.0
    )
    drawn, worst = reference.extremes(bowl, 100, 0)
    climbed, same = reference.extremes(bowl, 100, 0, 600)
    assert climbed < drawn / 10
    assert same == worst  # the bad end is the random points' alone
