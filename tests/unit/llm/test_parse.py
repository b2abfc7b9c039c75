import importlib.resources
import json
import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces_and_points

from hybridbo.belief import ChoiceBelief, NumericBelief
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.prompts import choice_label
from hybridbo.space import Categorical, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "dropout": Float(0.0, 0.6, step=0.1),
        "layers": Int(1, 5),
        "optimizer": Categorical(["adam", "sgd"]),
        "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
        "nesterov": Categorical([True, False], when={"optimizer": ["sgd"]}),
    }
)
ADAM = {"lr": 0.001, "dropout": 0.1, "layers": 2, "optimizer": "adam"}
SGD = {"lr": 0.05, "dropout": 0.0, "layers": 3, "optimizer": "sgd", "momentum": 0.9, "nesterov": True}
BELIEFS = {
    "lr": {"center": 0.001, "low": 0.0001, "high": 0.01},
    "optimizer": {"adam": 0.75, "sgd": 0.25},
    "nesterov": {"true": 3, "false": 1},
}
REPLY = {"configs": [ADAM, SGD], "beliefs": BELIEFS, "rationale": "Adam is a safe start."}
TEXT = json.dumps(REPLY)


def check(advice, space=SPACE):
    """What has to hold of every advice, whatever the reply was."""
    for point in advice.points:
        assert space.validate(point) == point == space.round(point)
        assert list(point) == [name for name in space if name in point]
    assert len(advice.reasons) == len(advice.points)
    assert len({space.key(point) for point in advice.points}) == len(advice.points) <= 50
    for name, belief in advice.beliefs.items():
        parameter = space[name]
        if isinstance(belief, ChoiceBelief):
            assert [choice for choice, _ in belief.weights] == list(parameter.choices)
            assert math.isclose(sum(weight for _, weight in belief.weights), 1.0)
            assert all(weight >= 0 for _, weight in belief.weights)
        else:
            assert parameter.low <= belief.low <= belief.center <= belief.high <= parameter.high
            assert belief.low < belief.high
    assert advice.points or advice.rejections, "nothing usable, and no reason"
    for text in [advice.rationale, *advice.reasons, *advice.repairs, *(r.part + r.why for r in advice.rejections)]:
        assert len(text) <= 1000
        assert text.isprintable()
    return advice


def parsed(text, **options):
    return check(parse_advice(text, SPACE, **options))


def reply(*configs, **more):
    return json.dumps({"configs": list(configs), **more})


# What is right


def test_a_good_reply_is_taken_whole():
    advice = parsed(TEXT)
    assert advice.points == (ADAM, SGD)
    assert advice.beliefs == {
        "lr": NumericBelief(0.001, 0.0001, 0.01),
        "optimizer": ChoiceBelief((("adam", 0.75), ("sgd", 0.25))),
        "nesterov": ChoiceBelief(((True, 0.75), (False, 0.25))),
    }
    assert advice.rationale == "Adam is a safe start."
    assert advice.repairs == ()
    assert advice.rejections == ()


def test_points_keep_their_order_and_an_empty_belief_is_none():
    assert parsed(reply(SGD, ADAM, beliefs={})).points == (SGD, ADAM)
    assert parsed(reply(ADAM)).beliefs == {}


PIPE_DIGITS = Space.from_json(
    {
        "scaler": {"type": "categorical", "choices": ["none", "standard"]},
        "pca": {"type": "categorical", "choices": [True, False]},
        "n_components": {"type": "int", "low": 2, "high": 64, "log": True, "when": {"pca": [True]}},
        "model": {"type": "categorical", "choices": ["knn", "logreg"]},
        "n_neighbors": {"type": "int", "low": 1, "high": 100, "log": True, "when": {"model": ["knn"]}},
        "weights": {"type": "categorical", "choices": ["uniform", "distance"], "when": {"model": ["knn"]}},
        "p": {"type": "float", "low": 1.0, "high": 4.0, "when": {"model": ["knn"]}},
        "C": {"type": "float", "low": 1e-5, "high": 1000.0, "log": True, "when": {"model": ["logreg"]}},
    }
)


