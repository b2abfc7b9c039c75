"""Several processes on one study: relational, journal and gRPC storage; SIGKILL in the middle."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures

import grpc
import optuna
import pytest
from optuna.storages import GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages._grpc import servicer
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as State
from optuna_objectives import ADVICE, SPACE, objective

from hybridbo.integrations import HybridSampler
from hybridbo.testing.scripted import ScriptedBackend

CHEAP = {"seed_trials": 4, "gp": {"candidates": 64, "restarts": 1}}

WORKER = """
import os, sys, signal, optuna
from optuna.storages import GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna_objectives import SPACE, objective
from hybridbo.integrations import HybridSampler
storage = eval(sys.argv[1])
sampler = HybridSampler(llm=None, seed=3, search_space=SPACE, settings={settings!r})
study = optuna.load_study(study_name="shared", storage=storage, sampler=sampler)

def dies(trial):
    value = objective(trial)
    os.kill(os.getpid(), signal.SIGKILL)

study.optimize(dies if sys.argv[2] == "dies" else objective, n_trials=4)
""".replace("{settings!r}", repr(CHEAP))


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def start(storage, how="lives"):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", WORKER, storage, how], env=environment, stderr=subprocess.PIPE)


def create(storage):
    return optuna.create_study(storage=storage, study_name="shared")


def check(study, n):
    """Every trial is done, has an origin, and no two are the same."""
    assert [trial.state for trial in study.trials] == [State.COMPLETE] * n
    assert all(HybridSampler.origin(trial) for trial in study.trials)
    assert all("hybridbo:fallback" not in trial.system_attrs for trial in study.trials)
    return len({json.dumps(trial.params, sort_keys=True) for trial in study.trials})


def finish(workers):
    for worker in workers:
        _, errors = worker.communicate(timeout=100)
        assert worker.returncode == 0, errors.decode()


def test_processes_share_a_relational_storage(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = create(url)
    finish([start(repr(url)), start(repr(url))])
    assert check(study, 8) == 8


def test_processes_share_a_journal(tmp_path):
    file = str(tmp_path / "study.log")
    study = create(JournalStorage(JournalFileBackend(file)))
    finish([start(f"JournalStorage(JournalFileBackend({file!r}))") for _ in range(2)])
    assert check(study, 8) == 8


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_processes_share_a_grpc_proxy(tmp_path):
    storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    service = servicer.OptunaStorageProxyService(storage)  # what run_grpc_proxy_server serves, and never ends
    api_pb2_grpc.add_StorageServiceServicer_to_server(service, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        study = create(GrpcStorageProxy(host="localhost", port=port))
        finish([start(f"GrpcStorageProxy(host='localhost', port={port})") for _ in range(2)])
        assert check(study, 8) == 8
    finally:
        server.stop(None)


def test_a_trial_whose_process_was_killed_stays_pending_and_is_not_repeated(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = create(url)
    killed = start(repr(url), "dies")
    killed.communicate(timeout=100)
    assert killed.returncode == -signal.SIGKILL
    finish([start(repr(url))])
    dead, *others = study.trials
    assert dead.state is State.RUNNING
    assert [trial.state for trial in others] == [State.COMPLETE] * 4
    assert dead.params not in [trial.params for trial in others]


def test_what_runs_elsewhere_is_known_before_it_has_suggested_anything():
    study = optuna.create_study(sampler=HybridSampler(llm=None, seed=0, search_space=SPACE, settings=CHEAP))
    for _ in range(2):
        study.ask()  # a worker that is loading its data
    third = study.ask()
    objective(third)
    assert HybridSampler.origin(study.trials[2]).source == "sobol"  # the default is for another


def test_threads_with_a_slow_model_ask_it_once():
    backend = ScriptedBackend([ADVICE])
    gate = threading.Barrier(3)
    study = optuna.create_study(sampler=HybridSampler(llm=backend, seed=0, search_space=SPACE, settings=CHEAP))

    def together(trial):
        gate.wait(timeout=60)
        return objective(trial)

    study.optimize(together, n_trials=3, n_jobs=3)
    assert len(backend.requests) == 1
    assert len({json.dumps(trial.params) for trial in study.trials}) == 3
