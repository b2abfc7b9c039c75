"""Searches on a real Ray of two CPUs, as programs of their own: python ray_runs.py MODE FOLDER.

Each prints what Ray and the study know at its end as one line of JSON. Ray leaves files in the home folder and
processes that end with the one that started them, so a program of its own, with a home of its own, leaves nothing.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import ConcurrencyLimiter

from hybridbo.integrations import HybridSearcher

SPACE = {"net": {"lr": tune.loguniform(1e-4, 1.0), "depth": tune.randint(1, 5)}, "data": "digits"}


@contextlib.contextmanager
def small_ray():
    """A Ray that nobody else sees; its folder has a short name, since sockets live there."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 * 2**20,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )
        try:
            yield
        finally:
            ray.shutdown()


def learn(config):
    """Nine reports, each better than the one before; the first tell good from bad."""
    final = (config["net"]["lr"] - 0.3) ** 2 + 0.1 * config["net"]["depth"]
    for i in range(1, 10):
        tune.report({"loss": final + 1.0 / i})


def crash(config):
    """A configuration that fails, one that diverges, and others that work."""
    if config["kind"] == "crash":
        raise RuntimeError("out of memory")
    tune.report({"loss": float("nan") if config["kind"] == "nan" else 1.0 / len(config["kind"])})


def tuner(trainable, space, searcher, folder, name, **options):
    config = tune.TuneConfig(search_alg=searcher, metric="loss", mode="min", reuse_actors=True, **options)
    run = tune.RunConfig(storage_path=str(folder), name=name, verbose=0)
    return tune.Tuner(trainable, param_space=space, tune_config=config, run_config=run)


def seen(results, searcher):
    """What Ray and the study know, each by its configurations."""
    trials = searcher.optimizer.trials
    return {
        "ray": [
            [r.config, r.metrics.get("loss"), r.metrics.get("training_iteration"), r.error is not None] for r in results
        ],
        "study": [[t.params, t.state, t.value, t.error, t.origin.source, t.origin.reason] for t in trials],
        "events": [event.kind for event in searcher.optimizer.events],
    }


def asha(folder):
    """ASHA stops what the first reports tell to be bad."""
    searcher = HybridSearcher(llm=None, seed=0, store=folder / "asha.db")
    scheduler = ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)
    options = {"num_samples": 8, "max_concurrent_trials": 2, "scheduler": scheduler}
    return seen(tuner(learn, SPACE, searcher, folder, "asha", **options).fit(), searcher)


def ends(folder):
    """A space of four configurations, of which one crashes and one diverges, asked for nine trials."""
    searcher = HybridSearcher(llm=None, seed=0)
    space = {"kind": tune.choice(["ok", "crash", "nan", "fine"])}
    limited = ConcurrencyLimiter(searcher, max_concurrent=1)
    return seen(tuner(crash, space, limited, folder, "ends", num_samples=9).fit(), searcher)


class Killer(tune.Callback):
    """Ends the driver as a power cut would, once three trials have ended and Ray has saved that."""

    def __init__(self):
        self.ended = self.steps = 0

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.ended += 1

    def on_step_end(self, iteration, trials, **info):
        if self.ended >= 3:
            for thread in threading.enumerate():  # half a file cannot be restored, by whichever searcher
                if thread.name.endswith("(entrypoint)"):
                    thread.join()
            self.steps += 1
            if self.steps == 3:
                os.kill(os.getpid(), signal.SIGKILL)


def killed(folder):
    """A search of six trials that is killed after three of them."""
    searcher = HybridSearcher(llm=None, seed=0, store=folder / "killed.db")
    config = tune.TuneConfig(metric="loss", mode="min", num_samples=6, search_alg=searcher, max_concurrent_trials=2)
    run = tune.RunConfig(storage_path=str(folder), name="killed", verbose=0, callbacks=[Killer()])
    tune.Tuner(learn, param_space=SPACE, tune_config=config, run_config=run).fit()


def restored(folder):
    """What is left of it."""
    again = tune.Tuner.restore(str(folder / "killed"), trainable=learn)
    again._local_tuner._run_config.callbacks = []  # the Killer has been saved too
    return seen(again.fit(), again._local_tuner._tune_config.search_alg)


MODES = {
    "fits": lambda folder: {"asha": asha(folder), "ends": ends(folder)},
    "killed": killed,
    "restored": restored,
}

if __name__ == "__main__":
    with small_ray():
        result = MODES[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps(result))
