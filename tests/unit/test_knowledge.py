import pytest
from hypothesis import given
from strategies import spaces

from hybridbo import knowledge
from hybridbo.belief import NumericBelief
from hybridbo.space import Categorical, Float, Int, Space


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("lr", 1e-3),
        ("Learning-Rate", 1e-3),
        ("model__learning_rate_init", 1e-3),
        ("optimizer.momentum", 0.9),
        ("head/dropout", 0.2),
        ("dropout_1", 0.2),
        ("units2", 100),
        ("beta2", 0.999),
        ("l2", 1e-4),
        ("C", 1.0),
    ],
)
def test_names_are_found_by_their_last_part(name, default):
    assert knowledge.lookup(name).default == default


@pytest.mark.parametrize("name", ["", "x", "x1", "c1", "l1", "temperature", "lr_schedule", "__", "1"])
def test_other_names_are_not_known(name):
    assert knowledge.lookup(name) is None


def test_declared_beats_published_beats_middle():
    space = Space(
        {
            "lr": Float(1e-5, 1e-1, log=True, default=0.02),
            "momentum": Float(0, 0.99),
            "x": Float(0, 1),
            "optimizer": Categorical(["sgd", "adam"]),
            "activation": Categorical(["tanh", "logistic"]),
        }
    )
    assert knowledge.defaults(space) == {
        "lr": 0.02,
        "momentum": 0.9,
        "x": 0.5,
        "optimizer": "adam",
        "activation": "tanh",
    }


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        (Float(1e-5, 1e-4, log=True), pytest.approx(10**-4.5, rel=1e-5)),  # the user's range beats the table
        (Float(0, 1, step=0.25), 0.0),  # 1e-3, on the user's grid
        (Categorical([0.1, 0.001]), 0.001),
        (Categorical([0.1, 0.01]), 0.1),
        (Int(1, 9), 5),
    ],
)
def test_a_published_default_yields_to_the_users_range_and_grid(parameter, default):
    assert knowledge.defaults(Space({"lr": parameter})) == {"lr": default}


@given(spaces())
def test_defaults_complete_every_space(space):
    params = space.complete({}, knowledge.defaults(space))
    assert space.validate(params) == params


@pytest.mark.parametrize("name", sorted(knowledge._TABLE))
def test_every_row_can_be_used_in_a_wide_space(name):
    known = knowledge.lookup(name)
    assert known.source
    if isinstance(known.default, str):
        assert knowledge.defaults(Space({name: Categorical(["?", known.default])})) == {name: known.default}
        return
    space = Space({name: Float(-2 * known.high, 2 * known.high)})
    assert knowledge.defaults(space)[name] == pytest.approx(known.default, rel=1e-3)
    belief = knowledge.beliefs(space)[name]
    assert belief.low <= belief.center <= belief.high


def test_beliefs_are_cut_to_the_users_range():
    space = Space({"lr": Float(5e-4, 1.0, log=True), "momentum": Float(0, 0.5), "x": Float(0, 1)})
    assert knowledge.beliefs(space) == {"lr": NumericBelief(1e-3, 5e-4, 1e-2)}


def test_a_declared_default_outside_the_usual_range_is_no_belief():
    assert knowledge.beliefs(Space({"lr": Float(1e-5, 1.0, log=True, default=0.5)})) == {}


def test_ordered_numbers_take_the_nearest_and_weigh_the_usual_range():
    space = Space({"init_lr": Categorical([5e-4, 1.1e-3, 5e-3, 0.05, 0.1], ordered=True)})
    assert knowledge.defaults(space) == {"init_lr": 1.1e-3}
    weights = dict(knowledge.beliefs(space)["init_lr"].weights)
    assert weights[5e-3] == 4 * weights[0.05]
    assert sum(weights.values()) == pytest.approx(1)


def test_numbers_out_of_reach_of_the_published_default_take_the_middle():
    assert knowledge.defaults(Space({"lr": Categorical([0.1, 0.2, 0.3], ordered=True)})) == {"lr": 0.2}
