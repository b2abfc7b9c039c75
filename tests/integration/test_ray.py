"""HybridSearcher on a real Ray: with ASHA, with trials that fail, and killed and restored."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hybridbo import Optimizer, TrialState

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = Path(__file__).with_name("ray_runs.py")


def start(mode, folder):
    """Run a mode of the program; its exit status and the last line that it prints."""
    environment = {
        **os.environ,
        "HOME": str(folder),  # Ray keeps a token there
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_GLOBAL_CHECKPOINT_S": "0",  # save the state after every step
    }
    command = [sys.executable, str(PROGRAM), mode, str(folder)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # some of Ray's processes outlive a driver that is killed
    return process.returncode, (output.splitlines() or [""])[-1], errors


def finished(mode, folder):
    status, line, errors = start(mode, folder)
    assert status == 0, errors
    return json.loads(line)


def flat(config):
    return {"net/lr": config["net"]["lr"], "net/depth": config["net"]["depth"]}


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    return finished("fits", tmp_path_factory.mktemp("fits"))


def test_ray_runs_what_the_study_proposes_and_the_study_learns_what_ray_reports(fits):
    ray, study = fits["asha"]["ray"], fits["asha"]["study"]
    assert len(ray) == len(study) == 8
    assert all(config["data"] == "digits" for config, *_ in ray)
    values = {json.dumps(flat(config)): loss for config, loss, *_ in ray}
    assert {json.dumps(params): value for params, _, value, *_ in study} == values
    assert {source for *_, source, _ in study} == {"default", "sobol", "gp"}
    assert fits["asha"]["events"] == []


def test_what_asha_stops_is_pruned_and_what_it_does_not_is_complete(fits):
    reached = {json.dumps(flat(config)): iteration for config, _, iteration, _ in fits["asha"]["ray"]}
    states = {json.dumps(params): state for params, state, *_ in fits["asha"]["study"]}
    assert {1, 9} <= set(reached.values())
    for params, iteration in reached.items():
        assert states[params] == (TrialState.COMPLETE if iteration == 9 else TrialState.PRUNED)


def test_a_used_up_space_ends_the_search_and_what_crashes_or_diverges_has_failed(fits):
    ends = {params["kind"]: rest for params, *rest in fits["ends"]["study"]}
    assert len(fits["ends"]["ray"]) == len(ends) == 4  # of nine that were asked for
    assert [ends[kind][:2] for kind in ("ok", "fine")] == [["COMPLETE", 0.5], ["COMPLETE", 0.25]]
    assert [ends[kind][0] for kind in ("crash", "nan")] == ["FAILED", "FAILED"]
    assert "Ray reports an error" in ends["crash"][2]
    assert "nan is not a finite number" in ends["nan"][2]
    assert fits["ends"]["events"] == ["space_exhausted"]


def test_a_search_that_is_killed_is_restored_by_ray_and_goes_on(tmp_path):
    assert start("killed", tmp_path)[0] == -signal.SIGKILL
    with Optimizer.load(tmp_path / "killed.db", llm=None) as opt:
        before = opt.trials
    assert sum(trial.state is TrialState.COMPLETE for trial in before) >= 3
    after = finished("restored", tmp_path)
    assert len(after["ray"]) == len(after["study"]) == 6
    assert [params for params, *_ in after["study"]][: len(before)] == [trial.params for trial in before]
    assert {state for _, state, *_ in after["study"]} == {TrialState.COMPLETE}
    assert {json.dumps(flat(config)) for config, *_ in after["ray"]} == {
        json.dumps(params) for params, *_ in after["study"]
    }
