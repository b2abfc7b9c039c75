import json

import pytest

from hybridbo import Categorical, Float, Int, Space
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.withhold import counts_of, failure_without_text, numbers_of, without_text
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True, default=1e-3),
        "width": Int(16, 1024, log=True, default=64),
        "flag": Categorical([True, False], default=True),
        "size": Categorical([0.1, 0.2, 0.4], ordered=True, default=0.1),
        "opt": Categorical(["adam", "sgd", None], default="adam"),
        "momentum": Float(0.0, 0.99, when={"opt": ["sgd"]}, default=0.9),
    }
)
TEXT = json.dumps(
    {
        "configs": [
            {"lr": 0.0012345678901234567, "width": 100, "flag": False, "size": 0.2, "opt": "sgd", "momentum": 1 / 3},
            {"lr": "3e-4", "width": 33, "flag": True, "size": 0.4, "opt": None},
            {"lr": 7},
        ],
        "beliefs": {"lr": {"center": 1e-3, "low": 1e-4, "high": 1e-2}, "opt": {"adam": 3, "sgd": 1, "null": 0}},
        "rationale": "WORDS of the model",
    }
)


def test_a_reply_becomes_the_advice_that_it_is():
    kept = numbers_of(ChatReply(TEXT, "m", 1, 2), SPACE)
    before, after = parse_advice(TEXT, SPACE), parse_advice(kept.text, SPACE)
    assert (after.points, after.beliefs) == (before.points, before.beliefs)
    assert (after.rationale, after.repairs, after.rejections) == ("", (), ())
    assert "WORDS" not in kept.text
    assert counts_of(kept.text, after) == (len(before.rejections), len(before.repairs)) == (1, 1)
    assert (kept.prompt_tokens, kept.completion_tokens) == (1, 2)


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"configs": [{"lr": 9}]}', "withheld"])
def test_a_reply_without_advice(text):
    kept = numbers_of(ChatReply(text, "m"), SPACE)
    advice = parse_advice(kept.text, SPACE)
    assert not advice.points
    assert not advice.beliefs
    assert counts_of(kept.text, advice) == (len(parse_advice(text, SPACE).rejections), 0)


def test_counts_of_what_is_kept_whole_are_its_own():
    for text in (TEXT, '{"withheld": 1}', "withheld"):
        advice = parse_advice(text, SPACE)
        assert counts_of(text, advice) == (len(advice.rejections), len(advice.repairs))


def test_a_request_keeps_its_hashes_and_its_limits():
    request = ChatRequest("seeds", "the task", SPACE.to_dict(), "system", "user", {"a": 1}, max_tokens=77)
    kept = without_text(request)
    assert (kept.content_hash, kept.topic_hash) == (request.content_hash, request.topic_hash)
    assert (kept.purpose, kept.max_tokens) == ("seeds", 77)
    assert (kept.task, kept.space, kept.system, kept.user, kept.schema) == ("", {}, "", "", None)


def test_a_failure_keeps_its_kind():
    kept = failure_without_text(ChatFailure("BackendBadReply", "WORDS", "fall back", "m", 1.0, 3, 4, 0.5, "me"))
    assert "WORDS" not in kept.message
    assert (kept.error, kept.advice, kept.prompt_tokens, kept.asked) == ("BackendBadReply", "fall back", 3, "me")
