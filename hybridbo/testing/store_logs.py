"""The clauses of a store that concern training logs; part of ``StoreContract``."""

# ruff: noqa: D102 - the name of a clause is its documentation

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from hybridbo.errors import StudyNotFound, TrialNotFound
from hybridbo.ports import TrialStore
from hybridbo.testing.store_cases import STUDY, THREADS, StoreCases, a_study, at_once, complete, created
from hybridbo.traininglog import APPENDED, LOSSLESS, Log

_A_LOG: Log = {"train_loss": [(0, 0.1 + 0.2), (1, 5e-324)], "val ☃ \ud800": [(0.5, -0.0)]}


class LogClauses(StoreCases):
    """What a training says of itself."""

    def test_log_comes_back_as_it_was_given(self, store: TrialStore) -> None:
        created(store)
        assert store.get_log(STUDY, 0) == {}
        assert store.get_logged(STUDY) == []
        assert store.append_log(STUDY, 0, _A_LOG)
        assert repr(store.get_log(STUDY, 0)) == repr(_A_LOG)  # 0 and 0.0, 0.0 and -0.0 are different things
        assert store.get_logged(STUDY) == [0]

    def test_values_that_are_not_finite_are_kept(self, store: TrialStore) -> None:
        created(store)
        store.append_log(STUDY, 0, {"loss": [(0, math.nan), (1, math.inf), (2, -math.inf)]})
        values = [value for _, value in store.get_log(STUDY, 0)["loss"]]
        assert math.isnan(values[0])
        assert values[1:] == [math.inf, -math.inf]

    def test_parts_are_one_log_by_step_and_the_last_value_counts(self, store: TrialStore) -> None:
        created(store)
        parts: list[Log] = [{"a": [(3, 1.0)]}, {"a": [(1, 2.0)], "b": [(1, 3.0)]}, {"a": [(3, 4.0)]}]
        for part in parts:
            store.append_log(STUDY, 0, part)
        assert store.get_log(STUDY, 0) == {"a": [(1, 2.0), (3, 4.0)], "b": [(1, 3.0)]}

    def test_each_attempt_has_its_own_log(self, store: TrialStore) -> None:
        trial = created(store)
        store.append_log(STUDY, 0, {"a": [(0, 1.0), (5, 2.0)]}, attempt=0)
        assert store.take_over(STUDY, 0, owner="b", previous=trial.owner, attempt=0) is not None
        assert store.get_log(STUDY, 0) == {"a": [(0, 1.0), (5, 2.0)]}  # until the new one says something
        assert not store.append_log(STUDY, 0, {"a": [(2, 3.0)]}, attempt=0)
        assert store.append_log(STUDY, 0, {"a": [(0, 9.0)]}, attempt=1)
        assert store.append_log(STUDY, 0, {"a": [(1, 8.0)]})
        assert store.get_log(STUDY, 0) == {"a": [(0, 9.0), (1, 8.0)]}

    def test_log_of_a_trial_that_has_ended_stays_as_it_is(self, store: TrialStore) -> None:
        created(store)
        store.append_log(STUDY, 0, {"a": [(0, 1.0)]})
        done = store.finish_trial(STUDY, 0, complete(0.5))
        assert not store.append_log(STUDY, 0, {"a": [(1, 2.0)]})
        assert store.get_log(STUDY, 0) == {"a": [(0, 1.0)]}
        assert store.get_trial(STUDY, 0) == done

    def test_log_is_no_change_of_the_trial(self, store: TrialStore) -> None:
        created(store)
        before = store.get_changes(STUDY, 0)
        store.append_log(STUDY, 0, _A_LOG)
        assert list(store.get_changes(STUDY, before.counter).trials) == []

    def test_long_log_is_thinned_and_its_ends_and_extremes_kept(self, store: TrialStore) -> None:
        created(store)
        n = 3 * (LOSSLESS + APPENDED)
        values = [math.sin(i) for i in range(n)]
        values[n // 2 + 1], values[n // 3 + 1] = 7.0, math.nan
        for start in range(0, n, 100):
            part: Log = {"loss": [(i, values[i]) for i in range(start, start + 100)], "rare": [(start, values[start])]}
            store.append_log(STUDY, 0, part)
        log = store.get_log(STUDY, 0)
        kept = {int(step): value for step, value in log["loss"]}
        assert LOSSLESS / 4 < len(kept) <= LOSSLESS + APPENDED
        assert {0, n // 2 + 1, n // 3 + 1, n - 1} <= kept.keys()
        assert all(kept[i] == values[i] for i in kept if i != n // 3 + 1)
        assert log["rare"] == [(start, values[start]) for start in range(0, n, 100)]

    def test_threads_lose_nothing(self, store: TrialStore) -> None:
        created(store)
        logs: list[Log] = [{"a": [(i, float(i))]} for i in range(THREADS)]
        at_once([lambda log=log: store.append_log(STUDY, 0, log) for log in logs])  # type: ignore[misc]
        assert store.get_log(STUDY, 0) == {"a": [(i, float(i)) for i in range(THREADS)]}

    def test_log_of_what_is_not_there_is_refused(self, store: TrialStore) -> None:
        calls: list[tuple[type[Exception], Callable[[], Any]]] = [
            (TrialNotFound, lambda: store.append_log(STUDY, 0, _A_LOG)),
            (TrialNotFound, lambda: store.get_log(STUDY, 0)),
            (StudyNotFound, lambda: store.append_log("none", 0, _A_LOG)),
            (StudyNotFound, lambda: store.get_log("none", 0)),
            (StudyNotFound, lambda: store.get_logged("none")),
        ]
        for error, call in calls:
            with pytest.raises(error):
                call()

    def test_studies_have_their_own_logs(self, store: TrialStore) -> None:
        store.create_study(a_study("other"))
        created(store)
        store.append_log(STUDY, 0, _A_LOG)
        assert store.get_logged("other") == []

    def test_what_is_returned_cannot_change_the_log(self, store: TrialStore) -> None:
        created(store)
        given: Log = {"a": [(0, 1.0)]}
        store.append_log(STUDY, 0, given)
        given["a"].append((1, 2.0))
        store.get_log(STUDY, 0)["a"].clear()
        assert store.get_log(STUDY, 0) == {"a": [(0, 1.0)]}

    def test_transaction_that_fails_takes_its_log_back(self, store: TrialStore) -> None:
        created(store)

        def fails() -> None:
            with store.transaction():
                store.append_log(STUDY, 0, _A_LOG)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert store.get_log(STUDY, 0) == {}
