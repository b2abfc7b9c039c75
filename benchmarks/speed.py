"""Time of an ask and peak memory after 20 to 1,000 trials, hybridbo against Optuna's GPSampler on the same history.

Every figure comes from processes of their own with one thread, since peak memory cannot be taken back: three of each
method, by turns, so that a busy minute of the machine befalls both. What the first asks load and prepare (the default
arm, torch) is not timed; Optuna keeps what it has learned from one ask for the next, as in use. That there is one
thread is looked up in the process after the asks. The times are of the processor, with those of the clock beside
them. The memory that the imports alone take is the peak after a study of 12 trials.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
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
_UNTIMED, _ASKS = 2, 9  # asks of a process
_ROUNDS = 3  # processes of each method
_FEW = 12  # trials of the study that shows what the imports take; Optuna's GPSampler models from 10 on

Figures = dict[str, float]


def value(params: Params) -> float:
    """A smooth function of the seven parameters."""
    u = SPACE.encode(params)
    return float(np.sum((u - 0.3) ** 2) + 0.1 * np.sin(9 * u[0]))


def measure(method: str, n: int) -> Figures:
    """Median seconds of an ask after ``n`` trials in this process, and its peak memory in MB.

    Returns:
        ``cpu_s`` and ``wall_s`` of an ask, ``peak_mb``, ``imports_mb`` (the peak that a study of 12 trials has
        needed), and ``threads``, the most that any library would use.
    """
    _asks(_started(method, _FEW), _UNTIMED)
    imports = _peak_mb()
    search = _started(method, n - _UNTIMED)
    _asks(search, _UNTIMED)
    cpu, wall = zip(*_asks(search, _ASKS), strict=True)
    return {
        "cpu_s": statistics.median(cpu),
        "wall_s": statistics.median(wall),
        "peak_mb": _peak_mb(),
        "imports_mb": imports,
        "threads": _threads(),
    }


def main(counts: list[int], methods: Sequence[str] = METHODS) -> None:
    """Measure and print a table."""
    columns = [f"{m} {what}" for m in methods for what in ("CPU ms", "clock ms", "peak MB", "of it imports")]
    columns += ["ratio of CPU", "ratio of peaks"] if len(methods) > 1 else []
    print("| trials | " + " | ".join(columns) + " |")
    print("| --- " * (len(columns) + 1) + "|")
    for n in counts:
        rounds = [[_elsewhere(method, n) for method in methods] for _ in range(_ROUNDS)]
        print(_row(n, [_median(list(runs)) for runs in zip(*rounds, strict=True)]), flush=True)


def _row(n: int, found: list[Figures]) -> str:
    cells = [str(n)]
    for f in found:
        times = [f"{1000 * f[key]:.0f}" for key in ("cpu_s", "wall_s")] if f else ["not installed", ""]
        cells += times + ([f"{f[key]:.0f}" for key in ("peak_mb", "imports_mb")] if f else ["", ""])
    ratios = [found[0][key] / found[1][key] for key in ("cpu_s", "peak_mb")] if len(found) > 1 and all(found) else []
    return "| " + " | ".join([*cells, *(f"{ratio:.2f}" for ratio in ratios)]) + " |"


def _median(runs: list[Figures]) -> Figures:
    """Of each figure of several processes; nothing if one of them gave none."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]} if all(runs) else {}


def _started(method: str, n: int) -> Any:
    rng = np.random.default_rng(0)
    start = {"hybridbo": _hybridbo, "hybridbo-sampler": _sampler}.get(method, _optuna)
    return start([SPACE.decode(rng.random(len(SPACE))) for _ in range(n)])


def _asks(search: Any, times: int) -> list[tuple[float, float]]:
    """Seconds of processor and clock of each ask."""
    taken = []
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        params, _ = search.ask()
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
        search.tell(value(params))
    return taken


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _threads() -> int:
    """The most threads that a library of this process would use."""
    from threadpoolctl import threadpool_info

    torch: Any = sys.modules.get("torch")
    pools = [int(pool["num_threads"]) for pool in threadpool_info()]
    return max([1, *pools, torch.get_num_threads() if torch else 1])


def _elsewhere(method: str, n: int) -> Figures:
    """The figures of a fresh process; nothing, and why on standard error, if it fails."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    command = [sys.executable, "-m", "benchmarks.speed", method, str(n)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  # ourselves
    if done.returncode:
        print(done.stderr.splitlines()[-1], file=sys.stderr)
        return {}
    out: Figures = json.loads(done.stdout)
    if out["threads"] != 1:
        raise RuntimeError(f"{method} would use {out['threads']:.0f} threads: the times cannot be compared")
    return out


def _hybridbo(history: list[Params]) -> Any:
    from benchmarks.methods import Hybrid
    from benchmarks.problem import Problem

    search = Hybrid(Problem("speed/mixed", SPACE, "minimize", "", value, 0.0, 1.0), seed=0)
    for params in history:
        search.add(params, value(params))
    return search


def _sampler(history: list[Params]) -> Any:
    from benchmarks.problem import Problem
    from benchmarks.sampled import Sampled

    search = Sampled(Problem("speed/mixed", SPACE, "minimize", "", value, 0.0, 1.0), 0)
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
