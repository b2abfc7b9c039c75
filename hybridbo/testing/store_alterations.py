"""The clauses of a store that concern a space that is altered; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo.errors import InvalidParams, StudyMismatch
from hybridbo.parameters import Params
from hybridbo.ports import TrialStore
from hybridbo.testing.store_cases import STUDY, StoreCases, a_study, complete, create, created

_OLD, _NEW = a_study().space, '{"x": {}, "y \\ud800 ☃": {}}'


def _completed(params: Params) -> tuple[Params, str]:
    return {**params, "y": 1}, f"{params['x']!r} and y"


class AlterationClauses(StoreCases):
    """Another space for a study that has trials."""

    def test_space_is_altered_and_the_old_one_kept(self, store: TrialStore) -> None:
        assert list(store.get_alterations(STUDY)) == []
        created(store, 1)
        before = datetime.now(UTC)
        altered = store.alter_study(STUDY, _NEW, previous=_OLD, complete=_completed)
        assert (altered.old_space, altered.new_space, altered.trial_number) == (_OLD, _NEW, 1)
        assert timedelta(0) <= altered.at - before < timedelta(minutes=1)
        assert list(store.get_alterations(STUDY)) == [altered]
        assert store.get_study(STUDY).space == _NEW
        again = store.alter_study(STUDY, _OLD, previous=_NEW, complete=_completed)
        assert list(store.get_alterations(STUDY)) == [altered, again]

    def test_trials_stay_as_they_are_and_what_is_queued_is_completed(self, store: TrialStore) -> None:
        created(store, 1)
        created(store, 2)
        store.finish_trial(STUDY, 0, complete(0.5))
        store.enqueue(STUDY, {"x": 3}, key="3")
        store.enqueue(STUDY, {"x": 4}, key="4")
        trials = store.get_trials(STUDY)
        store.alter_study(STUDY, _NEW, previous=_OLD, complete=_completed)
        assert store.get_trials(STUDY) == trials
        assert store.get_queue(STUDY) == [{"x": 3, "y": 1}, {"x": 4, "y": 1}]

    def test_keys_are_those_of_the_new_space(self, store: TrialStore) -> None:
        created(store, 1)
        store.enqueue(STUDY, {"x": 3}, key="3")
        store.alter_study(STUDY, _NEW, previous=_OLD, complete=_completed)
        for known in ("1 and y", "3 and y"):
            assert not store.enqueue(STUDY, {"x": 9}, key=known)
        assert create(store, 1, seen=0) is not None
        assert store.enqueue(STUDY, {"x": 3}, key="3")

    def test_whoever_knew_the_trials_knows_them_still(self, store: TrialStore) -> None:
        created(store, 1)
        known = store.get_changes(STUDY, 0)
        store.alter_study(STUDY, _NEW, previous=_OLD, complete=_completed)
        created(store, 2)
        news = store.get_changes(STUDY, known.counter)
        trials = {trial.number: trial for trial in (*known.trials, *news.trials)}
        assert [trials[number] for number in sorted(trials)] == store.get_trials(STUDY)

    def test_what_is_refused_changes_nothing(self, store: TrialStore) -> None:
        for x in (1, 2):
            created(store, x)
            store.enqueue(STUDY, {"x": x + 10}, key=repr(x + 10))

        def refuses(params: Params) -> tuple[Params, str]:
            if params["x"] == 12:
                raise InvalidParams("x is too large.")
            return _completed(params)

        with pytest.raises(InvalidParams, match="x is too large"):
            store.alter_study(STUDY, _NEW, previous=_OLD, complete=refuses)
        with pytest.raises(StudyMismatch, match="was altered by another process"):
            store.alter_study(STUDY, _NEW, previous=_NEW, complete=_completed)
        assert store.get_study(STUDY).space == _OLD
        assert list(store.get_alterations(STUDY)) == []
        assert store.get_queue(STUDY) == [{"x": 11}, {"x": 12}]
        assert not store.enqueue(STUDY, {"x": 9}, key="1")
        assert not store.enqueue(STUDY, {"x": 9}, key="11")

    def test_other_studies_keep_their_space(self, store: TrialStore) -> None:
        other = store.create_study(replace(a_study(), name="other"))
        store.alter_study(STUDY, _NEW, previous=_OLD, complete=_completed)
        assert store.get_study("other") == other
        assert list(store.get_alterations("other")) == []
