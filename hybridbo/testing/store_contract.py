"""What a trial store must do, as tests that run against every implementation. Needs pytest and hypothesis.

Subclass :class:`StoreContract` in a test file and say how a store is made::

    class TestMyStore(StoreContract):
        persistent = True                    # a second store on the same folder sees what the first one holds

        def make_store(self, folder: Path) -> TrialStore:
            return MyStore(folder / "search.xyz")
"""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridbo.errors import InvalidParams, InvalidSettings, StudyNotFound, TellConflict
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord, TrialStore
from hybridbo.stored import UNSETTLED
from hybridbo.testing.store_alterations import AlterationClauses
from hybridbo.testing.store_cases import (
    STUDY,
    THREADS,
    a_call,
    a_proposal,
    a_study,
    at_once,
    complete,
    create,
    created,
    failed,
)
from hybridbo.testing.store_leases import LeaseClauses
from hybridbo.testing.store_logs import LogClauses
from hybridbo.testing.store_texts import TextClauses
from hybridbo.testing.store_trials import TrialClauses
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def _has_no_pair(text: str) -> bool:
    """Whether no two surrogates stand together: JSON has no notation for them, and a store may refuse them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


_TEXTS = st.text(st.characters()).filter(_has_no_pair)
_SCALARS = st.none() | st.booleans() | st.integers() | _FLOATS | _TEXTS
_EXTREMES = (0.0, -0.0, 5e-324, -2.2250738585072014e-308, 0.1 + 0.2, 1e22, 2.0**53 + 2, 1.7976931348623157e308)
_PROPERTY = settings(
    max_examples=50,
    deadline=None,
    # one store serves all examples, each with a trial of its own; and every subclass runs the same test
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def bits(x: object) -> bytes:
    """The eight bytes of a float; they tell 0.0 from -0.0, which ``==`` does not."""
    assert type(x) is float
    return struct.pack(">d", x)


class StoreContract(TrialClauses, LeaseClauses, AlterationClauses, LogClauses, TextClauses):
    """The clauses of :class:`~hybridbo.ports.TrialStore`, one test each."""

    # Studies -----------------------------------------------------------------------------------------------------

    def test_is_a_trial_store(self, store: TrialStore) -> None:
        assert isinstance(store, TrialStore)
        assert store.location == str(store.location) != ""

    def test_study_comes_back_as_it_was_given_with_a_time(self, store: TrialStore) -> None:
        before = datetime.now(UTC)
        record = store.create_study(a_study("other"))
        assert record.created_at is not None
        assert timedelta(0) <= record.created_at - before < timedelta(minutes=1)
        assert record.created_at.utcoffset() == timedelta(0)
        as_given = StudyRecord(**{**vars(a_study("other")), "created_at": record.created_at})
        assert record == store.get_study("other") == as_given

    def test_existing_study_is_returned_unchanged(self, store: TrialStore) -> None:
        first = store.get_study(STUDY)
        assert store.create_study(StudyRecord(STUDY, "{}", "{}", task="another")) == first
        assert store.list_studies() == [first]

    def test_studies_are_listed_oldest_first(self, store: TrialStore) -> None:
        for name in ("z", "a", "m"):
            store.create_study(a_study(name))
        assert [record.name for record in store.list_studies()] == [STUDY, "z", "a", "m"]

    def test_study_is_created_once_by_many_threads(self, store: TrialStore) -> None:
        records = [StudyRecord("new", "{}", "{}", seed=i) for i in range(THREADS)]
        got = at_once([lambda record=record: store.create_study(record) for record in records])  # type: ignore[misc]
        assert got == [store.get_study("new")] * THREADS

    def test_unknown_study_is_refused_by_every_method(self, store: TrialStore) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: store.get_study("none"),
            lambda: store.create_trial("none", a_proposal(), key="", owner="", seen=0),
            lambda: store.take_over("none", 0, owner="", previous=None, attempt=0),
            lambda: store.finish_trial("none", 0, complete(1.0)),
            lambda: store.get_trials("none"),
            lambda: store.enqueue("none", {"x": 1}, key=""),
            lambda: store.get_queue("none"),
            lambda: store.record_call("none", a_call(ChatReply("", "m"))),
            lambda: store.settle_call("none", 1, a_call(ChatReply("", "m"))),
            lambda: store.get_calls("none"),
            lambda: store.record_event("none", Event("k", "m")),
            lambda: store.get_events("none"),
        ]
        for call in calls:
            with pytest.raises(StudyNotFound, match=r"'none'.*'a study'"):
                call()
        assert [record.name for record in store.list_studies()] == [STUDY]

    def test_studies_do_not_see_each_other(self, store: TrialStore) -> None:
        store.create_study(a_study("other"))
        store.finish_trial(STUDY, created(store).number, complete(1.0))
        store.enqueue(STUDY, {"x": 2}, key="2")
        store.record_call(STUDY, a_call(ChatReply("", "m")))
        store.record_event(STUDY, Event("k", "m"))
        gets: tuple[Callable[[str], Any], ...] = (store.get_trials, store.get_queue, store.get_calls, store.get_events)
        assert [len(get(STUDY)) for get in gets] == [1, 1, 1, 1]
        assert [list(get("other")) for get in gets] == [[], [], [], []]
        trial = store.create_trial("other", a_proposal(), key="0.5", owner="me", seen=0)
        assert trial is not None
        assert trial.number == 0
        assert store.enqueue("other", {"x": 2}, key="2")

    def test_name_that_utf8_cannot_hold_is_refused(self, store: TrialStore) -> None:
        for name in ("nul \0", "lone \udc80"):
            with pytest.raises(InvalidSettings):
                store.create_study(a_study(name))
            with pytest.raises(StudyNotFound):
                store.get_study(name)

    # Calls and events --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "result",
        [
            ChatReply('{"☃": 1}\0', "model", 12, 0, 0.000123, 1.5, "retried", recorded=True),
            ChatReply("", "model"),
            ChatReply("x" * 1_000_000, "model", cost=0.0),
            ChatFailure("BackendTimeout", "no reply in 60 s ☃", "retry", "model", 60.0),
            ChatFailure("BackendRefused", "401", "give up"),
        ],
        ids=["reply", "empty", "long", "failure", "bare failure"],
    )
    def test_call_comes_back(self, store: TrialStore, result: ChatReply | ChatFailure) -> None:
        store.record_call(STUDY, a_call(result, 7))
        assert store.get_calls(STUDY) == [a_call(result, 7)]
        request = store.get_calls(STUDY)[0].request
        assert request.content_hash == a_call(result).request.content_hash
        assert request.topic_hash == a_call(result).request.topic_hash

    def test_failure_comes_back_with_what_it_cost_and_who_was_asked(self, store: TrialStore) -> None:
        failure = ChatFailure("BackendBadReply", "no text", "fall back", "m", 1.5, 12, 34, 0.25, "m at here, mark 0a1b")
        store.record_call(STUDY, a_call(failure))
        assert store.get_calls(STUDY)[0].result == failure

    def test_request_whose_texts_are_not_kept_has_their_hashes(self, store: TrialStore) -> None:
        call = a_call(ChatReply("{}", "m"))
        bare = replace(call.request, task="", space={}, system="", user="", schema=None, digests=("content", "topic"))
        store.record_call(STUDY, replace(call, request=bare))
        [back] = store.get_calls(STUDY)
        assert back.request == bare
        assert (back.request.content_hash, back.request.topic_hash) == ("content", "topic")

    def test_call_is_settled_once_and_keeps_its_place(self, store: TrialStore) -> None:
        number = store.record_call(STUDY, a_call(ChatFailure(UNSETTLED, "asked"), 3))
        later = store.record_call(STUDY, a_call(ChatReply("later", "m"), 4))
        assert [call.number for call in store.get_calls(STUDY)] == [number, later]
        assert store.get_calls(STUDY)[0].is_unsettled
        settled = a_call(ChatReply("text", "m", 1, 2, 0.5), 3)
        assert store.settle_call(STUDY, number, settled)
        assert not store.settle_call(STUDY, number, a_call(ChatReply("another", "m"), 3))
        assert not store.settle_call(STUDY, later, settled)
        assert not store.settle_call(STUDY, 10**6, settled)
        assert store.get_calls(STUDY) == [settled, a_call(ChatReply("later", "m"), 4)]
        assert [call.number for call in store.get_calls(STUDY)] == [number, later]

    def test_call_of_another_study_is_not_settled(self, store: TrialStore) -> None:
        store.create_study(a_study("other"))
        number = store.record_call(STUDY, a_call(ChatFailure(UNSETTLED, "asked")))
        assert not store.settle_call("other", number, a_call(ChatReply("text", "m")))
        assert store.get_calls(STUDY)[0].is_unsettled

    def test_call_is_settled_by_one_of_many(self, store: TrialStore) -> None:
        number = store.record_call(STUDY, a_call(ChatFailure(UNSETTLED, "asked")))
        calls = [a_call(ChatReply(str(i), "m")) for i in range(THREADS)]
        won = at_once([lambda call=call: store.settle_call(STUDY, number, call) for call in calls])  # type: ignore[misc]
        assert won.count(True) == 1
        assert store.get_calls(STUDY) == [calls[won.index(True)]]

    def test_calls_are_in_the_order_of_recording(self, store: TrialStore) -> None:
        calls = [a_call(ChatReply(str(i), "m"), number) for i, number in enumerate((3, 3, 0))]
        for call in calls:
            store.record_call(STUDY, call)
        assert store.get_calls(STUDY) == calls

    def test_call_with_odd_measurements_is_recorded_without_them(self, store: TrialStore) -> None:
        store.record_call(STUDY, a_call(ChatReply("text", "m", 2**70, -1, math.nan, math.inf)))
        assert store.get_calls(STUDY) == [a_call(ChatReply("text", "m"))]

    def test_events_come_back_in_order_with_a_time(self, store: TrialStore) -> None:
        at = datetime(2026, 1, 2, tzinfo=UTC)
        store.record_event(STUDY, Event("llm_failed", "no reply ☃"))
        store.record_event(STUDY, Event("trial_offered_again", "number 3", 3, at))
        first, second = store.get_events(STUDY)
        assert (first.kind, first.message, first.trial_number) == ("llm_failed", "no reply ☃", None)
        assert first.at is not None
        assert abs(first.at - datetime.now(UTC)) < timedelta(minutes=1)
        assert second == Event("trial_offered_again", "number 3", 3, at)

    # Exactness ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("value", _EXTREMES)
    def test_extreme_floats_come_back_bit_for_bit(self, store: TrialStore, value: float) -> None:
        self._check_floats(store, value, -value)

    @_PROPERTY
    @given(value=_FLOATS, x=_FLOATS)
    def test_floats_come_back_bit_for_bit(self, store: TrialStore, value: float, x: float) -> None:
        self._check_floats(store, value, x)

    def _check_floats(self, store: TrialStore, value: float, x: float) -> None:
        proposal = Proposal({"x": x}, Origin("gp", "", x, value))
        trial = store.create_trial(STUDY, proposal, key="", owner="", seen=2**40)
        assert trial is not None
        told = store.finish_trial(STUDY, trial.number, complete(value))
        for back in (told, store.get_trials(STUDY)[trial.number]):
            assert bits(back.value) == bits(back.values["value"]) == bits(value)
            assert bits(back.params["x"]) == bits(x)
            assert (back.origin.predicted_mean, back.origin.predicted_sd) == (x, value)
        assert store.finish_trial(STUDY, trial.number, complete(value)) == told

    @_PROPERTY
    @given(params=st.dictionaries(st.text(), _SCALARS), text=st.text(st.characters(exclude_categories=["Cs"])))
    def test_params_and_text_come_back_exactly(self, store: TrialStore, params: dict[str, Any], text: str) -> None:
        proposal = Proposal(params, Origin("llm", text))
        trial = store.create_trial(STUDY, proposal, key=text, owner=text, seen=2**40)
        assert trial is not None
        store.finish_trial(STUDY, trial.number, failed("!" + text))
        back = store.get_trials(STUDY)[trial.number]
        assert list(back.params) == list(params)
        assert repr(back.params) == repr(params)  # True, 1 and 1.0 are different things, and so are 0.0 and -0.0
        assert (back.origin.reason, back.owner, back.error) == (text, text, "!" + text)

    def test_huge_integers_come_back(self, store: TrialStore) -> None:
        assert created(store, 10**40).params == store.get_trials(STUDY)[0].params == {"x": 10**40}

    @pytest.mark.parametrize("x", [math.nan, math.inf, 10**5000, object(), b"bytes"], ids=lambda x: type(x).__name__)
    def test_params_that_cannot_be_kept_are_refused(self, store: TrialStore, x: Any) -> None:
        for put in (
            lambda: store.create_trial(STUDY, a_proposal(x), key="", owner="", seen=0),
            lambda: store.enqueue(STUDY, {"x": x}, key=""),
        ):
            with pytest.raises(InvalidParams, match="'x'="):
                put()
        assert store.get_trials(STUDY) == []
        assert store.get_queue(STUDY) == []

    def test_prediction_that_is_not_finite_is_none(self, store: TrialStore) -> None:
        proposal = Proposal({}, Origin("gp", "", math.nan, math.inf))
        store.create_trial(STUDY, proposal, key="", owner="", seen=0)
        assert store.get_trials(STUDY)[0].origin == Origin("gp", "")

    def test_failure_without_a_reason_has_an_error_all_the_same(self, store: TrialStore) -> None:
        created(store)
        assert store.finish_trial(STUDY, 0, Outcome(TrialState.FAILED)).error

    def test_what_is_returned_or_given_cannot_change_the_store(self, store: TrialStore) -> None:
        params: dict[str, Any] = {"x": 1}
        space: dict[str, Any] = {"x": {"low": 0}}
        request = ChatRequest("seeds", "", space, "", "", {"deep": {"list": [1]}})
        trial = store.create_trial(STUDY, Proposal(params, Origin("sobol", "")), key="1", owner="", seen=0)
        store.enqueue(STUDY, params, key="2")
        store.record_call(STUDY, LLMCall(request, ChatReply("", "m"), 0, datetime.now(UTC)))
        done = store.finish_trial(STUDY, 0, complete(1.0))
        assert trial is not None
        for handed in (params, trial.params, done.params, store.get_trials(STUDY)[0].params, store.get_queue(STUDY)[0]):
            handed["x"] = 2
        for values in (done.values, store.get_trials(STUDY)[0].values):
            values["value"] = 2.0  # type: ignore[index]
        space["x"]["low"] = 1
        store.get_calls(STUDY)[0].request.schema["deep"]["list"].append(2)  # type: ignore[index]
        store.get_trials(STUDY).clear()
        stored = store.get_trials(STUDY)[0]
        assert (stored.params, stored.values, store.get_queue(STUDY)) == ({"x": 1}, {"value": 1.0}, [{"x": 1}])
        assert store.get_calls(STUDY)[0].request == ChatRequest(
            "seeds", "", {"x": {"low": 0}}, "", "", {"deep": {"list": [1]}}
        )

    # Opening and closing -----------------------------------------------------------------------------------------

    def test_closing_twice_is_harmless(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        store.close()
        store.close()

    def test_everything_is_there_when_opened_again(self, tmp_path: Path) -> None:
        if not self.persistent:
            pytest.skip("keeps nothing after closing, and says so")
        store = self.make_store(tmp_path)
        record = store.create_study(a_study())
        done = store.finish_trial(STUDY, created(store, 1).number, complete(-0.0))
        running = created(store, 2)
        store.enqueue(STUDY, {"x": 3}, key="3")
        store.record_call(STUDY, a_call(ChatReply("text", "m")))
        store.record_event(STUDY, Event("k", "m"))
        events = store.get_events(STUDY)
        store.close()
        again = self.make_store(tmp_path)
        assert again.list_studies() == [record]
        assert again.get_trials(STUDY) == [done, running]
        assert again.get_queue(STUDY) == [{"x": 3}]
        assert again.get_calls(STUDY) == [a_call(ChatReply("text", "m"))]
        assert again.get_events(STUDY) == events
        assert created(again, 3).number == 2
        again.close()

    def test_two_stores_on_one_place_see_each_other_at_once(self, tmp_path: Path) -> None:
        if not self.persistent:
            pytest.skip("lives in one object, and says so")
        stores = [self.make_store(tmp_path) for _ in range(2)]
        stores[0].create_study(a_study())
        trials = [created(stores[i % 2], i) for i in range(6)]
        assert stores[0].get_trials(STUDY) == stores[1].get_trials(STUDY) == trials
        done = stores[0].finish_trial(STUDY, 5, complete(1.0))
        with pytest.raises(TellConflict):
            stores[1].finish_trial(STUDY, 5, complete(2.0))
        assert stores[1].get_trials(STUDY)[5] == done
        assert create(stores[1], 4, seen=4) is None
        for store in stores:
            store.close()
