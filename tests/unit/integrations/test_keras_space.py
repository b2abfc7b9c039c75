"""KerasTuner's hyperparameters become a Space, and values go both ways."""

import pytest

pytest.importorskip("keras_tuner")

import numpy as np
from keras_tuner import HyperParameters

from hybridbo import Categorical, Float, Int
from hybridbo.errors import InvalidParams
from hybridbo.integrations.keras_space import KerasSpace, differences


def declared(*declare):
    hp = HyperParameters()
    for one in declare:
        one(hp)
    return hp


def only(declare):
    return KerasSpace.of(declared(declare).space)


PARAMETERS = [
    (lambda hp: hp.Float("x", 0.0, 1.0), Float(0.0, 1.0)),
    (lambda hp: hp.Float("x", 0.0, 1.0, default=0.3), Float(0.0, 1.0, default=0.3)),
    (lambda hp: hp.Float("x", 0.0, 0.6, step=0.2), Float(0.0, 0.6, step=0.2)),
    (lambda hp: hp.Float("x", 0.0, 0.6, step=0.2, default=0.3), Float(0.0, 0.6, step=0.2)),  # not on the grid
    (lambda hp: hp.Float("x", 1e-4, 1e-1, sampling="log"), Float(1e-4, 1e-1, log=True)),
    (lambda hp: hp.Float("x", 0.9, 0.999, sampling="reverse_log"), Float(0.9, 0.999)),
    (lambda hp: hp.Int("x", 1, 9), Int(1, 9)),
    (lambda hp: hp.Int("x", 6, 13, step=3, default=9), Int(6, 13, step=3, default=9)),
    (lambda hp: hp.Int("x", 8, 512, sampling="log", default=64), Int(8, 512, log=True, default=64)),
    (lambda hp: hp.Int("x", 2, 40, sampling="log", step=2), Categorical([2, 4, 8, 16, 32], ordered=True)),
    (lambda hp: hp.Boolean("x"), Categorical([False, True], default=False)),
    (lambda hp: hp.Boolean("x", default=True), Categorical([False, True], default=True)),
    (lambda hp: hp.Choice("x", ["a", "b"]), Categorical(["a", "b"])),
    (lambda hp: hp.Choice("x", ["a", "b"], default="b"), Categorical(["a", "b"], default="b")),
    (lambda hp: hp.Choice("x", [16, 32, 64]), Categorical([16, 32, 64], ordered=True)),
    (lambda hp: hp.Choice("x", [16, 32, 64], ordered=False), Categorical([16, 32, 64])),
    (lambda hp: hp.Choice("x", [3, 1, 2]), Categorical([3, 1, 2])),
    (lambda hp: hp.Choice("x", ["a", "b", "a"]), Categorical(["a", "b"])),
]


@pytest.mark.parametrize(("declare", "parameter"), PARAMETERS, ids=[repr(p[1]) for p in PARAMETERS])
def test_a_hyperparameter_is_the_same_range_here(declare, parameter):
    space = only(declare).space
    assert dict(space) == {"x": parameter}
    assert space["x"].default == parameter.default


def test_a_multiplicative_grid_of_floats_holds_the_values_that_kerastuner_draws():
    hp = declared(lambda hp: hp.Float("x", 1e-3, 10.0, sampling="log", step=10)).space[0]
    choices = KerasSpace.of([hp]).space["x"].choices
    assert choices == pytest.approx([1e-3, 1e-2, 0.1, 1, 10])
    assert {hp.random_sample(seed) for seed in range(50)} == set(choices)


@pytest.mark.parametrize(
    "declare",
    [
        lambda hp: hp.Fixed("x", 7),
        lambda hp: hp.Choice("x", ["a"]),
        lambda hp: hp.Int("x", 3, 3),
        lambda hp: hp.Float("x", 0.0, 1.0, step=5.0),
        lambda hp: hp.Float("x", 1.0, 1.0 + 1e-15),
    ],
)
def test_what_has_one_value_is_not_searched_and_has_it(declare):
    known = only(declare)
    assert known.space is None
    assert known.to_values({}) == {"x": declared(declare).space[0].default}


def model(hp):
    """Scopes in scopes, one name in two scopes with two ranges, and a condition on a number."""
    hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["mlp"]):
        hp.Int("units", 8, 64, sampling="log")
        hp.Int("depth", 1, 3)
        with hp.conditional_scope("depth", [2, 3]):
            hp.Float("dropout", 0.0, 0.5)
    with hp.conditional_scope("kind", ["cnn"]):
        hp.Int("units", 100, 200)
        hp.Boolean("norm")
        with hp.conditional_scope("norm", [True]):
            hp.Float("momentum", 0.8, 0.99)
    hp.Fixed("seed", 3)
    with hp.conditional_scope("seed", [3]):
        hp.Float("lr", 1e-4, 1e-1, sampling="log")
    with hp.conditional_scope("seed", [4]):
        hp.Float("never", 0.0, 1.0)


