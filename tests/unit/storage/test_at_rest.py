"""One file when nobody has it open; readable where it cannot be written; known when it lacks its side file."""

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing

import pytest

from hybridbo import Float, Optimizer
from hybridbo.errors import StoreCorrupt, StoreError, StudyNotFound
from hybridbo.ports import Event, StudyRecord
from hybridbo.storage import at_rest, migrations, open_store
from hybridbo.storage.check import check_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

COMPLETE = Outcome(TrialState.COMPLETE, {"value": 0.5}, 0.5)
RESTS = pytest.mark.skipif(migrations.MIGRATIONS[-1].number < 3, reason="schemas from 3 on rest")


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


def mode(path):
    return path.read_bytes()[18]


def test_closed_file_is_in_rollback_mode_and_alone(store, path):
    create(store)
    assert mode(path) == 2
    store.close()
    assert mode(path) == 1
    assert list(path.parent.iterdir()) == [path]


def test_file_rests_when_the_last_one_closes_it(store, path):
    other = open_store(path)
    store.close()
    assert mode(path) == 2
    create(other)
    other.close()
    assert mode(path) == 1


@pytest.mark.parametrize("how", ["at exit", "collected"])
def test_store_that_nobody_closes_rests(path, how):
    code = f"""
import gc, sys
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
store = open_store(sys.argv[1])
store.create_study(StudyRecord("s", "{{}}", "{{}}"))
if {how == "collected"}:
    del store
    gc.collect()
    assert open(sys.argv[1], "rb").read(20)[18] == 1
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert mode(path) == 1
    assert {file.name for file in path.parent.iterdir()} <= {"search.db", "search.db-lock"}


# Read only --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path):
    """Mounts for this test alone: ``mounted(*arguments of mount)``."""
    done = []

    def mount(*arguments):
        run = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
        if run.returncode:
            pytest.skip(f"cannot mount here: {run.stderr.strip()}")
        if arguments[-1] not in done:  # a remount changes the one that is there
            done.append(arguments[-1])

    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root may mount")
    yield mount
    for place in reversed(done):
        subprocess.run(["umount", "-l", str(place)], check=True)  # SQLite closes a file late where it has locks


@pytest.fixture
def read_only(store, path, mounted, tmp_path):
    """Where ``path`` can be read and not written, by anybody; mounted when called."""

    place = tmp_path / "read only"
    place.mkdir()

    def mount():
        mounted("--bind", path.parent, place)
        mounted("-o", "remount,bind,ro", place)
        return place / path.name

    return mount


@pytest.mark.parametrize("state", ["at rest", "in use", "killed", "of an old hybridbo"])
def test_read_only_file_can_be_read(store, path, read_only, state):
    trial = create(store)
    store.record_event("s", Event("k", "m"))
    if state != "in use":
        store.close()
    if state == "of an old hybridbo":
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
    if state == "killed":
        code = f"""
import os, sqlite3
conn = sqlite3.connect({str(path)!r}, isolation_level=None)
conn.execute("PRAGMA journal_mode = WAL")
conn.execute("UPDATE trials SET reason = 'late'")
os._exit(0)
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert path.with_name(f"{path.name}-wal").stat().st_size
    before = sorted(path.parent.iterdir())
    place = read_only()
    with closing(open_store(place)) as opened:
        [got] = opened.get_trials("s")
        assert got.origin.reason == ("late" if state == "killed" else "r")
        assert got.params == trial.params
        for change in (lambda: create(opened, 2), lambda: opened.record_event("s", opened.get_events("s")[0])):
            with pytest.raises(StoreError, match=r"is read-only, .*Make the file and its folder writable"):
                change()
        assert len(opened.get_events("s")) == 1
    assert sorted(path.parent.iterdir()) == before


def test_read_only_file_of_an_older_schema_is_read_in_memory(store, path, read_only, monkeypatch):
    trial = create(store)
    store.close()
    before = path.read_bytes()
    place = read_only()
    later = migrations.Migration(99, "later", ("ALTER TABLE trials ADD COLUMN later TEXT",))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, later))
    with closing(open_store(place)) as opened:
        assert opened.get_trials("s") == [trial]
    assert path.read_bytes() == before


def test_result_for_a_read_only_store_is_kept(store, path, read_only, tmp_path, monkeypatch):

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    create(store)
    store.close()
    with closing(open_store(read_only())) as opened, pytest.raises(StoreError, match="is read-only") as caught:
        opened.finish_trial("s", 0, COMPLETE)
    assert caught.value.kept.startswith(str(tmp_path / "tmp"))


