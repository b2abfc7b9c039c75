"""Ray Tune with hybridbo's search: eight trainings of a small network, bad ones stopped early by ASHA.

Run it with `python examples/ray_tune.py`. It needs `pip install "ray[tune]"`, no key and no network.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from hybridbo.integrations import HybridSearcher

TASK = "Tune a network with one hidden layer that learns sin(3x) from 192 points; metric: validation error."
PARAM_SPACE = {  # as for any of Ray's searchers: nested dicts, constants, Ray's own ranges
    "net": {"width": tune.lograndint(2, 65), "activation": tune.choice(["tanh", "relu"])},
    "optimizer": tune.choice([{"kind": "plain"}, {"kind": "momentum", "beta": tune.uniform(0.5, 0.99)}]),
    "lr": tune.loguniform(1e-4, 1.0),
    "epochs": 27,
}


def train(config: dict) -> None:
    """Reports the validation error after every ten steps."""
    np.seterr(all="ignore")  # a learning rate that is too large ends in NaN, which the search takes for a failure
    act = np.tanh if config["net"]["activation"] == "tanh" else lambda z: np.maximum(z, 0)
    beta, width = config["optimizer"].get("beta", 0.0), config["net"]["width"]
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    weights = [rng.normal(size=(1, width)), np.zeros(width), rng.normal(size=(width, 1)) / np.sqrt(width), np.zeros(1)]
    speed = [np.zeros_like(w) for w in weights]
    for _ in range(config["epochs"]):
        for _ in range(10):
            hidden = act(x[:192] @ weights[0] + weights[1])
            delta = (hidden @ weights[2] + weights[3] - y[:192]) / 192
            slope = 1 - hidden**2 if act is np.tanh else hidden > 0
            back = delta @ weights[2].T * slope
            gradients = [x[:192].T @ back, back.sum(0), hidden.T @ delta, delta.sum(0)]
            speed = [beta * v - config["lr"] * gradient for v, gradient in zip(speed, gradients, strict=True)]
            weights = [w + v for w, v in zip(weights, speed, strict=True)]
        error = np.mean((act(x[192:] @ weights[0] + weights[1]) @ weights[2] + weights[3] - y[192:]) ** 2)
        tune.report({"error": float(error)})


def main() -> int:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)  # on a cluster: ray.init(address="auto")
    with tempfile.TemporaryDirectory() as folder:
        # llm="auto" asks a language model if a key is set; the study stays in the file, on the driver's machine
        searcher = HybridSearcher(task=TASK, llm=None, seed=0, store=Path(folder, "search.db"))
        tuner = tune.Tuner(
            train,
            param_space=PARAM_SPACE,
            tune_config=tune.TuneConfig(
                metric="error",
                mode="min",
                search_alg=searcher,
                scheduler=ASHAScheduler(max_t=27, grace_period=3),
                num_samples=8,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, name="net", verbose=0),
        )
        results = tuner.fit()
        trials = searcher.optimizer.trials
        for trial in trials:
            error = "failed  " if trial.value is None else f"{trial.value:.4f}  "
            print(f"trial {trial.number}  {trial.origin.source:<7}  {trial.state:<8}  {error}  {trial.params}")
        best = results.get_best_result()
        print(f"default configuration: {trials[0].value:.4f}; best of 8 trials: {best.metrics['error']:.4f}")
        searcher.optimizer.close()
    ray.shutdown()
    return 0 if best.metrics["error"] < trials[0].value else 1  # what this example claims: searching paid


if __name__ == "__main__":
    sys.exit(main())
