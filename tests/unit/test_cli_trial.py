import json

import pytest
from click.testing import CliRunner

from hybridbo import Float, Optimizer
from hybridbo.cli import main


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Optimizer({"x": Float(0, 1)}, llm=None, seed=0, study="s", store="t.db"):
        return tmp_path


def call(*args):
    return CliRunner().invoke(main, args)


def ask(*options):
    done = call("ask", "t.db", "s", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["number"]


def trials():
    with Optimizer.load("t.db", "s", llm=None) as opt:
        return opt.trials


def test_a_trial_of_the_command_line_has_no_lease_unless_one_is_given(study):
    assert [ask(), ask("--lease", "3600")] == [0, 1]
    assert [trial.lease_until is None for trial in trials()] == [True, False]


def test_a_heartbeat_extends_the_lease_so_that_nobody_else_gets_the_trial(study):
    assert ask("--lease", "1e-9") == 0
    done = call("heartbeat", "t.db", "s", "0", "--lease", "60")
    assert (done.exit_code, done.output) == (0, "")
    assert ask() == 1
    assert ask("--lease", "1e-9") == 2
    assert ask() == 2


def test_a_heartbeat_of_a_trial_that_has_ended_says_so(study):
    ask()
    call("tell", "t.db", "s", "0", "1.0")
    done = call("heartbeat", "t.db", "s", "0")
    assert done.exit_code == 2
    assert "trial 0 has ended" in done.output
    assert call("heartbeat", "t.db", "s", "7").exit_code == 2


@pytest.mark.parametrize("lease", ["0", "-1", "nan"])
def test_a_lease_that_is_none_is_refused(study, lease):
    done = call("ask", "t.db", "s", "--lease", lease)
    assert done.exit_code == 2
    assert "not a positive number of seconds" in done.output
    assert trials() == []


def test_a_script_logs_its_training_and_show_tells_what_it_shows(study):
    assert ask("--lease", "60") == 0
    for values in (("train_loss=1.5", "val/loss=1.75"), ("train_loss=nan",)):
        done = call("log", "t.db", "s", "0", *values)
        assert (done.exit_code, done.output) == (0, "")
    assert call("log", "t.db", "s", "0", "train_loss=0.5", "--step", "7").exit_code == 0
    with Optimizer.load("t.db", "s", llm=None) as opt:
        assert opt.curves(0)["val/loss"] == [(0, 1.75)]
        assert [step for step, _ in opt.curves(0)["train_loss"]] == [0, 1, 7]
    assert "divergence  train_loss  nan at step 1." in call("show", "t.db", "s").output
    [finding] = json.loads(call("show", "t.db", "s", "--json").output)["training_findings"]["0"]
    assert (finding["kind"], finding["step"]) == ("divergence", 1)


@pytest.mark.parametrize("value", ["loss", "loss=low", "=1", "step=1"])
def test_what_is_no_metric_is_refused(study, value):
    ask()
    done = call("log", "t.db", "s", "0", value)
    assert done.exit_code == 2
    assert "is no NAME=VALUE" in done.output


def test_the_log_of_a_trial_that_has_ended_says_so(study):
    ask()
    call("tell", "t.db", "s", "0", "1.0")
    done = call("log", "t.db", "s", "0", "loss=1")
    assert (done.exit_code, "trial 0 has ended" in done.output) == (2, True)
