"""Killed and resumed: a search that dies by SIGKILL in the middle of a trial goes on as if nothing had happened.

Three processes run the same few lines of `search`. The first one runs eight trials undisturbed. The second one kills
itself in the middle of its sixth; the third one opens the same store and goes on. Both stores then hold the same
trials.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hybridbo import Float, Optimizer

SPACE = {"x": Float(-2.0, 2.0), "y": Float(-1.0, 3.0)}


def search(store: str, dies_in: int | None) -> None:
    calls = 0

    def objective(params: dict) -> float:
        nonlocal calls
        calls += 1
        if calls == dies_in:
            os.kill(os.getpid(), signal.SIGKILL)  # no clean-up of any kind runs
        return (1 - params["x"]) ** 2 + 100 * (params["y"] - params["x"] ** 2) ** 2

    with Optimizer(SPACE, study="rosenbrock", store=store, llm=None, seed=0) as opt:
        opt.run(objective, n_trials=8, progress=False)


def in_a_process(store: Path, dies_in: int | None = None) -> int:
    command = [sys.executable, __file__, str(store), *([str(dies_in)] if dies_in else [])]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - this very file


def trials_in(store: Path) -> list:
    with Optimizer.load(store, "rosenbrock") as opt:
        return [
            (trial.number, trial.params, trial.state.value, trial.value, trial.origin.source) for trial in opt.trials
        ]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole.db"), Path(folder, "broken.db")
        if in_a_process(whole) != 0:
            return 1
        status = in_a_process(broken, dies_in=6)
        print(
            f"killed with exit status {status}; the store holds {len(trials_in(broken))} trials, the last one RUNNING"
        )
        if status != -signal.SIGKILL or [trial[2] for trial in trials_in(broken)] != ["COMPLETE"] * 5 + ["RUNNING"]:
            return 1
        if in_a_process(broken) != 0:
            return 1
        same = trials_in(whole) == trials_in(broken)
        print(f"resumed; {len(trials_in(broken))} trials, {'the same' if same else 'OTHERS'} as without the kill:")
        for number, params, _, value, source in trials_in(broken):
            print(f"  trial {number}  {source:<7}  {value:10.4f}  {params}")
        return 0 if same else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        search(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
    else:
        sys.exit(main())
