"""The floors of the house hold, and breaking one on purpose is seen."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hybridbo.consult import SWITCHED_ON

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]

BREAKS = [
    ("hybridbo/space.py", "import hybridbo.optimizer", "floors", "hybridbo.space -> hybridbo.optimizer"),
    ("hybridbo/trial.py", "from hybridbo import cli", "floors", "hybridbo.trial -> hybridbo.cli"),
    ("hybridbo/policy.py", "import hybridbo.gp", "floors", "hybridbo.policy -> hybridbo.gp"),
    ("hybridbo/llm/__init__.py", "import hybridbo.gp", "floors", "hybridbo.llm -> hybridbo.gp"),
    ("hybridbo/engine.py", "import hybridbo.storage", "floors", "hybridbo.engine -> hybridbo.storage"),
    ("backends/__init__.py", "import hybridbo.storage", "floors", "hybridbo.backends -> hybridbo.storage"),
    ("hybridbo/testing/__init__.py", "import hybridbo.integrations", "floors", "testing -> hybridbo.integrations"),
    ("hybridbo/engine.py", "import sqlite3", "core", "hybridbo.engine -> sqlite3"),
    ("hybridbo/llm/__init__.py", "import openai", "core", "hybridbo.llm -> openai"),
    ("hybridbo/space.py", "def f() -> None:\n    import subprocess", "core", "hybridbo.space -> subprocess"),
    ("hybridbo/policy.py", "import torch", "torch lives in gp", "hybridbo.policy -> torch"),
    ("storage/__init__.py", "import botorch.models", "torch lives in gp", "hybridbo.storage -> botorch"),
    ("hybridbo/homeless.py", "HOME = None", "floors", "hybridbo.homeless"),  # no floor was given to it
]


def lint_imports(folder):
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def house(tmp_path):
    """A copy of the checkout that may be damaged."""
    unneeded = shutil.ignore_patterns("__pycache__")
    for folder in ("hybridbo", "backends", "storage"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=unneeded)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_floors_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(("file", "code", "contract", "culprit"), BREAKS, ids=[f"{b[0]}: {b[1]}" for b in BREAKS])
def test_a_broken_floor_is_seen(house, file, code, contract, culprit):
    with (house / file).open("a") as module:
        module.write(f"\n{code}\n")
    done = lint_imports(house)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), done.stdout
    assert culprit in done.stdout


RECORDED = re.compile(r'\b(?:Event|_?note|_tell_once)\((?:opt, |self, )?(?:"(\w+)"|(\w+))[,)]')


def kinds_in(code):
    """The kinds of the events that a file records, by their names or by those of variables."""
    for kind, variable in RECORDED.findall(code):
        if kind:
            yield kind
        else:
            value = rf'^ *{variable} = "(\w+)"(?: if .* else "(\w+)")?'
            yield from (kind for pair in re.findall(value, code, re.MULTILINE) for kind in pair if kind)


def test_every_kind_of_event_is_told_in_the_architecture():
    files = [*ROOT.glob("hybridbo/*.py"), *ROOT.glob("hybridbo/integrations/*.py"), *ROOT.glob("storage/*.py")]
    kinds = {kind for file in files for kind in kinds_in(file.read_text())}
    kinds.add(SWITCHED_ON)  # defined in one file, recorded in another
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = text[text.index("| kind |") : text.index("## The schema of a store")]
    told = {kind for row in rows.splitlines()[2:] for kind in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert {"fallback", "trial_stale", "spill_merged", "llm_off", "llm_paused", "llm_budget", "llm_consulted"} <= kinds
    assert kinds <= told
