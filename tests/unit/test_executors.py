import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from hybridbo.errors import InvalidSettings, InvalidState
from hybridbo.executors import Pool, Source


class Cluster:
    """What a Dask client looks like from here."""

    def __init__(self, nthreads=None):
        self.workers, self.options, self.ended = nthreads, None, []

    def nthreads(self):
        if self.workers is None:
            raise OSError("no scheduler")
        return self.workers

    def submit(self, function, *args, **options):
        self.options = options
        future = Future()
        future.set_result(function(*args))
        return future

    def close(self):
        self.ended.append("close")

    def shutdown(self):
        self.ended.append("shutdown")


class Mpi:
    num_workers = 7

    def submit(self, function, *args):
        raise NotImplementedError


def test_an_executor_tells_how_many_workers_it_has():
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2) as processes:
        assert Pool(threads, owned=False).size == 3
        assert Pool(processes, owned=False).size == 2
    assert Pool(Mpi(), owned=False).size == 7
    assert Pool(Cluster({"a": 2, "b": 4}), owned=False).size == 6


def test_a_cluster_that_scales_up_on_demand_counts_as_one_worker():
    assert Pool(Cluster({}), owned=False).size == 1


def test_a_cluster_that_does_not_answer_is_told_of():
    with pytest.raises(InvalidState, match=r"OSError: no scheduler.*connected"):
        _ = Pool(Cluster(), owned=False).size


def test_an_executor_around_a_dask_client_is_known_by_it():
    class Wrapped(Cluster):
        nthreads = None

        def __init__(self, client):
            super().__init__()
            self._client = client

    wrapped = Wrapped(Cluster({"a": 2}))
    assert Pool(wrapped, owned=False).size == 2
    Pool(wrapped, owned=False).submit(int)
    assert wrapped.options == {"pure": False}


def test_dask_is_told_that_the_objective_is_no_function_of_its_parameters():
    client = Cluster({"a": 1})
    assert Pool(client, owned=False).submit(int, "3").result() == 3
    assert client.options == {"pure": False}


def test_the_end_of_an_owned_client_leaves_the_cluster_to_others():
    client = Cluster({"a": 1})
    Pool(client, owned=False).end(by_force=True)
    assert client.ended == []
    Pool(client, owned=True).end(by_force=True)
    assert client.ended == ["close"]


def test_an_executor_of_the_user_is_not_shut_down():
    with ThreadPoolExecutor(1) as threads:
        Pool(threads, owned=False).end(by_force=True)
        assert threads.submit(int).result() == 0


def test_by_force_means_that_processes_are_killed():
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver"))
    executor.submit(int).result()
    processes = list(executor._processes.values())
    Pool(executor, owned=True).end(by_force=True)
    for process in processes:
        process.join(30)
        assert process.exitcode  # -9, or what the fork server makes of it


def test_a_clean_up_that_fails_is_logged_and_goes_no_further(caplog):
    class Stubborn:
        def submit(self, function, *args):
            raise NotImplementedError

        def shutdown(self, wait):
            raise OSError("no")

    Pool(Stubborn(), owned=True).end(by_force=False)
    assert "could not be shut down: OSError: no" in caplog.text


def test_a_source_makes_executors_or_has_one():
    with ThreadPoolExecutor(1) as threads:
        given = Source(threads)
        assert not given.makes_more
        assert given.pool().executor is threads
        assert not given.pool().owned
    making = Source(lambda: Cluster({"a": 1}))
    assert making.makes_more
    assert making.pool().owned
    assert making.pool().executor is not making.pool().executor
    assert Source(ThreadPoolExecutor).makes_more  # a class has a submit, too, and is none


def test_a_callable_executor_is_an_executor():
    class Callable(Mpi):
        def __call__(self):
            raise AssertionError

    assert not Source(Callable()).makes_more


def test_an_asynchronous_client_is_refused():
    client = Cluster({"a": 1})
    client.asynchronous = True
    with pytest.raises(InvalidSettings, match="asynchronous=False"):
        Source(client)
