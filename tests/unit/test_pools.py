from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from hybridbo.errors import InvalidSettings, InvalidState
from hybridbo.executors import Source
from hybridbo.pools import Pools
from hybridbo.trial import Origin, Trial, TrialState


def trial(number=0):
    return Trial(number, {"x": 0.5}, TrialState.RUNNING, Origin("user", ""), datetime.now(UTC))


class Pending:
    """An executor that ends nothing by itself."""

    _max_workers = 2

    def __init__(self):
        self.futures, self.ended, self.takes_work = [], [], True

    def submit(self, function, *args):
        if not self.takes_work:
            raise RuntimeError("shut down")
        self.futures.append(Future())
        return self.futures[-1]

    def shutdown(self, wait):
        self.ended.append(wait)


def pools(given=Pending, n_workers=None):
    return Pools(Source(given), lambda params: 0.0, n_workers, None)


def test_a_task_that_ends_is_queued():
    ours = pools()
    ours.submit(trial())
    (flight,) = ours.live()
    assert ours.ended.empty()
    flight.future.set_result(1.0)
    assert ours.ended.get(timeout=10) is flight


def test_what_overran_holds_a_worker_of_the_current_executor_only():
    ours = pools()
    ours.submit(trial(0))
    ours.submit(trial(1))
    assert (ours.busy(), ours.n_slots()) == (2, 2)
    first = next(flight for flight in ours.flights if flight.trial.number == 0)
    first.overdue = True
    assert ours.busy() == 2
    ours.replace()
    assert ours.busy() == 1


def test_an_executor_that_is_replaced_ends_with_its_last_trial():
    ours = pools()
    ours.submit(trial())
    (flight,) = ours.flights
    old = ours.current
    ours.replace()
    assert old.executor.ended == []
    ours.flights.discard(flight)
    ours.reap(old)
    assert old.executor.ended == [True]  # it waits: nothing is left that would not come back
    ours.end(by_force=False)
    assert ours.current.executor.ended == [True]
    assert old.executor.ended == [True]


def test_an_executor_with_a_trial_that_overran_does_not_wait_for_it():
    ours = pools()
    ours.submit(trial())
    (flight,) = ours.flights
    flight.overdue = True
    old = ours.current
    ours.replace()
    assert old.executor.ended == [False]
    assert ours.flights == set()


def test_a_function_that_keeps_returning_one_executor_has_one():
    only = Pending()
    ours = pools(lambda: only)
    first = ours.current
    ours.replace()
    assert ours.current is first
    assert not first.is_lost
    assert only.ended == []


def test_a_suspect_has_an_executor_of_its_own():
    ours = pools()
    ours.send_alone(trial())
    (flight,) = ours.flights
    assert flight.alone
    assert flight.pool is not ours.current
    ours.flights.discard(flight)
    ours.reap(flight.pool)
    assert flight.pool.executor.ended == [True]


def test_an_executor_that_takes_no_more_work_is_replaced_or_told_of():
    ours = pools()
    old = ours.current
    old.executor.takes_work = False
    ours.submit(trial())
    assert ours.current is not old
    only = Pending()
    ours = pools(only)
    only.takes_work = False
    with pytest.raises(InvalidState, match=r"takes no more work: RuntimeError: shut down\..*lambda"):
        ours.submit(trial())


def test_the_objective_is_sent_on_trial():
    with ThreadPoolExecutor(1) as threads:
        assert pools(threads).arrives(60)
    assert not pools().arrives(0.0)  # no worker took it in time
    ours = pools()
    ours.current.executor.takes_work = False
    with pytest.raises(InvalidSettings, match="takes no work"):
        ours.arrives(60)


def test_n_workers_goes_before_what_the_executor_tells():
    assert pools(n_workers=5).n_slots() == 5
