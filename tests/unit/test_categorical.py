import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import categoricals

from hybridbo.categorical import Categorical


@given(categoricals)
def test_the_round_trip_is_exact(parameter):
    for choice in parameter.choices:
        back = parameter.from_unit(parameter.to_unit(choice))
        assert back == choice
        assert type(back) is type(choice)


@given(categoricals, st.integers(0, 2**32))
def test_snapping_arrays_agrees_with_single_values(parameter, seed):
    u = np.append(np.random.default_rng(seed).random(8), [0.0, 1.0])
    expected = [parameter.to_unit(parameter.from_unit(x)) for x in u]
    np.testing.assert_allclose(parameter.snap_unit(u), expected, rtol=0, atol=1e-12)
    assert [parameter.choices[int(cell)] for cell in parameter.cell_of(u)] == [parameter.from_unit(x) for x in u]


def test_choices_share_the_unit_interval_evenly():
    parameter = Categorical(["a", "b", "c"])
    values = [parameter.from_unit((i + 0.5) / 300) for i in range(300)]
    assert [values.count(c) for c in "abc"] == [100] * 3


def test_booleans_and_numbers_are_different_choices():
    parameter = Categorical([True, 1, "1", None])
    assert parameter.problems() == []
    assert [parameter.round(c) is c for c in parameter.choices] == [True] * 4
    assert parameter.declared(np.int64(1)) == 1
    assert parameter.declared(np.bool_(True)) is True


@pytest.mark.parametrize("value", ["ADAM", 0, None, math.nan, ["adam"], np.array(["adam", "sgd"]), {}])
def test_what_is_no_choice_says_so(value):
    problem = Categorical(["adam", "sgd"]).problem_of(value)
    assert problem.endswith("is none of the choices; allowed: one of 'adam', 'sgd'")


def test_a_foreign_value_has_no_place():
    with pytest.raises(ValueError, match="'rmsprop' is none of the choices"):
        Categorical(["adam", "sgd"]).to_unit("rmsprop")


def test_the_middle_is_the_first_choice_unless_they_are_ordered():
    assert Categorical(["small", "medium", "large"]).middle() == "small"
    assert Categorical(["small", "medium", "large"], ordered=True).middle() == "medium"


def test_a_long_list_is_cut_in_messages():
    assert Categorical(list(range(500))).describe().endswith("18, 19, ... (500 in all)")


def test_choices_are_frozen():
    given = ["a", "b"]
    parameter = Categorical(given)
    given.append("c")
    assert parameter.choices == ("a", "b")


def test_near():
    grid = Categorical([1e-4, 1e-3, 1e-2], ordered=True)
    assert grid.numbers == (1e-4, 1e-3, 1e-2)
    assert [grid.near(x) for x in (1e-4, 2e-4, 9e-4, 5e-3, 1e-2)] == [1e-4, 1e-4, 1e-3, 1e-2, 1e-2]
    assert [grid.near(x) for x in (9e-5, 2e-2, math.nan, "0.001", None, True)] == [None] * 6
    assert Categorical([-1, 0, 4], ordered=True).near(1.9) == 0
    assert Categorical([1, 2, 3]).near(1.9) is None
    assert Categorical(["a", "b"]).near("b") == "b"
    assert Categorical([1, "b"], ordered=True).numbers == ()
