"""``settings.llm.store_text=False``: no text of a request or a reply is in the store, and the search is the same."""

import json
from contextlib import closing

import pytest

from hybridbo import Categorical, Float, Optimizer
from hybridbo.errors import BackendBadReply
from hybridbo.storage import open_store
from hybridbo.storage.check import check_store
from hybridbo.testing import ScriptedBackend

SPACE = {"lr": Float(1e-5, 1e-1, log=True), "opt": Categorical(["adam", "sgd"])}
REPLY = json.dumps(
    {
        "configs": [{"lr": 0.002, "opt": "sgd"}, {"lr": 0.03, "opt": "adam"}, {"lr": "REPLYWORD"}],
        "beliefs": {"lr": {"center": 0.002, "low": 0.001, "high": 0.01}},
        "rationale": "REPLYWORD is why.",
    }
)
PRIVATE = {"llm": {"store_text": False}}


def _search(store, replies, trials, settings=PRIVATE):
    backend = ScriptedBackend(replies)
    with Optimizer(SPACE, task="TASKWORD", llm=backend, store=store, study="s", seed=0, settings=settings) as opt:
        while len(opt.trials) < trials:
            trial = opt.ask()
            opt.tell(trial, trial.params["lr"])
        return [(t.params, t.origin) for t in opt.trials], backend.requests, opt.llm_usage, opt.events


def _calls(path):
    with closing(open_store(path)) as store:
        return store.get_calls("s")


def test_no_text_is_stored_and_a_resumed_search_goes_on_as_if_it_were(tmp_path):
    whole, requests, usage, _ = _search(tmp_path / "a.db", [REPLY], 9)
    assert [origin.source for _, origin in whole[:3]] == ["default", "llm", "llm"]
    _search(tmp_path / "b.db", [REPLY], 2)
    resumed, none, _, events = _search(tmp_path / "b.db", [], 9)
    assert none == []
    assert resumed == whole
    assert (usage.rejected, usage.calls) == (1, 1)
    [call] = _calls(tmp_path / "b.db")
    assert call.request.topic_hash == requests[0].topic_hash
    assert call.request.content_hash == requests[0].content_hash
    assert "TASKWORD" not in repr(call)
    written = (tmp_path / "b.db").read_bytes()
    assert b"REPLYWORD" not in written  # nowhere, the reasons of trials and the events included
    assert requests[0].system.encode()[:60] not in written
    assert written.count(b"TASKWORD") == 1  # the study's own description, without which nothing could be asked
    assert any(event.kind == "llm_reply" for event in events)
    assert not check_store(tmp_path / "b.db").problems


def test_the_search_is_the_one_that_keeps_the_texts(tmp_path):
    private, *_ = _search(tmp_path / "a.db", [REPLY], 9)
    open_, *_ = _search(tmp_path / "b.db", [REPLY], 9, {})
    assert [params for params, _ in private] == [params for params, _ in open_]
    assert "REPLYWORD is why." in open_[1][1].reason


@pytest.mark.parametrize(
    "trouble",
    [BackendBadReply("REPLYWORD, it says of TASKWORD"), ValueError("REPLYWORD"), "REPLYWORD: no JSON"],
)
def test_failures_keep_their_kind_and_no_words(trouble, tmp_path):
    _search(tmp_path / "a.db", [trouble] * 9, 4)
    written = (tmp_path / "a.db").read_bytes()
    assert b"REPLYWORD" not in written
    assert written.count(b"TASKWORD") == 1
    result = _calls(tmp_path / "a.db")[0].result
    assert getattr(result, "error", "reply") in {"BackendBadReply", "BackendError", "reply"}
