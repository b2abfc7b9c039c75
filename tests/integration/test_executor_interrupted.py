"""Ctrl-C in a terminal reaches a run and the processes of its pool alike; the trials in flight are given back."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from hybridbo import Optimizer

SCRIPT = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hybridbo import Float, Optimizer
import objectives

class Watcher:
    def started(self, *_):
        pass

    def finished(self, *_):
        print("finished", flush=True)

    message = finished

def pool():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"))

if __name__ == "__main__":
    hang = partial(objectives.hang_audibly, fifo=sys.argv[3])
    with Optimizer({"x": Float(0.0, 1.0)}, llm=None, seed=0, store=sys.argv[1]) as opt:
        if sys.argv[2] == "factory":
            opt.run(hang, 5, progress=Watcher(), executor=pool)
        else:
            with pool() as executor:
                opt.run(hang, 5, progress=Watcher(), executor=executor)
"""


@pytest.mark.parametrize("how", ["factory", "given"])
def test_ctrl_c_gives_the_trials_in_flight_back(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(filter(None, sys.path))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "a.db"), how, str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        begun = 0
        while begun < 2:
            begun += len(fifo.read_text().splitlines())  # until a worker has written and closed it
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "KeyboardInterrupt" in errors.splitlines()[-1] or process.returncode == -signal.SIGINT, errors
    assert output == ""
    with Optimizer.load(tmp_path / "a.db") as opt:
        assert [(trial.state.value, trial.owner) for trial in opt.trials] == [("RUNNING", "released")] * 2
        assert sorted(opt.ask().number for _ in range(2)) == [0, 1]
