"""The store benchmark at its smallest: real processes, some of them killed."""

import argparse
import sqlite3

import pytest

from benchmarks import store, store_kills
from benchmarks.store_worker import BLIND, BOX, STUDY
from hybridbo import Optimizer

pytest.importorskip("scipy")


def arguments(*given):
    parser = argparse.ArgumentParser()
    store.add_arguments(parser)
    return parser.parse_args(given)


def test_a_part_that_is_not_there_is_refused(capsys):
    assert store.main(arguments("--parts", "speed,nothing")) == 2
    assert "'nothing'" in capsys.readouterr().err


def test_two_processes_ask_and_tell_at_once(tmp_path):
    got = store.drive("hybridbo", tmp_path, 2, 0.3)
    assert [row["errors"] for row in got] == [0, 0]
    assert all(row["done"] > 0 for row in got)
    assert max(row["longest"] for row in got) < 20


def test_a_long_history_is_read(tmp_path, capsys):
    store.load(arguments("--loads", "200", "--peer-load", "0"), tmp_path)
    assert "| 200 | hybridbo |" in capsys.readouterr().out


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    tally = store_kills.kill_rounds(tmp_path, rounds=2, processes=2)
    assert (tally.rounds, tally.lost, tally.duplicates, tally.unsound) == (2, 0, 0, 0)
    assert tally.acknowledged > 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM trials WHERE number = (SELECT max(number) FROM trials)", "lost"),
        ("UPDATE trials SET value = 9e9, values_json = '{\"value\": 9e9}' WHERE number = 0", "lost"),
        ("UPDATE trials SET params = (SELECT params FROM trials WHERE number = 0)", "duplicates"),
    ],
)
def test_what_is_lost_or_there_twice_is_found(tmp_path, change, found):
    path, tally = tmp_path / "kills.db", store_kills.Tally()
    with Optimizer(BOX, llm=None, seed=0, study=STUDY, store=path, settings=BLIND) as opt:
        for number in range(3):
            opt.tell(opt.ask(), number / 7)
            tally.asked.add(number)
            tally.told[number] = number / 7
    store_kills._check(path, tally, is_last=False)
    assert (tally.lost, tally.duplicates, tally.unsound) == (0, 0, 0)
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute(change)
    conn.close()
    store_kills._check(path, tally, is_last=True)
    assert getattr(tally, found) > 0


@pytest.mark.slow
def test_a_killed_search_is_as_if_nothing_had_happened(tmp_path):
    done, same = store_kills.resume_after_kills(tmp_path, trials=8, kills=2)
    assert done == same >= 1


@pytest.mark.slow
def test_processes_that_write_without_a_pause_are_served_alike(tmp_path):
    """Without turns the least served of four gets a few per cent of what the most served gets."""
    rows = store.drive("hybridbo", tmp_path, 4, 6.0)
    assert [row["errors"] for row in rows] == [0] * 4
    assert min(row["done"] for row in rows) > 0.2 * max(row["done"] for row in rows)  # a busy machine starves some
