import json

import pytest
from hypothesis import given
from strategies import spaces

from hybridbo.errors import InvalidSpace
from hybridbo.space import Categorical, Float, Int, Space

API = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "momentum": {"type": "float", "low": 0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
}


@given(spaces())
def test_json_round_trips(space):
    text = space.to_json()
    back = Space.from_json(text)
    assert back == space
    assert hash(back) == hash(space)
    assert back.to_json() == text
    assert Space.from_json(space.to_dict()) == space
    assert Space.from_json(text.encode()) == space


def test_the_form_of_the_api():
    space = Space.from_json(API)
    assert space["lr"] == Float(1e-5, 0.1, log=True)
    assert space.to_json() == (
        '{"lr": {"type": "float", "low": 1e-05, "high": 0.1, "log": true}, '
        '"optimizer": {"type": "categorical", "choices": ["adam", "sgd"]}, '
        '"momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}}}'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Float(0, 1, default=0), Float(0.0, 1.0, default=0.0, log=False, step=None)),
        (Int(1.0, 9.0, default=3.0), Int(1, 9, default=3, step=1)),
        (Categorical(("a", "b")), Categorical(["a", "b"], ordered=False)),
    ],
)
def test_one_meaning_has_one_text(one, other):
    assert Space({"x": one}).to_json() == Space({"x": other}).to_json()


def test_a_lone_condition_value_means_a_list_of_it():
    one = Space({"k": Categorical(["a", "b"]), "x": Float(0, 1, when={"k": "a"})})
    other = Space({"k": Categorical(["a", "b"]), "x": Float(0, 1, when={"k": ["a"]})})
    assert one == other


def test_integers_may_come_as_floats_and_no_step_as_null():
    assert Space.from_json('{"n": {"type": "int", "low": 1.0, "high": 1e3, "step": null}}') == Space(
        {"n": Int(1, 1000)}
    )
    assert Space.from_json('{"x": {"type": "float", "low": 0, "high": 1, "step": null}}') == Space({"x": Float(0, 1)})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[1]", "is an object of parameters, not [1]"),
        ("null", "is an object of parameters, not None"),
        ('{"lr": 3}', "parameter 'lr': type None is none of float, int, categorical"),
        ('{"lr": {"type": "real", "low": 0, "high": 1}}', "parameter 'lr': type 'real' is none of"),
        ('{"lr": {"type": ["float"], "low": 0, "high": 1}}', "parameter 'lr': type ['float'] is none of"),
        ('{"lr": {"type": "float", "low": 0}}', "parameter 'lr': 'high' is missing"),
        ('{"o": {"type": "categorical"}}', "parameter 'o': 'choices' is missing"),
        ('{"lr": {"type": "float", "low": 0, "high": 1, "max": 2}}', "parameter 'lr': unknown key 'max'"),
        ('{"o": {"type": "categorical", "choices": [1], "log": true}}', "parameter 'o': unknown key 'log'"),
        ('{"lr": {"type": "float", "low": "a", "high": 1}}', "parameter 'lr': low='a' is not a finite number"),
        ('{"lr": {"type": "float", "low": NaN, "high": 1}}', "parameter 'lr': low=nan"),
        ('{"lr": {"type": "float", "low": 1e400, "high": 1}}', "parameter 'lr': low=inf"),
        ('{"n": {"type": "int", "low": 1.5, "high": 3}}', "parameter 'n': low=1.5 is not an integer"),
        ('{"o": {"type": "categorical", "choices": "abc"}}', "parameter 'o': choices='abc' is not a list"),
        ('{"o": {"type": "categorical", "choices": [1], "when": 3}}', "parameter 'o': when=3 is not a dict"),
        ('{"o": {"type": "categorical", "choices": [[1]]}}', "parameter 'o': choice [1]"),
        ('{"a": {"type": "categorical", "choices": [1]}, "a": 3}', "'a' is given twice"),
        ("{}", "the space is empty"),
    ],
)
def test_wrong_json_says_what_is_wrong_with_a_remedy(text, problem):
    with pytest.raises(InvalidSpace) as caught:
        Space.from_json(text)
    assert problem in caught.value.message
    assert caught.value.hint


def test_what_is_written_is_strict_json():
    space = Space({"é": Categorical(["ü\u2028", None, True, 1.5])})
    assert json.loads(space.to_json(), parse_constant=pytest.fail) == space.to_dict()
