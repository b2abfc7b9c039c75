"""What an oracle keeps beside KerasTuner's trials survives JSON, and becomes the history that the engine is told."""

import json
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("keras_tuner")

from keras_tuner import HyperParameters
from keras_tuner.engine.trial import Trial, TrialStatus

from hybridbo.integrations.keras_record import Record
from hybridbo.integrations.keras_space import KerasSpace
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall
from hybridbo.stored import UNSETTLED
from hybridbo.trial import Origin, TrialState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def hps(**values):
    found = HyperParameters()
    found.Float("x", 0.0, 1.0)
    found.Choice("c", ["a", "b"])
    found.values.update(values)
    return found


def trial(number, status, score=None, **values):
    made = Trial(hps(**values), trial_id=str(number), status=status)
    made.score = score
    return made


SPACE = KerasSpace.of(hps().space)


def test_it_survives_json():
    record = Record(
        {"0": Origin("llm", "Said so.", 0.5, 0.1), "1": Origin("sobol", "Seed.")},
        {"0": NOW},
        {"0": NOW + timedelta(seconds=2)},
    )
    request = ChatRequest("seeds", "task", {"x": {"type": "float"}}, "system", "user")
    record.record_call("", LLMCall(request, ChatReply("text", "model", 1, 2, 0.5), 0, NOW))
    record.record_call("", LLMCall(request, ChatFailure("BackendTimeout", "late"), 1, NOW))
    record.record_event("", Event("fallback", "Gave up.", 3))
    again = Record.from_data(json.loads(json.dumps(record.to_data())))
    assert again == record
    assert again.get_calls() == record.get_calls()
    assert again.events[0].at is not None


def test_a_call_is_settled_once():
    record, request = Record(), ChatRequest("seeds", "task", {}, "system", "user")
    number = record.record_call("", LLMCall(request, ChatFailure(UNSETTLED, "asked"), 1, NOW))
    settled = LLMCall(request, ChatReply("text", "model", 1, 2), 1, NOW)
    assert record.settle_call("", number, settled)
    assert not record.settle_call("", number, LLMCall(request, ChatReply("again", "model"), 1, NOW))
    assert not record.settle_call("", 9, settled)
    assert record.get_calls() == [settled]
    assert record.get_calls()[0].number == number


def test_trials_become_the_history_that_they_are():
    trials = [
        trial(0, TrialStatus.COMPLETED, 0.5, x=0.25, c="b"),
        trial(1, TrialStatus.FAILED),
        trial(2, TrialStatus.INVALID),
        trial(3, TrialStatus.RUNNING),
        trial(4, TrialStatus.COMPLETED, float("inf")),
        trial(5, TrialStatus.STOPPED, 0.75),
    ]
    record = Record({"0": Origin("gp", "Best.")}, {"0": NOW}, {"0": NOW + timedelta(seconds=2)})
    history, notes = record.history(trials, SPACE)
    assert notes == []
    assert [(t.number, t.state) for t in history.trials] == [
        (0, TrialState.COMPLETE),
        (1, TrialState.FAILED),
        (2, TrialState.RUNNING),  # it will be run again
        (3, TrialState.RUNNING),
        (4, TrialState.FAILED),
        (5, TrialState.PRUNED),
    ]
    first = history.completed[0]
    assert (first.params, first.value, first.values) == ({"x": 0.25, "c": "b"}, 0.5, {"value": 0.5})
    assert (first.origin.source, first.duration_s) == ("gp", 2.0)
    assert history.completed[1].origin.reason == "Proposed by another oracle."
    assert history.completed[1].duration_s is None


def test_a_trial_that_is_not_in_the_space_is_left_out_and_the_others_keep_their_numbers():
    trials = [trial(0, TrialStatus.COMPLETED, 0.5, c="z"), trial(1, TrialStatus.COMPLETED, 0.5)]
    history, notes = Record().history(trials, SPACE)
    assert [t.number for t in history.trials] == [1]
    assert notes == ["Trial 0 is left out: 'c'='z' is none of the choices; allowed: one of 'a', 'b'."]
