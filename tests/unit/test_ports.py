import dataclasses
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import spaces, texts

from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord, topic_hash
from hybridbo.space import Float, Int, Space

requests = st.builds(
    ChatRequest,
    purpose=st.just("seeds"),
    task=texts,
    space=spaces(max_size=2).map(Space.to_dict),
    system=texts,
    user=texts,
    schema=st.none() | st.just({"type": "object"}),
    temperature=st.none() | st.floats(0, 2),
)
replies = st.builds(ChatReply, texts, texts, cost=st.none() | st.floats(0, 1))
failures = st.builds(ChatFailure, texts, texts)
values = st.one_of(
    requests,
    replies,
    failures,
    st.builds(StudyRecord, texts, texts, texts),
    st.builds(Event, texts, texts, st.none() | st.integers(0, 9)),
    st.builds(LLMCall, requests, replies | failures, st.integers(0, 9), st.just(datetime(2026, 1, 1, tzinfo=UTC))),
)
REQUEST = ChatRequest("seeds", "Tune it.", Space({"x": Float(0, 1), "n": Int(1, 3)}).to_dict(), "system", "user")


@given(values)
def test_values_are_values(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert dataclasses.replace(value) == value
    assert hash(dataclasses.replace(value)) == hash(value)


@pytest.mark.parametrize(
    "change",
    [{"user": "!"}, {"system": "!"}, {"schema": {}}, {"temperature": None}, {"max_tokens": 64}, {"task": "!"}],
)
def test_the_content_hash_is_that_of_what_can_change_the_answer(change):
    assert dataclasses.replace(REQUEST, **change).content_hash != REQUEST.content_hash
    assert dataclasses.replace(REQUEST, timeout_s=1.0, retries=9).content_hash == REQUEST.content_hash


def test_rewording_a_prompt_or_the_order_of_parameters_orphans_no_recording():
    reworded = dataclasses.replace(REQUEST, system="other", user="words", schema={}, temperature=1.0)
    assert reworded.topic_hash == REQUEST.topic_hash
    turned = Space({"n": Int(1, 3), "x": Float(0, 1)}).to_dict()
    assert topic_hash("seeds", " Tune\n it. ", turned) == REQUEST.topic_hash
    other = Space({"n": Int(1, 3), "x": Float(0, 2)}).to_dict()
    assert topic_hash("seeds", "Tune it.", other) != REQUEST.topic_hash


def test_hashes_are_the_same_in_every_process():
    assert REQUEST.topic_hash == "114605949894c5d010f39a7f365ac4eabcce3d3cb5db5756efa6822826e2f9ba"
