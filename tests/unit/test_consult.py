from datetime import UTC, datetime

import pytest

from hybridbo import Float, Space, errors
from hybridbo.consult import Consultant, LLMUsage, without_secrets
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall, StudyRecord
from hybridbo.settings import LLMSettings
from hybridbo.storage import open_store
from hybridbo.testing import ScriptedBackend

SPACE = Space({"x": Float(0.0, 1.0)})


def request(user="?", task="t"):
    return ChatRequest(purpose="seeds", task=task, space=SPACE.to_dict(), system="s", user=user)


@pytest.fixture
def store():
    store = open_store(":memory:")
    store.create_study(StudyRecord("s", SPACE.to_json(), '{"objectives": {"value": "minimize"}, "constraints": {}}'))
    return store


def consultant(store, replies, **settings):
    backend = ScriptedBackend(replies)
    return Consultant(backend, store, "s", SPACE, LLMSettings(**settings)), backend


def test_a_question_is_asked_once_however_it_is_worded(store):
    first, _ = consultant(store, ["reply"])
    answer = first.answer(request("one wording"), 1)
    second, backend = consultant(store, [])
    assert second.answer(request("another wording"), 2).text == answer.text == "reply"
    assert backend.requests == []
    assert len(store.get_calls("s")) == 1


def test_another_task_is_another_question(store):
    one, backend = consultant(store, ["a", "b"])
    assert [one.answer(request(task=task), 1).text for task in ("t", "u", "t")] == ["a", "b", "a"]
    assert len(backend.requests) == 2


def test_failures_are_recorded_and_end_after_the_limit(store):
    one, backend = consultant(store, [errors.BackendTimeout("late")] * 9, max_failures=2)
    answers = [one.answer(request(), number) for number in range(4)]
    assert all(isinstance(answer, ChatFailure) for answer in answers)
    assert len(backend.requests) == 2
    assert "not asked again after 2 failures" in answers[-1].message
    assert [event.kind for event in store.get_events("s")] == ["llm_failed"] * 2
    assert [call.result.error for call in store.get_calls("s")] == ["BackendTimeout"] * 2


def test_a_refusal_is_final_for_this_process_only(store):
    one, backend = consultant(store, [errors.BackendRefused("401")])
    assert [one.answer(request(), number).error for number in range(3)] == ["BackendRefused"] * 3
    assert len(backend.requests) == 1
    another, backend = consultant(store, ["now it works"])
    assert another.answer(request(), 3).text == "now it works"


def test_an_unforeseen_exception_of_a_backend_is_a_failure_too(store, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "canary-1234567")
    one, _ = consultant(store, [ZeroDivisionError("in canary-1234567")])
    answer = one.answer(request(), 0)
    assert answer == store.get_calls("s")[0].result
    assert answer.message == "ZeroDivisionError: in [secret]"


def test_what_is_wrong_with_a_new_reply_is_an_event(store):
    one, _ = consultant(store, ['{"configs": [{"x": 0.5}, {"x": 7}]}'])
    one.answer(request(), 4)
    (event,) = store.get_events("s")
    assert event.kind == "llm_reply"
    assert event.message.startswith("1 usable configurations, 0 parts repaired, 1 rejected. First rejected: configs[1]")


def test_a_task_that_was_cut_is_an_event_once(store):
    one, _ = consultant(store, ["{}"])
    for number in (1, 2):
        one.answer(request(task="x" * 5000), number)
    cut = [event for event in store.get_events("s") if event.kind == "task_cut"]
    assert [event.message for event in cut] == [
        "The language model was told the first 4000 of the task's 5000 characters."
    ]


def test_interrupts_pass_through(store):
    one, _ = consultant(store, [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        one.answer(request(), 0)


def test_usage_adds_up():
    at = datetime.now(UTC)
    results = [
        ChatReply('{"configs": [{"x": "0.5"}, {"x": 7}]}', "m", prompt_tokens=10, completion_tokens=5, cost=0.25),
        ChatReply("{}", "m", recorded=True),
        ChatFailure("BackendTimeout", "late"),
        ChatReply('{"configs": [{"x": 0.1}]}', "m", prompt_tokens=1),
    ]
    usage = LLMUsage.of([LLMCall(request(), result, 0, at) for result in results], SPACE)
    assert usage == LLMUsage(3, 1, 1, 11, 5, 0.25, rejected=2, repaired=1)


def test_secrets_are_blotted_out(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "abcdefgh1")
    monkeypatch.setenv("SHORT_KEY", "the")
    assert without_secrets("abcdefgh1 is the key") == "[secret] is the key"


class Careless:
    """Somebody's first backend."""

    name = "careless"

    def __init__(self, answer):
        self.answer = answer

    def complete(self, request):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Mute(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("answer", ["text", None, ChatReply(None, "m"), Mute("why")])
def test_a_backend_that_breaks_its_promise_is_a_failure(store, answer):
    one = Consultant(Careless(answer), store, "s", SPACE, LLMSettings())
    assert isinstance(one.answer(request(), 0), ChatFailure)
    assert [event.kind for event in store.get_events("s")] == ["llm_failed"]
