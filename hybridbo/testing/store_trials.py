"""The clauses of a store that concern the life of a trial; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo.errors import InvalidValue, TellConflict, TrialNotFound
from hybridbo.ports import TrialStore
from hybridbo.testing.store_cases import (
    STUDY,
    THREADS,
    StoreCases,
    at_once,
    complete,
    create,
    created,
    elsewhere,
    failed,
)
from hybridbo.trial import Origin, Outcome, Trial, TrialState


class TrialClauses(StoreCases):
    """Creating, finishing, taking over and queueing."""

    # Creating trials ---------------------------------------------------------------------------------------------

    def test_trial_is_running_and_comes_back_as_it_was_proposed(self, store: TrialStore) -> None:
        before = datetime.now(UTC)
        trial = created(store)
        assert timedelta(0) <= trial.started_at - before < timedelta(minutes=1)
        assert trial.started_at.utcoffset() == timedelta(0)
        origin = Origin("sobol", "because", 0.1, 0.2)
        assert trial == Trial(0, {"x": 0.5}, TrialState.RUNNING, origin, trial.started_at, owner="me")
        assert store.get_trials(STUDY) == [trial]

    def test_numbers_count_from_zero(self, store: TrialStore) -> None:
        assert [created(store, x).number for x in range(5)] == [0, 1, 2, 3, 4]
        assert [trial.number for trial in store.get_trials(STUDY)] == [0, 1, 2, 3, 4]

    def test_same_key_created_since_is_refused(self, store: TrialStore) -> None:
        created(store, "a")
        created(store, "b")
        assert create(store, "b", seen=1) is None
        assert create(store, "a", seen=0) is None
        assert len(store.get_trials(STUDY)) == 2

    def test_same_key_already_seen_is_allowed(self, store: TrialStore) -> None:
        created(store, "a")
        created(store, "b")
        trial = create(store, "a", seen=1)
        assert trial is not None
        assert trial.number == 2

    def test_other_trials_created_since_do_not_matter(self, store: TrialStore) -> None:
        created(store, "a")
        assert create(store, "b", seen=0) is not None

    def test_one_of_many_threads_creates_a_key(self, store: TrialStore) -> None:
        got = at_once([lambda: create(store, "same", seen=0)] * THREADS)
        assert [trial.number for trial in got if isinstance(trial, Trial)] == [0]
        assert got.count(None) == THREADS - 1

    def test_threads_get_numbers_without_gaps(self, store: TrialStore) -> None:
        def work(thread: int) -> list[tuple[int, str]]:
            trials = [create(store, f"{thread}.{i}", seen=0) for i in range(25)]
            return [(trial.number, str(trial.params["x"])) for trial in trials if trial]

        got = at_once([lambda thread=thread: work(thread) for thread in range(THREADS)])  # type: ignore[misc]
        pairs = sorted(pair for mine in got if isinstance(mine, list) for pair in mine)
        assert [number for number, _ in pairs] == list(range(25 * THREADS))
        assert [(trial.number, trial.params["x"]) for trial in store.get_trials(STUDY)] == pairs

    # Finishing ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "outcome",
        [
            complete(0.25),
            Outcome(TrialState.COMPLETE, {"error": 0.1, "ms": 12.0}),
            Outcome(TrialState.PRUNED, {"value": 3.0}, 3.0),
            Outcome(TrialState.PRUNED),
            failed("Traceback ☃\n  line\0\n" + "x" * 100_000),
        ],
        ids=["complete", "several", "pruned", "pruned without a value", "failed"],
    )
    def test_outcome_comes_back(self, store: TrialStore, outcome: Outcome) -> None:
        running = created(store)
        trial = store.finish_trial(STUDY, running.number, outcome)
        assert store.get_trials(STUDY) == [trial]
        assert (trial.state, trial.value, trial.values, trial.error) == (
            outcome.state,
            outcome.value,
            outcome.values,
            outcome.error,
        )
        assert trial.finished_at is not None
        assert trial.finished_at >= trial.started_at
        same = ("number", "params", "origin", "started_at")
        assert [getattr(trial, name) for name in same] == [getattr(running, name) for name in same]

    def test_same_outcome_again_changes_nothing(self, store: TrialStore) -> None:
        for x, outcome in enumerate((complete(0.1), failed(), Outcome(TrialState.FAILED), Outcome(TrialState.PRUNED))):
            first = store.finish_trial(STUDY, created(store, x).number, outcome)
            assert store.finish_trial(STUDY, x, outcome) == first
            assert store.get_trials(STUDY)[x] == first

    def test_order_of_values_does_not_matter(self, store: TrialStore) -> None:
        created(store)
        first = store.finish_trial(STUDY, 0, Outcome(TrialState.COMPLETE, {"a": 1.0, "b": 2.0}))
        assert store.finish_trial(STUDY, 0, Outcome(TrialState.COMPLETE, {"b": 2.0, "a": 1.0})) == first

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (complete(0.5), complete(math.nextafter(0.5, 1.0))),
            (complete(0.0), complete(-0.0)),
            (Outcome(TrialState.COMPLETE, {"a": 0.0}), Outcome(TrialState.COMPLETE, {"a": -0.0})),
            (complete(0.5), failed("boom")),
            (failed("boom"), complete(0.5)),
            (failed("boom"), failed("bang")),
            (complete(0.5), Outcome(TrialState.PRUNED, {"value": 0.5}, 0.5)),
            (complete(0.5), Outcome(TrialState.COMPLETE, {"value": 0.5, "more": 1.0}, 0.5)),
        ],
    )
    def test_other_outcome_is_a_conflict_that_names_both(
        self, store: TrialStore, first: Outcome, second: Outcome
    ) -> None:
        created(store)
        stored = store.finish_trial(STUDY, 0, first)
        with pytest.raises(TellConflict) as caught:
            store.finish_trial(STUDY, 0, second)
        for outcome in (first, second):
            named = [outcome.error, outcome.value, *outcome.values.values()]
            assert repr(next(x for x in named if x is not None)) in str(caught.value)
        assert store.get_trials(STUDY) == [stored]

    def test_one_of_many_different_outcomes_wins(self, store: TrialStore) -> None:
        created(store)
        tells = [lambda i=i: store.finish_trial(STUDY, 0, complete(float(i))) for i in range(THREADS)]
        got = at_once(tells)  # type: ignore[arg-type]
        winners = [trial for trial in got if isinstance(trial, Trial)]
        assert winners == store.get_trials(STUDY)
        assert sum(isinstance(error, TellConflict) for error in got) == THREADS - 1

    def test_unknown_number_is_refused(self, store: TrialStore) -> None:
        created(store)
        for number in (1, -1, 2**70, "0", None):
            with pytest.raises(TrialNotFound):
                store.finish_trial(STUDY, number, complete(1.0))  # type: ignore[arg-type]
            with pytest.raises(TrialNotFound):
                store.take_over(STUDY, number, owner="you", previous="me")  # type: ignore[arg-type]
        assert store.get_trials(STUDY)[0].state is TrialState.RUNNING

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome(TrialState.RUNNING),
            Outcome(TrialState.COMPLETE),
            complete(math.nan),
            complete(math.inf),
            Outcome(TrialState.PRUNED, {"value": -math.inf}, -math.inf),
            Outcome(TrialState.COMPLETE, {"a": 1.0}, 2.0),
            Outcome(TrialState.COMPLETE, {"a": 1.0}, 1.0, error="boom"),
            Outcome(TrialState.FAILED, {"value": 1.0}, error="boom"),
        ],
    )
    def test_outcome_that_is_none_is_refused(self, store: TrialStore, outcome: Outcome) -> None:
        running = created(store)
        with pytest.raises(InvalidValue):
            store.finish_trial(STUDY, 0, outcome)
        assert store.get_trials(STUDY) == [running]

    # Adding trials of elsewhere ----------------------------------------------------------------------------------

    def test_trials_of_elsewhere_are_added_as_they_are(self, store: TrialStore) -> None:
        created(store)
        trials = elsewhere()
        added = store.add_trials(STUDY, trials, keys=["a", "a", "b"])
        assert [trial.number for trial in added] == [1, 2, 3]
        assert added == [replace(trial, number=n, owner=None) for n, trial in enumerate(trials, start=1)]
        assert store.get_trials(STUDY)[1:] == added
        assert created(store, 2).number == 4

    def test_an_added_key_counts_as_evaluated(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        store.add_trials(STUDY, elsewhere()[:1], keys=["2"])
        assert not store.enqueue(STUDY, {"x": 2}, key="2")
        assert create(store, 2, seen=0) is None
        assert store.get_queue(STUDY) == [{"x": 1}]

    def test_nothing_is_added_when_one_has_not_ended(self, store: TrialStore) -> None:
        good, *_ = elsewhere()
        for bad in (replace(good, state=TrialState.RUNNING), replace(good, values={}, value=None)):
            with pytest.raises(InvalidValue):
                store.add_trials(STUDY, [good, bad], keys=["a", "b"])
        assert store.get_trials(STUDY) == []

    def test_an_added_trial_is_not_told_again(self, store: TrialStore) -> None:
        [added] = store.add_trials(STUDY, elsewhere()[:1], keys=["a"])
        with pytest.raises(TellConflict):
            store.finish_trial(STUDY, added.number, complete(7.0))

    # Taking over -------------------------------------------------------------------------------------------------

    def test_take_over_changes_the_owner_alone(self, store: TrialStore) -> None:
        running = created(store)
        taken = store.take_over(STUDY, 0, owner="you", previous="me")
        assert taken == Trial(**{**vars(running), "owner": "you"})
        assert store.get_trials(STUDY) == [taken]

    def test_take_over_from_somebody_else_is_refused(self, store: TrialStore) -> None:
        running = created(store)
        for previous in ("you", "", None):
            assert store.take_over(STUDY, 0, owner="you", previous=previous) is None
        assert store.get_trials(STUDY) == [running]

    def test_take_over_of_a_finished_trial_is_refused(self, store: TrialStore) -> None:
        created(store)
        done = store.finish_trial(STUDY, 0, complete(1.0))
        assert store.take_over(STUDY, 0, owner="you", previous="me") is None
        assert store.get_trials(STUDY) == [done]

    def test_one_of_many_threads_takes_over(self, store: TrialStore) -> None:
        created(store)
        takes = [lambda i=i: store.take_over(STUDY, 0, owner=f"thread {i}", previous="me") for i in range(THREADS)]
        got = at_once(takes)  # type: ignore[arg-type]
        assert [trial for trial in got if trial is not None] == store.get_trials(STUDY)
        assert got.count(None) == THREADS - 1

    # Queue -------------------------------------------------------------------------------------------------------

    def test_queue_is_in_order(self, store: TrialStore) -> None:
        for x in (3, 1, 2):
            assert store.enqueue(STUDY, {"x": x}, key=repr(x))
        assert store.get_queue(STUDY) == [{"x": 3}, {"x": 1}, {"x": 2}]

    def test_queued_or_evaluated_key_is_not_queued_again(self, store: TrialStore) -> None:
        created(store, 1)
        assert not store.enqueue(STUDY, {"x": 1}, key="1")
        assert store.enqueue(STUDY, {"x": 2}, key="2")
        assert not store.enqueue(STUDY, {"x": 2}, key="2")
        assert store.get_queue(STUDY) == [{"x": 2}]

    def test_user_proposal_takes_its_entry(self, store: TrialStore) -> None:
        for x in (1, 2, 3):
            store.enqueue(STUDY, {"x": x}, key=repr(x))
        trial = create(store, 2, source="user")
        assert trial is not None
        assert trial.params == {"x": 2}
        assert store.get_queue(STUDY) == [{"x": 1}, {"x": 3}]
        assert not store.enqueue(STUDY, {"x": 2}, key="2")

    def test_user_proposal_without_an_entry_is_refused(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        assert create(store, 2, source="user") is None
        assert store.get_queue(STUDY) == [{"x": 1}]
        assert store.get_trials(STUDY) == []

    def test_other_proposal_leaves_the_queue_alone(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        assert create(store, 1) is not None
        assert store.get_queue(STUDY) == [{"x": 1}]

    def test_user_proposal_of_a_key_created_since_changes_nothing(self, store: TrialStore) -> None:
        store.enqueue(STUDY, {"x": 1}, key="1")
        created(store, 1)
        assert create(store, 1, source="user", seen=0) is None
        assert store.get_queue(STUDY) == [{"x": 1}]
        assert create(store, 1, source="user", seen=1) is not None

    def test_one_of_many_threads_queues_and_one_takes(self, store: TrialStore) -> None:
        queued = at_once([lambda: store.enqueue(STUDY, {"x": 1}, key="1")] * THREADS)
        assert sorted(map(repr, queued)) == ["False"] * (THREADS - 1) + ["True"]
        taken = at_once([lambda: create(store, 1, source="user", seen=0)] * THREADS)
        assert taken.count(None) == THREADS - 1
        assert store.get_queue(STUDY) == []
