"""``opt.run(..., executor=...)`` on a real Dask cluster of processes, and on loky's."""

import importlib.util
import os
import signal
import uuid

import pytest

from hybridbo import Float, Optimizer, errors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("CI") and not all(map(importlib.util.find_spec, ("distributed", "loky"))),
        reason="not installed: pip install distributed loky",
    ),
]


def make(**changes):
    return Optimizer({"x": Float(0.0, 1.0)}, **({"llm": None, "seed": 0, "settings": {"seed_trials": 99}} | changes))


def states(opt):
    return [trial.state.value for trial in opt.trials]


def local(function):
    """A function that no worker can import: it has to be sent as it is."""
    return lambda params: function(params)  # noqa: PLW0108  # that is the point


def die_at_the_default(params):
    if params["x"] == 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
    return params["x"]


def hang_at_the_default(params):
    if params["x"] == 0.5:
        signal.sigtimedwait([], 8)  # longer than the test, and over before the cluster is
    return params["x"]


@pytest.fixture(scope="module")
def cluster():
    import dask
    from distributed import LocalCluster

    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.logging.distributed": "critical"}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as running,
    ):
        yield running


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as connected:
        yield connected


class Watcher:
    def __init__(self):
        self.running, self.most = 0, 0

    def started(self, trial):
        self.running += 1
        self.most = max(self.most, self.running)

    def finished(self, trial, best, usage):
        self.running -= 1

    def message(self, text):
        pass


def test_a_dask_cluster_evaluates_the_trials(client):
    opt, watcher = make(), Watcher()
    client.wait_for_workers(2)
    opt.run(local(lambda params: params["x"]), 8, progress=watcher, executor=client)
    assert states(opt) == ["COMPLETE"] * 8
    assert all(trial.value == trial.params["x"] for trial in opt.trials)
    assert watcher.most == 2
    assert client.submit(int).result() == 0  # the user's client is left as it was


def test_dask_evaluates_the_same_configuration_again(client):
    def once():
        opt = make()
        opt.run(local(lambda _: uuid.uuid4().int / 2**128), 2, progress=False, executor=client)
        return [trial.value for trial in opt.trials]

    assert not set(once()) & set(once())


def test_the_executor_of_a_dask_client_will_do_as_well(client):
    opt = make()
    opt.run(local(lambda params: params["x"]), 4, progress=False, executor=client.get_executor())
    assert states(opt) == ["COMPLETE"] * 4


def test_exceptions_come_back_from_dask(client):
    opt = make()
    opt.run(local(lambda params: 1 / 0), 2, progress=False, executor=client)
    assert {trial.error for trial in opt.trials} == {"ZeroDivisionError: division by zero"}


def test_a_dask_worker_that_is_killed_fails_its_trial_and_the_run_goes_on(client):
    client.wait_for_workers(2)
    opt = make()
    opt.run(local(die_at_the_default), 6, progress=False, executor=client, n_workers=1)
    assert states(opt) == ["FAILED"] + ["COMPLETE"] * 5
    assert opt.trials[0].error.startswith("KilledWorker: ")


def test_a_trial_that_overruns_on_dask_has_failed(client):
    client.wait_for_workers(2)
    opt = make()
    opt.run(local(hang_at_the_default), 5, progress=False, executor=client, trial_timeout=3)
    assert opt.trials[0].error == "took longer than trial_timeout=3 s"
    assert states(opt)[1:] == ["COMPLETE"] * 4
    assert "worker_busy" in {event.kind for event in opt.events}


def test_what_dask_cannot_send_costs_no_trial(client):
    import threading

    lock, opt = threading.Lock(), make()
    with pytest.raises(errors.InvalidSettings, match="cannot be sent"):
        opt.run(lambda params: lock, 3, progress=False, executor=client)
    assert opt.trials == []


def test_a_dask_client_that_is_closed_is_refused(cluster):
    from distributed import Client

    client = Client(cluster)
    client.close()
    opt = make()
    with pytest.raises(errors.InvalidState, match=r"does not answer.*connected"):
        opt.run(die_at_the_default, 3, progress=False, executor=client)
    assert opt.trials == []


def test_a_dask_cluster_that_grows_on_demand():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=1, interval="50 ms")
        opt = make()
        opt.run(local(lambda params: params["x"]), 3, progress=False, executor=client)
    assert states(opt) == ["COMPLETE"] * 3


def test_loky_evaluates_a_function_that_cannot_be_imported():
    import loky

    opt = make()
    with loky.ProcessPoolExecutor(2) as pool:
        opt.run(local(lambda params: params["x"]), 5, progress=False, executor=pool)
    assert states(opt) == ["COMPLETE"] * 5


@pytest.mark.parametrize("reusable", [False, True])
def test_loky_is_replaced_when_a_worker_is_killed(reusable):
    import loky

    def factory():
        return loky.get_reusable_executor(max_workers=1) if reusable else loky.ProcessPoolExecutor(1)

    opt = make()
    opt.run(local(die_at_the_default), 4, progress=False, executor=factory)
    assert states(opt) == ["FAILED"] + ["COMPLETE"] * 3
    assert opt.trials[0].error.startswith("the worker died: TerminatedWorkerError")
