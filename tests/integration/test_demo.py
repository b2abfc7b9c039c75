"""The demo as its user sees it: real processes, killed and interrupted, and what they leave behind."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from hybridbo import Optimizer, Space
from hybridbo.demo import digits, run
from hybridbo.errors import MissingDependency

TRIALS = 9  # the default, the seeds, and a few of the GP


def environment(**more):
    return {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "HYBRIDBO_"))} | more


def command(*args):
    return [sys.executable, "-m", "hybridbo", "demo", "--trials", str(TRIALS), *args]


def demo(folder, *args, **env):
    return subprocess.run(
        command(*args), cwd=folder, env=environment(**env), capture_output=True, text=True, check=False
    )


@contextmanager
def running(folder, *args):
    """A demo that is under way; its standard error is a pipe."""
    process = subprocess.Popen(
        command(*args), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_trial(process, number):
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(f"trial {number} "):
            return seen
    raise AssertionError(f"ended before trial {number}: {seen}")


def search_of(folder):
    with Optimizer.load(folder / "demo.db", run.STUDY, llm=None) as opt:
        return [(t.number, t.params, t.state, t.value, t.origin.source) for t in opt.trials], opt.events


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted demo: its folder and its process."""
    folder = tmp_path_factory.mktemp("whole")
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_demo_searches_and_tells(whole):
    folder, done = whole
    trials, events = search_of(folder)
    assert [trial[0] for trial in trials] == list(range(TRIALS))
    assert {trial[2] for trial in trials} == {"COMPLETE"}
    assert {"default", "llm", "gp"} <= {trial[4] for trial in trials}
    assert trials[0][4] == "default"
    for part in ("Best configuration", "Who proposed what", "Language model", "Test split", "winner", "cost"):
        assert part in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("trial ")]
    assert len(lines) == TRIALS
    assert all("best 0." in line for line in lines)
    assert [event.kind for event in events].count("test_scores") == 1


def test_the_demo_says_that_it_replays(whole):
    assert "recorded reply" in whole[1].stderr
    assert "replay" in whole[1].stdout


def test_started_again_it_shows_the_same_and_scores_nothing_twice(whole):
    folder, first = whole
    again = demo(folder)
    assert again.returncode == 0, again.stderr
    assert "is complete" in again.stderr
    assert again.stdout == first.stdout
    assert [event.kind for event in search_of(folder)[1]].count("test_scores") == 1


def test_killed_and_started_again_it_goes_on_as_if_nothing_had_happened(whole, tmp_path):
    number = random.Random(17).randrange(1, TRIALS - 1)
    with running(tmp_path) as process:
        wait_for_trial(process, number)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert 0 < len(search_of(tmp_path)[0]) < TRIALS
    again = demo(tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{number + 1} of {TRIALS} trials are done" in again.stderr
    assert search_of(tmp_path)[0] == search_of(whole[0])[0]
    assert again.stdout == whole[1].stdout


def test_interrupted_it_says_how_to_go_on_and_does(whole, tmp_path):
    with running(tmp_path) as process:
        seen = wait_for_trial(process, 2)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "A new search" in seen[0]
    assert "Traceback" not in rest
    assert "Go on with: hybridbo demo --trials 9 --store demo.db" in rest.splitlines()[-1]
    assert demo(tmp_path).returncode == 0
    assert search_of(tmp_path)[0] == search_of(whole[0])[0]


def test_without_a_language_model_and_into_a_store_of_ones_own(tmp_path):
    done = demo(tmp_path, "--llm", "none", "--trials", "3", "--store", "my.db", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.glob("*.db")] == ["my.db"]
    with Optimizer.load(tmp_path / "my.db", run.STUDY) as opt:
        assert (opt.seed, opt.llm, len(opt.trials)) == (1, "none", 3)
        assert "llm" not in {trial.origin.source for trial in opt.trials}


def test_without_scikit_learn_it_says_what_to_install_and_leaves_nothing(tmp_path):
    hidden = tmp_path / "hidden"
    (hidden / "sklearn").mkdir(parents=True)
    (hidden / "sklearn" / "__init__.py").write_text("raise ModuleNotFoundError('no', name='sklearn')")
    path = os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])
    done = demo(tmp_path, PYTHONPATH=path)
    assert done.returncode == 2
    assert 'pip install "hybridbo[demo]"' in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "demo.db").exists()