# A full disk ------------------------------------------------------------------------------------------------------


def fill(path):
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


def test_full_disk(mounted, tmp_path, monkeypatch):

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=512k", "tmpfs", disk)
    path = disk / "search.db"
    store = open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))
    create(store, 0)
    fill(disk / "filler")

    def create_until_full():
        for x in itertools.count(1):
            create(store, "x" * 10_000 + str(x))

    with pytest.raises(StoreError, match=r"disk is full|reports a fault"):
        create_until_full()
    n = len(store.get_trials("s"))
    assert [trial.number for trial in store.get_trials("s")] == list(range(n))
    with pytest.raises(StoreError, match=r"which could not be stored.*kept in") as caught:
        store.finish_trial("s", 0, Outcome(TrialState.FAILED, error="x" * 100_000))
    assert caught.value.kept.startswith(str(tmp_path / "tmp"))
    (disk / "filler").unlink()
    assert create(store, "y").number == n
    store.close()
    with closing(open_store(path)) as again:
        assert again.get_trials("s")[0].error == "x" * 100_000
        assert [event.kind for event in again.get_events("s")] == ["spill_merged"]


# Without its side file --------------------------------------------------------------------------------------------


@RESTS
def test_copy_of_a_file_in_use_is_known(store, path, tmp_path, caplog):
    create(store)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "search.db"
    shutil.copy(path, copy)
    with closing(open_store(copy)) as opened:
        assert f"{copy} was not closed by hybridbo, and its side file {copy}-wal is not beside it" in caplog.text
        studies = opened.list_studies()
        assert all([e.kind for e in opened.get_events(study.name)] == ["wal_missing"] for study in studies)
    caplog.clear()
    with closing(open_store(copy)) as opened:  # told once; it rests now
        assert caplog.text == ""


@pytest.fixture
def copied_without_its_studies(tmp_path):
    """A file that was copied while it was in use: all that was told stands in the -wal that was left behind."""
    store, copy = open_store(tmp_path / "search.db"), tmp_path / "copy.db"
    store.create_study(StudyRecord("s", space="{}", objective="{}"))
    shutil.copy(tmp_path / "search.db", copy)
    store.close()
    return copy


def test_study_that_is_not_in_a_copy_may_have_been_left_behind(copied_without_its_studies):
    with closing(open_store(copied_without_its_studies)) as opened:
        assert opened.list_studies() == []
        with pytest.raises(StudyNotFound, match=r"It is empty\. .*copy\.db-wal is not beside it"):
            opened.get_study("s")


def test_study_made_anew_in_a_copy_is_told_what_may_be_missing(copied_without_its_studies):
    with closing(open_store(copied_without_its_studies)) as opened:
        opened.create_study(StudyRecord("s", space="{}", objective="{}"))
        assert [event.kind for event in opened.get_events("s")] == ["wal_missing"]


@RESTS
def test_copy_of_both_files_is_complete(store, path, tmp_path, caplog):
    create(store)
    (tmp_path / "copy").mkdir()
    for file in (path, path.with_name("search.db-wal")):
        shutil.copy(file, tmp_path / "copy")
    with closing(open_store(tmp_path / "copy" / "search.db")) as opened:
        assert opened.get_trials("s") == store.get_trials("s")
    assert caplog.text == ""


@RESTS
def test_torn_copy_is_refused(store, path, tmp_path):
    for x in range(300):
        create(store, x)
    store.close()
    content = bytearray(path.read_bytes())
    content[18:20] = b"\2\2"  # in use
    content[-20_000:-8_000] = b"\xff" * 12_000
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"was copied while it was in use, and is damaged"):
        open_store(path)


@RESTS
def test_killed_process_is_no_missing_side_file(path, caplog):
    code = """
import os, sys
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
open_store(sys.argv[1]).create_study(StudyRecord("s", "{}", "{}"))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    with closing(open_store(path)) as store:
        assert [study.name for study in store.list_studies()] == ["s"]
        assert store.get_events("s") == []
    assert caplog.text == ""


KILLED_SEARCH = """
import os, sys
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Proposal
store = open_store(sys.argv[1])
store.create_study(StudyRecord("s", "{}", "{}"))
for n in range(3):
    store.create_trial("s", Proposal({"x": n}, Origin("sobol", "r")), key=str(n), owner="o", seen=n)
