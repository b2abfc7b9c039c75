"""A small search as a program of its own, for tests that kill it: python search.py STORE TRIALS.

It prints a line whenever a trial has been asked for or told, so that a test can choose its moment.
"""

import math
import sys
from importlib.resources import files

from hybridbo import Optimizer, Space
from hybridbo.demo.digits import SPACE, TASK

RECORDING = f"replay:{files('hybridbo.data') / 'pipe_digits.json'}"
SEED = 3


def value(params):
    """A cheap stand-in for the accuracy of the digits pipeline; logistic regression without PCA crashes."""
    if params["model"] == "logreg" and not params["pca"]:
        raise RuntimeError("out of memory")
    score = 0.9 if params["model"] == "knn" else 0.8
    if params["pca"]:
        score -= 0.02 * abs(math.log(params["n_components"] / 40))
    return score - 0.01 * abs(params.get("p", 2.0) - 1.7) - 0.005 * math.log(params.get("n_neighbors", 3))


def optimizer(store):
    return Optimizer(Space.of(SPACE), "maximize", task=TASK, study="s", store=store, llm=RECORDING, seed=SEED)


def search(store, trials, say=lambda _: None):
    """Ask and tell until the study has that many finished trials; what it proposed, as values to compare."""
    with optimizer(store) as opt:
        while sum(trial.state.is_finished for trial in opt.trials) < trials:
            trial = opt.ask()
            say(f"asked {trial.number}")
            try:
                opt.tell(trial, value(trial.params))
            except RuntimeError as error:
                opt.fail(trial, error)
            say(f"told {trial.number}")
        return [(t.number, t.params, t.state, t.value, t.origin) for t in opt.trials]


if __name__ == "__main__":
    search(sys.argv[1], int(sys.argv[2]), lambda line: print(line, flush=True))
