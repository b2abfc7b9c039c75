"""Two trials at a time in a process pool, and one of them kills its process.

`executor` takes anything with `submit`. Here it is a function that makes a pool, so that the run may replace the pool
when a worker dies, and kill it when a trial overruns; a pool of your own, `executor=pool`, is left alone.
"""

import math
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

from hybridbo import Float, Int, Optimizer

SPACE = {"lr": Float(1e-4, 1.0, log=True, default=1e-2), "depth": Int(1, 12, default=3)}


def train(params: dict) -> float:
    """Stands for a training that runs out of memory with the default configuration, which is tried first."""
    if params == {"lr": 1e-2, "depth": 3}:
        os.kill(os.getpid(), signal.SIGKILL)
    return (math.log10(params["lr"]) + 1.5) ** 2 + (params["depth"] - 6) ** 2 / 20


def make_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"))


def main() -> int:
    with Optimizer(SPACE, study="pool", store=":memory:", llm=None, seed=0) as opt:
        opt.run(train, n_trials=9, executor=make_pool, trial_timeout=60, progress=False)
        for trial in opt.trials:
            shown = trial.error if trial.value is None else f"{trial.value:.4f}"
            print(f"trial {trial.number}  {trial.origin.source:<7}  {shown}")
        complete = [trial for trial in opt.trials if trial.value is not None]
        print(f"{len(complete)} of {len(opt.trials)} trials have a value")
        died = opt.trials[0].error or ""
        return 0 if len(complete) == 8 and "BrokenProcessPool" in died else 1  # the deadly one alone has failed


if __name__ == "__main__":  # the processes of a pool may import this file again
    sys.exit(main())
