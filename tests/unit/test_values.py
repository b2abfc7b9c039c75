import math

import numpy as np
import pytest

from hybridbo.values import is_number, normal_condition, plain, same_choice, shown


@pytest.mark.parametrize("value", [0, -1.5, 10**300, np.int64(3), np.float32(0.5)])
def test_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), math.nan, math.inf, 10**400, "1", None, [1], 1j, np.array([1])]
)
def test_no_numbers(value):
    assert not is_number(value)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [(1, 1.0, True), (True, 1, False), (False, 0, False), (True, True, True), ("1", 1, False), (None, False, False)],
)
def test_same_choice(a, b, same):
    assert same_choice(a, b) is same
    assert same_choice(b, a) is same


def test_plain_turns_numpy_scalars_into_python_ones():
    assert type(plain(np.float64(0.5))) is float
    assert type(plain(np.bool_(True))) is bool
    assert plain("text") == "text"


def test_shown_is_one_short_line_whatever_the_value():
    deep = []
    for _ in range(100_000):
        deep = [deep]

    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown("adam") == "'adam'"
    assert shown(np.float64(0.5)) == "0.5"
    assert len(shown("x" * 10**6)) == 80
    assert shown(deep) == "a value of type list"
    assert shown(10**5000) == "a value of type int"
    assert shown(Broken()) == "a value of type Broken"


def test_conditions_are_normalised():
    assert normal_condition({"a": "sgd", "b": [1, np.int64(2)], "c": None}) == {
        "a": ("sgd",),
        "b": (1, 2),
        "c": (None,),
    }
    assert normal_condition({}) is None
    assert normal_condition(["a"]) == ["a"]  # left for the space to refuse