def recorded():
    packed = json.loads(importlib.resources.files("hybridbo.data").joinpath("pipe_digits.json").read_text())
    for i, sample in enumerate(packed["tasks"]["fresh/pipe_digits"]["samples"]):
        yield pytest.param(PIPE_DIGITS, sample, id=f"pipe_digits-{i}")
    for name, task in json.loads(Path(__file__).with_name("recorded_replies.json").read_text()).items():
        for i, sample in enumerate(task["replies"]):
            yield pytest.param(Space.from_json(task["space"]), sample, id=f"{name}-{i}")


@pytest.mark.parametrize(("space", "sample"), list(recorded()))
def test_the_replies_of_a_real_model_are_taken_whole(space, sample):
    advice = check(parse_advice(json.dumps(sample), space), space)
    assert len(advice.points) == len(sample["configs"]) == 10
    assert list(advice.points[0].items()) == [(name, sample["configs"][0][name]) for name in advice.points[0]]
    assert set(advice.beliefs) == set(sample["prior"]) == set(space)
    assert advice.rationale
    assert advice.rejections == ()


@settings(max_examples=100)
@given(spaces_and_points(rows=3))
def test_whatever_a_schema_allows_is_read_without_repair(space_and_points):
    space, points = space_and_points
    configs = list({space.key(p): p for p in map(space.decode, points)}.values())
    advice = check(parse_advice(json.dumps({"configs": configs, "beliefs": {}}), space), space)
    assert list(advice.points) == configs
    assert advice.repairs == ()


# What is mended, and counted


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        (f"```json\n{TEXT}\n```", "text around"),
        (f"Sure! Here you go:\n{TEXT}\nGood luck {{:-)", "text around"),
        (f"<think>lr 1e-3? {{no}} {TEXT[:40]}</think>\n{TEXT}", "thinking was left out"),
        ("\ufeff" + TEXT, "text around"),
    ],
)
def test_text_around_the_object_is_left_out(text, repair):
    advice = parsed(text)
    assert advice.points == (ADAM, SGD)
    assert len(advice.beliefs) == 3
    assert len(advice.repairs) == 1
    assert repair in advice.repairs[0]


@pytest.mark.parametrize(
    ("change", "point", "repair"),
    [
        ({"lr": "1e-3"}, {}, "configs[0]: lr: the text '1e-3' read as a number"),
        ({"layers": " 2 "}, {}, "configs[0]: layers: the text ' 2 ' read as a number"),
        ({"layers": "3.0"}, {"layers": 3}, "configs[0]: layers: the text '3.0' read as a number"),
        ({"dropout": 0.12}, {}, "configs[0]: dropout moved onto the grid"),
        ({"dropout": "0.12"}, {}, "configs[0]: dropout: the text '0.12' read as a number"),
        ({"optimizer": "Adam "}, {}, "configs[0]: optimizer: 'Adam ' read as 'adam'"),
        ({"momentum": 0.5}, {}, "configs[0]: momentum inactive, left out"),
        ({"epochs": 9}, {}, "configs[0]: unknown parameter 'epochs' left out"),
        ({"x\x1b[31m\n" * 99: 9}, {}, "configs[0]: unknown parameter"),
    ],
)
def test_what_has_one_reading_is_mended_and_counted(change, point, repair):
    advice = parsed(reply(ADAM | change))
    assert advice.points == (ADAM | point,)
    assert any(row.startswith(repair) for row in advice.repairs), advice.repairs


def test_what_is_missing_comes_from_the_default_configuration():
    advice = parsed(reply({"lr": 0.001}), defaults={"layers": 2, "dropout": 0.1})
    assert advice.points == (ADAM,)
    assert advice.repairs == ("configs[0]: dropout, layers, optimizer missing, taken from the default configuration",)


def test_booleans_may_be_written_as_text():
    assert parsed(reply(SGD | {"nesterov": "True"})).points == (SGD,)


def test_a_reply_cut_off_keeps_its_complete_configurations():
    advice = parsed(TEXT[: TEXT.index('"beliefs"') + 25])
    assert advice.points == (ADAM, SGD)
    assert advice.beliefs == {}
    assert "cut off" in advice.repairs[0]


