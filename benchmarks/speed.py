"""Time of an ask and peak memory after 20 to 1,000 trials, hybridbo against Optuna's GPSampler on the same history.

Every figure comes from a process of its own with one thread, since peak memory cannot be taken back.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.run import THREADS
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

SPACE = Space({
    "lr": Float(1e-5, 1e-1, log=True),
    "weight_decay": Float(1e-6, 1e-1, log=True),
    "dropout": Float(0.0, 0.6),
    "width": Int(16, 1024, log=True),
    "depth": Int(1, 8),
    "optimizer": Categorical(["adam", "sgd", "rmsprop"]),
    "activation": Categorical(["relu", "tanh"]),
})  # fmt: skip
METHODS = ("hybridbo", "optuna-gp")
_ASKS = 5


def value(params: Params) -> float:
    """A smooth function of the seven parameters."""
    u = SPACE.encode(params)
    return float(np.sum((u - 0.3) ** 2) + 0.1 * np.sin(9 * u[0]))


def measure(method: str, n: int) -> dict[str, float]:
    """Median CPU seconds of five asks after ``n`` trials, and the peak memory of this process in MB."""
    rng = np.random.default_rng(0)
    history = [SPACE.decode(rng.random(len(SPACE))) for _ in range(n)]
    search = (_hybridbo if method == "hybridbo" else _optuna)(history)
    times = []
    for _ in range(_ASKS):
        began = time.process_time()  # of one thread; the clock would tell of other processes too
        params, _ = search.ask()
        times.append(time.process_time() - began)
        search.tell(value(params))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ask_s": statistics.median(times), "first_s": times[0], "peak_mb": peak}


def main(counts: list[int]) -> None:
    """Measure and print a table."""
    print("| trials | " + " | ".join(f"{m} ask CPU ms | {m} peak MB" for m in METHODS) + " | ratio of times |")
    print("| --- " * (2 * len(METHODS) + 2) + "|")
    for n in counts:
        found = [_elsewhere(method, n) for method in METHODS]
        cells = [f"{1000 * f['ask_s']:.0f} | {f['peak_mb']:.0f}" if f else "not installed | " for f in found]
        ratio = f"{found[0]['ask_s'] / found[1]['ask_s']:.2f}" if all(found) else ""
        print(f"| {n} | {' | '.join(cells)} | {ratio} |", flush=True)


def _elsewhere(method: str, n: int) -> dict[str, float]:
    environment = os.environ | dict.fromkeys(THREADS, "1")
    command = [sys.executable, "-m", "benchmarks.speed", method, str(n)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ourselves
    if done.returncode:
        print(done.stderr.splitlines()[-1], file=sys.stderr)
        return {}
    out: dict[str, float] = json.loads(done.stdout)
    return out


def _hybridbo(history: list[Params]) -> Any:
    from benchmarks.methods import Hybrid
    from benchmarks.problem import Problem

    search = Hybrid(Problem("speed/mixed", SPACE, "minimize", "", value, 0.0, 1.0), seed=0)
    for params in history:
        search.add(params, value(params))
    return search


def _optuna(history: list[Params]) -> Any:
    from benchmarks.peers import Optuna
    from benchmarks.problem import Problem

    search = Optuna("gp", Problem("speed/mixed", SPACE, "minimize", "", value, 0.0, 1.0), 0, [])
    for params in history:
        search.add(params, value(params))
    return search


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