os._exit(0)
"""


@pytest.fixture
def killed(path):
    """The file of a search that was killed, its last commit some time ago."""
    subprocess.run([sys.executable, "-c", KILLED_SEARCH, str(path)], check=True, timeout=60)
    lock = path.with_name("search.db-lock")
    if not lock.exists():
        pytest.skip("writers do not queue up on this system")
    for file in (path, lock):
        stat = file.stat()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**10))
    return path


def merge(path):
    """What any tool does that reads a database."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("SELECT count(*) FROM trials").fetchone()
    assert not path.with_name("search.db-wal").exists()


@RESTS
def test_side_file_merged_by_another_tool_is_not_missing(killed, caplog):
    merge(killed)
    report = check_store(killed)
    assert report.doubts == ()
    assert [note for note in report.notes if "another program has merged its side file, and all is there" in note]
    with closing(open_store(killed)) as store:
        assert [trial.number for trial in store.get_trials("s")] == [0, 1, 2]
        assert store.get_events("s") == []
    assert caplog.text == ""


@RESTS
@pytest.mark.parametrize("how", ["wal deleted", "wal and shm deleted", "moved", "copied", "copied with the lock"])
def test_side_file_that_went_otherwise_may_be_missing(killed, tmp_path, how):
    place = killed
    if how.startswith("wal"):
        killed.with_name("search.db-wal").unlink()
    if how == "wal and shm deleted":
        killed.with_name("search.db-shm").unlink()
    if how == "moved":
        place = killed.rename(tmp_path / "moved.db")
    if how.startswith("copied"):
        place = tmp_path / "copy.db"
        if how == "copied with the lock":
            shutil.copy2(killed.with_name("search.db-lock"), tmp_path / "copy.db-lock")
        shutil.copy(killed, place)
    assert at_rest.is_wal_missing(place)
    assert not at_rest.is_wal_merged(place)


@RESTS
def test_side_file_that_is_about_to_be_made_is_waited_for(store, path, monkeypatch):
    store.close()
    content = bytearray(path.read_bytes())
    content[18:20] = b"\2\2"
    path.write_bytes(content)
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        path.with_name("search.db-wal").touch()

    monkeypatch.setattr(at_rest.time, "sleep", sleep)
    assert not at_rest.is_wal_missing(path)
    assert len(looks) == 1


def test_a_side_file_without_its_store_is_not_thrown_away(tmp_path):
    with Optimizer({"x": Float(0, 1)}, store=tmp_path / "a.db", llm=None, seed=0) as opt:
        opt.tell(opt.ask(), 1.0)
        shutil.copy(tmp_path / "a.db-wal", tmp_path / "b.db-wal")  # b.db was moved away while it was in use
    left = (tmp_path / "b.db-wal").read_bytes()
    assert left
    with pytest.raises(StoreError, match=r"b\.db is not there, but .*b\.db-wal is.*Put the store back"):
        open_store(tmp_path / "b.db")
    assert (tmp_path / "b.db-wal").read_bytes() == left
    assert not (tmp_path / "b.db").exists()
    (tmp_path / "c.db-wal").touch()  # an empty one holds nothing
    open_store(tmp_path / "c.db").close()


# Links ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def linked(store, path, tmp_path):
    """A symbolic link to ``path`` in another folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.db"
    link.symlink_to(path)
    return link


def test_side_files_stand_beside_the_file_and_not_beside_a_link(store, path, linked):
    create(store)
    with closing(open_store(linked)) as other:
        assert create(other, 2).number == 1
        assert list(linked.parent.iterdir()) == [linked]
        assert not other.get_events("s")  # nothing is missing
    store.close()
    assert list(path.parent.glob("search*")) == [path]


def test_a_killed_search_is_whole_by_a_link(killed, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(killed)
    assert check_store(link).doubts == ()
    with closing(open_store(link)) as opened:
        assert [trial.number for trial in opened.get_trials("s")] == [0, 1, 2]
        assert opened.get_events("s") == []


def test_a_link_that_is_turned_meanwhile_is_as_it_was(store, path, linked, tmp_path):
    with closing(open_store(linked)) as other:
        linked.unlink()
        linked.symlink_to(tmp_path / "another.db")
        assert create(other).number == 0
    assert not (tmp_path / "another.db").exists()


def test_a_path_that_is_too_long_is_refused(tmp_path):
    for path in (tmp_path / ("x" * 251), tmp_path / ("y" * 200) / ("z" * 200) / ("z" * 200) / "a.db"):
        with pytest.raises(StoreError, match=r"is too long a path: \d+ bytes in full.*at most 500 bytes, 220 of them"):
            open_store(path)
