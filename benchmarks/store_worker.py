"""The processes of the store benchmark: ``python -m benchmarks.store_worker ROLE ...``; each prints JSON lines.

``drive METHOD FOLDER SECONDS SEED`` asks and tells six floats as fast as it can; it says when it is ready, starts when
it is sent a line, and ends with what it got and how long it waited. ``load METHOD FOLDER`` reads a history, ``search
FILE TRIALS`` is a search that can be killed, ``share FILE TRIALS SEED`` one of several on a study whose model is on.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hybridbo import Float, Int, Optimizer, Space
from hybridbo.parameters import Params

STUDY = "s"
BOX = Space({f"x{i}": Float(0.0, 1.0) for i in range(6)})
BLIND = {"seed_trials": 10**9}  # Sobol points, no model
SMALL = Space({"x": Float(0.0, 1.0), "y": Float(1e-3, 1.0, log=True), "n": Int(1, 9)})


def path_of(method: str, folder: str) -> Path:
    """Where a method keeps its study."""
    return Path(folder) / ("journal.log" if method == "optuna-journal" else f"{method}.db")


def started(method: str, folder: str, seed: int) -> Callable[[], None]:
    """A function that asks for one trial and tells it; the study is made if it is not there."""
    if method == "hybridbo":
        opt = Optimizer(BOX, llm=None, seed=0, study=STUDY, store=path_of(method, folder), settings=BLIND)
        return partial(step_of, opt)
    import optuna

    study, space = optuna_study(method, folder, seed), _distributions()

    def step() -> None:
        trial = study.ask(space)
        study.tell(trial, math.fsum(trial.params.values()))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return step


def step_of(opt: Optimizer) -> None:
    """Ask and tell once."""
    trial = opt.ask()
    opt.tell(trial, math.fsum(trial.params.values()))  # type: ignore[arg-type]  # floats all of them


def optuna_study(method: str, folder: str, seed: int) -> Any:
    """Optuna's study on SQLite (``optuna-rdb``) or on a file of lines (``optuna-journal``), with random points."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = path_of(method, folder)
    rdb = method == "optuna-rdb"
    storage = RDBStorage(f"sqlite:///{path}") if rdb else JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(storage=storage, sampler=sampler, study_name=STUDY, load_if_exists=True)


def _distributions() -> dict[str, Any]:
    import optuna

    return {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in BOX}


def drive(method: str, folder: str, seconds: str, seed: str) -> dict[str, Any]:
    """Ask and tell for so long; what was got, the longest time of one, and how often the store was locked."""
    step = started(method, folder, int(seed))
    step()  # what has to be loaded is loaded
    print("ready", flush=True)
    sys.stdin.readline()
    done, errors, longest = 0, 0, 0.0
    end = time.perf_counter() + float(seconds)
    while (began := time.perf_counter()) < end:
        try:
            step()
            done += 1
        except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
            errors += 1
            print(f"{method}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        longest = max(longest, time.perf_counter() - began)
    return {"done": done, "errors": errors, "longest": longest}


def load(method: str, folder: str) -> dict[str, float]:
    """Seconds of the clock and of the processor to read a history, by a process that knows nothing of it."""
    if method == "optuna-rdb":
        study = optuna_study(method, folder, 0)
        return _timed(lambda: study.get_trials(deepcopy=False))
    opt = Optimizer.load(path_of(method, folder), STUDY, llm=None)
    figures = _timed(lambda: opt.trials)
    step_of(opt)
    step_of(opt)
    again = _timed(lambda: step_of(opt))
    return figures | {"ask_s": again["wall_s"], "ask_cpu_s": again["cpu_s"]}


def _timed(action: Callable[[], Any]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def bowl(params: Params) -> float:
    """A smooth function of SMALL with its minimum, 0, away from the middle."""
    p = {name: float(value) for name, value in params.items()}  # type: ignore[arg-type]  # numbers all of them
    return (p["x"] - 0.3) ** 2 + (math.log10(p["y"]) + 2.0) ** 2 / 4 + (p["n"] - 7) ** 2 / 64


def searching(path: str, **settings: Any) -> Optimizer:
    """The search that is killed: its seed is fixed."""
    return Optimizer(SMALL, llm=None, seed=5, study=STUDY, store=path, settings=settings)


def search(path: str, trials: str) -> list[Any]:
    """Go on with a search until it has so many trials; a line at each step, so that it can be killed there."""
    with searching(path) as opt:
        while sum(trial.state.is_finished for trial in opt.trials) < int(trials):
            trial = opt.ask()
            print(f"asked {trial.number}", flush=True)
            opt.tell(trial, bowl(trial.params))
            print(f"told {trial.number}", flush=True)
        return proposed(opt)


def proposed(opt: Optimizer) -> list[Any]:
    """What a search has done, to compare bit for bit."""
    return [
        [t.number, {name: repr(x) for name, x in t.params.items()}, repr(t.value), t.origin.source, t.origin.reason]
        for t in opt.trials
    ]


def share(path: str, trials: str, seed: str) -> dict[str, Any]:
    """Evaluate so many trials of a study that others evaluate as well, with the model on."""
    with Optimizer(SMALL, llm=None, seed=int(seed), study=STUDY, store=path) as opt:
        print("ready", flush=True)
        sys.stdin.readline()
        longest = 0.0
        for _ in range(int(trials)):
            began = time.perf_counter()
            trial = opt.ask()
            longest = max(longest, time.perf_counter() - began)
            opt.tell(trial, bowl(trial.params))
    return {"done": int(trials), "longest": longest}


ROLES: dict[str, Callable[..., Any]] = {"drive": drive, "load": load, "search": search, "share": share}

if __name__ == "__main__":
    logging.disable(logging.INFO)
    print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])))
