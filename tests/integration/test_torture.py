"""Searches that no one would wish on an optimizer: always a sensible proposal, never an exception."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import finite_floats, spaces

from hybridbo import Categorical, Float, Int, Optimizer, Space
from hybridbo.errors import SpaceExhausted
from hybridbo.trial import Origin, Proposal

QUICK = {"seed_trials": 3, "gp": {"candidates": 64, "restarts": 1}}
FAILED = None
MIXED = Space(
    {
        "x": Float(0, 1),
        "lr": Float(1e-5, 1e-1, log=True),
        "kind": Categorical(["a", "b"]),
        "n": Int(1, 64, log=True, when={"kind": ["b"]}),
    }
)
WIDE = Space({f"x{i}": Float(0, 1) for i in range(60)})
CONDITIONAL = Space(
    {"way": Categorical(list("abc"))} | {f"p{i}": Float(0, 1, when={"way": ["abc"[i % 3]]}) for i in range(60)}
)
EXTREME = Space({"x": Float(1e-300, 1e300, log=True), "y": Float(-1e300, 1e300), "z": Float(0, 1e-300)})
LONELY = Space({"only": Categorical(["this"]), "n": Int(3, 4), "x": Float(0, 1)})


def check(opt, trial):
    """The proposal is valid, and new while the space has others."""
    space = opt.space
    assert space.validate(trial.params) == trial.params
    assert space.key(trial.params) not in {space.key(t.params) for t in opt.trials[: trial.number]}
    for figure in (trial.origin.predicted_mean, trial.origin.predicted_sd):
        assert figure is None or math.isfinite(figure)


def tortured(space, outcomes, **options):
    """A search whose trials end as the outcomes say, a value or FAILED, and the sources of its trials."""
    opt = Optimizer(space, llm=None, **{"settings": QUICK, "seed": 1} | options)
    for outcome in outcomes:
        trial = opt.ask()
        check(opt, trial)
        value = outcome(trial.params) if callable(outcome) else outcome
        opt.fail(trial, "no luck") if value is FAILED else opt.tell(trial, value)
    return opt


def sources(opt):
    return [trial.origin.source for trial in opt.trials]


def fallbacks(opt):
    return [event.message for event in opt.store.get_events(opt.study) if event.kind == "fallback"]


def smooth(params):
    return float(np.sum([(math.tanh(number) - 0.4) ** 2 for number in params.values() if isinstance(number, float)]))


LARGEST = np.finfo(float).max
VALUES = {
    "huge and tiny mixed": [1e300, -1e300, 1e-300, -1e-300, 0.0, 1e300, 1e-300, 5e-324, -1e300, 1.0],
    "as large as there is": [LARGEST, -LARGEST, LARGEST / 2, 0.0, 1.0, LARGEST, -LARGEST, 2.0, 3.0, 4.0],
    "an outlier": [1.0, 2.0, 1e30, 1.5, 1.2, 1.1, 0.9, 1.3, 0.8, 1.7],
    "an outlier on the good side": [1.0, 2.0, -1e30, 1.5, 1.2, 1.1, 0.9, 1.3, 0.8, 1.7],
    "two values only": [0.0, 1.0] * 5,
    "all but one equal": [1.0, 0.5] + [1.0] * 8,
    "denormal": [5e-324 * i for i in range(10)],
    "far from zero": [1e15 + i for i in range(10)],
    "ever better": [-(10.0**i) for i in range(10)],
    "one value": [FAILED] * 4 + [1.0] + [FAILED] * 5,
    "half fail": [1.0, FAILED, 2.0, FAILED, 0.5, FAILED, 0.7, FAILED, 0.2, FAILED],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_whatever_the_values_the_model_is_asked(values, direction):
    opt = tortured(MIXED, values, direction=direction)
    first = next(i for i, value in enumerate(values) if value is not FAILED) + 1
    assert set(sources(opt)[max(3, first) :]) == {"gp"}
    assert fallbacks(opt) == []


@pytest.mark.parametrize(
    "space", [WIDE, CONDITIONAL, EXTREME, LONELY], ids=["wide", "conditional", "extreme", "lonely"]
)
def test_whatever_the_space_the_model_is_asked(space):
    opt = tortured(space, [smooth] * 10)
    assert set(sources(opt)[3:]) == {"gp"}
    assert fallbacks(opt) == []


def test_a_constant_objective_fills_the_space_and_says_why():
    opt = tortured(MIXED, [7.0] * 40)
    assert set(sources(opt)[3:]) == {"sobol"}
    assert all("values are equal" in trial.origin.reason for trial in opt.trials[3:])
    assert len(fallbacks(opt)) == 37
    u = np.array([trial.params["x"] for trial in opt.trials[1:]])
    assert len(set(np.floor(16 * u))) == 16  # everywhere


def test_all_trials_fail():
    opt = tortured(MIXED, [FAILED] * 12)
    assert sources(opt) == ["default"] + ["sobol"] * 11
    assert "None of 11 trials has a value" in opt.trials[-1].origin.reason


def test_a_constraint_that_never_holds():
    def outcome(params):
        return {"value": params["x"], "memory": 100.0 + params["x"]}

    opt = tortured(MIXED, [outcome] * 12, direction="minimize", constraints={"memory": "<= 1"})
    assert set(sources(opt)[3:]) == {"gp"}
    assert opt.best is None
    assert min(t.params["x"] for t in opt.trials[3:]) < 0.1  # where the violation is smallest


def test_a_constraint_that_never_holds_by_the_same_amount():
    opt = tortured(MIXED, [{"value": 1.0, "memory": 2.0}] * 8, direction="minimize", constraints={"memory": "<= 1"})
    assert "equal" in opt.trials[-1].origin.reason


def test_fifty_pending_trials_and_one_value():
    opt = Optimizer(MIXED, llm=None, seed=1, settings=QUICK)
    opt.tell(opt.ask(), 1.0)
    trials = [opt.ask() for _ in range(50)]
    for trial in trials:
        check(opt, trial)
    assert {trial.origin.source for trial in trials[2:]} == {"gp"}
    places = np.array([MIXED.encode(trial.params) for trial in trials])
    distance = np.abs(places[:, None] - places[None]).max(-1) + np.eye(50)
    assert distance.min() > 0.02


def test_the_same_configuration_with_different_values():
    opt = tortured(MIXED, [smooth] * 4)
    again = {"x": 0.51, "lr": 1e-3, "kind": "a"}
    assert opt.enqueue(again)
    assert not opt.enqueue(again)
    opt.tell(opt.ask(), 1.0)
    assert not opt.enqueue(again)
    nearly = [again | {"x": 0.51 + i * 1e-6, "lr": 1e-3 * (1 + 1e-5 * i)} for i in range(1, 9)]
    for params, value in zip(nearly, itertools.cycle([-1.0, 1.0]), strict=False):
        opt.enqueue(params)
        opt.tell(opt.ask(), value)
    check(opt, opt.ask())
    assert fallbacks(opt) == []


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ({"a": Categorical(["x"])}, 1),
        ({"a": Categorical(["x", "y"])}, 2),
        ({"a": Categorical(["x"]), "b": Int(0, 1, when={"a": ["x"]})}, 2),
        ({"a": Int(0, 4), "b": Categorical([True, False], when={"a": [0, 1]})}, 7),
    ],
)
@pytest.mark.parametrize("outcome", [1.0, FAILED, 1e300, lambda params: float(len(params))])
def test_a_small_space_is_searched_whole(space, size, outcome):
    opt = tortured(space, [outcome] * size, settings=QUICK | {"seed_trials": 1})
    with pytest.raises(SpaceExhausted):
        opt.ask()
    assert len(opt.trials) == size


def best_of(outcomes, seeds, fn):
    """The mean over searches of the best true value, where some trials were told something else."""
    runs = [tortured(BOX, outcomes, seed=seed) for seed in range(seeds)]
    return np.mean([min(fn(trial.params) for trial in opt.trials) for opt in runs])


BOX = Space({"x": Float(0, 1), "y": Float(0, 1), "z": Float(1e-4, 1, log=True)})


def bowl(params):
    return float(np.sum((BOX.encode(params) - [0.7, 0.2, 0.6]) ** 2))


def test_a_trend_is_seen_through_outliers():
    rng = np.random.default_rng(0)
    random = np.mean([min(bowl(BOX.decode(u)) for u in rng.random((15, 3))) for _ in range(200)])
    once = [bowl, bowl, 1e30, *[bowl] * 12]  # for some seeds right beside the optimum
    assert best_of(once, 8, bowl) < random / 2
    corner = [lambda params: 1e300 if params["x"] > 0.8 else bowl(params)] * 15
    assert best_of(corner, 4, bowl) < random / 2


def long(space, outcomes, configurations):
    """A search that has evaluated all of the configurations."""
    opt = Optimizer(space, llm=None, seed=1, settings=QUICK)
    for number, (params, outcome) in enumerate(zip(configurations, outcomes, strict=False)):
        proposal = Proposal(params, Origin("sobol", "."))
        opt.store.create_trial(opt.study, proposal, key=opt.space.key(params), owner="me", seen=number)
        opt.store.finish_trial(opt.study, number, opt.objective.outcome(outcome))
    return opt


def test_after_a_thousand_trials_an_ask_takes_seconds_at_most():
    rng = np.random.default_rng(0)
    places = [BOX.decode(u) for u in rng.random((1000, 3))]
    tortured(BOX, [bowl] * 4)  # what has to be loaded is loaded
    opt = long(BOX, [bowl(params) for params in places], places)
    opt.tell(opt.ask(), 1.0)  # the default
    began = time.process_time()
    trial = opt.ask()
    assert time.process_time() - began < 2
    check(opt, trial)
    assert trial.origin.source == "gp"
    assert bowl(trial.params) < 0.01
    assert fallbacks(opt) == []


def test_the_last_configurations_are_found_by_the_model_too():
    space = Space({"a": Int(0, 46), "b": Int(0, 46)})
    keep = [{"a": 3, "b": 40}, {"a": 23, "b": 24}, {"a": 45, "b": 2}]
    others = [params for params in space.configurations() if params not in keep]
    opt = long(space, [float(params["a"]) for params in others], others)
    found = [opt.ask() for _ in keep]
    for trial in found:
        check(opt, trial)
    assert sorted(trial.params["a"] for trial in found) == [3, 23, 45]
    with pytest.raises(SpaceExhausted):
        opt.ask()


@settings(max_examples=25, deadline=None)
@given(spaces(max_size=5), st.lists(finite_floats | st.just(FAILED), min_size=4, max_size=9), st.booleans())
def test_any_values_in_any_space(space, values, maximize):
    try:
        opt = tortured(space, values, direction="maximize" if maximize else "minimize")
    except SpaceExhausted:
        assert space.size < len(values)
        return
    told = [value for value in values if value is not FAILED]
    assert all("are equal" in message for message in fallbacks(opt))
    if len(set(told[:3])) > 1 and len(told) == len(values):
        assert set(sources(opt)[3:]) == {"gp"}
