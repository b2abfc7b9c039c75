"""A search that is killed and started again goes on as if nothing had happened."""

import contextlib
import importlib.util
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hybridbo import owner

PROGRAM = Path(__file__).with_name("search.py")
TRIALS = 12


def _load():
    spec = importlib.util.spec_from_file_location("search", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program():
    return _load()


@pytest.fixture(scope="module")
def uninterrupted(program, tmp_path_factory):
    return program.search(tmp_path_factory.mktemp("reference") / "search.db", TRIALS)


def _kill_at_random(store, seed):
    """Start the search as a process and kill it with SIGKILL some milliseconds after some line it prints."""
    chance = random.Random(seed)
    lines, pause = chance.randint(1, 2 * TRIALS - 2), chance.choice([0.0, chance.uniform(0, 0.2)])
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(store), str(TRIALS)], stdout=subprocess.PIPE, text=True
    )
    try:
        for _ in range(lines):
            assert process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        process.send_signal(signal.SIGKILL)
        return process.wait()
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _check_round(program, uninterrupted, store, seed):
    assert _kill_at_random(store, seed) == -signal.SIGKILL
    with program.optimizer(store) as opt:
        in_flight = [trial for trial in opt.trials if not trial.state.is_finished]
        assert len(in_flight) <= 1
        assert all(owner.is_gone(trial.owner) for trial in in_flight)
    assert program.search(store, TRIALS) == uninterrupted
    with program.optimizer(store) as opt:
        offered = [event.trial_number for event in opt.events if event.kind == "trial_offered_again"]
        assert offered == [trial.number for trial in in_flight]
        assert opt.llm_usage.replayed == 1


def test_reference_uses_every_source(uninterrupted):
    assert {origin.source for *_, origin in uninterrupted} == {"default", "llm", "sobol", "gp"}


def test_killed_once(program, uninterrupted, tmp_path):
    _check_round(program, uninterrupted, tmp_path / "search.db", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_killed_at_random(program, uninterrupted, tmp_path, seed):
    _check_round(program, uninterrupted, tmp_path / "search.db", seed)


def test_same_process_goes_on(program, uninterrupted, tmp_path):
    assert program.search(tmp_path / "search.db", 7) == uninterrupted[:7]
    assert program.search(tmp_path / "search.db", TRIALS) == uninterrupted
