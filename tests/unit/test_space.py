import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces, spaces_and_points

from hybridbo.errors import InvalidParams
from hybridbo.space import INACTIVE, Categorical, Float, Int, Space


@pytest.fixture
def space():
    return Space(
        {
            "nesterov": Categorical([True, False], when={"momentum": [0.9, 0.99]}),  # declared before its parent
            "lr": Float(1e-5, 1e-1, log=True, default=1e-3),
            "dropout": Float(0.0, 0.6, step=0.1),
            "optimizer": Categorical(["adam", "sgd"]),
            "momentum": Float(0.0, 0.99, step=0.09, when={"optimizer": ["sgd"]}),
        }
    )


def configuration(space, u):
    return space.decode(np.asarray(u, dtype=float))


# Conditions


def test_only_active_parameters_are_kept_in_the_order_of_the_space(space):
    params = space.validate({"momentum": 0.9, "nesterov": False, "optimizer": "sgd", "dropout": 0.1, "lr": 0.01})
    assert list(params) == ["nesterov", "lr", "dropout", "optimizer", "momentum"]
    params = space.validate({"momentum": 0.9, "nesterov": True, "optimizer": "adam", "dropout": 0.1, "lr": 0.01})
    assert list(params) == ["lr", "dropout", "optimizer"]


def test_conditions_nest(space):
    assert space.is_active("nesterov", {"optimizer": "sgd", "momentum": 0.9})
    assert not space.is_active("nesterov", {"optimizer": "sgd", "momentum": 0.0})
    assert not space.is_active("nesterov", {"optimizer": "adam", "momentum": 0.9})  # an inactive parent decides nothing
    assert not space.is_active("nesterov", {"momentum": 0.9})


def test_a_condition_tells_true_from_one():
    space = Space({"k": Categorical([True, 1]), "x": Float(0, 1, when={"k": [1]})})
    assert space.is_active("x", {"k": 1})
    assert space.is_active("x", {"k": np.int64(1)})
    assert not space.is_active("x", {"k": True})


def test_all_conditions_have_to_hold():
    space = Space({"a": Int(0, 1), "b": Int(0, 1), "x": Float(0, 1, when={"a": [1], "b": [1]})})
    active = [(a, b) for a in (0, 1) for b in (0, 1) if space.is_active("x", {"a": a, "b": b})]
    assert active == [(1, 1)]


# Validation


def test_every_offending_parameter_is_named_with_its_value_and_what_is_allowed(space):
    with pytest.raises(InvalidParams) as caught:
        space.validate({"lr": 3, "dropout": True, "optimizer": "sgd", "nesterov": 1, "widht": 64})
    text = str(caught.value)
    assert "'lr'=3 is out of range; allowed: float in [1e-05, 0.1], log" in text
    assert "'dropout'=True is not a finite number; allowed: float in [0.0, 0.6], step 0.1" in text
    assert "'widht'=64 is no parameter of this space" in text
    assert "'momentum' is missing; allowed: float in [0.0, 0.99], step 0.09" in text
    assert "optimizer" not in text


@pytest.mark.parametrize("params", [None, [("lr", 0.1)], "lr=0.1", 3])
def test_what_is_no_dict_is_refused(space, params):
    with pytest.raises(InvalidParams, match="params is a dict, not"):
        space.validate(params)


def test_hostile_values_are_named_not_raised(space):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidParams, match=r"'optimizer'=a value of type list is none of the choices"):
        space.validate({"optimizer": deep, "x" * 10_000: deep})


def test_values_come_back_plain_and_on_their_grid(space):
    params = space.validate({"lr": np.float64(0.01), "dropout": 0.1 + 0.2, "optimizer": np.str_("adam")})
    assert params == {"lr": 0.01, "dropout": 0.3, "optimizer": "adam"}
    assert [type(v) for v in params.values()] == [float, float, str]
    assert type(Space({"n": Int(1, 9)}).validate({"n": 3.0})["n"]) is int


def test_a_continuous_value_is_kept_with_all_its_digits(space):
    assert space.complete({"lr": 0.00123456789012})["lr"] == 0.00123456789012


def test_complete_fills_with_given_then_declared_defaults_then_middles(space):
    assert space.complete({"optimizer": "sgd"}, {"dropout": 0.5, "momentum": 0.9}) == {
        "nesterov": True,
        "lr": 1e-3,
        "dropout": 0.5,
        "optimizer": "sgd",
        "momentum": 0.9,
    }
    assert space.complete({}) == {"lr": 1e-3, "dropout": 0.3, "optimizer": "adam"}
    with pytest.raises(InvalidParams, match="'lr'=5 is out of range"):
        space.complete({"lr": 5})


# Configurations


@given(spaces_and_points())
def test_the_key_is_that_of_the_grid_and_of_active_parameters(space_and_points):
    space, [u] = space_and_points
    params = space.decode(u)
    assert space.key(params) == space.key(dict(reversed(list(params.items()))))
    assert json.loads(space.key(params)) == params


def test_values_closer_than_the_grid_are_the_same_configuration(space):
    a = {"lr": 0.001, "dropout": 0.3, "optimizer": "adam"}
    assert space.key(a) == space.key(a | {"lr": 0.00100000001})
    assert space.key(a) != space.key(a | {"lr": 0.00101})


