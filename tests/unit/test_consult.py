import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo import Float, Space, errors, owner
from hybridbo.claims import claim
from hybridbo.consult import SWITCHED_ON, Consultant, LLMUsage, without_secrets
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.settings import LLMSettings
from hybridbo.storage import open_store
from hybridbo.stored import UNSETTLED
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
    assert [event.kind for event in store.get_events("s")] == ["llm_failed", "llm_failed", "llm_paused"]
    assert [call.result.error for call in store.get_calls("s")] == ["BackendTimeout"] * 2


def test_a_refusal_switches_the_model_off_for_the_study_in_other_processes_too(store):
    one, backend = consultant(store, [errors.BackendRefused("401")])
    assert [one.answer(request(), number).error for number in range(3)] == ["BackendRefused"] * 3
    assert len(backend.requests) == 1
    another, backend = consultant(store, ["unheard"])
    for task in "tu":  # another question is none to it either
        answer = another.answer(request(task=task), 3)
        assert answer.advice == "give up"
        assert "switched off for this study: 401" in answer.message
    assert backend.requests == []
    assert [event.kind for event in store.get_events("s")] == ["llm_failed", "llm_off"]


def test_another_key_or_a_call_switches_it_on_again(store):
    one, backend = consultant(store, [errors.BackendRefused("401"), errors.BackendRefused("402"), "it works"])
    backend.identity = "scripted, one key"
    one.answer(request(), 0)
    backend.identity = "scripted, another key"
    assert "402" in one.answer(request(), 1).message
    assert "402" in one.answer(request(), 2).message
    assert len(backend.requests) == 2
    store.record_event("s", Event(SWITCHED_ON, "by hand"))
    assert one.answer(request(), 3).text == "it works"


def test_a_server_that_hangs_is_left_alone_for_a_while_and_then_tried_once(store):
    one, backend = consultant(store, [errors.BackendTimeout("late")] * 9, max_failures=9, breaker_failures=2)
    answers = [one.answer(request(), number) for number in range(4)]
    assert len(backend.requests) == 2
    assert "left alone until" in answers[-1].message
    other, backend = consultant(store, [errors.BackendTimeout("late")], max_failures=9, breaker_s=0.0)
    assert isinstance(other.answer(request(), 4), ChatFailure)
    assert len(backend.requests) == 1  # half open
    third, backend = consultant(store, ["fine"], max_failures=9)
    assert "3 failures in a row" in third.answer(request(), 5).message
    assert backend.requests == []
    assert [event.kind for event in store.get_events("s")].count("llm_paused") == 1


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


def test_usage_tells_limits_and_what_is_left():
    at = datetime.now(UTC)
    settings = LLMSettings(
        max_calls=5, max_total_tokens=9000, max_cost=1.0, prices={"m": {"prompt": 1, "completion": 2}}
    )
    results = [
        ChatReply("{}", "m", 1000, 500, cost=0.002),
        ChatFailure("BackendBadReply", "", model="m", prompt_tokens=100, completion_tokens=0, cost=0.0001),
        ChatFailure("CallLost", "", model="m"),
    ]
    usage = LLMUsage.of([LLMCall(request(), result, 0, at) for result in results], SPACE, settings)
    assert (usage.calls, usage.failures, usage.lost, usage.calls_left) == (3, 2, 1, 2)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (1100, 500, 0.0021)
    assert usage.tokens_left == 9000 - 1600 - 4096 - 1  # the lost call may have used all that it could
    assert usage.cost_left == pytest.approx(1.0 - 0.0021 - (1 + 2 * 4096) / 1e6)


def test_an_outcome_that_the_store_could_not_take_is_stored_at_the_next_ask(store, monkeypatch):
    one, backend = consultant(store, ["paid for"])
    with monkeypatch.context() as broken:
        broken.setattr(store, "settle_call", lambda *_: (_ for _ in ()).throw(errors.StoreBusy("held")))
        with pytest.raises(errors.StoreBusy):
            one.answer(request(), 0)
    assert store.get_calls("s")[0].is_unsettled
    assert one.answer(request(), 0).text == "paid for"
    assert [call.result.text for call in store.get_calls("s")] == ["paid for"]
    assert len(backend.requests) == 1


