import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo import owner
from hybridbo.claims import Claims, claim, claimed_by
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall, StudyRecord
from hybridbo.storage import open_store
from hybridbo.stored import UNSETTLED

REQUEST = ChatRequest("consult:10", "t", {"x": {}}, "s", "u", timeout_s=60.0, retries=1)
ELSEWHERE = "another-host 7 1"


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "s.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    yield store
    store.close()


def record(store, result, request=REQUEST, ago_s=0.0):
    return store.record_call("s", LLMCall(request, result, 10, datetime.now(UTC) - timedelta(seconds=ago_s)))


def by(process):
    return ChatFailure(UNSETTLED, claim().replace(owner.current(), process))


def test_a_call_names_the_process_that_makes_it():
    assert claimed_by(LLMCall(REQUEST, by(ELSEWHERE), 0, datetime.now(UTC))) == ELSEWHERE


def test_what_another_process_asks_is_taken_until_it_is_answered(store):
    claims = Claims(store, "s")
    assert not claims.is_taken(REQUEST)
    assert store.get_events("s") == []  # to look is to claim nothing
    number = record(store, by(ELSEWHERE))
    assert claims.is_taken(REQUEST)
    assert not claims.is_taken(replace(REQUEST, purpose="consult:15"))
    store.settle_call("s", number, LLMCall(REQUEST, ChatReply("{}", "m"), 10, datetime.now(UTC)))
    assert not claims.is_taken(REQUEST)  # the Consultant finds the reply


def test_a_call_of_this_process_is_left_to_its_consultant(store):
    record(store, by(owner.current()))  # which may hold the outcome, if the store could not take it
    assert not Claims(store, "s").is_taken(REQUEST)


def test_the_seeds_are_waited_for(store):
    seeds = replace(REQUEST, purpose="seeds")
    record(store, by(ELSEWHERE), seeds)
    assert not Claims(store, "s").is_taken(seeds)


def test_another_one_asks_when_it_failed(store):
    record(store, ChatFailure("BackendTimeout", "late"))
    assert not Claims(store, "s").is_taken(REQUEST)


@pytest.mark.parametrize(("ago_s", "is_taken"), [(154.0, True), (156.0, False)])
def test_a_call_of_a_process_of_which_nothing_is_known_runs_out(store, ago_s, is_taken):
    record(store, by(ELSEWHERE), ago_s=ago_s)
    assert Claims(store, "s").is_taken(REQUEST) is is_taken


def test_a_call_of_a_process_that_is_gone_is_none(store):
    code = "from hybridbo import owner; print(owner.current())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record(store, by(done.stdout.strip()))
    assert not Claims(store, "s").is_taken(REQUEST)
