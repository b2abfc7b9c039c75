from datetime import UTC, datetime, timedelta

import pytest

from hybridbo.breaker import LOST, is_under_way, judge, longest_s
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.settings import LLMSettings
from hybridbo.stored import UNSETTLED

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
REQUEST = ChatRequest("seeds", "t", {}, "", "", timeout_s=10.0, retries=1)
SETTINGS = LLMSettings(breaker_failures=2, breaker_s=60.0)
LATE = ("BackendTimeout", "retry")
DOWN = ("BackendUnavailable", "retry")
REFUSED = ("BackendRefused", "give up")
BAD = ("BackendBadReply", "fall back")
REPLY, REPLAY = ChatReply("{}", "m"), ChatReply("{}", "m", recorded=True)


def calls(*results, asked="me"):
    made = []
    for second, given in enumerate(results):
        result = ChatFailure(given[0], "why", given[1], asked=asked) if isinstance(given, tuple) else given
        made.append(LLMCall(REQUEST, result, 0, NOON + timedelta(seconds=second)))
    return made


def state(made, after_s=10.0, asked="me", settings=SETTINGS, since=None):
    return judge(made, NOON + timedelta(seconds=after_s), settings, asked=asked, since=since).state


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "closed"),
        ([LATE], "closed"),
        ([LATE, DOWN], "open"),
        ([LATE, REPLAY, LATE], "open"),
        ([LATE, LATE, REPLY], "closed"),
        ([LATE, BAD, LATE], "closed"),
        ([LATE, (LOST, "fall back"), LATE], "open"),
        ([REFUSED], "off"),
        ([REFUSED, LATE, LATE], "off"),
        ([REFUSED, REPLY], "closed"),
        ([REPLY, REFUSED], "off"),
    ],
)
def test_what_follows_from_the_calls(results, expected):
    assert state(calls(*results)) == expected


def test_it_is_half_open_after_a_while_and_tried_by_one():
    made = calls(LATE, LATE)
    assert state(made, 60.9) == "open"
    assert state(made, 61.1) == "half open"
    assert judge(made, NOON, SETTINGS, asked="me").until == NOON + timedelta(seconds=61)
    probe = LLMCall(REQUEST, ChatFailure(UNSETTLED, "asked"), 0, NOON + timedelta(seconds=62))
    assert state([*made, probe], 63) == "open"
    assert state([*made, probe], 62 + longest_s(REQUEST) + 1) == "half open"  # nobody will hear of it any more


def test_calls_to_others_and_before_it_was_switched_on_do_not_count():
    assert state(calls(REFUSED), asked="another") == "closed"
    assert state(calls(LATE, LATE), asked="another") == "closed"
    assert state(calls(REFUSED), since=NOON + timedelta(seconds=1)) == "closed"
    assert state(calls(REPLY, REFUSED), since=NOON) == "off"


def test_it_never_opens_where_it_is_not_wanted():
    assert state(calls(*[LATE] * 9), settings=LLMSettings(breaker_failures=None)) == "closed"
    assert state(calls(LATE), settings=LLMSettings(breaker_failures=1)) == "open"


def test_the_reason_is_the_same_while_the_state_lasts():
    made = calls(LATE, LATE)
    first, second = (judge(made, NOON + timedelta(seconds=s), SETTINGS, asked="me") for s in (5, 50))
    assert first == second
    assert first.why == "left alone until 2026-01-02 12:01:01 UTC after 2 failures in a row; the last: why"
    assert not first.may_ask


def test_a_call_is_under_way_until_its_time_is_over():
    probe = LLMCall(REQUEST, ChatFailure(UNSETTLED, "asked"), 0, NOON)
    assert is_under_way(probe, NOON + timedelta(seconds=20))
    assert not is_under_way(probe, NOON + timedelta(seconds=longest_s(REQUEST)))
    assert not is_under_way(calls(LATE)[0], NOON)
