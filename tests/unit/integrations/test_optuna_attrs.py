"""What is kept in the system attributes of a study."""

from datetime import UTC, datetime

import optuna
import pytest

from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall
from hybridbo.stored import UNSETTLED
from hybridbo.trial import Origin

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def call(number, text="hello"):
    request = ChatRequest("seeds", "task", {"x": {"type": "float"}}, "system", "user")
    return LLMCall(request, ChatReply(text, "model", 10, 20, 0.5), number, NOW)


def test_a_record_comes_back_as_it_was():
    study = optuna.create_study()
    trial = study.ask()
    record = attrs.Record(Origin("llm", "Said so.", 0.5, 0.1), {"x": 0.1, "k": None}, ("a note",), ("minimize",))
    attrs.put_record(study, study.trials[trial.number], record)
    assert attrs.record_of(study.trials[0]) == record
    assert attrs.record_of(study.trials[0]).params == record.params


@pytest.mark.parametrize(
    "wrong", [None, 3, {}, {"source": "oracle"}, {"source": "gp"}, {"source": "gp", "reason": "", "predicted": [1]}]
)
def test_what_cannot_be_read_is_none(wrong):
    assert attrs.record_of(optuna.trial.create_trial(value=1.0, system_attrs={attrs.PROPOSAL: wrong})) is None


def test_calls_come_back_by_trial_whatever_their_length(monkeypatch):
    monkeypatch.setattr(attrs, "_LONGEST", 100)
    calls = attrs.StudyCalls(optuna.create_study(), [])
    made = [call(11), call(2, "x" * 1000), call(2, "second")]
    for one in made:
        calls.record_call("study", one)
    assert calls.get_calls("study") == [made[1], made[2], made[0]]


def test_a_failure_is_a_call_too():
    calls = attrs.StudyCalls(optuna.create_study(), [])
    failed = LLMCall(call(0).request, ChatFailure("BackendTimeout", "too late", "retry", "model", 1.5), 4, NOW)
    calls.record_call("study", failed)
    assert calls.get_calls("study") == [failed]


def test_a_call_that_is_half_written_does_not_count(monkeypatch):
    monkeypatch.setattr(attrs, "_LONGEST", 100)
    study = optuna.create_study()
    attrs.StudyCalls(study, []).record_call("study", call(0))
    attrs.put_study(study, "hybridbo:call:0.0", 99)
    attrs.put_study(study, "hybridbo:call:1.0", 3)
    assert attrs.StudyCalls(study, []).get_calls("study") == []


def test_events_are_gathered():
    events = []
    attrs.StudyCalls(optuna.create_study(), events).record_event("study", Event("llm_failed", "no"))
    assert events == [Event("llm_failed", "no")]


def test_a_call_is_settled_once_and_read_in_place_of_what_was_kept_before(monkeypatch):
    monkeypatch.setattr(attrs, "_LONGEST", 100)
    calls = attrs.StudyCalls(optuna.create_study(), [])
    under_way = LLMCall(call(3).request, ChatFailure(UNSETTLED, "asked by somebody"), 3, NOW)
    calls.record_call("study", call(3))
    with calls.transaction():
        number = calls.record_call("study", under_way)
    assert [one.number for one in calls.get_calls("study")][1] == number
    assert calls.settle_call("study", number, call(3, "settled"))
    assert not calls.settle_call("study", number, call(3, "again"))
    assert not calls.settle_call("study", number + 7, call(3, "again"))
    assert calls.get_calls("study") == [call(3), call(3, "settled")]
    assert calls.get_calls("study")[1].number == number
