"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_DEFAULT_METHODS = "hybridbo,random,optuna-tpe,optuna-gp"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    args = _parser().parse_args(argv)
    status: int = args.command(args)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run methods on problems; what is in FILE already is not run again")
    run.add_argument("--suite", default="all", help="suites or problems, separated by commas; all")
    run.add_argument("--methods", default=_DEFAULT_METHODS, help="separated by commas; all")
    run.add_argument("--seeds", type=int, default=10, help="how many, from --first-seed on")
    run.add_argument("--first-seed", type=int, default=0)
    run.add_argument("--budget", type=int, help="trials per search; 30, and 50 with several objectives")
    run.add_argument("--out", type=Path, default=Path(".cache/bench.jsonl"), metavar="FILE")
    run.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    run.add_argument("--settings", default="", metavar="JSON", help="settings of hybridbo's methods")
    run.add_argument("--tag", default="", help="hybridbo's methods are called NAME@TAG in the rows")
    run.set_defaults(command=_run)
    analyse = commands.add_parser("analyse", help="tables as Markdown from the rows alone")
    analyse.add_argument("files", nargs="+", type=Path, metavar="FILE")
    analyse.add_argument("--plots", type=Path, metavar="FOLDER", help="regret against trials as PNG and SVG")
    analyse.add_argument("--methods", default="", help="only these, separated by commas")
    analyse.add_argument("--reference", default="hybridbo", help="the method that is tested against the others")
    analyse.set_defaults(command=_analyse)
    smoke = commands.add_parser("smoke", help="a small corner, to see that everything runs; for CI")
    smoke.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    smoke.set_defaults(command=_smoke)
    speed = commands.add_parser("speed", help="time of an ask and peak memory against Optuna's GPSampler")
    speed.add_argument("--trials", default="20,50,100,300", help="lengths of the history, separated by commas")
    speed.add_argument("--methods", default="hybridbo,optuna-gp", help="with 1,000 trials Optuna alone takes minutes")
    speed.set_defaults(command=_speed)
    from benchmarks import store

    shared = commands.add_parser("store", help="processes on one store: speed, fairness, kills; Optuna's by turns")
    store.add_arguments(shared)
    shared.set_defaults(command=store.main)
    dropins = commands.add_parser("dropins", help="the Optuna sampler against the Optimizer and Optuna's own samplers")
    dropins.add_argument("--seeds", type=int, default=10, help="of each of the 8 tables; 0 leaves the regret out")
    dropins.add_argument("--trials", default="20,50,100", help='lengths of the history for the times; "" for none')
    dropins.add_argument("--out", type=Path, default=Path(".cache/dropins.jsonl"), metavar="FILE")
    dropins.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    dropins.set_defaults(command=_dropins)
    verdicts = commands.add_parser("verdicts", help="how often opt.attribution() is right about known advice")
    verdicts.add_argument("--suite", default="functions", help="suites or problems, separated by commas")
    verdicts.add_argument("--seeds", type=int, default=3, help="how many, from --first-seed on")
    verdicts.add_argument("--first-seed", type=int, default=0)
    verdicts.set_defaults(command=_verdicts)
    commands.add_parser("list", help="suites, problems and methods").set_defaults(command=_list)
    reference = commands.add_parser("reference", help="search the best and worst values of problems without a table")
    reference.add_argument("--suite", default="functions,crash")
    reference.add_argument("--random", type=int, help="random points (20,000, of trainings 300)")
    reference.add_argument("--climb", type=int, default=0, help="evaluations of a local search behind them")
    reference.set_defaults(command=_reference)
    return parser


def _run(args: argparse.Namespace) -> int:
    from benchmarks import methods, run, suites

    try:
        problems = suites.select(args.suite)
    except KeyError as unknown:
        return _wrong(str(unknown.args[0]))
    names = methods.NAMES if args.methods == "all" else args.methods.split(",")
    known = (*methods.NAMES, *methods.ON_REQUEST)
    if wrong := [name for name in names if name not in known]:
        return _wrong(f"there is no method {wrong[0]!r}; known: {', '.join(known)}")
    if trouble := _trouble(args):
        return _wrong(trouble)
    jobs = [
        run.Job(method, problem, seed, args.budget or suites.budget(problem), args.settings, args.tag)
        for seed in range(args.first_seed, args.first_seed + args.seeds)
        for problem in problems
        for method in names
    ]
    broken, _ = run.run(jobs, args.out, args.workers)
    return 1 if broken else 0


def _trouble(args: argparse.Namespace) -> str | None:
    """What is wrong with the numbers and the settings of a run; None if nothing is."""
    from hybridbo.errors import InvalidSettings
    from hybridbo.settings import Settings

    for name in ("seeds", "budget", "workers"):
        if (given := getattr(args, name)) is not None and given < 1:
            return f"--{name} {given} is not positive"
    if not args.settings:
        return None
    if not args.tag:  # a row without one says that the method ran as it comes
        return "--settings needs a --tag, which tells its rows from those of hybridbo's own settings"
    try:
        Settings.of(json.loads(args.settings))
    except (ValueError, InvalidSettings) as error:
        return f"--settings {args.settings!r}: {error}"
    return None


def _wrong(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def _analyse(args: argparse.Namespace) -> int:
    from benchmarks import report, run

    rows = [row for file in args.files for row in run.read(file)]
    wanted = args.methods.split(",") if args.methods else None
    rows = [row for row in rows if wanted is None or row["method"] in wanted]
    if not rows:
        return _wrong(f"no rows in {', '.join(map(str, args.files))}")
    print(report.markdown(rows, args.reference))
    if args.plots:
        from benchmarks import plots

        plots.save(rows, args.plots)
    return 0


def _smoke(args: argparse.Namespace) -> int:
    from benchmarks import smoke

    return smoke.main(args.workers)


def _speed(args: argparse.Namespace) -> int:
    from benchmarks import speed

    names = args.methods.split(",")
    if unknown := set(names) - set(speed.METHODS):
        return _wrong(f"there is no method {min(unknown)!r} here; known: {', '.join(speed.METHODS)}")
    try:
        counts = [int(n) for n in args.trials.split(",")]
    except ValueError:
        return _wrong(f"--trials {args.trials!r} is no list of numbers such as 20,50")
    speed.main(counts, names)
    return 0


def _dropins(args: argparse.Namespace) -> int:
    from benchmarks import dropins

    return dropins.main(args.seeds, [int(n) for n in args.trials.split(",") if n], args.out, args.workers)


def _verdicts(args: argparse.Namespace) -> int:
    from benchmarks import verdicts

    return verdicts.main(args.suite, range(args.first_seed, args.first_seed + args.seeds))


def _list(args: argparse.Namespace) -> int:  # noqa: ARG001  # every command takes them
    from benchmarks import methods, suites

    print("methods:", *methods.NAMES, sep="\n  ")
    for suite in suites.suites():
        print(f"{suite}:", *suites.select(suite), sep="\n  ")
    return 0


def _reference(args: argparse.Namespace) -> int:
    from benchmarks import reference, suites

    reference.update(suites.select(args.suite), args.random, args.climb)
    return 0
