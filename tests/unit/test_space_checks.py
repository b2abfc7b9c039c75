import math
import sys

import pytest

from hybridbo.errors import InvalidSpace
from hybridbo.space import Categorical, Float, Int, Space

KIND = Categorical(["a", "b"])

# a wrong space, the parameter at fault, what is said to be wrong, and a word of the remedy
WRONG = [
    ({"x": Float(1, 1)}, "x", "low=1 is not below high=1", "leave a constant out"),
    ({"x": Float(2, 1)}, "x", "low=2 is not below high=1", "swap them"),
    ({"x": Int(9, 3)}, "x", "low=9 is not below high=3", "swap them"),
    ({"x": Float(0, 1, log=True)}, "x", "log=True needs low > 0", "drop log"),
    ({"x": Float(-1, 1, log=True)}, "x", "not low=-1", "raise low"),
    ({"x": Int(0, 10, log=True)}, "x", "log=True needs low > 0", "drop log"),
    ({"x": Float(sys.float_info.min, 1, log=True)}, "x", "log=True needs low > 0", "raise low"),
    ({"x": Float(math.nan, 1)}, "x", "low=nan is not a finite number", ""),
    ({"x": Float(0, math.inf)}, "x", "high=inf is not a finite number", ""),
    ({"x": Float("0", 1)}, "x", "low='0' is not a finite number", ""),
    ({"x": Float(False, 1)}, "x", "low=False is not a finite number", ""),
    ({"x": Float(-1.7e308, 1.7e308)}, "x", "high=1.7e+308 is beyond", "rescale"),
    ({"x": Float(1.0, 1.0 + 1e-15)}, "x", "too narrow", "widen it"),
    ({"x": Float(1e6, 1e6 + 1e-5)}, "x", "too narrow", "distance from low"),
    ({"x": Float(1e300 * 0.99999999, 1e300, log=True)}, "x", "too narrow", "drop log"),
    ({"x": Float(0, 1, step=0)}, "x", "step=0 is not a positive number", ""),
    ({"x": Float(0, 1, step=-0.1)}, "x", "step=-0.1 is not a positive number", ""),
    ({"x": Float(0, 1, step=math.nan)}, "x", "step=nan is not a positive number", ""),
    ({"x": Float(0, 1, step=2)}, "x", "step=2 is wider than the range", "lower it"),
    ({"x": Int(0, 2**53)}, "x", "step=1 is too fine", "raise it"),
    ({"x": Int(1, 10**13, log=True)}, "x", "step=1 is too fine", "raise it"),
    ({"x": Float(0, 1, log="yes")}, "x", "log='yes' is neither True nor False", ""),
    ({"x": Int(0.5, 3)}, "x", "low=0.5 is not an integer", "use Float"),
    ({"x": Int(0, 10, step=0.5)}, "x", "step=0.5 is not an integer", "use Float"),
    ({"x": Int(0, 10, step=None)}, "x", "step=None is not an integer", ""),
    ({"x": Int(0, 10**400)}, "x", "high=", "is too large for a float"),
    ({"x": Int(0, True)}, "x", "high=True is not an integer", "use Float"),
    ({"x": Float(0, 1, default=2)}, "x", "the default 2 is out of range", "allowed: float in [0, 1]"),
    ({"x": Float(0, 1, default=math.nan)}, "x", "the default nan is not a finite number", "allowed"),
    ({"x": Float(0, 1, step=0.25, default=0.3)}, "x", "the default 0.3 lies between two steps", "allowed"),
    ({"x": Int(0, 9, default=1.5)}, "x", "the default 1.5 is not an integer", "allowed"),
    ({"x": Categorical([])}, "x", "leaves nothing to choose", "list at least one"),
    ({"x": Categorical("adam")}, "x", "choices='adam' is not a list", "['adam', 'sgd']"),
    ({"x": Categorical({"a", "b"})}, "x", "is not a list", "write"),
    ({"x": Categorical(["a", "b", "a"])}, "x", "choice 'a' is listed twice", "remove one"),
    ({"x": Categorical([1, 1.0])}, "x", "choice 1.0 is listed twice", "remove one"),
    ({"x": Categorical([math.nan, 1])}, "x", "choice nan is not", "finite number"),
    ({"x": Categorical([(1, 2), "a"])}, "x", "choice (1, 2) is not", "look it up"),
    ({"x": Categorical(["\ud800"])}, "x", "cannot be written as UTF-8", "rename"),
    ({"x": Categorical(["a"], default="b")}, "x", "the default 'b' is none of the choices", "one of 'a'"),
    ({"x": Categorical(["a"], ordered=1)}, "x", "ordered=1 is neither True nor False", ""),
    ({"x": 3}, "x", "3 is neither Float, Int nor Categorical", ""),
    ({"x": Float}, "x", "is neither Float, Int nor Categorical", ""),
    ({"": KIND}, "", "a name is a non-empty text", ""),
    ({"a\nb": KIND}, "a\nb", "a name is a non-empty text of printable characters", ""),
    ({3: KIND}, 3, "a name is a non-empty text", ""),
    ({"k": KIND, "x": Float(0, 1, when={"q": ["a"]})}, "x", "the unknown parent 'q'", "known: k, x"),
    ({"k": KIND, "x": Float(0, 1, when={"k": ["c"]})}, "x", "'k' can never hold: 'c' is none", "one of 'a', 'b'"),
    ({"k": KIND, "x": Float(0, 1, when={"k": ["a", "c"]})}, "x", "'k' can never hold: 'c'", "one of"),
    ({"k": KIND, "x": Float(0, 1, when={"k": []})}, "x", "its condition on 'k' lists no value", "one of 'a', 'b'"),
    ({"k": KIND, "x": Float(0, 1, when="k")}, "x", "when='k' is not a dict", "parent: [values]"),
    ({"k": Int(0, 9), "x": Float(0, 1, when={"k": [10]})}, "x", "10 is out of range", "int in [0, 9]"),
    ({"k": Int(0, 9, step=3), "x": KIND.__class__(["z"], when={"k": [4]})}, "x", "4 lies between two steps", "step 3"),
    ({"k": Float(0, 1), "x": Float(0, 1, when={"k": [0.5]})}, "x", "'k' is continuous", "give the parent a step"),
    ({"k": Int(0, 10**7), "x": Float(0, 1, when={"k": [5]})}, "x", "has 10000001 values", "larger step"),
    ({"x": Categorical(["a"], when={"x": ["a"]})}, "x", "round in a circle", "cut one of x"),
    (
        {"p": Categorical([1], when={"q": [1]}), "q": Categorical([1], when={"p": [1]})},
        "p",
        "round in a circle",
        "cut one of p, q",
    ),
    (
        {"k": KIND, "p": Categorical([1], when={"k": ["a"]}), "x": Float(0, 1, when={"p": [1], "k": ["b"]})},
        "x",
        "can never hold together: they leave 'k' no value",
        "correct one",
    ),
]


