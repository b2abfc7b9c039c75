"""A param_space becomes a Space, and configurations go both ways."""

import pickle

import pytest

pytest.importorskip("ray.tune")

import numpy as np
from ray import tune
from ray.tune.search.variant_generator import generate_variants

from hybridbo import Categorical, Float, Int, Space
from hybridbo.errors import InvalidParams, InvalidSpace
from hybridbo.integrations.ray_space import RaySpace, is_searched, param_space

NESTED = {
    "lr": tune.loguniform(1e-5, 1e-1),
    "model": {"depth": tune.randint(1, 4), "name": "mlp", "more": {"dropout": tune.quniform(0, 0.6, 0.2)}},
    "layers": [tune.qrandint(8, 64, 8), 7],
    "optimizer": tune.choice([{"kind": "sgd", "momentum": tune.uniform(0, 0.99)}, {"kind": "adam"}, None, [1, 2]]),
    "batch": tune.choice([16, 32, 64]),
    "seed": 3,
    "only": tune.choice(["one"]),
}
NAMES = ["lr", "model/depth", "model/more/dropout", "layers/0", "optimizer", "optimizer/0/momentum", "batch"]


def drawn(space, n=200):
    rng = np.random.default_rng(0)
    return [space.decode(rng.random(len(space))) for _ in range(n)]


def test_nested_names_are_flat_here_and_constants_are_not_searched():
    space = RaySpace.of(NESTED).space
    assert list(space) == NAMES
    assert space["model/depth"] == Int(1, 3)
    assert space["batch"] == Categorical([16, 32, 64], ordered=True)
    assert space["optimizer/0/momentum"].when == {"optimizer": ("{'kind': 'sgd', 'momentum': ...}",)}


def test_a_configuration_has_the_shape_that_ray_draws():
    given = RaySpace.of(NESTED)
    for params in drawn(given.space):
        config = given.to_config(params)
        assert config.keys() == NESTED.keys()
        assert config["model"]["name"] == "mlp"
        assert config["layers"][1] == 7
        assert config["only"] == "one"
        chosen = config["optimizer"]
        assert chosen in (None, [1, 2], {"kind": "adam"}) or chosen.keys() == {"kind", "momentum"}


def test_a_configuration_comes_back_as_the_parameters_it_was_made_of():
    given = RaySpace.of(NESTED)
    for params in drawn(given.space):
        assert given.to_params(given.to_config(params)) == params


def test_the_configurations_that_ray_itself_draws_are_in_the_space():
    flat = {**NESTED, "optimizer": tune.choice(["sgd", "adam"])}  # Ray draws no ranges within a choice
    given = RaySpace.of(flat)
    for seed in range(50):
        _, config = next(generate_variants(flat, random_state=seed))
        given.space.validate(given.to_params(config))


def test_beside_a_param_space_only_what_is_searched_is_given():
    given = RaySpace.of({**NESTED, "data": {"path": "x", "size": 5}}, whole=False)
    config = given.to_config(drawn(given.space)[0])
    assert config.keys() == {"lr", "model", "layers", "optimizer", "batch"}
    assert config["model"].keys() == {"depth", "more"}
    assert len(config["layers"]) == 2  # Ray replaces a list as a whole


def test_slashes_nest_in_a_space_of_flat_names_and_are_letters_in_a_param_space():
    space = Space({"opt/lr": Float(0, 1), "opt/m": Float(0, 1, when={"c": ["a"]}), "c": Categorical(["a", "b"])})
    given = RaySpace.of(space)
    assert given.space.to_dict() == space.to_dict()
    assert given.to_config({"opt/lr": 0.5, "c": "b"}) == {"opt": {"lr": 0.5}, "c": "b"}
    assert given.to_params({"opt/lr": 0.5}) == given.to_params({"opt": {"lr": 0.5}}) == {"opt/lr": 0.5}
    assert RaySpace.of({"opt/lr": tune.uniform(0, 1)}, whole=False).to_config({"opt/lr": 0.5}) == {"opt/lr": 0.5}


def test_a_choice_of_ranges_is_a_condition():
    given = RaySpace.of({"l2": tune.choice([0, tune.loguniform(1e-6, 1e-2)])})
    assert given.space["l2/1"].when == {"l2": (given.space["l2"].choices[1],)}
    assert given.to_config({"l2": 0}) == {"l2": 0}
    params = {"l2": given.space["l2"].choices[1], "l2/1": 1e-3}
    assert given.to_config(params) == {"l2": 1e-3}
    assert given.to_params({"l2": 1e-3}) == params


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"x": tune.grid_search([1, 2])}, r"'x' is a grid_search.*tune\.choice"),
        ({"a": {"x": {"grid_search": [1, 2]}}}, r"'a/x' is a grid_search"),
        ({"x": {"eval": "1 + 1"}}, r"'x' is drawn by an expression"),
        ({"a": [tune.randn()]}, r"'a/0' is drawn from a normal distribution"),
        ({"x": tune.uniform(2, 1)}, r"'x': low=2 is not below high=1"),
        ({"x": 1}, r"constants only"),
        ({}, r"constants only"),
        ("x", r"no search space"),
        ({"a/b": tune.uniform(0, 1), "a": {"b": tune.uniform(0, 1)}}, r"'a' is given twice|'a/b' is given twice"),
        ({"a": 1, "a/b": tune.uniform(0, 1)}, r"'a/b' and 'a' are both given a value"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(config, message):
    with pytest.raises(InvalidSpace, match=message):
        RaySpace.of(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lrr": 1}, r"'lrr' is no parameter"),
        ({"model": {"depht": 1}}, r"'model/depht' is no parameter"),
        ({"model": 3}, r"model=3 is no dict"),
        ({"optimizer": {"kind": "rmsprop"}}, r"none of the choices"),
    ],
)
def test_a_configuration_of_another_shape_is_refused(config, message):
    with pytest.raises(InvalidParams, match=message):
        RaySpace.of(NESTED).to_params(config)


def test_a_partial_configuration_says_what_it_says():
    assert RaySpace.of(NESTED).to_params({"model": {"depth": 2}, "seed": 9}) == {"model/depth": 2}


def test_a_space_survives_pickling():
    given = RaySpace.of(NESTED)
    again = pickle.loads(pickle.dumps(given))
    assert again.space == given.space
    assert again.to_config(drawn(given.space)[0]) == given.to_config(drawn(given.space)[0])


def test_constants_are_told_from_what_is_searched():
    assert is_searched(NESTED)
    assert not is_searched({"a": 1, "b": [1, {"c": 2}]})


def test_a_space_becomes_a_param_space_and_comes_back():
    space = Space({"lr": Float(1e-5, 1e-1, log=True), "m/depth": Int(1, 3), "m/kind": Categorical(["a", "b"])})
    config = param_space(space)
    assert config["m"].keys() == {"depth", "kind"}
    assert RaySpace.of(config).space.to_dict() == space.to_dict()
