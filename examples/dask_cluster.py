"""On a Dask cluster: give `run` the client. Needs `pip install distributed`.

The cluster here has two processes on this machine; `Client("tcp://scheduler:8786")` is all that differs for a real
one. Its workers need what the objective imports, and no hybridbo.
"""

import math
import sys

from distributed import Client, LocalCluster

from hybridbo import Float, Int, Optimizer

SPACE = {"lr": Float(1e-4, 1.0, log=True, default=1e-2), "depth": Int(1, 12, default=3)}


def main() -> int:
    def train(params: dict) -> float:
        return (math.log10(params["lr"]) + 1.5) ** 2 + (params["depth"] - 6) ** 2 / 20

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        Optimizer(SPACE, study="dask", llm=None, seed=0) as opt,
    ):
        client.wait_for_workers(2)
        best = opt.run(train, n_trials=8, executor=client, trial_timeout=60, progress=False)
        for trial in opt.trials:
            print(f"trial {trial.number}  {trial.origin.source:<7}  {trial.value:.4f}  {trial.params}")
        print(f"{len(opt.trials)} trials on {len(client.nthreads())} workers; best: {best.params}")
        return 0 if len(opt.trials) == 8 and all(trial.value is not None for trial in opt.trials) else 1


if __name__ == "__main__":  # the workers import this file again
    sys.exit(main())
