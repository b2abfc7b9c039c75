"""What the store does under load, and what it keeps when processes are killed; Optuna's storages by turns.

Every figure of a row is of the same run: the methods take turns within each round, so that a busy minute of the machine
befalls all of them, and their ratios are what counts. Six floats are asked and told, without a model: Sobol points
against Optuna's RandomSampler, ``synchronous=FULL``. ``python -m benchmarks store --help`` tells what can be left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import store_worker
from benchmarks.run import THREADS
from benchmarks.store_worker import BOX, SMALL, STUDY, bowl, path_of
from hybridbo import Optimizer
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

OURS = "hybridbo"
PEERS = ("optuna-rdb", "optuna-journal")
PARTS = ("speed", "load", "kills", "resume", "shared")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be set."""
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--folder", type=Path, help="where the files are made; the disk counts")
    parser.add_argument("--processes", default="1,4,8", help="of the part speed, separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a method runs in a round")
    parser.add_argument("--rounds", type=int, default=3, help="in which the methods take turns")
    parser.add_argument("--loads", default="10000,100000", help="lengths of a history, separated by commas")
    parser.add_argument("--peer-load", type=int, default=1000, help="length of Optuna's; filling it takes long")
    parser.add_argument("--kills", type=int, default=200, help="rounds of four processes")
    parser.add_argument("--resumes", type=int, default=20, help="kills of a search of 30 trials")
    parser.add_argument("--share", default="8x50x1", help="processes x trials of each x seeds, with the model on")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    if wrong := set(args.parts.split(",")) - set(PARTS):
        print(f"there is no part {min(wrong)!r}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    os.environ.update(dict.fromkeys(THREADS, "1"))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for part in args.parts.split(","):
            print(f"\n## {part}\n", flush=True)
            place = Path(folder) / part
            place.mkdir()
            _PARTS[part](args, place)
    return 0


# Speed -------------------------------------------------------------------------------------------------------------


def speed(args: argparse.Namespace, folder: Path) -> None:
    """Trials a second, who got how many, and how long the longest ask and tell took."""
    methods = (OURS, *PEERS) if _has_optuna() else (OURS,)
    print("| processes | method | trials/s | hybridbo is x times as fast | least/most | longest s | errors |")
    print("| --- " * 7 + "|")
    for n in map(int, args.processes.split(",")):
        runs: dict[str, list[list[dict[str, Any]]]] = {method: [] for method in methods}
        for number in range(args.rounds):
            for method in methods:
                place = folder / f"{n}.{number}.{method}"
                place.mkdir()
                runs[method].append(drive(method, place, n, args.seconds))
        rates = {m: statistics.median(sum(w["done"] for w in run) / args.seconds for run in runs[m]) for m in methods}
        for method in methods:
            print(_speed_row(n, method, runs[method], rates[method], rates[OURS]), flush=True)


def _speed_row(n: int, method: str, runs: list[list[dict[str, Any]]], rate: float, ours: float) -> str:
    shares = [min(w["done"] for w in run) / max(1, *(w["done"] for w in run)) for run in runs]
    longest = [max(w["longest"] for w in run) for run in runs]
    errors = sum(w["errors"] for run in runs for w in run)
    ratio = f"{ours / rate:.1f}" if rate else "inf"
    spread = f"{statistics.median(shares):.2f} (worst round {min(shares):.2f})"
    waits = f"{statistics.median(longest):.3f} (worst round {max(longest):.3f})"
    return f"| {n} | {method} | {rate:.1f} | {ratio} | {spread} | {waits} | {errors} |"


def drive(method: str, folder: Path, processes: int, seconds: float) -> list[dict[str, Any]]:
    """What each of several processes got, all of them started together."""
    store_worker.started(method, str(folder), 0)()  # made once, before the others come
    rows = [["drive", method, str(folder), str(seconds), str(i + 1)] for i in range(processes)]
    return _together(rows)


def _together(calls: list[list[str]]) -> list[dict[str, Any]]:
    """The answers of workers that wait for each other before they begin."""
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-m", "benchmarks.store_worker"]
        workers = [stack.enter_context(subprocess.Popen([*command, *call], **pipes)) for call in calls]  # type: ignore[call-overload]  # noqa: S603
        for worker in workers:
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError(f"a worker did not start: {' '.join(calls[0])}")
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [json.loads(worker.stdout.read()) for worker in workers]


def _has_optuna() -> bool:
    try:
        import optuna  # noqa: F401
    except ImportError:
        print("Optuna is not installed: hybridbo alone.\n")
        return False
    return True


# Load --------------------------------------------------------------------------------------------------------------


def load(args: argparse.Namespace, folder: Path) -> None:
    """How long a process takes to read a history, and to ask and tell once it has."""
    print("| trials | method | read s (processor s) | then an ask and a tell ms (processor ms) |")
    print("| --- " * 4 + "|")
    for n in map(int, args.loads.split(",")):
        place = folder / str(n)
        place.mkdir()
        fill(place, n)
        print(_load_row(OURS, place, n), flush=True)
    if _has_optuna() and args.peer_load:
        place = folder / "peer"
        place.mkdir()
        fill_optuna(place, args.peer_load)
        print(_load_row("optuna-rdb", place, args.peer_load), flush=True)


def _load_row(method: str, folder: Path, n: int) -> str:
    command = [sys.executable, "-m", "benchmarks.store_worker", "load", method, str(folder)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]  # noqa: S603
    figure = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    asking = f"{figure['ask_s'] * 1e3:.2f} ({figure['ask_cpu_s'] * 1e3:.2f})" if "ask_s" in figure else "-"
    return f"| {n:,} | {method} | {figure['wall_s']:.3f} ({figure['cpu_s']:.3f}) | {asking} |"


def fill(folder: Path, n: int) -> None:
    """A study of ``n`` told trials."""
    settings = store_worker.BLIND
    Optimizer(BOX, llm=None, seed=0, study=STUDY, store=path_of(OURS, str(folder)), settings=settings).close()
    store = open_store(path_of(OURS, str(folder)))
    with store.transaction():
        for i in range(n):
            params = {name: round((i * 0.618 + j * 0.414) % 1.0, 6) for j, name in enumerate(BOX)}
            origin = Origin("gp", f"Largest expected improvement after {i} values.", 0.1, 0.2)
            store.create_trial(STUDY, Proposal(dict(params), origin), key=str(i), owner="elsewhere/1/2", seen=i)
            value = sum(params.values())
            store.finish_trial(STUDY, i, Outcome(TrialState.COMPLETE, {"value": value}, value))
    store.close()


def fill_optuna(folder: Path, n: int) -> None:
    """Optuna's study of ``n`` told trials on SQLite."""
    import optuna

    study = store_worker.optuna_study("optuna-rdb", str(folder), 0)
    uniform = optuna.distributions.FloatDistribution(0.0, 1.0)
    for i in range(n):
        params = {name: round((i * 0.618 + j * 0.414) % 1.0, 6) for j, name in enumerate(BOX)}
        trial = optuna.trial.create_trial(
            params=params, distributions=dict.fromkeys(BOX, uniform), value=sum(params.values())
        )
        study.add_trial(trial)


# Killed, resumed, shared -------------------------------------------------------------------------------------------


def kills(args: argparse.Namespace, folder: Path) -> None:
    """What is lost when four processes are killed, again and again."""
    from benchmarks.store_kills import kill_rounds

    print(kill_rounds(folder, args.kills, 4), flush=True)


def resume(args: argparse.Namespace, folder: Path) -> None:
    """Whether a search that was killed is what it would have been."""
    from benchmarks.store_kills import resume_after_kills

    done, same = resume_after_kills(folder, 30, args.resumes)
    print(f"{args.resumes} kills in {done} searches of 30 trials; bit for bit as uninterrupted: {same} of {done}")


def shared(args: argparse.Namespace, folder: Path) -> None:
    """Several processes on one study with the model on, against one process that asks for as many at once."""
    processes, trials, seeds = map(int, args.share.split("x"))
    print("| seed | way | trials | duplicates | regret at the end | mean regret | longest ask s |")
    print("| --- " * 7 + "|")
    for seed in range(seeds):
        path = folder / f"shared{seed}.db"
        Optimizer(SMALL, llm=None, seed=seed, study=STUDY, store=path).close()
        got = _together([["share", str(path), str(trials), str(seed)]] * processes)
        longest = max(worker["longest"] for worker in got)
        print(_shared_row(path, seed, f"{processes} processes", f"{longest:.2f}"), flush=True)
        path = folder / f"batch{seed}.db"
        with Optimizer(SMALL, llm=None, seed=seed, study=STUDY, store=path) as opt:
            for _ in range(trials):
                for trial in opt.ask_batch(processes):
                    opt.tell(trial, bowl(trial.params))
        print(_shared_row(path, seed, f"batches of {processes}", "-"), flush=True)


def _shared_row(path: Path, seed: int, way: str, longest: str) -> str:
    with Optimizer.load(path, STUDY, llm=None) as opt:
        done = sorted((t for t in opt.trials if t.value is not None), key=lambda t: t.finished_at or t.started_at)
        keys = {opt.space.key(trial.params) for trial in opt.trials}
        best = [min(float(t.value or 0.0) for t in done[: i + 1]) for i in range(len(done))]  # the minimum is 0
        n = len(opt.trials)
    return f"| {seed} | {way} | {n} | {n - len(keys)} | {best[-1]:.2e} | {statistics.mean(best):.2e} | {longest} |"


_PARTS = {"speed": speed, "load": load, "kills": kills, "resume": resume, "shared": shared}


def run(argv: Sequence[str] | None = None) -> int:
    """``python -m benchmarks.store``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    add_arguments(parser)
    return main(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(run())
