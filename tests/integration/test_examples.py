"""Each example runs from anywhere, keeps its promise and prints what it shows."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWN = {
    "ask_tell.py": "best of 8 trials",
    "dask_cluster.py": "8 trials on 2 workers",
    "executor_pool.py": "8 of 9 trials have a value",
    "optuna_sampler.py": "resumed, and the same trials: True",
    "own_backend.py": "1 call to example:one-answer, 490 tokens",
    "resume.py": "resumed; 8 trials, the same as without the kill",
    "search_cv.py": "goes on with the candidates of before: True",
}
# what an example needs besides hybridbo; such examples are slow
NEEDS = {"dask_cluster.py": "distributed"}


def run(file, folder):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "HYBRIDBO_"))}
    return subprocess.run(
        [sys.executable, str(file)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def example(name):
    return pytest.param(name, marks=[pytest.mark.slow] if name in NEEDS else [])


@pytest.mark.parametrize("name", [example(name) for name in sorted(SHOWN)])
def test_an_example_runs_and_keeps_its_promise(name, tmp_path):
    if name in NEEDS and not importlib.util.find_spec(NEEDS[name]):
        pytest.skip(f"{NEEDS[name]} is not installed")
    done = run(EXAMPLES / name, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SHOWN[name] in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []  # nothing is left lying about


def test_every_example_is_run_here():
    assert {file.name for file in EXAMPLES.glob("*.py")} == set(SHOWN)