def test_a_belief_is_cut_to_the_range():
    advice = parsed(reply(ADAM, beliefs={"lr": {"center": 0.01, "low": 1e-9, "high": 3.0}}))
    assert advice.beliefs == {"lr": NumericBelief(0.01, 1e-5, 0.1)}
    assert advice.repairs == ("beliefs.lr: cut to the range",)


# What would need a guess is refused, with the reason


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"configs": [{"lr": 0.00', "no complete JSON object"),
        ('{"configs": [{"lr": 0.001, "layers": 2', "no complete JSON object"),
        ('{"configs": [{"lr": 1e-3 to 1e-2}]}', "no complete JSON object"),
        ('{"configs": [{"lr": 10**-3}]}', "no complete JSON object"),
        ('{"configs": [{"lr": .001}]}', "no complete JSON object"),
        (TEXT + TEXT, "several JSON objects"),
        (TEXT + "\n" + reply(SGD), "several JSON objects"),
        (TEXT + '\n{"lr": 0.01}', "another JSON object stands beside"),
        ('{"lr": 0.01}\n' + TEXT, "another JSON object stands beside"),
        ('{"configs": [{"lr": 0.01}], "beliefs": {oops}}\n' + TEXT, "another JSON object stands beside"),
        ("{a} " * 70 + TEXT + TEXT, "lists configurations more than once"),
        (TEXT + "{a} " * 70 + TEXT, "another JSON object stands beside"),
        (TEXT[:200] + TEXT[:200], "lists configurations more than once"),
        (json.dumps(REPLY | {"configurations": [SGD]}), "given twice"),
        ('{"configs": [{"lr": 0.001, "lr": 0.01}]}', "a key twice"),
        ('{"configs": [], "configs": []}', "a key twice"),
        ('{"lr": 0.001, "layers": 2}', "no complete JSON object"),
        ("", "the reply is empty"),
        (" \n\t ", "the reply is empty"),
        ("I cannot help with that.", "no complete JSON object"),
        ('{"configs": {"lr": 0.001}}', "missing, or not a list"),
        ('{"configs": null}', "missing, or not a list"),
        ('{"configs": []}', "an empty list"),
        ('{"beliefs": {}}', "missing, or not a list"),
        ("x" * 1_000_000, "more than 200000"),
    ],
)
def test_a_reply_that_needs_a_guess_is_refused(text, why):
    advice = parsed(text)
    assert advice.points == ()
    assert any(why in rejection.why for rejection in advice.rejections), advice.rejections


BAD_VALUES = {
    "lr": [
        "1e-3 to 1e-2", "10**-3", "0.001 or so", "~0.001", "1e-3,", "0,001", "0.00", "0.", "", "NaN", "1e400", "0x1",
        "1_0", "0.2", 0.2, 0, -1, True, None, [0.001], {"value": 0.001}, math.nan, math.inf, 10**400, 1e-6,
    ],
    "dropout": [0.7, -0.1, "0.", "1.e-1", "０.１", "ten percent", False, "60%", 0.6001],
    "layers": [2.5, "2.5", "two", 0, 6, 10**30, True, "1-3", [1, 2], "2 layers"],
    "optimizer": ["adamw", "", 0, 1, True, None, ["adam"], "adam or sgd", {"adam": 1}, math.nan, "ad", "adam, sgd"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in BAD_VALUES.items() for v in values], ids=lambda v: f"{v!r:.30}"
)
def test_a_value_that_needs_a_guess_costs_its_configuration_only(name, value):
    advice = parsed(reply(ADAM | {name: value}, SGD))
    assert advice.points == (SGD,)
    [rejection] = advice.rejections
    assert rejection.part == "configs[0]"
    assert name in rejection.why


@pytest.mark.parametrize("config", [None, 3, "adam", [], {}, [ADAM], {"epochs": 3}])
def test_what_is_no_configuration_is_refused(config):
    advice = parsed(reply(config, SGD))
    assert advice.points == (SGD,)
    assert [r.part for r in advice.rejections] == ["configs[0]"]


