"""Results that could not be stored: the files they wait in."""

import json
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from hybridbo.errors import StoreBusy, StoreError
from hybridbo.storage.spill import Result, Spill, read
from hybridbo.trial import Outcome, TrialState

fcntl = pytest.importorskip("fcntl")

AT = "2026-01-31T12:00:00.000000Z"
ERROR = StoreBusy("search.db is locked.", "Try again.")


def complete(value):
    return Outcome(TrialState.COMPLETE, {"value": value}, value)


def result(number=0, value=0.1, **changes):
    return Result("s", number, complete(value), AT, "why", **{"created_at": AT, "params": '{"x": 1}', **changes})


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def spill(path):
    return Spill(path)


def taken(spill):
    """What a merge is given."""
    got = []
    spill.merge(lambda results, reject: got.extend(results))
    return got


@pytest.mark.parametrize(
    "outcome",
    [
        complete(0.1 + 0.2),
        complete(-0.0),
        complete(5e-324),
        Outcome(TrialState.COMPLETE, {"a": 1.0, "b\u2028": 1e308}),
        Outcome(TrialState.PRUNED),
        Outcome(TrialState.FAILED, error="boom\r\n\0 \u2603 " + "x" * 100_000),
    ],
)
def test_line_comes_back_bit_for_bit(spill, outcome):
    told = Result("s \u2603", 3, outcome, AT, "why\n", AT, None, '{"x": 0.30000000000000004, "n": 10}')
    error = spill.keep(told, ERROR)
    assert error.kept == str(spill.beside)
    assert read(spill.beside) == taken(spill) == [told]
    assert repr(outcome) == repr(told.outcome)


def test_error_says_what_is_kept_and_where(spill):
    error = spill.keep(result(3, 0.25), ERROR)
    assert type(error) is StoreBusy
    assert "trial 3 of study 's' is COMPLETE with 0.25, which could not be stored: search.db is locked." in str(error)
    assert f"Try again. The result is kept in {spill.beside}" in str(error)


def test_merge_removes_the_file_when_it_has_been_taken(spill):
    spill.keep(result(), ERROR)
    assert spill.has_kept
    assert spill.waiting == [spill.beside]
    assert taken(spill) == [result()]
    assert spill.waiting == []
    assert not spill.has_kept
    assert taken(spill) == []


def test_merge_that_fails_keeps_the_file(spill, caplog):
    spill.keep(result(), ERROR)

    def full(results, reject):
        raise StoreError("the disk is full.", "Free some space.")

    spill.merge(full)
    assert "could not be merged, and is kept: the disk is full." in caplog.text
    assert taken(spill) == [result()]


def test_result_told_again_is_kept_once(spill):
    for _ in range(3):
        spill.keep(result(), ERROR)
    spill.keep(result(value=0.2), ERROR)
    assert taken(spill) == [result(), result(value=0.2)]
    spill.keep(result(), ERROR)
    assert taken(spill) == [result()]


def test_folder_that_is_gone(spill, path):
    gone = Spill(path.parent / "gone" / path.name)
    error = gone.keep(result(), ERROR)
    assert gone.waiting == [gone.elsewhere]
    assert error.kept == str(gone.elsewhere)
    assert stat.S_IMODE(gone.elsewhere.parent.stat().st_mode) == 0o700
    assert not gone.beside.parent.exists()
    assert taken(Spill(path)) == []  # another store's
    assert taken(gone) == [result()]


def test_what_can_be_kept_nowhere_is_in_the_error(path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(path.parent / "gone"))
    error = Spill(path.parent / "gone" / path.name).keep(result(value=0.1 + 0.2), ERROR)
    assert error.kept is None
    assert "COMPLETE with 0.30000000000000004" in str(error)
    assert "Then tell it again: it is kept nowhere else" in str(error)


@pytest.mark.parametrize("how", ["writable by others", "a link"])
def test_folder_of_somebody_else_is_neither_written_nor_read(path, how):
    gone = Spill(path.parent / "gone" / path.name)
    gone.keep(result(), ERROR)
    folder = gone.elsewhere.parent
    if how == "a link":
        folder.rename(folder.with_name("theirs"))
        folder.symlink_to("theirs")
    else:
        folder.chmod(0o777)
    assert taken(gone) == []
    assert gone.keep(result(1), ERROR).kept is None


def test_torn_and_strange_lines_are_moved_away_and_the_rest_is_taken(spill):
    good = result().to_line().encode()
    other = json.loads(good) | {
        "outcome": {"state": "COMPLETE", "values": {"value": 1e999}, "value": None, "error": None}
    }
    nameless = [json.dumps(json.loads(good) | change).encode() for change in ({"number": [1]}, {"study": None})]
    strange = [*nameless, b"[]", b"\xff", b'{"study": 1}', json.dumps(other).encode(), b"[" * 100_000]
    spill.beside.write_bytes(good + b"\n".join(strange) + b"\n" + good[:30])
    spill.keep(result(1), ERROR)  # a line of its own
    assert taken(spill) == [result(), result(1)]
    assert spill.rejected.read_bytes().splitlines() == [*strange, good[:30]]


def test_what_the_store_rejects_is_moved_away(spill):
    spill.keep(result(0), ERROR)
    spill.keep(result(1), ERROR)
    spill.merge(lambda results, reject: reject(results[1:]))
    assert spill.waiting == []
    assert read(spill.rejected) == [result(1)]


def test_full_disk_leaves_no_half_line(spill, monkeypatch):
    spill.keep(result(), ERROR)
    before = spill.beside.read_bytes()
    write = os.write

    def full(fd, data):
        if Path(f"/proc/self/fd/{fd}").readlink() == spill.beside and len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(fd, data[:90])

    monkeypatch.setattr(os, "write", full)
    assert spill.keep(result(1), ERROR).kept == str(spill.elsewhere)
    assert spill.beside.read_bytes() == before


def test_append_waits_for_a_merge_and_finds_the_new_file(spill, path):
    spill.keep(result(), ERROR)
    reading, appended = threading.Event(), []

    def append():
        reading.wait(10)
        appended.append(Spill(path).keep(result(1), ERROR).kept)

    thread = threading.Thread(target=append)
    thread.start()

    def take(results, reject):
        reading.set()
        thread.join(0.05)  # it waits for the lock, and so cannot end
        assert thread.is_alive()

    spill.merge(take)
    thread.join()
    assert appended == [str(spill.beside)]
    assert taken(spill) == [result(1)]


def test_file_that_another_process_merges_is_left_to_it(spill, path):
    spill.keep(result(), ERROR)

    def take(results, reject):
        assert taken(Spill(path)) == []

    spill.merge(take)
    assert spill.waiting == []
