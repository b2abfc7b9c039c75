"""The clauses of a store that concern lost workers, requests, changes and transactions; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hybridbo.errors import InvalidSettings, StudyNotFound, TellConflict, TrialNotFound
from hybridbo.ports import Changes, Event, TrialStore
from hybridbo.testing.store_cases import (
    STUDY,
    THREADS,
    StoreCases,
    a_proposal,
    a_study,
    at_once,
    complete,
    create,
    created,
    failed,
)
from hybridbo.trial import Trial, TrialState

OVER = 1e-9  # seconds of a lease that has run out when it is looked at


def leased(store: TrialStore, lease_s: float | None, x: float = 0.5) -> Trial:
    """A new RUNNING trial with a lease."""
    trial = store.create_trial(STUDY, a_proposal(x), key=repr(x), owner="me", seen=2**40, lease_s=lease_s)
    assert trial is not None
    return trial


def stale(store: TrialStore, x: float = 0.5) -> Trial:
    """A new trial whose lease has run out."""
    trial = store.expire_lease(STUDY, leased(store, OVER, x).number)
    assert trial is not None
    return trial


class LeaseClauses(StoreCases):
    """Leases, requests, counting changes, and transactions."""

    def test_unknown_study_is_refused_by_these_methods_too(self, store: TrialStore) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: store.renew_lease("none", 0, owner="", attempt=0, lease_s=None),
            lambda: store.expire_lease("none", 0),
            lambda: store.get_trial("none", 0),
            lambda: store.get_changes("none", 0),
            lambda: store.get_changes("none", 1),
            lambda: store.find_request("none", "r"),
            lambda: store.bind_request("none", "r", 0),
        ]
        for call in calls:
            with pytest.raises(StudyNotFound, match=r"'none'.*'a study'"):
                call()

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

    # Requests ----------------------------------------------------------------------------------------------------

    def test_request_finds_its_trial_as_it_is_now(self, store: TrialStore) -> None:
        created(store, 1)
        created(store, 2)
        assert store.find_request(STUDY, "r") is None
        assert store.bind_request(STUDY, "r", 1)
        assert store.find_request(STUDY, "r") == store.get_trial(STUDY, 1)
        done = store.finish_trial(STUDY, 1, complete(1.0))
        assert store.find_request(STUDY, "r") == done
        assert store.find_request(STUDY, "R") is None

    def test_request_is_bound_once(self, store: TrialStore) -> None:
        created(store, 1)
        created(store, 2)
        assert store.bind_request(STUDY, "r", 0)
        for number in (0, 1):
            assert not store.bind_request(STUDY, "r", number)
        assert store.bind_request(STUDY, "another", 0)
        found = store.find_request(STUDY, "r")
        assert found is not None
        assert found.number == 0

    def test_one_of_many_threads_binds_a_request(self, store: TrialStore) -> None:
        trials = [created(store, x) for x in range(THREADS)]
        binds = [lambda n=trial.number: store.bind_request(STUDY, "r", n) for trial in trials]
        assert at_once(binds).count(True) == 1  # type: ignore[arg-type]

    def test_requests_of_studies_are_apart(self, store: TrialStore) -> None:
        store.create_study(a_study("other"))
        store.bind_request(STUDY, "r", created(store).number)
        assert store.find_request("other", "r") is None

    def test_request_for_a_trial_that_is_not_there_is_refused(self, store: TrialStore) -> None:
        with pytest.raises(TrialNotFound):
            store.bind_request(STUDY, "r", 0)
        assert store.find_request(STUDY, "r") is None

    # Changes -----------------------------------------------------------------------------------------------------

    def test_changes_since_the_beginning_are_all_trials(self, store: TrialStore) -> None:
        assert store.get_changes(STUDY, 0) == Changes(0, [], is_complete=True)
        trials = [created(store, x) for x in range(3)]
        changes = store.get_changes(STUDY, 0)
        assert changes.is_complete
        assert sorted(changes.trials, key=lambda t: t.number) == trials

    def test_changes_are_what_was_changed_since_and_nothing_else(self, store: TrialStore) -> None:
        for x in range(4):
            leased(store, OVER, x)
        steps = [
            (lambda: created(store, 9), [4]),
            (lambda: store.finish_trial(STUDY, 1, complete(1.0)), [1]),
            (lambda: store.finish_trial(STUDY, 1, complete(1.0)), []),
            (lambda: store.expire_lease(STUDY, 2), [2]),
            (lambda: store.take_over(STUDY, 2, owner="you", previous="me", attempt=0), [2]),
            (lambda: store.take_over(STUDY, 2, owner="you", previous="me", attempt=0), []),
            (lambda: store.renew_lease(STUDY, 3, owner="me", attempt=0, lease_s=60), [3]),
            (lambda: (store.finish_trial(STUDY, 0, failed()), store.finish_trial(STUDY, 3, failed())), [0, 3]),
        ]
        counter = store.get_changes(STUDY, 0).counter
        for step, numbers in steps:
            step()  # type: ignore[no-untyped-call]
            changes = store.get_changes(STUDY, counter)
            assert not changes.is_complete
            assert sorted(trial.number for trial in changes.trials) == numbers
            assert all(trial == store.get_trial(STUDY, trial.number) for trial in changes.trials)
            assert changes.counter >= counter + len(numbers)
            counter = changes.counter
        assert store.get_changes(STUDY, counter) == Changes(counter, [])

    def test_changes_of_another_study_do_not_count(self, store: TrialStore) -> None:
        store.create_study(a_study("other"))
        created(store)
        counter = store.get_changes(STUDY, 0).counter
        for x in range(3):
            store.create_trial("other", a_proposal(x), key=repr(x), owner="", seen=0)
        assert store.get_changes(STUDY, counter) == Changes(counter, [])
        assert len(store.get_changes("other", 0).trials) == 3

    def test_changes_since_a_count_that_was_never_reached_are_all_trials(self, store: TrialStore) -> None:
        trial = created(store)
        changes = store.get_changes(STUDY, 10**6)
        assert changes.is_complete
        assert changes.trials == [trial]

    def test_threads_miss_no_change(self, store: TrialStore) -> None:
        def work(thread: int) -> list[Trial]:
            known: dict[int, Trial] = {}
            counter = 0
            for i in range(10):
                trial = create(store, f"{thread}.{i}", seen=0)
                assert trial is not None
                store.finish_trial(STUDY, trial.number, complete(float(i)))
                changes = store.get_changes(STUDY, counter)
                counter = changes.counter
                known.update({trial.number: trial for trial in changes.trials})
            changes = store.get_changes(STUDY, counter)
            known.update({trial.number: trial for trial in changes.trials})
            assert store.get_changes(STUDY, changes.counter).trials or sorted(known) == list(range(len(known)))
            return [trial for trial in known.values() if trial.params["x"][:1] == str(thread)]  # type: ignore[index]

        got = at_once([lambda thread=thread: work(thread) for thread in range(THREADS)])  # type: ignore[misc]
        stored = {trial.number: trial for trial in store.get_trials(STUDY)}
        for trials in got:
            assert isinstance(trials, list)
            assert len(trials) == 10
            assert all(stored[trial.number] == trial for trial in trials)

    # Transactions ------------------------------------------------------------------------------------------------

    def test_transaction_keeps_all_of_it(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        with store.transaction():
            first = created(store, 2)
            with store.transaction():
                done = store.finish_trial(STUDY, first.number, complete(1.0))
                store.record_event(STUDY, Event("k", "m"))
            assert store.get_trials(STUDY) == [done]
        assert store.get_trials(STUDY) == [done]
        assert len(store.get_events(STUDY)) == 1

    def test_transaction_that_raises_keeps_nothing(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        before = created(store, 0)
        counter = store.get_changes(STUDY, 0).counter

        def interrupted() -> None:
            with store.transaction():
                create(store, 1, source="user")
                store.finish_trial(STUDY, 0, complete(1.0))
                store.bind_request(STUDY, "r", 0)
                with store.transaction():
                    store.record_event(STUDY, Event("k", "m"))
                raise KeyError

        with pytest.raises(KeyError):
            interrupted()
        assert store.get_trials(STUDY) == [before]
        assert store.get_queue(STUDY) == [{"x": 1}]
        assert (store.get_events(STUDY), store.find_request(STUDY, "r")) == ([], None)
        assert store.get_changes(STUDY, counter) == Changes(counter, [])
        assert created(store, 1).number == 1

    def test_refusal_within_a_transaction_does_not_end_it(self, store: TrialStore) -> None:
        created(store, 0)
        store.finish_trial(STUDY, 0, complete(1.0))
        with store.transaction():
            with pytest.raises(TellConflict):
                store.finish_trial(STUDY, 0, complete(2.0))
            store.record_event(STUDY, Event("k", "m"))
        assert len(store.get_events(STUDY)) == 1

    def test_transactions_of_threads_do_not_mix(self, store: TrialStore) -> None:
        def work(thread: int) -> None:
            for i in range(10):
                with store.transaction():
                    seen = len(store.get_trials(STUDY))
                    trial = create(store, f"{thread}.{i}", seen=seen)
                    assert trial is not None
                    assert trial.number == seen

        at_once([lambda thread=thread: work(thread) for thread in range(THREADS)])  # type: ignore[misc]
        assert len(store.get_trials(STUDY)) == 10 * THREADS