def test_a_repetition_is_refused():
    advice = parsed(reply(ADAM, ADAM | {"momentum": 0.3}, ADAM | {"lr": 0.00100000001}))
    assert advice.points == (ADAM,)
    assert [(r.part, r.why) for r in advice.rejections] == [
        ("configs[1]", "the same as an earlier one"),
        ("configs[2]", "the same as an earlier one"),
    ]


def test_more_than_fifty_are_cut():
    advice = parsed(reply(*({"lr": 0.001 + i / 1000} for i in range(60))))
    assert len(advice.points) == 50
    assert ("configs", "10 beyond the first 50") in [(r.part, r.why) for r in advice.rejections]


def test_beliefs_under_two_names_are_refused():
    advice = parsed(reply(ADAM, beliefs=BELIEFS, prior=BELIEFS))
    assert (advice.points, advice.beliefs) == ((ADAM,), {})
    assert [(r.part, r.why) for r in advice.rejections] == [("beliefs", "given twice")]


BAD_BELIEFS = [
    {"lr": 0.001},
    {"lr": {"center": 0.001}},
    {"lr": {"center": 0.001, "low": 0.01, "high": 0.1}},
    {"lr": {"center": "0.001", "low": 0.0001, "high": 0.01}},
    {"lr": {"center": math.nan, "low": 0.0001, "high": 0.01}},
    {"lr": {"center": True, "low": 0, "high": 1}},
    {"lr": {"center": 1, "low": 1, "high": 2}},
    {"optimizer": {"adam": 0.5, "adamw": 0.5}},
    {"optimizer": {"adam": -1, "sgd": 2}},
    {"optimizer": {"adam": 0, "sgd": 0}},
    {"optimizer": {"adam": 1e308, "sgd": 1e308}},
    {"optimizer": {"adam": "high"}},
    {"optimizer": ["adam"]},
    {"optimizer": "adam"},
    {"optimizer": {}},
]


@pytest.mark.parametrize("beliefs", BAD_BELIEFS, ids=str)
def test_a_wrong_belief_is_refused_by_name_and_the_others_stay(beliefs):
    good = {"layers": {"center": 2, "low": 1, "high": 3}}
    advice = parsed(reply(ADAM, beliefs=beliefs | good))
    assert advice.points == (ADAM,)
    assert set(advice.beliefs) == {"layers"}
    assert [r.part for r in advice.rejections] == [f"beliefs.{next(iter(beliefs))}"]


def test_beliefs_about_what_is_not_there_are_refused():
    advice = parsed(reply(ADAM, beliefs={f"epochs{i}": {"center": 3, "low": 1, "high": 9} for i in range(9)}))
    assert advice.beliefs == {}
    [rejection] = advice.rejections
    assert rejection.why == (
        "'epochs0', 'epochs1', 'epochs2', 'epochs3', 'epochs4' and 4 more is no parameter of the space"
    )


@pytest.mark.parametrize("beliefs", [None, [], "adam", 3])
def test_beliefs_that_are_no_object_are_refused(beliefs):
    advice = parsed(reply(ADAM, beliefs=beliefs))
    assert [r.part for r in advice.rejections] == ["beliefs"]


def test_choices_that_are_written_alike_are_not_guessed():
    space = Space({"k": Categorical([1, "1", True, "true"])})
    for value in (1, "1", True, "true"):
        [point] = parse_advice(json.dumps({"configs": [{"k": value}]}), space).points
        assert point["k"] is value or (point["k"] == value and type(point["k"]) is type(value))
    assert parse_advice('{"configs": [{"k": " TRUE"}]}', space).points == ()
    weights = {choice_label(choice): 0.5 for choice in space["k"].choices}
    assert parse_advice(json.dumps({"configs": [{"k": 1}], "beliefs": {"k": weights}}), space).beliefs == {}


