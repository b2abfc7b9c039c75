import json

import pytest

from hybridbo import errors
from hybridbo.attempts import ask_for_space
from hybridbo.ports import ChatFailure, ChatReply
from hybridbo.settings import LLMSettings
from hybridbo.testing import ScriptedBackend

GOOD = json.dumps({"parameters": [{"name": "lr", "type": "float", "low": 0.1, "high": 1.0, "reason": "?"}]})


def ask(*replies):
    backend = ScriptedBackend(replies)
    return ask_for_space(backend, "A task.", LLMSettings(), 5), backend


def test_one_that_is_usable_is_all():
    [attempt], _ = ask(GOOD)
    assert attempt.advice.space is not None
    assert isinstance(attempt.call.result, ChatReply)


def test_a_failed_one_is_labelled_and_the_same_is_asked_again():
    attempts, backend = ask(errors.BackendBadReply("HTML."), GOOD)
    assert [type(attempt.call.result) for attempt in attempts] == [ChatFailure, ChatReply]
    assert attempts[0].why == "BackendBadReply: HTML."
    assert attempts[0].call.result.asked == "scripted"
    assert backend.requests[0] == backend.requests[1]


def test_each_of_two_failed_attempts_is_in_the_error():
    with pytest.raises(errors.BackendTimeout, match=r"attempt 1: reply: .*; attempt 2: BackendTimeout: late") as caught:
        ask("Sorry.", errors.BackendTimeout("late.", "Wait longer."))
    assert caught.value.hint == "Wait longer."


def test_somebody_elses_class_of_error_is_raised_as_ours():
    class Strange(errors.BackendUnavailable):
        def __init__(self):
            super().__init__("down")

    with pytest.raises(errors.BackendUnavailable, match="attempt 2: Strange: down") as caught:
        ask("Sorry.", Strange())
    assert type(caught.value) is errors.BackendUnavailable


@pytest.mark.parametrize("error", [errors.BackendTimeout("late"), errors.BackendRefused("401")])
def test_what_asking_again_does_not_help_is_asked_once(error):
    backend = ScriptedBackend([error, GOOD])
    with pytest.raises(type(error)) as caught:
        ask_for_space(backend, "A task.", LLMSettings(), 5)
    assert caught.value is error
    assert len(backend.requests) == 1
