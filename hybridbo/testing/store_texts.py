"""The clauses of a store that concern texts of any kind; part of ``StoreContract``.

A text comes back exactly, or is refused with an error of hybridbo; it is never changed.
"""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hybridbo.errors import InvalidParams, InvalidSettings, InvalidValue
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, TrialStore
from hybridbo.testing.store_cases import STUDY, StoreCases, a_study, created, failed
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

TEXTS = {
    "NUL": "a\0b\0",
    "a lone surrogate": "path \udc80 \\ud800 \N{SNOWMAN}",
    "surrogates together": "\ud83d\ude00",
    "what looks escaped": "escaped: \\ud800 \\\\ \\",
    "controls": "\x1b[31m\r\n\x7f\u2028\u202e",
    "JSON": '{"a": 1}',
    "ten megabytes": "\N{SNOWMAN}x\0" * 2_000_000,
}
_EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


class TextClauses(StoreCases):
    """Texts of every kind in every place that takes one."""

    @_EACH
    def test_error_of_a_trial_comes_back_exactly(self, store: TrialStore, text: str) -> None:
        created(store)
        trial = store.finish_trial(STUDY, 0, failed(text))
        assert trial.error == text
        assert store.get_trials(STUDY) == [trial]
        assert store.finish_trial(STUDY, 0, failed(text)) == trial

    @_EACH
    def test_reason_of_a_proposal_comes_back_exactly(self, store: TrialStore, text: str) -> None:
        trial = store.create_trial(STUDY, Proposal({}, Origin("llm", text)), key="", owner="", seen=0)
        assert trial is not None
        assert trial.origin.reason == text
        assert store.get_trials(STUDY) == [trial]

    @_EACH
    def test_event_comes_back_exactly(self, store: TrialStore, text: str) -> None:
        store.record_event(STUDY, Event(text[:100], text))
        [event] = store.get_events(STUDY)
        assert (event.kind, event.message) == (text[:100], text)

    @_EACH
    def test_task_comes_back_exactly(self, store: TrialStore, text: str) -> None:
        made = store.create_study(replace(a_study("other"), task=text))
        assert made.task == text
        assert store.get_study("other") == made

    @_EACH
    def test_call_comes_back_exactly(self, store: TrialStore, text: str) -> None:
        request = ChatRequest("seeds", "", {}, "", "")
        for result in (ChatReply(text, "m", note=text), ChatFailure("BackendError", text)):
            store.record_call(STUDY, LLMCall(request, result, 0, datetime.now(UTC)))
            assert store.get_calls(STUDY)[-1].result == result

    @_EACH
    def test_parameter_comes_back_exactly_or_is_refused(self, store: TrialStore, text: str) -> None:
        try:
            trial = store.create_trial(STUDY, Proposal({"x": text}, Origin("llm", "")), key="1", owner="", seen=0)
            assert store.enqueue(STUDY, {"x": text}, key="2")
        except InvalidParams:
            assert store.get_trials(STUDY) == []
            return
        assert trial is not None
        assert trial.params == {"x": text}
        assert (store.get_trials(STUDY), store.get_queue(STUDY)) == ([trial], [{"x": text}])

    @_EACH
    def test_name_of_a_value_comes_back_exactly_or_is_refused(self, store: TrialStore, text: str) -> None:
        created(store)
        try:
            trial = store.finish_trial(STUDY, 0, Outcome(TrialState.COMPLETE, {text: 1.0}))
        except InvalidValue:
            assert store.get_trials(STUDY)[0].state is TrialState.RUNNING
            return
        assert dict(trial.values) == {text: 1.0}
        assert store.get_trials(STUDY) == [trial]

    @_EACH
    def test_name_of_a_study_comes_back_exactly_or_is_refused(self, store: TrialStore, text: str) -> None:
        try:
            made = store.create_study(a_study(text))
        except InvalidSettings:
            assert [study.name for study in store.list_studies()] == [STUDY]
            return
        assert store.get_study(text) == made
        assert made.name == text
