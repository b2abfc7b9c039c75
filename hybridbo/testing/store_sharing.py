"""The clauses of a store about sharing it: requests, changes, transactions; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hybridbo.errors import StudyNotFound, TellConflict, TrialNotFound
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
from hybridbo.trial import Trial

OVER = 1e-9  # seconds of a lease that has run out when it is looked at


def leased(store: TrialStore, lease_s: float | None, x: float = 0.5) -> Trial:
    """A new RUNNING trial with a lease."""
    trial = store.create_trial(STUDY, a_proposal(x), key=repr(x), owner="me", seen=2**40, lease_s=lease_s)
    assert trial is not None
    return trial


class SharingClauses(StoreCases):
    """Requests, counting changes, and transactions."""

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

    def test_keys_that_are_told_are_those_that_were_given(self, store: TrialStore) -> None:
        store.create_trial(STUDY, a_proposal(0), key="first", owner="", seen=0)
        changes = store.get_changes(STUDY, 0)
        assert set(changes.keys.items()) <= {(0, "first")}  # a store need not tell them
        store.create_trial(STUDY, a_proposal(1), key="second", owner="", seen=0)
        store.finish_trial(STUDY, 0, failed())
        later = store.get_changes(STUDY, changes.counter)
        assert set(later.keys.items()) <= {(0, "first"), (1, "second")}

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