# The parts ---------------------------------------------------------------------------------------------------------


def test_the_recording_is_of_this_task_and_this_space():
    data = json.loads((Path(run.__file__).parents[1] / "data" / "pipe_digits.json").read_text())
    (task,) = (task for task in data["tasks"].values() if task["task"] == digits.TASK)
    for sample in task["samples"]:
        assert set(sample["prior"]) == set(digits.SPACE)
        for config in sample["configs"]:
            assert digits.SPACE.validate(config) == config


@pytest.mark.parametrize(
    ("given", "environ", "spec", "said"),
    [
        (None, {}, "replay:", "recorded"),
        ("none", {"OPENAI_API_KEY": "k"}, None, "none"),
        ("openai:m", {}, "openai:m", "openai:m"),
        (None, {"OPENAI_API_KEY": "k"}, "auto", "OPENAI_API_KEY"),
        (None, {"OPENAI_BASE_URL": "http://x"}, "auto", "OPENAI_BASE_URL"),
        (None, {"HYBRIDBO_LLM": "openai:m", "OPENAI_API_KEY": "k"}, "openai:m", "HYBRIDBO_LLM"),
        (None, {"HYBRIDBO_LLM": "none", "OPENAI_API_KEY": "k"}, None, "none, as HYBRIDBO_LLM says"),
        (None, {"HYBRIDBO_LLM": "auto", "OPENAI_API_KEY": "k"}, "auto", "OPENAI_API_KEY"),
        ("none", {"HYBRIDBO_LLM": "openai:m"}, None, "none, as asked for"),
        (None, {"OPENAI_API_KEY": ""}, "replay:", "recorded"),
    ],
)
def test_which_language_model_is_asked(given, environ, spec, said):
    chosen, sentence = run.choose_llm(given, environ)
    assert chosen == spec or (spec == "replay:" and Path(chosen.removeprefix(spec)).is_file())
    assert said in sentence


@pytest.fixture(scope="module")
def data():
    return digits.Digits()


CONFIGURATION = {"scaler": "none", "pca": False, "model": "knn", "n_neighbors": 3, "weights": "uniform", "p": 2.0}


def test_the_test_split_is_held_out(data):
    assert data.rows == (1347, 450)
    search, test = ({row.tobytes() for row in part} for part in (data._x, data._x_test))
    assert not search & test
    assert set(data._y_test) == set(range(10))


def test_the_objective_is_repeatable_and_sensible(data):
    assert data(CONFIGURATION) == data(CONFIGURATION) > 0.95
    assert data.test_score(CONFIGURATION) > 0.95
    assert data({"scaler": "standard", "pca": True, "n_components": 2, "model": "logreg", "C": 1e-5}) < 0.7


def test_logistic_regression_that_does_not_converge_warns_nobody(data, recwarn):
    data({"scaler": "none", "pca": False, "model": "logreg", "C": 0.1})
    assert not recwarn.list


def test_what_cannot_be_fitted_raises_and_is_a_failed_trial(data):
    bad = CONFIGURATION | {"pca": True, "n_components": 65}
    with pytest.raises(ValueError, match="n_components"):
        data(bad)


def test_scores_are_kept_until_the_winner_changes():
    class Data:
        scored = 0

        def test_score(self, params):
            self.scored += 1
            return params["x"]

    data = Data()
    with Optimizer(Space.from_json({"x": {"type": "float", "low": 0, "high": 1}}), "maximize", llm=None) as opt:
        for x in (0.25, 0.5):
            opt.enqueue({"x": x})
            opt.tell(opt.ask(), x)
        first = {"winner": 0.5, "default": 0.25}
        assert run.final_scores(opt, data) == run.final_scores(opt, data) == first
        assert data.scored == 2
        opt.enqueue({"x": 0.75})
        opt.tell(opt.ask(), 0.75)
        assert run.final_scores(opt, data) == first | {"winner": 0.75}
        assert len(opt.events) == 2


def test_missing_dependency_is_only_about_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependency, match="hybridbo\\[demo\\]"):
        digits.Digits()