@pytest.mark.parametrize(("parameters", "name", "problem", "remedy"), WRONG, ids=[f"{w[1]}: {w[2]}" for w in WRONG])
def test_a_wrong_space_names_the_parameter_and_the_remedy(parameters, name, problem, remedy):
    with pytest.raises(InvalidSpace) as caught:
        Space(parameters)
    text = str(caught.value)
    assert f"parameter {name!r}: " in text
    assert problem in text
    assert remedy in text
    assert caught.value.hint


@pytest.mark.parametrize("parameters", [{}, None, [Float(0, 1)], "x"])
def test_what_is_no_dict_of_parameters_is_refused_with_an_example(parameters):
    with pytest.raises(InvalidSpace, match=r"Give at least one parameter, for example \{\"lr\": Float"):
        Space(parameters)


def test_every_problem_is_named_at_once():
    with pytest.raises(InvalidSpace) as caught:
        Space({"good": Float(0, 1), "x": Float(2, 1), "y": Categorical([])})
    assert "parameter 'x'" in str(caught.value)
    assert "parameter 'y'" in str(caught.value)
    assert "good" not in str(caught.value)


def test_a_circle_is_told_apart_from_what_hangs_on_it():
    with pytest.raises(InvalidSpace) as caught:
        Space(
            {
                "p": Categorical([1], when={"q": [1]}),
                "q": Categorical([1], when={"p": [1]}),
                "child": Float(0, 1, when={"p": [1]}),
            }
        )
    assert "child" not in str(caught.value)


def test_conditions_that_agree_are_no_contradiction():
    Space(
        {
            "k": Categorical(["a", "b", "c"]),
            "p": Categorical([1, 2], when={"k": ["a", "b"]}),
            "x": Float(0, 1, when={"p": [1], "k": ["b", "c"]}),
        }
    )
