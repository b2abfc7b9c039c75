"""Conditions that trials give away, and those that they do not."""

from hybridbo import Categorical, Float, Int
from hybridbo.integrations.optuna_conditions import infer

OPT = Categorical(["adam", "sgd", "lion"])


def test_a_choice_that_tells_with_from_without_is_the_condition():
    rows = [{"opt": "adam", "lr": 0.1}, {"opt": "sgd", "momentum": 0.5, "lr": 0.1}, {"opt": "lion", "lr": 0.2}]
    found = infer(rows, {"opt": OPT, "lr": Float(0, 1), "momentum": Float(0, 1)})
    assert found == ({"momentum": {"opt": ["sgd"]}}, [])


def test_conditions_nest():
    rows = [
        {"opt": "adam"},
        {"opt": "sgd", "nesterov": False},
        {"opt": "sgd", "nesterov": True, "momentum": 0.5},
    ]
    parameters = {"opt": OPT, "nesterov": Categorical([True, False]), "momentum": Float(0, 1)}
    assert infer(rows, parameters) == ({"nesterov": {"opt": ["sgd"]}, "momentum": {"nesterov": [True]}}, [])


def test_what_comes_before_cannot_depend_on_what_comes_after():
    rows = [{"a": "x"}, {"b": 1, "a": "y"}]
    assert infer(rows, {"a": Categorical(["x", "y"]), "b": Int(0, 5)}) == ({}, ["b"])


def test_a_value_seen_with_and_without_is_no_condition():
    rows = [{"a": "x"}, {"a": "x", "b": 1}, {"a": "y"}]
    assert infer(rows, {"a": Categorical(["x", "y"]), "b": Int(0, 5)}) == ({}, ["b"])


def test_the_layers_beyond_a_number_depend_on_being_reached():
    rows = [
        {"n": 1, "w0": 8},
        {"n": 3, "w0": 8, "w1": 8, "w2": 8},
        {"n": 2, "w0": 8, "w1": 8},
    ]
    parameters = {"n": Int(1, 5), "w0": Int(1, 64), "w1": Int(1, 64), "w2": Int(1, 64)}
    conditions, loose = infer(rows, parameters)
    assert conditions == {"w1": {"n": [2, 3, 4, 5]}, "w2": {"n": [3, 4, 5]}}
    assert loose == []


def test_of_several_explanations_the_one_with_fewest_values_counts():
    rows = [{"n": 7, "flag": True, "x": 1.0}, {"n": 3, "flag": False}]
    parameters = {"n": Int(1, 40), "flag": Categorical([True, False]), "x": Float(0, 1)}
    assert infer(rows, parameters)[0] == {"x": {"flag": [True]}}


def test_a_parent_with_a_value_for_every_trial_explains_nothing():
    rows = [{"n": 7, "x": 1.0}, {"n": 300}]
    assert infer(rows, {"n": Int(1, 1000), "x": Float(0, 1)}) == ({}, ["x"])


def test_what_every_trial_has_needs_no_condition():
    rows = [{"a": 0.1}, {"a": 0.2}]
    assert infer(rows, {"a": Float(0, 1)}) == ({}, [])
