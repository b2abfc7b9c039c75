"""A study whose parts cannot be read is named, with what to do."""

import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from hybridbo import Float, Optimizer
from hybridbo.cli import main
from hybridbo.errors import StoreCorrupt

BROKEN = {
    "space": ["{}", '{"x": {}}', "[", "[" * 100_000],
    "objective": ["{}", "[]", '{"objectives": 1, "constraints": {}}'],
    "settings": ["[", '{"seed_trials": "many"}'],
}


@pytest.fixture
def path(tmp_path):
    with Optimizer({"x": Float(0, 1)}, study="s", store=tmp_path / "t.db", llm=None, seed=0) as opt:
        opt.tell(opt.ask(), 1.0)
    return tmp_path / "t.db"


def spoil(path, part, text):
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute(f"UPDATE studies SET {part} = ?", (text,))


@pytest.mark.parametrize(("part", "text"), [(part, text) for part, texts in BROKEN.items() for text in texts])
def test_part_that_cannot_be_read_is_named(path, part, text):
    spoil(path, part, text)
    with pytest.raises(StoreCorrupt, match=rf"study 's' cannot be opened: its {part} cannot be read .*Restore a copy"):
        Optimizer.load(path, "s", llm=None)


def test_study_that_cannot_be_read_is_not_joined(path):
    spoil(path, "objective", "{}")
    with pytest.raises(StoreCorrupt, match=r"its objective cannot be read \(no entry 'objectives'\)"):
        Optimizer({"x": Float(0, 1)}, study="s", store=path, llm=None)


@pytest.mark.parametrize("args", [["show"], ["show", "s"], ["ask", "s"]])
def test_command_line_names_it(path, args):
    spoil(path, "objective", "{}")
    command, *rest = args
    done = CliRunner().invoke(main, [command, str(path), *rest])
    assert done.exit_code != 0
    assert "study 's' cannot be opened: its objective cannot be read" in done.stderr
