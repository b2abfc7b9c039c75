"""Processes killed at random moments: nothing that was acknowledged is lost, nothing is there twice.

The processes are forks of this one, which has everything loaded and no store open, so that a round takes a moment.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.store_worker import BLIND, BOX, STUDY, proposed, searching
from hybridbo import Optimizer, TrialState
from hybridbo.trial import Trial

_ROUNDS_A_FILE = 20  # all of a file is read after each round
_LONGEST_S = 0.25  # that the processes of a round live, beyond the start


@dataclass
class Tally:
    """What the rounds have shown.

    Attributes:
        rounds: How many there were.
        trials: Trials in the files at the end.
        acknowledged: Asks and tells that had returned before their process was killed.
        lost: How many of them are not there.
        duplicates: Configurations or numbers that are there twice.
        unsound: Rounds after which SQLite's integrity check, or that of foreign keys, found something.
        offered: Trials of dead processes that were handed on to others.
    """

    rounds: int = 0
    trials: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    unsound: int = 0
    offered: int = 0
    asked: set[int] = field(default_factory=set, repr=False)
    told: dict[int, float] = field(default_factory=dict, repr=False)


def kill_rounds(folder: Path, rounds: int, processes: int, seed: int = 0) -> Tally:
    """Let processes ask and tell, and kill them all at random moments, one after the other."""
    chance, tally = random.Random(seed), Tally()
    path = folder / "kills.db"
    for number in range(rounds):
        if number % _ROUNDS_A_FILE == 0:
            path = folder / f"kills{number}.db"
            tally.asked, tally.told = set(), {}
            Optimizer(BOX, llm=None, seed=number, study=STUDY, store=path, settings=BLIND).close()
        _round(path, processes, chance, tally)
        last = number + 1 == rounds or (number + 1) % _ROUNDS_A_FILE == 0
        _check(path, tally, is_last=last)
        tally.rounds += 1
    return tally


def _round(path: Path, processes: int, chance: random.Random, tally: Tally) -> None:
    pipes = [os.pipe() for _ in range(processes)]
    children = [_forked(path, writer) for _, writer in pipes]
    for _, writer in pipes:
        os.close(writer)
    said = [os.read(reader, 1) for reader, _ in pipes]  # all of them are at work
    for child in chance.sample(children, processes):
        time.sleep(chance.uniform(0.0, _LONGEST_S / processes))
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    for (reader, _), first in zip(pipes, said, strict=True):
        with os.fdopen(reader, "rb") as lines:
            _acknowledge((first + lines.read()).decode().split("\n")[:-1], tally)  # the last line may be cut


def _forked(path: Path, writer: int) -> int:
    if child := os.fork():
        return child
    try:
        with Optimizer.load(path, STUDY, llm=None) as opt:
            while True:
                trial = opt.ask()
                os.write(writer, f"A {trial.number}\n".encode())
                value = trial.number / 7
                opt.tell(trial, value)
                os.write(writer, f"T {trial.number} {value!r}\n".encode())
    finally:
        os._exit(1)


def _acknowledge(lines: Iterable[str], tally: Tally) -> None:
    for line in lines:
        kind, number, *value = line.split()
        tally.acknowledged += 1
        if kind == "A":
            tally.asked.add(int(number))
        else:
            tally.told[int(number)] = float(value[0])


def _check(path: Path, tally: Tally, *, is_last: bool) -> None:
    conn = sqlite3.connect(path)
    sound = conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sound = sound and not conn.execute("PRAGMA foreign_key_check").fetchall()
    conn.close()
    tally.unsound += not sound
    with Optimizer.load(path, STUDY, llm=None) as opt:
        trials = opt.trials
        keys = {opt.space.key(trial.params) for trial in trials}
        tally.duplicates += len(trials) - len(keys)
        tally.duplicates += [trial.number for trial in trials] != list(range(len(trials)))
        tally.lost += sum(number >= len(trials) for number in tally.asked)
        tally.lost += sum(not _is_told(trials, number, value) for number, value in tally.told.items())
        if is_last:
            tally.trials += len(trials)
            tally.offered += sum(event.kind == "trial_offered_again" for event in opt.events)


def _is_told(trials: list[Trial], number: int, value: float) -> bool:
    return number < len(trials) and (trials[number].state, trials[number].value) == (TrialState.COMPLETE, value)


def resume_after_kills(folder: Path, trials: int, kills: int, seed: int = 0) -> tuple[int, int]:
    """Kill a search, with the model on, at random moments and start it again, until it has been killed so often.

    Returns:
        How many searches came to their end meanwhile, and how many of them are, bit for bit, what the uninterrupted
        one is.
    """
    chance = random.Random(seed)
    expected = _uninterrupted(folder / "whole.db", trials)
    done = same = killed = 0
    while killed < kills:
        path = folder / f"resumed{done}.db"
        while killed < kills and _killed(path, trials, chance):
            killed += 1
        same += _uninterrupted(path, trials) == expected
        done += 1
    return done, same


def _uninterrupted(path: Path, trials: int) -> list[object]:
    command = [sys.executable, "-m", "benchmarks.store_worker", "search", str(path), str(trials)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # ourselves
    with searching(str(path)) as opt:
        return proposed(opt)


def _killed(path: Path, trials: int, chance: random.Random) -> bool:
    """Whether the search could be killed before its end."""
    command = [sys.executable, "-m", "benchmarks.store_worker", "search", str(path), str(trials)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  # ourselves
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        for _ in range(chance.randint(0, 8)):
            process.stdout.readline()
        time.sleep(chance.choice([0.0, chance.uniform(0.0, 0.3)]))
        process.kill()
        return process.wait() == -signal.SIGKILL