def test_each_configuration_has_its_own_reason():
    text = reply(ADAM, {"lr": 9}, ADAM, SGD, reasons=["Safe.", "Wrong.", "Again.", "Slow.\n"], rationale="All.")
    advice = parsed(text)
    assert (advice.points, advice.reasons) == ((ADAM, SGD), ("Safe.", "Slow."))
    assert [advice.why(rank) for rank in range(3)] == ["Safe.", "Slow.", "All."]
    assert parsed(reply(ADAM, SGD, reasons=["x", 3])).reasons == ("x", "")


@pytest.mark.parametrize(("reasons", "n_repairs"), [(["x"], 1), (["x"] * 3, 1), ("x", 0), (None, 0), ([], 0), ({}, 0)])
def test_reasons_that_are_not_as_many_are_left_out(reasons, n_repairs):
    advice = parsed(reply(ADAM, SGD, reasons=reasons))
    assert advice.points == (ADAM, SGD)
    assert advice.reasons == ("", "")
    assert len(advice.repairs) == n_repairs


def test_a_reply_cut_off_in_its_reasons_keeps_its_configurations():
    advice = parsed(reply(ADAM, SGD, beliefs=BELIEFS, reasons=["1.1.1.1.1.1"])[:-8])
    assert (advice.points, advice.reasons) == ((ADAM, SGD), ("", ""))
    assert set(advice.beliefs) == set(BELIEFS)


def test_null_means_inactive_where_the_schema_allows_it():
    advice = parsed(reply(ADAM | {"momentum": None, "nesterov": None}, SGD | {"momentum": None}))
    assert advice.points == (ADAM, SGD | {"momentum": 0.495})
    assert advice.repairs == ("configs[1]: momentum missing, taken from the default configuration",)
    space = Space({"a": Categorical([1, 2]), "b": Categorical([None, "x"], when={"a": [2]})})
    advice = parse_advice('{"configs": [{"a": 1, "b": null}, {"a": 2, "b": null}]}', space)
    assert advice.points == ({"a": 1}, {"a": 2, "b": None})
    assert advice.repairs == ()


def test_a_models_words_become_one_printable_line():
    advice = parsed(reply(ADAM, rationale="First.\n\x1b[31mSecond\ud800\u202e.\x00" + "x" * 5000))
    assert advice.rationale.startswith("First. [31mSecond .")
    assert parsed(reply(ADAM, rationale=["a"])).rationale == ""


# Anything at all: no exception, nothing invalid, and no time


def malformed():
    yield from (TEXT[:i] for i in range(1, len(TEXT), 3))
    yield from (TEXT[:i] + TEXT[i + 1 :] for i in range(0, len(TEXT), 5))
    for junk in (
        "\x00",
        "\ud800",
        "NaN",
        "1e400",
        "}",
        "]",
        '"',
        ",",
        "//x\n",
        "null",
        "{",
        "\\u00",
        "é",
        "１",
        "\u2028",
    ):
        yield from (TEXT[:i] + junk + TEXT[i:] for i in (0, 1, 12, 21, 40, 77, 160, len(TEXT) - 1, len(TEXT)))
    yield from (
        "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "申し訳ありませんが、お手伝いできません。",
        "Ось ваша конфігурація: lr=0.001, layers=2",
        "lr: 0.001\nlayers: 2\noptimizer: adam",
        "```json\n```",
        "data: [DONE]",
        TEXT.replace('"', "'"),
        TEXT.replace('"', "“"),
        TEXT.replace("true", "True"),
        TEXT.replace("}", "},"),
        TEXT.replace(":", "="),
        TEXT.encode("utf-16").decode("latin-1"),
        json.dumps(TEXT),
        json.dumps([REPLY]),
        json.dumps({"answer": REPLY}),
        json.dumps({"configs": [REPLY]}),
        "<think>" + TEXT,
        "[" * 990,
        '{"configs": ' + "[" * 900 + "]" * 900 + "}",
        reply(ADAM | {"lr": json.loads("[" * 900 + "]" * 900)}),
        reply(ADAM | {"optimizer": json.loads('{"a":' * 900 + "1" + "}" * 900)}),
        '{"configs": [{"lr": ' + "9" * 5000 + "}]}",
        '{"configs": [{"lr": 0.' + "0" * 5000 + "1}]}",
    )


