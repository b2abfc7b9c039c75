"""The held-out problems: what their descriptions promise is so. No optimizer but random search is run on them."""

import math

import numpy as np
import pytest
from samples import sampled

from benchmarks import heldout, heldout_boosters, heldout_trained, suites
from benchmarks.problem import EvaluationFailed
from hybridbo import Space

TRAINED = list(heldout_trained.all_trained())


def value(name, params):
    problem = suites.problem(name)
    return problem.evaluate(problem.space.complete(params))


def test_the_suite_holds_ten_problems_with_recorded_ends():
    problems = [suites.problem(name) for name in suites.select("heldout")]
    assert len(problems) == 10
    assert [p.name for p in problems if p.trains] == TRAINED
    for problem in problems:
        assert problem.loss(problem.best) < problem.loss(problem.worst) != 1.0
        assert Space.from_json(problem.space.to_json()) == problem.space


@pytest.mark.parametrize(("name", "chosen"), [
    ("heldout/xgb-claims", {"grow_policy": "lossguide"}),
    ("heldout/xgb-fraud", {"booster": "dart"}),
    ("heldout/lgbm-demand", {"boosting": "gbdt"}),
])  # fmt: skip
def test_one_branch_of_a_booster_wins(name, chosen):
    ((key, best),) = chosen.items()
    found = list(sampled(name, 3000))
    here = min(loss for params, loss in found if params.get(key) == best)
    elsewhere = min(loss for params, loss in found if params.get(key) != best)
    assert here < elsewhere - 0.01


def test_goss_of_more_than_all_rows_fails():
    goss = {"boosting": "goss", "top_rate": 0.5}
    assert math.isfinite(value("heldout/lgbm-demand", goss | {"other_rate": 0.4}))
    with pytest.raises(EvaluationFailed, match="other_rate"):
        value("heldout/lgbm-demand", goss | {"other_rate": 0.6})


def test_conditions_lie_three_deep():
    rng = np.random.default_rng(0)
    drawn = [heldout_boosters.XGB.decode(rng.random(18)) for _ in range(300)]
    for child, chain in (("max_leaves", ("tree_method", "grow_policy")), ("top_k", ("updater", "feature_selector"))):
        assert any(child in params for params in drawn)
        assert all(set(chain) <= set(params) for params in drawn if child in params)


@pytest.mark.parametrize("name", ["heldout/lr-valley", "heldout/lr-cliff"])
def test_a_diverging_run_has_a_huge_loss_and_is_rare(name):
    losses = np.array([loss for _, loss in sampled(name, 3000)])
    assert losses[np.isfinite(losses)].max() > 1e6
    assert 0.03 < np.mean(losses > 20) < 0.1  # fewer than a tenth: they would be the bad end of the regret


def test_the_valley_is_narrow_and_follows_the_batch():
    common = {"one_minus_momentum": 0.05, "weight_decay": 1e-4, "warmup_steps": 300}
    rates = np.logspace(-6, 0, 121)
    best = {}
    for batch in (32, 320):
        losses = [value("heldout/lr-valley", common | {"batch_size": batch, "lr": float(lr)}) for lr in rates]
        best[batch] = rates[int(np.argmin(losses))]
        assert np.mean(np.array(losses) < min(losses) + 0.3) < 0.2
    assert 5 < best[320] / best[32] < 15


def test_the_best_rate_lies_at_the_cliff():
    common = {"one_minus_beta2": 0.03, "epsilon": 1e-8, "weight_decay": 0.1, "warmup_fraction": 0.05, "clip_norm": 1.0}
    losses = [value("heldout/lr-cliff", common | {"lr": float(lr)}) for lr in np.geomspace(1.01e-5, 0.0299, 200)]
    at = int(np.argmin(losses))
    jumps = [i for i in range(199) if losses[i + 1] - losses[i] > 0.5]
    assert 0 <= jumps[0] - at < 25
    assert losses[-1] > 20


def test_two_fifths_of_the_plateau_are_flat_and_little_is_worse():
    losses = np.array([loss for _, loss in sampled("heldout/lr-plateau", 3000)])
    chance = math.log(100)
    assert 0.37 < np.mean(losses == chance) < 0.43
    assert 0.02 < np.mean(losses > chance) < 0.1
    assert suites.problem("heldout/lr-plateau").worst == pytest.approx(chance)
    assert losses.min() >= suites.problem("heldout/lr-plateau").best


def test_both_bands_fail_and_the_optimum_lies_between_them():
    found = list(sampled("heldout/bands", 3000))
    assert 0.15 < np.mean([loss == math.inf for _, loss in found]) < 0.25
    best = dict(zip(heldout.BANDS, heldout._CENTRE, strict=True))
    assert value("heldout/bands", best) == pytest.approx(-4.0)
    for way in ("x2", "x3"):  # along either a band is met, with values on both sides
        line = np.linspace(-2, 2, 400)
        fails = [not math.isfinite(_or_inf(best | {way: float(x)})) for x in line]
        assert 0 < sum(fails) < 160
        assert not fails[0]
        assert not fails[-1]


def _or_inf(params):
    try:
        return value("heldout/bands", params)
    except EvaluationFailed:
        return math.inf


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_scores_its_middle_better_than_its_bad_end_and_is_cached(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))
    problem = suites.problem(name)
    params = problem.space.complete({})
    first = problem.evaluate(params)
    assert problem.loss(problem.best) - 1e-9 <= problem.loss(first) < problem.loss(problem.worst)
    monkeypatch.setattr(heldout_trained, "score", None)  # a second training would break
    assert problem.evaluate(params) == first


@pytest.mark.parametrize("name", TRAINED)
def test_every_choice_of_a_training_can_be_made(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))
    problem = suites.problem(name)
    for key, parameter in problem.space.items():
        for choice in getattr(parameter, "choices", ()):
            active = {parent: values[0] for parent, values in (parameter.when or {}).items()}
            grandparents = {g: v[0] for p in active for g, v in (problem.space[p].when or {}).items()}
            fast = {"solver": "saga"} if key == "penalty" else {}
            assert math.isfinite(problem.evaluate(problem.space.complete(grandparents | active | fast | {key: choice})))


@pytest.mark.parametrize(("solver", "penalty", "works"), [
    ("lbfgs", "l2", True), ("lbfgs", "l1", False), ("liblinear", "l1", True), ("liblinear", "none", False),
    ("sag", "elasticnet", False), ("saga", "elasticnet", True), ("newton-cholesky", "l1", False),
])  # fmt: skip
def test_pairs_of_solver_and_penalty_that_do_not_exist_fail(solver, penalty, works):
    params = {"solver": solver, "penalty": penalty, "max_iter": 20, "scaler": "standard"}
    if works:
        assert 0 < value("heldout/fit-logistic", params) < 5
        return
    with pytest.raises(EvaluationFailed, match="ValueError"):
        value("heldout/fit-logistic", params)
