"""Backends of other packages, as they are installed: distributions on the path, in a process of their own."""

import os
import subprocess
import sys

import pytest

MODULES = {
    "good_models": """
from hybridbo.ports import ChatReply

class Model:
    def __init__(self, rest):
        self.name = f"good:{rest}"

    def complete(self, request):
        return ChatReply('{"configs": [{"x": 0.125}]}', "good-1", 5, 6)
""",
    "broken_models": "raise ImportError('needs a library that is not there')",
    "leaving_models": "import sys\nsys.exit('no licence')",
    "odd_models": "def make(rest):\n    return 'no backend'\nvalue = 3",
    "greedy_models": "def make(rest):\n    raise AssertionError('it took a name of ours')",
}
ENTRIES = {
    "good": "good_models:Model",
    "broken": "broken_models:make",
    "leaving": "leaving_models:make",
    "odd": "odd_models:make",
    "value": "odd_models:value",
    "nothing": "odd_models:nothing",
    "local": "greedy_models:make",
}


@pytest.fixture
def installed(tmp_path):
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
        mine = [f"{entry} = {value}" for entry, value in ENTRIES.items() if value.startswith(f"{name}:")]
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n")
        (info / "entry_points.txt").write_text("\n".join(["[hybridbo.backends]", *mine, ""]))
    return tmp_path


def run(installed, text):
    path = os.pathsep.join([str(installed), *(entry for entry in sys.path if entry)])
    command = [sys.executable, "-W", "error", "-c", text]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_search_asks_it_beside_broken_ones_and_is_resumed_with_it(installed):
    told = run(
        installed,
        f"""
from hybridbo import Float, Optimizer
with Optimizer({{"x": Float(0.0, 1.0)}}, llm="good:small", store={str(installed / "a.db")!r}, study="s", seed=0) as opt:
    opt.tell(opt.ask(), 0.5)
with Optimizer.load({str(installed / "a.db")!r}, "s") as opt:
    trial = opt.ask()
    print(opt.llm, trial.origin.source, trial.params["x"], opt.llm_usage.prompt_tokens)
""",
    )
    assert told.split() == ["good:small", "llm", "0.125", "5"]


def test_each_broken_one_is_named_with_its_reason_and_what_provides_it(installed):
    told = run(
        installed,
        """
from hybridbo.backends import get_backend
from hybridbo.errors import UnknownBackend
for name in ("broken", "leaving", "odd", "value", "nothing"):
    try:
        get_backend(name + ":x")
    except UnknownBackend as error:
        print(name, "|", error)
""",
    )
    lines = [line for line in told.splitlines() if "|" in line]
    words = ["needs a library", "no licence", "made a str", "not callable", "no attribute"]
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        name = line.partition(" ")[0]
        assert word in line
        assert repr(name) in line
        assert ENTRIES[name] in line


def test_all_are_listed_and_none_takes_a_name_of_ours(installed):
    told = run(
        installed,
        """
from hybridbo.backends import get_backend
from hybridbo.errors import HybridboError
for spec in ("elsewhere:x", "local:nowhere.gguf"):
    try:
        get_backend(spec)
    except HybridboError as error:
        print(error)
""",
    )
    assert "known: none, auto, openai, local, replay, broken, good, leaving, nothing, odd, value" in told
    assert "nowhere.gguf" in told
    assert "took a name" not in told