NAMES = ["kind", "units", "depth", "dropout", "kind=cnn/units", "norm", "momentum", "lr"]


def test_scopes_become_conditions_and_the_second_of_a_name_is_called_after_its_scope():
    space = KerasSpace.of(declared(model).space).space
    assert list(space) == NAMES
    assert space["units"].when == {"kind": ("mlp",)}
    assert space["kind=cnn/units"].when == {"kind": ("cnn",)}
    assert space["kind=cnn/units"].low == 100
    assert space["dropout"].when == {"kind": ("mlp",), "depth": (2, 3)}
    assert space["momentum"].when == {"kind": ("cnn",), "norm": (True,)}
    assert space["lr"].when is None


def test_values_are_those_that_the_model_asks_for_and_come_back():
    hps = declared(model)
    known = KerasSpace.of(hps.space)
    rng = np.random.default_rng(0)
    for _ in range(100):
        params = known.space.decode(rng.random(len(known.space)))
        trial = hps.copy()
        trial.values = known.to_values(params)
        before = dict(trial.values)
        model(trial)  # a value that is missing would be a KeyError
        assert trial.values == before
        assert set(before) == {hp.name for hp in hps.space if trial.is_active(hp)}
        assert known.to_params(trial.values) == params


def test_what_kerastuner_draws_is_in_the_space():
    hps = declared(model)
    known = KerasSpace.of(hps.space)
    for seed in range(50):
        drawn = HyperParameters()
        for i, hp in enumerate(hps.space):
            drawn.merge([hp])
            if drawn.is_active(hp):
                drawn.values[hp.name] = hp.random_sample(seed + i)
        known.space.validate(known.to_params(drawn.values))


def test_what_was_declared_later_has_the_default_in_earlier_trials():
    before = declared(lambda hp: hp.Int("a", 1, 9))
    after = declared(lambda hp: hp.Int("a", 1, 9), lambda hp: hp.Float("b", 0.0, 1.0, default=0.25))
    assert KerasSpace.of(after.space).to_params({**before.values, "a": 4}) == {"a": 4, "b": 0.25}


def test_a_value_beside_the_grid_is_moved_onto_it_and_an_unknown_choice_is_refused():
    known = KerasSpace.of(
        declared(lambda hp: hp.Float("x", 0.0, 0.6, step=0.2), lambda hp: hp.Choice("c", ["a", "b"])).space
    )
    assert known.to_params({"x": 0.31, "c": "b"}) == {"x": 0.4, "c": "b"}
    assert known.to_params({"x": 7.0, "c": "b"})["x"] == 0.6
    with pytest.raises(InvalidParams, match="'c'='z'"):
        known.to_params({"x": 0.2, "c": "z"})


def test_a_condition_on_a_continuous_value_never_holds():
    def declare(hp):
        hp.Float("x", 0.0, 1.0)
        with hp.conditional_scope("x", [0.5]):
            hp.Int("y", 1, 3)

    assert list(KerasSpace.of(declared(declare).space).space) == ["x"]


def test_a_name_that_is_taken_gets_a_number():
    def declare(hp):
        for outer in ("a", "b"):
            hp.Boolean(outer)
            with hp.conditional_scope(outer, [True]):
                hp.Boolean("inner")
                with hp.conditional_scope("inner", [True]):
                    hp.Int("x", 1, 3)
        with hp.conditional_scope("a", [False]):
            hp.Boolean("inner")
            with hp.conditional_scope("inner", [True]):
                hp.Int("x", 1, 3)

    space = KerasSpace.of(declared(declare).space).space
    assert list(space) == ["a", "inner", "x", "b", "b=True/inner", "inner=True/x", "a=False/inner", "2/x"]
    assert space["x"].when == {"a": (True,), "inner": (True,)}
    assert space["inner=True/x"].when == {"b": (True,), "b=True/inner": (True,)}
    assert space["2/x"].when == {"a": (False,), "a=False/inner": (True,)}


def test_differences_name_what_is_declared_otherwise():
    old = declared(lambda hp: hp.Int("a", 1, 9), lambda hp: hp.Int("b", 1, 9)).space
    new = declared(lambda hp: hp.Int("a", 1, 7), lambda hp: hp.Int("c", 1, 9)).space
    rows = differences(old, new)
    assert len(rows) == 1
    assert "'a' was Int" in rows[0]
    assert "max_value: 7" in rows[0]
