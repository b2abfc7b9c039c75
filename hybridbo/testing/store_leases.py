"""The clauses of a store that concern lost workers; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo.errors import InvalidSettings, TellConflict
from hybridbo.ports import TrialStore
from hybridbo.testing.store_cases import (
    STUDY,
    THREADS,
    at_once,
    complete,
    created,
    failed,
)
from hybridbo.testing.store_sharing import OVER, SharingClauses, leased
from hybridbo.trial import Trial, TrialState


def stale(store: TrialStore, x: float = 0.5) -> Trial:
    """A new trial whose lease has run out."""
    trial = store.expire_lease(STUDY, leased(store, OVER, x).number)
    assert trial is not None
    return trial


class LeaseClauses(SharingClauses):
    """Leases: running out, renewed, handed on, told late."""

    # Leases ------------------------------------------------------------------------------------------------------

    def test_lease_ends_so_long_after_the_start(self, store: TrialStore) -> None:
        trial = leased(store, 60)
        assert trial.lease_until == trial.started_at + timedelta(seconds=60)
        assert trial.lease_until.utcoffset() == timedelta(0)
        assert store.get_trials(STUDY) == [trial]

    def test_trial_without_a_lease_never_expires(self, store: TrialStore) -> None:
        for x, lease_s in enumerate((None, math.inf)):
            trial = leased(store, lease_s, x)
            assert trial.lease_until is None
            assert store.expire_lease(STUDY, trial.number) is None
            assert store.get_trial(STUDY, trial.number) == trial

    def test_lease_of_a_thousand_years_is_as_good_as_any(self, store: TrialStore) -> None:
        trial = leased(store, 1e300)
        assert trial.lease_until is not None
        assert trial.lease_until - trial.started_at > timedelta(days=9999)

    @pytest.mark.parametrize("lease_s", [0, -1.0, math.nan])
    def test_lease_that_is_none_is_refused(self, store: TrialStore, lease_s: float) -> None:
        with pytest.raises(InvalidSettings, match="lease_s="):
            leased(store, lease_s)
        trial = created(store)
        with pytest.raises(InvalidSettings, match="lease_s="):
            store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=lease_s)
        assert store.get_trials(STUDY) == [trial]

    def test_lease_that_holds_is_left_alone(self, store: TrialStore) -> None:
        trial = leased(store, 60)
        assert store.expire_lease(STUDY, 0) is None
        assert store.get_trials(STUDY) == [trial]

    def test_lease_that_has_run_out_makes_the_trial_stale_and_nothing_else(self, store: TrialStore) -> None:
        trial = leased(store, OVER)
        gone = store.expire_lease(STUDY, 0)
        assert gone == Trial(**{**vars(trial), "state": TrialState.STALE})
        assert store.get_trials(STUDY) == [gone]

    def test_one_of_many_threads_makes_it_stale(self, store: TrialStore) -> None:
        leased(store, OVER)
        got = at_once([lambda: store.expire_lease(STUDY, 0)] * THREADS)
        assert got.count(None) == THREADS - 1

    def test_renewing_extends_the_lease_from_now(self, store: TrialStore) -> None:
        leased(store, 60)
        before = datetime.now(UTC)
        trial = store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=600)
        assert trial is not None
        assert trial.lease_until is not None
        assert timedelta(0) <= trial.lease_until - before - timedelta(seconds=600) < timedelta(minutes=1)
        assert store.get_trials(STUDY) == [trial]
        unlimited = store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=None)
        assert unlimited is not None
        assert unlimited.lease_until is None

    def test_renewing_in_time_brings_a_stale_trial_back(self, store: TrialStore) -> None:
        stale(store)
        trial = store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=60)
        assert trial is not None
        assert trial.state is TrialState.RUNNING
        assert store.get_trials(STUDY) == [trial]

    @pytest.mark.parametrize(("owner", "attempt"), [("you", 0), ("me", 1), (None, 0), ("", 0)])
    def test_renewing_what_another_holds_is_refused(self, store: TrialStore, owner: str | None, attempt: int) -> None:
        trial = leased(store, 60)
        assert store.renew_lease(STUDY, 0, owner=owner, attempt=attempt, lease_s=60) is None
        assert store.get_trials(STUDY) == [trial]

    def test_renewing_what_has_ended_is_refused(self, store: TrialStore) -> None:
        leased(store, 60)
        done = store.finish_trial(STUDY, 0, complete(1.0))
        assert store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=60) is None
        assert store.expire_lease(STUDY, 0) is None
        assert store.get_trials(STUDY) == [done]

    def test_stale_trial_is_handed_on_and_its_first_worker_is_out(self, store: TrialStore) -> None:
        first = stale(store)
        second = store.take_over(STUDY, 0, owner="me", previous="me", attempt=0, lost=True, lease_s=60)
        assert second is not None
        assert (second.state, second.owner, second.attempt, second.lost) == (TrialState.RUNNING, "me", 1, 1)
        assert (second.params, second.started_at) == (first.params, first.started_at)
        assert store.renew_lease(STUDY, 0, owner="me", attempt=0, lease_s=600) is None
        assert store.renew_lease(STUDY, 0, owner="me", attempt=1, lease_s=60) is not None

    def test_trial_given_back_is_not_lost(self, store: TrialStore) -> None:
        created(store)
        given_back = store.take_over(STUDY, 0, owner="you", previous="me", attempt=0)
        assert given_back is not None
        assert (given_back.attempt, given_back.lost, given_back.lease_until) == (1, 0, None)

    def test_late_outcome_of_a_stale_trial_is_accepted(self, store: TrialStore) -> None:
        for x, outcome in enumerate((complete(0.25), failed())):
            trial = stale(store, x)
            done = store.finish_trial(STUDY, trial.number, outcome)
            assert (done.state, done.value, done.error) == (outcome.state, outcome.value, outcome.error)
            assert store.finish_trial(STUDY, trial.number, outcome) == done == store.get_trials(STUDY)[x]

    def test_first_of_two_workers_who_tell_wins(self, store: TrialStore) -> None:
        stale(store)
        store.take_over(STUDY, 0, owner="you", previous="me", attempt=0, lost=True)
        done = store.finish_trial(STUDY, 0, complete(1.0))
        with pytest.raises(TellConflict):
            store.finish_trial(STUDY, 0, complete(2.0))
        assert store.finish_trial(STUDY, 0, complete(1.0)) == done
        assert store.get_trials(STUDY) == [done]
