import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridbo import Categorical, Float, Int, Space
from hybridbo.llm.space_reply import parse_space

LR = {"name": "lr", "type": "float", "low": 1e-5, "high": 0.1, "scale": "log", "default": 0.001, "reason": "Adam."}
OPT = {"name": "opt", "type": "categorical", "choices": ["adam", "sgd"], "default": "adam", "reason": "Usual."}
DEPTH = {"name": "depth", "type": "int", "low": 1, "high": 8, "step": None, "default": 3, "reason": "Shallow."}
MOMENTUM = {
    "name": "momentum",
    "type": "float",
    "low": 0.0,
    "high": 0.99,
    "when": [{"parameter": "opt", "values": ["sgd"]}],
    "reason": "For SGD.",
}
REPLY = {"parameters": [LR, OPT, DEPTH, MOMENTUM], "metric": "accuracy", "direction": "maximize", "rationale": "So."}
TEXT = json.dumps(REPLY)


def check(advice, most=50):
    """What has to hold whatever the reply was."""
    if advice.space is None:
        assert advice.rejections, "nothing usable, and no reason"
        assert advice.reasons == {}
    else:
        assert Space.from_json(advice.space.to_json()) == advice.space
        assert list(advice.reasons) == list(advice.space)
        assert len(advice.space) <= most
    assert advice.direction in {None, "minimize", "maximize"}
    told = [advice.metric, advice.rationale, *advice.reasons.values(), *advice.repairs]
    for text in [*told, *(part.part + part.why for part in advice.rejections)]:
        assert text.isprintable()
        assert len(text) <= 1000
    return advice


def parsed(*parameters, **more):
    return check(parse_space(json.dumps({"parameters": list(parameters), **more})))


def test_a_good_reply_is_taken_whole():
    advice = check(parse_space(TEXT))
    assert advice.space == Space(
        {
            "lr": Float(1e-5, 0.1, log=True, default=0.001),
            "opt": Categorical(["adam", "sgd"], default="adam"),
            "depth": Int(1, 8, default=3),
            "momentum": Float(0.0, 0.99, when={"opt": ["sgd"]}),
        }
    )
    assert advice.reasons == {"lr": "Adam.", "opt": "Usual.", "depth": "Shallow.", "momentum": "For SGD."}
    assert (advice.direction, advice.metric, advice.rationale) == ("maximize", "accuracy", "So.")
    assert (advice.repairs, advice.rejections) == ((), ())


@pytest.mark.parametrize(
    ("given", "parameter", "repairs"),
    [
        (LR | {"low": "1e-5"}, Float(1e-5, 0.1, log=True, default=0.001), ["low: the text '1e-5' read as a number"]),
        (LR | {"default": 1}, Float(1e-5, 0.1, log=True), ["default=1 left out; allowed: float in [1e-05, 0.1], log"]),
        (LR | {"scale": "cubic"}, Float(1e-5, 0.1, default=0.001), ["scale='cubic' read as linear"]),
        (LR | {"reason": None}, Float(1e-5, 0.1, log=True, default=0.001), ["no reason was given"]),
        (LR | {"type": "Real"}, Float(1e-5, 0.1, log=True, default=0.001), []),
        (DEPTH | {"low": 1.0, "high": "8"}, Int(1, 8, default=3), ["high: the text '8' read as a number"]),
        (DEPTH | {"step": 0.5}, Int(1, 8, default=3), ["step=0.5 of an int left out"]),
        (DEPTH | {"step": -1}, Int(1, 8, default=3), ["step=-1 left out"]),
        (OPT | {"default": "Adam"}, Categorical(["adam", "sgd"], default="adam"), ["default='Adam' read as 'adam'"]),
        ({"name": "b", "type": "bool", "default": "true", "reason": "r"}, Categorical([True, False], default=True),
         ["default='true' read as True"]),
        (OPT | {"type": "ordinal", "ordered": True}, Categorical(["adam", "sgd"], ordered=True, default="adam"), []),
    ],
)  # fmt: skip
def test_what_has_one_reading_is_mended_and_counted(given, parameter, repairs):
    advice = parsed(given)
    assert advice.space == Space({given["name"]: parameter})
    assert advice.repairs == tuple(f"parameters[0] {given['name']}: {repair}" for repair in repairs)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("lr", "not an object"),
        (LR | {"name": ""}, "no printable text"),
        (LR | {"name": "x" * 81}, "no printable text"),
        (LR | {"name": "a\nb"}, "no printable text"),
        (LR | {"type": "tensor"}, "none of float, int, categorical"),
        (LR | {"type": None}, "none of float, int, categorical"),
        (LR | {"low": "1e-5 to 1e-4"}, "is no number"),
        (LR | {"low": "10**-5"}, "is no number"),
        (LR | {"low": None}, "low=None is no number"),
        (LR | {"low": True}, "low=True is no number"),
        (LR | {"low": 0.1, "high": 1e-5}, "not below"),
        (LR | {"low": 0.0}, "log=True needs low > 0"),
        (LR | {"low": 0.1}, "not below"),
        (DEPTH | {"low": 1.5}, "is not an integer"),
        (OPT | {"choices": ["adam"]}, "no list of two"),
        (OPT | {"choices": "adam, sgd"}, "no list of two"),
        (OPT | {"choices": ["adam", ["sgd"]]}, "choice"),
        (OPT | {"choices": ["adam", "adam"]}, "listed twice"),
        (OPT | {"choices": list(range(51))}, "more than 50"),
        (MOMENTUM | {"when": "opt=sgd"}, "is no condition"),
    ],
)
def test_what_needs_a_guess_costs_its_parameter_only(given, why):
    advice = parsed(given, DEPTH)
    assert list(advice.space) == ["depth"]
    [rejection] = advice.rejections
    assert why in rejection.why
    assert rejection.part.startswith("parameters[0]")


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ([{"parameter": "solver", "values": ["sgd"]}], "unknown parent"),
        ([{"parameter": "opt", "values": ["rmsprop"]}], "can never hold"),
        ([{"parameter": "opt", "values": []}], "lists no value"),
        ([{"parameter": "lr", "values": [0.01]}], "is continuous"),
        ([{"parameter": "momentum", "values": [0.5]}], ""),
    ],
)
def test_a_condition_that_cannot_be_read_costs_its_parameter_and_those_behind_it(when, why):
    behind = DEPTH | {"name": "behind", "when": {"momentum_on": [True]}}
    middle = {"name": "momentum_on", "type": "bool", "when": when, "reason": "r"}
    advice = parsed(LR, OPT, middle, behind)
    assert list(advice.space) == ["lr", "opt"]
    assert [part.part for part in advice.rejections] == ["parameter momentum_on", "parameter behind"]
    assert why in advice.rejections[0].why


