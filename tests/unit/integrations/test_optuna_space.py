"""Optuna's distributions as parameters and back."""

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hybridbo import Categorical, Float, Int, Space
from hybridbo.errors import InvalidSpace
from hybridbo.integrations import optuna_space as s

NAN = float("nan")


@pytest.mark.parametrize(
    ("distribution", "parameter"),
    [
        (FloatDistribution(-1.0, 2.0), Float(-1.0, 2.0)),
        (FloatDistribution(1e-5, 0.1, log=True), Float(1e-5, 0.1, log=True)),
        (FloatDistribution(0.0, 0.6, step=0.1), Float(0.0, 0.6, step=0.1)),
        (IntDistribution(1, 9), Int(1, 9)),
        (IntDistribution(1, 9, step=4), Int(1, 9, step=4)),
        (IntDistribution(1, 100, log=True), Int(1, 100, log=True)),
        (CategoricalDistribution(("a", None, True, 2)), Categorical(["a", None, True, 2])),
    ],
)
def test_a_distribution_and_its_parameter_say_the_same(distribution, parameter):
    assert s.column_of("x", distribution).parameter == parameter
    assert s.distribution_of(parameter) == distribution


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        (Float(1.0, 9.5, step=2.0), FloatDistribution(1.0, 9.0, step=2.0)),  # 9.5 is not on the grid
        (Float(1.0, 9.0, log=True, step=2.0), FloatDistribution(1.0, 9.0, log=True)),
        (Int(2, 9, log=True, step=2), IntDistribution(2, 8, log=True)),
    ],
)
def test_what_optuna_does_not_know_of_a_parameter_is_lost(parameter, distribution):
    assert s.distribution_of(parameter) == distribution


@pytest.mark.parametrize(
    ("choices", "is_ordered"),
    [((16, 32, 64), True), ((0.5, 0.1, 0.0), True), ((0, 1), False), ((1, 3, 2), False), ((1, 2, "3"), False)],
)
def test_three_numbers_in_order_are_a_scale(choices, is_ordered):
    assert s.column_of("x", CategoricalDistribution(choices)).parameter.ordered is is_ordered


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.parametrize(
    "choices",
    [((1, 2), (2, 1)), (NAN, 1.0, None), (True, 1, "1"), (1, 1.0), (b"x", "b'x'"), ([1], {"a": 2}), (math.inf, 0)],
)
def test_choices_of_any_type_come_back_as_they_were(choices):
    column = s.column_of("x", CategoricalDistribution(choices))
    assert not Categorical(column.parameter.choices).problems()
    labels = [column.inside(choice)[0] for choice in choices]
    for label, choice in zip(labels, choices, strict=True):
        back = column.outside(label)
        assert back is choice or (back == choice and (1 in choices and 1.0 in choices))


def test_a_value_outside_its_column_is_none():
    assert s.column_of("x", FloatDistribution(0, 1)).inside(1.5) is None
    assert s.column_of("x", CategoricalDistribution(("a", "b"))).inside("c") is None
    assert s.column_of("x", IntDistribution(1, 9, step=4)).inside(2) is None
    assert s.column_of("x", CategoricalDistribution((None, "b"))).inside(None) == (None,)


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1.0, 1.0),
        CategoricalDistribution(("a",)),
        FloatDistribution(1.0, 1.0 + 1e-15),  # a float cannot tell its values apart
    ],
)
def test_what_cannot_be_searched_has_no_column(distribution):
    assert s.column_of("x", distribution) is None


def test_a_search_space_may_be_a_space_or_distributions_or_both():
    space = Space({"a": Float(0, 1), "b": Categorical(["x", "y"]), "c": Int(1, 3, when={"b": ["x"]})})
    assert s.space_of(s.given_columns(space)) == space
    mixed = {"a": FloatDistribution(0, 1), "b": Categorical(["x", "y"]), "one": IntDistribution(3, 3)}
    assert s.space_of(s.given_columns(mixed)) == Space({"a": Float(0, 1), "b": Categorical(["x", "y"])})


@pytest.mark.parametrize(
    "wrong", [{}, [], "lr", {"a": (0, 1)}, {"a": Float(1, 0)}, {"a": Float(0, 1, when={"b": [1]})}]
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(InvalidSpace):
        s.given_columns(wrong)


def test_another_range_is_compatible_and_another_kind_or_scale_is_not():
    old = FloatDistribution(0.1, 1.0)
    assert s.is_compatible(old, FloatDistribution(5.0, 9.0, step=0.5))
    assert not s.is_compatible(old, FloatDistribution(0.1, 1.0, log=True))
    assert not s.is_compatible(old, IntDistribution(0, 1))
    assert not s.is_compatible(CategoricalDistribution((1, 2)), CategoricalDistribution((1, 2, 3)))
