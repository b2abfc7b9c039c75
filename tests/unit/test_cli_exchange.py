"""`hybridbo export --format optuna` and `hybridbo import`."""

import json

import optuna
import pytest
from click.testing import CliRunner

from hybridbo.cli import main
from hybridbo.optimizer import Optimizer


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield tmp_path
    optuna.logging.set_verbosity(verbosity)


def call(*args):
    return CliRunner().invoke(main, args)


def theirs(n=3):
    study = optuna.create_study(storage="sqlite:///optuna.db", study_name="o", direction="maximize")
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=n)
    return study


def test_trials_are_imported_and_exported_again(folder):
    study = theirs()
    study.ask()
    done = call("import", "t.db", "s", "--from", "optuna.db", "--llm", "none")
    assert done.exit_code == 0, done.output
    assert done.stdout == "Study 's' in t.db: 3 trials imported, 0 enqueued.\n"
    assert done.stderr == "Left behind: 1 running trials.\n"
    with Optimizer.load("t.db", "s", llm=None) as opt:
        assert [t.value for t in opt.trials] == [t.value for t in study.trials[:3]]
        assert opt.objective.directions == (("value", "maximize"),)
    done = call("export", "t.db", "s", "--format", "optuna", "-o", "again.log")
    assert (done.exit_code, done.stdout) == (0, "")
    done = call("import", "t.db", "s2", "--from", "again.log", "--optuna-study", "s", "--llm", "none")
    assert done.stdout == "Study 's2' in t.db: 3 trials imported, 0 enqueued.\n"


def test_a_space_may_be_given(folder):
    theirs(n=1)
    space = {"x": {"type": "float", "low": -1, "high": 1}}
    (folder / "space.json").write_text(json.dumps(space))
    done = call(
        "import", "t.db", "s", "--from", "sqlite:///optuna.db", "--space", "space.json", "--llm", "none", "--seed", "7"
    )
    assert done.exit_code == 0, done.output
    with Optimizer.load("t.db", "s", llm=None) as opt:
        assert opt.space.to_dict() == space
        assert opt.seed == 7


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["import", "t.db", "s", "--from", "none.db"], "there is no Optuna storage"),
        (["import", "t.db", "s", "--from", "optuna.db", "--optuna-study", "p"], "Studies there: 'o'"),
        (["import", "t.db", "s"], "--from"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(args, words, folder):
    theirs(n=1)
    done = call(*args)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "t.db").exists()


def test_a_study_that_is_there_already_is_not_written_over(folder):
    theirs()
    call("import", "t.db", "o", "--from", "optuna.db", "--llm", "none")
    done = call("export", "t.db", "o", "--format", "optuna", "-o", "optuna.db")
    assert done.exit_code == 2
    assert "has a study 'o' already" in done.stderr
    assert len(optuna.load_study(study_name="o", storage="sqlite:///optuna.db").trials) == 3
