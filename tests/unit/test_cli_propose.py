"""`hybridbo propose`: what it prints and writes, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridbo.backends.replay import Recorder
from hybridbo.cli import main
from hybridbo.proposing import propose_space
from hybridbo.testing import ScriptedBackend

LR = {"name": "lr", "type": "float", "low": 1e-5, "high": 0.1, "scale": "log", "default": 0.001, "reason": "Adam."}


@pytest.fixture(autouse=True)
def recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reply = json.dumps({"parameters": [LR], "direction": "minimize"})
    propose_space("Tune it.", Recorder(ScriptedBackend([reply]), "r.jsonl"))


def call(*args):
    done = CliRunner().invoke(main, args)
    return done.exit_code, done.stdout, done.stderr


def test_a_space_is_shown_and_written_for_init():
    code, out, _ = call("propose", "--task", "Tune it.", "--llm", "replay:r.jsonl", "-o", "space.json")
    assert code == 0
    assert "lr         float in [1e-05, 0.1], log  0.001" in out
    assert json.loads(Path("space.json").read_text())["lr"]["default"] == 0.001
    code, out, _ = call("init", "s.db", "study", "--space", "space.json", "--llm", "none")
    assert (code, out) == (0, "Study 'study' in s.db: 1 parameters, 0 trials.\n")


def test_it_prints_json():
    code, out, _ = call("propose", "--task", "Tune it.", "--llm", "replay:r.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["reasons"] == {"lr": "Adam."}


def test_a_file_is_not_overwritten():
    Path("space.json").write_text("mine")
    code, _, err = call("propose", "--task", "Tune it.", "--llm", "replay:r.jsonl", "-o", "space.json")
    assert (code, Path("space.json").read_text()) == (2, "mine")
    assert "there is a file" in err


def test_without_a_model_one_line_says_what_to_do():
    code, out, err = call("propose", "--task", "Tune it.", "--llm", "none")
    assert (code, out) == (2, "")
    assert "needs a language model" in err