def test_size_and_configurations_count_active_combinations():
    space = Space(
        {
            "a": Categorical(["x", "y"]),
            "b": Int(1, 3, when={"a": ["y"]}),
            "c": Float(0, 1, step=0.5, when={"b": [2]}),
        }
    )
    listed = list(space.configurations())
    assert listed == [
        {"a": "x"},
        {"a": "y", "b": 1},
        {"a": "y", "b": 2, "c": 0.0},
        {"a": "y", "b": 2, "c": 0.5},
        {"a": "y", "b": 2, "c": 1.0},
        {"a": "y", "b": 3},
    ]
    assert space.size == 6
    assert list(space.configurations({"c": 0.5, "a": "y"})) == [
        {"a": "y", "b": 1},
        {"a": "y", "b": 2, "c": 0.5},
        {"a": "y", "b": 3},
    ]


def test_points_are_pinned_to_where_a_value_lies():
    space = Space({"a": Categorical(["x", "y"]), "b": Float(0, 10)})
    u = np.array([[0.1, 0.2], [0.9, 0.8]])
    assert space.pin(u, {"b": 4.0}).tolist() == [[0.1, 0.4], [0.9, 0.4]]
    assert u.tolist() == [[0.1, 0.2], [0.9, 0.8]]
    assert space.pin(u, {}) is u


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"x": Float(0, 1)}, math.inf),
        ({"x": Int(1, 20_000)}, 20_000),
        ({"x": Int(1, 20_001)}, math.inf),
        ({"a": Categorical([0, 1]), "x": Float(0, 1, when={"a": [1]})}, math.inf),
        ({f"x{i}": Int(0, 10**14) for i in range(60)}, math.inf),
        ({f"x{i}": Categorical([0]) for i in range(60)}, 1),
    ],
)
def test_size(parameters, size):
    assert Space(parameters).size == size


def test_the_configurations_of_a_continuous_space_go_on_without_repeating():
    space = Space({"a": Categorical([0, 1]), "x": Float(0, 1)})
    keys = [space.key(params) for params, _ in zip(space.configurations(), range(1000), strict=False)]
    assert len(set(keys)) == 1000


@settings(max_examples=40)
@given(spaces(max_size=3).filter(lambda s: s.size < 500))
def test_every_configuration_is_valid_and_comes_once(space):
    listed = list(space.configurations())
    assert len({space.key(params) for params in listed}) == len(listed) == space.size
    for params in listed:
        assert space.validate(params) == params
        assert space.decode(space.encode(params)) == params


# Unit cube


@settings(max_examples=200)
@given(spaces_and_points())
def test_the_round_trip_is_exact_on_the_grid(space_and_points):
    space, [u] = space_and_points
    params = space.decode(u)
    assert space.validate(params) == params == space.round(params)
    encoded = space.encode(params)
    assert ((encoded >= 0) & (encoded <= 1)).all()
    assert space.decode(encoded) == params
    assert list(params) == [name for name in space if name in params]


@settings(max_examples=200)
@given(spaces_and_points(rows=6))
def test_snap_is_decode_and_encode_for_many_points(space_and_points):
    space, points = space_and_points
    snapped, active = space.snap(points)
    for u, row, on in zip(points, snapped, active, strict=True):
        params = space.decode(u)
        assert [name for name, is_on in zip(space, on, strict=True) if is_on] == list(params)
        np.testing.assert_allclose(row, space.encode(params), rtol=0, atol=1e-5)  # continuous columns: not rounded
        assert (row[~on] == INACTIVE).all()
    np.testing.assert_allclose(space.snap(snapped)[0], snapped, rtol=0, atol=1e-12)


@settings(max_examples=200)
@given(spaces_and_points(rows=2), st.data())
def test_what_is_inactive_makes_no_difference(space_and_points, data):
    space, [u, other] = space_and_points
    params = space.decode(u)
    changed = u.copy()
    for i, name in enumerate(space):
        if name not in params:
            changed[i] = other[i]
    assert space.decode(changed) == params
    np.testing.assert_array_equal(space.snap(changed[None])[0], space.snap(u[None])[0])
    noise = {name: space[name].from_unit(other[i]) for i, name in enumerate(space) if name not in params}
    assert space.validate(params | noise) == params


def test_an_inactive_column_is_at_one_place(space):
    u = space.encode({"lr": 1e-3, "dropout": 0.3, "optimizer": "adam"})
    assert u.tolist() == [INACTIVE, pytest.approx(0.5), pytest.approx(0.5), 0.25, INACTIVE]


# A value


@given(spaces())
def test_a_space_is_a_value(space):
    assert pickle.loads(pickle.dumps(space)) == space
    assert Space(space) == space == Space.of(dict(space))
    assert Space.of(space) is space
    assert len(space) == len(list(space)) == len(space.encode(space.complete({})))


def test_a_space_does_not_change_with_the_dict_it_was_made_of():
    parameters = {"x": Float(0, 1)}
    space = Space(parameters)
    parameters["y"] = Float(0, 1)
    assert list(space) == ["x"]
    assert repr(space).startswith("Space({'x': Float(low=0")


def test_differences_are_listed_by_parameter(space):
    other = Space({"lr": Float(1e-4, 1e-1, log=True, default=1e-3), "new": Int(1, 3), **dict(list(space.items())[2:])})
    assert space.differences(other) == [
        "parameter 'new' is new",
        "parameter 'nesterov' is missing",
        (
            'parameter \'lr\' was {"type": "float", "low": 1e-05, "high": 0.1, "log": true, "default": 0.001}, '
            'now {"type": "float", "low": 0.0001, "high": 0.1, "log": true, "default": 0.001}'
        ),
    ]
    assert space.differences(Space(dict(reversed(list(space.items()))))) == []