MALFORMED = list(dict.fromkeys(malformed()))


def test_there_are_many_malformed_replies():
    assert len(MALFORMED) >= 200


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_replies_do_no_harm(text):
    parsed(text)


@settings(max_examples=300)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('{}[]":,0123456789.eE- \n'))))
def test_any_text_does_no_harm(text):
    parsed(text)


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(["adam", 0.001, 2]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*SPACE, *REPLY, "center", "low", "high", "adam", "x"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=300)
@given(anything | st.fixed_dictionaries({"configs": st.lists(anything), "beliefs": anything}))
def test_any_json_does_no_harm(data):
    parsed(json.dumps(data))
    parsed(json.dumps({"configs": [data], "beliefs": {"lr": data, "optimizer": data}, "rationale": data}))


fragments = st.one_of(
    st.text(max_size=30),
    st.integers(0, len(TEXT)).map(lambda i: TEXT[:i]),
    st.integers(0, len(TEXT)).map(lambda i: TEXT[i:]),
    anything.map(json.dumps),
    st.sampled_from(
        [TEXT, reply(SGD), '{"configs": [', '{"lr": 0.00', '{"lr": ', "1e-3 to 1e-2", "10**-3", *'{}[]",: ']
    ),
)


@st.composite
def replies(draw):
    """Fragments of text and JSON in a row, perhaps grown to a megabyte by repeating one of them."""
    parts = draw(st.lists(fragments, min_size=1, max_size=4))
    if draw(st.integers(0, 4)) == 0:
        i = draw(st.integers(0, len(parts) - 1))
        size = draw(st.sampled_from([20_000, 190_000, 1_000_000]))
        parts[i] *= max(1, size // max(1, len(parts[i])))
    return "".join(parts)


def seconds(text):
    started = time.process_time()  # of this process: a busy machine does not count
    parse_advice(text, SPACE)
    return time.process_time() - started


@settings(max_examples=500, deadline=None)
@given(replies())
def test_five_hundred_replies_do_no_harm_and_take_no_time(text):
    parsed(text)
    assert any(seconds(text) < 0.05 for _ in range(4))  # the least disturbed run, as below


SIZE = 190_000  # just below what is read at all, where the work is largest
LARGE = {
    "a megabyte of braces": "{" * 1_000_000,
    "a megabyte of white space": " " * 1_000_000,
    "braces": "{" * SIZE,
    "brackets": "[" * SIZE,
    "pairs": "{}" * (SIZE // 2),
    "nested objects": '{"a":' * (SIZE // 5),
    "objects that do not end, one in the other, around a long list": '{"a":' * 60 + "[" + "0," * (SIZE // 2),
    "texts that do not end": '{"' * (SIZE // 2),
    "white space before the first configuration": '{"configs": [' + " " * SIZE,
    "white space behind the first configuration": '{"configs": [{"lr": 0.001}' + " " * SIZE,
    "the same beginning many times": '"configs": ' * (SIZE // 11),
    "an open thought": "<think>" + "<think" * (SIZE // 6),
    "quotes": '"' * SIZE,
    "an open text": '{"configs": [{"lr": "' + "x" * SIZE,
    "a long number": '{"configs": [{"lr": "' + "9" * SIZE + '"}]}',
    "a long digit": '{"configs": [{"lr": ' + "9" * SIZE + "}]}",
    "many configurations": '{"configs": [' + '{"lr": 0.1},' * (SIZE // 12),
    "many broken configurations": reply(*[{"lr": "x"}] * (SIZE // 13)),
    "many unknown parameters": json.dumps({"configs": [{f"p{i}": 1 for i in range(SIZE // 12)}]}),
    "many beliefs": json.dumps({"configs": [], "beliefs": {f"p{i}": 1 for i in range(SIZE // 12)}}),
    "a large value": reply(ADAM | {"lr": [0] * (SIZE // 3)}),
}


@pytest.mark.parametrize("text", list(LARGE.values()), ids=list(LARGE))
def test_a_large_reply_takes_no_time(text):
    assert min(seconds(text) for _ in range(4)) < 0.05
    parsed(text)
