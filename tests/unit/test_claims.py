import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo import owner
from hybridbo.claims import Claims
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage import open_store

REQUEST = ChatRequest("consult:10", "t", {"x": {}}, "s", "u", timeout_s=60.0, retries=1)


@pytest.fixture
def stores(tmp_path):
    """Two processes at one file."""
    both = [open_store(tmp_path / "s.db") for _ in range(2)]
    both[0].create_study(StudyRecord("s", "{}", "{}"))
    yield both
    for store in both:
        store.close()


def answer(store, result):
    store.record_call("s", LLMCall(REQUEST, result, 10, datetime.now(UTC)))


def test_one_of_two_asks(stores):
    one, other = (Claims(store, "s") for store in stores)
    assert not one.is_taken(REQUEST)
    assert other.is_taken(REQUEST)
    assert not one.is_taken(REQUEST)  # its own
    assert not other.is_taken(replace(REQUEST, purpose="consult:15"))
    answer(stores[0], ChatReply("{}", "m"))
    assert not other.is_taken(REQUEST)  # the Consultant finds the reply
    assert len(stores[0].get_events("s")) == 2


def test_the_seeds_are_waited_for(stores):
    seeds = replace(REQUEST, purpose="seeds")
    assert not any(Claims(store, "s").is_taken(seeds) for store in stores)
    assert stores[0].get_events("s") == []


def test_another_one_asks_when_it_failed(stores):
    one, other = (Claims(store, "s") for store in stores)
    one.is_taken(REQUEST)
    answer(stores[0], ChatFailure("BackendTimeout", "late"))
    assert not other.is_taken(REQUEST)


def test_a_claim_of_a_process_that_was_killed_runs_out(stores):
    one, other = (Claims(store, "s") for store in stores)
    one.is_taken(REQUEST)
    [claim] = stores[0].get_events("s")
    stores[0].record_event("s", Event(claim.kind, claim.message, at=datetime.now(UTC) - timedelta(seconds=149)))
    assert other.is_taken(REQUEST)
    stores[0].record_event("s", Event(claim.kind, claim.message, at=datetime.now(UTC) - timedelta(seconds=151)))
    assert not other.is_taken(REQUEST)


def test_a_claim_of_a_process_that_is_gone_is_none(stores):
    one, other = (Claims(store, "s") for store in stores)
    one.is_taken(REQUEST)
    [claim] = stores[0].get_events("s")
    gone = claim.message.replace(owner.current(), dead())
    stores[0].record_event("s", Event(claim.kind, gone))
    assert not other.is_taken(REQUEST)


def dead():
    """The name of a process of this machine that has ended."""
    code = "from hybridbo import owner; print(owner.current())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