def test_values_of_conditions_are_meant_in_the_parents_types():
    flag = {"name": "flag", "type": "bool", "reason": "r"}
    advice = parsed(flag, OPT, MOMENTUM | {"when": {"flag": "True", "opt": ["SGD"]}})
    assert advice.space["momentum"].when == {"flag": (True,), "opt": ("sgd",)}


def test_a_circle_is_refused():
    a = OPT | {"name": "a", "when": {"b": ["sgd"]}}
    b = OPT | {"name": "b", "when": {"a": ["sgd"]}}
    assert list(parsed(a, b, DEPTH).space) == ["depth"]


def test_repetitions_and_too_many_are_refused():
    advice = parsed(LR, LR | {"high": 1.0})
    assert advice.space["lr"].high == 0.1
    assert "stands before it" in advice.rejections[0].why
    advice = check(parse_space(TEXT, 2), 2)
    assert list(advice.space) == ["lr", "opt"]
    assert advice.rejections[0].why == "2 beyond the first 2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("I would tune the learning rate.", "no complete JSON object"),
        (TEXT + TEXT, "several JSON objects"),
        ('{"parameters": []}', "no list"),
        ('{"parameters": {"lr": 1}}', "no list"),
        ('{"parameters": [{"name": "lr", "type": "float", "low": 0.00', "no complete JSON object"),
    ],
)
def test_a_reply_without_a_space_says_why(text, why):
    advice = check(parse_space(text))
    assert advice.space is None
    assert why in advice.rejections[0].why


def test_a_reply_cut_off_keeps_its_complete_parameters():
    advice = check(parse_space(TEXT[: TEXT.index('"depth"')]))
    assert list(advice.space) == ["lr", "opt"]
    assert "cut off" in advice.repairs[0]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(["opt", "sgd", 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*MOMENTUM, "opt"]), inner, max_size=4),
    max_leaves=10,
)


def seconds(text):
    started = time.process_time()  # of this process: a busy machine does not count
    parse_space(text)
    return time.process_time() - started


keys = st.sampled_from([*MOMENTUM, "choices", "step", "scale", "default", "ordered"])
sound = st.sampled_from([LR, OPT, DEPTH, MOMENTUM])
parameters = st.builds(lambda one, changes: one | changes, sound, st.dictionaries(keys, anything, max_size=3))
places = st.integers(0, len(TEXT))


@settings(max_examples=500, deadline=None)
@given(st.lists(parameters | anything, max_size=6) | anything, anything)
def test_any_json_does_no_harm_and_takes_no_time(listed, more):
    text = json.dumps({"parameters": listed, "direction": more, "metric": more, "rationale": more})
    check(parse_space(text))
    assert any(seconds(text) < 0.05 for _ in range(4))  # the least disturbed run


@settings(max_examples=200, deadline=None)
@given(
    st.text() | st.integers(0, len(TEXT)).map(lambda i: TEXT[:i]) | st.integers(0, len(TEXT)).map(lambda i: TEXT[i:])
)
def test_any_text_does_no_harm(text):
    check(parse_space(text))


def test_a_megabyte_takes_no_time():
    for text in (
        "{" * 10**6,
        json.dumps({"parameters": [OPT | {"choices": list(range(190_000 // 7))}]}),
        TEXT[:-1] * 300,
    ):
        started = time.process_time()
        check(parse_space(text))
        assert time.process_time() - started < 0.2
