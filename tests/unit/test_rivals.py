import json

import pytest

from hybridbo import Float, Space
from hybridbo.engine import Engine
from hybridbo.objective import Objective
from hybridbo.policy import Standing
from hybridbo.ports import ChatFailure, ChatReply
from hybridbo.rivals import Rivals, consult
from hybridbo.settings import Settings
from hybridbo.trial import History, Origin, Trial, TrialState

SPACE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0, default=0.5)})
PAST = History.of(
    [
        Trial(i, {"x": i / 10, "y": 0.5}, TrialState.COMPLETE, Origin("gp", "."), None, float(i), {"value": float(i)})
        for i in range(7)
    ]
)


def drive(answer, rule=1, fixed=None, standing=Standing()):
    settings = Settings.of({"llm": {"consult": rule, "consult_points": 2}})
    search = Engine(SPACE, Objective.of("minimize"), settings, "t", has_llm=True, fixed=fixed or {})
    steps = consult(search, PAST, standing)
    try:
        request = next(steps)
        steps.send(answer)
    except StopIteration as end:
        return end.value, locals().get("request")
    raise AssertionError


def reply(*points):
    return ChatReply(json.dumps({"configs": list(points), "rationale": "Because."}), "m")


def test_points_come_with_the_slack_of_the_policy():
    found, request = drive(reply({"x": 0.2, "y": 0.1}, {"x": 0.3, "y": 0.1}, {"x": 0.4, "y": 0.1}))
    assert request.purpose == "consult:7"
    assert found.points == ({"x": 0.2, "y": 0.1}, {"x": 0.3, "y": 0.1})  # no more than was asked for
    assert found.slack == pytest.approx(20 / 7)
    assert found.rationale == "Because."


def test_nobody_is_asked_when_it_is_not_due():
    for options in ({"rule": "never"}, {"rule": 1, "standing": Standing("lost", "It lost.")}):
        found, request = drive(None, **options)
        assert (found.points, request) == ((), None)


def test_what_was_decided_is_put_into_the_points():
    found, _ = drive(reply({"x": 0.2, "y": 0.1}), fixed={"y": 0.75})
    assert found.points == ({"x": 0.2, "y": 0.75},)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (ChatFailure("BackendTimeout", "late", asked="m"), "The LLM gave no advice (BackendTimeout: late)"),
        (ChatReply("I would rather not.", "m"), "The LLM's reply holds no usable configuration"),
        (reply({"x": 7}), "The LLM's reply holds no usable configuration"),
    ],
)
def test_a_failure_is_noted(answer, note):
    found, _ = drive(answer)
    assert found.points == ()
    assert found.notes[0].startswith(note)


def test_nobody_asked_is_told_once_and_is_no_consultation():
    found, _ = drive(ChatFailure("BudgetExhausted", "max_calls is used up (3 of 3)."))
    assert (found.points, found.notes) == ((), ())
    assert found.reason == "The LLM was not consulted: max_calls is used up (3 of 3)."


def test_another_process_that_asks_is_no_failure():
    found, _ = drive(ChatFailure("BackendBusy", "another process is consulting the language model"))
    assert (found.points, found.notes) == ((), ())
    assert "another process" in found.reason


def test_what_is_told():
    rivals = Rivals(({"x": 0.1}, {"x": 0.2}), 2.0, "Asked.", "Why not.")
    assert (
        rivals.told(None, -3.0)[1] == "The best of its configurations promises 4.98 % of this one; 13.5 % were needed."
    )
    assert rivals.told(1, -1.0)[1].startswith("Number 2 of its configurations promises 36.8 % of the GP's own best")
    assert rivals.told(1, 1e9)[1].endswith("Why not.")
    assert rivals.told(None, None)[1] == "All 2 configurations that it named are known."
    assert (Rivals().told(None, None), Rivals(reason="No.").told(None, None)) == ([], ["No."])