def test_an_interrupted_call_is_labelled(store):
    one, _ = consultant(store, [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        one.answer(request(), 0)
    assert [call.result.error for call in store.get_calls("s")] == ["CallLost"]


def test_time_outs_and_lost_connections_of_any_backend_are_told_apart(store):
    one, _ = consultant(store, [TimeoutError("slow"), ConnectionResetError("gone")], max_failures=9)
    assert [one.answer(request(), n).error for n in range(2)] == ["BackendTimeout", "BackendUnavailable"]


def test_each_ask_has_its_time_and_all_calls_of_one_share_it(store):
    one, backend = consultant(store, ["a", "b", "c"], max_ask_s=60.0)
    one.answer(request(task="1"), 0)
    one.answer(request(task="2"), 0)
    first, second = (asked.total_s for asked in backend.requests)
    assert second < first <= 60.0
    one._left_s = 0.0
    assert "max_ask_s are used up" in one.answer(request(task="3"), 0).message
    one.begin()
    assert one.answer(request(task="3"), 1).text == "c"


def consultation(after=10):
    return replace(request(), purpose=f"consult:{after}")


def test_a_consultation_is_an_event_in_words_where_somebody_is_asked(store):
    one, _ = consultant(store, ["{}", "{}"], max_calls=1)
    assert one.answer(consultation(), 10).text == "{}"
    assert [event.message for event in store.get_events("s") if event.kind == "llm_consulted"] == [
        "The language model is asked for more configurations after 10 trials."
    ]
    barred = one.answer(consultation(15), 15)
    assert barred.asked == ""
    assert "max_calls is used up (1 of 1)" in barred.message
    assert [event.kind for event in store.get_events("s")].count("llm_consulted") == 1


def test_an_open_breaker_asks_nobody_and_says_so(store):
    one, _ = consultant(store, [errors.BackendRefused("401")])
    assert one.answer(request(), 0).asked == "scripted"
    assert one.answer(consultation(), 10).asked == ""
    assert all(event.kind != "llm_consulted" for event in store.get_events("s"))


def test_a_consultation_that_is_under_way_is_not_waited_for(store):
    one, backend = consultant(store, ["{}"])
    pending = ChatFailure(UNSETTLED, claim())
    store.record_call("s", LLMCall(consultation(), pending, 10, datetime.now(UTC)))
    assert one.answer(consultation(), 11).error == "BackendBusy"
    assert backend.requests == []
    assert all(event.kind != "llm_consulted" for event in store.get_events("s"))  # to look is to claim nothing
    assert one.answer(consultation(15), 15).text == "{}"


def asked_elsewhere(store, process, ago_s=0.0):
    """A consultation that another process has begun."""
    pending = ChatFailure(UNSETTLED, claim().replace(owner.current(), process))
    begun = datetime.now(UTC) - timedelta(seconds=ago_s)
    timed = replace(consultation(), timeout_s=60.0, retries=1)
    return store.record_call("s", LLMCall(timed, pending, 10, begun))


@pytest.mark.parametrize(("ago_s", "error"), [(154.0, "BackendBusy"), (156.0, None)])
def test_a_consultation_of_a_process_of_which_nothing_is_known_runs_out(store, ago_s, error):
    one, _ = consultant(store, ["{}"])
    asked_elsewhere(store, "another-host/7/1", ago_s)
    assert getattr(one.answer(consultation(), 11), "error", None) == error


def test_a_consultation_of_a_process_that_is_gone_is_asked_again(store):
    code = "from hybridbo import owner; print(owner.current())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    one, _ = consultant(store, ["{}"])
    asked_elsewhere(store, done.stdout.strip())
    assert one.answer(consultation(), 11).text == "{}"


def test_the_answer_of_another_process_is_found(store):
    one, backend = consultant(store, [])
    number = asked_elsewhere(store, "another-host/7/1")
    assert one.answer(consultation(), 10).error == "BackendBusy"
    store.settle_call("s", number, LLMCall(consultation(), ChatReply("theirs", "m"), 10, datetime.now(UTC)))
    assert one.answer(consultation(), 11).text == "theirs"
    assert backend.requests == []


def test_the_budget_is_looked_at_again_within_the_transaction_that_spends_it(store, monkeypatch):
    one, backend = consultant(store, ["mine"], max_calls=1)
    begin, calls = store.transaction, [LLMCall(request(task="theirs"), ChatReply("theirs", "m"), 0, datetime.now(UTC))]

    def overtaken():
        for call in calls[:1]:
            calls.clear()
            store.record_call("s", call)  # between our look and our transaction
        return begin()

    monkeypatch.setattr(store, "transaction", overtaken)
    assert one.answer(request(), 0).error == "BudgetExhausted"
    assert backend.requests == []
