"""What a store says when the file, the disk or another process is at fault."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlite_utils import Database

from hybridbo.errors import InvalidSettings, StoreBusy, StoreCorrupt, StoreError
from hybridbo.ports import Event, StudyRecord
from hybridbo.storage import link, open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


def connection(store):
    return store._file._db.conn


def pragma(conn, name):
    return conn.execute(f"PRAGMA {name}").fetchone()[0]


def test_memory_is_a_store_of_its_own():
    a, b = open_store(":memory:"), open_store(":memory:")
    a.create_study(StudyRecord("s", "{}", "{}"))
    assert b.list_studies() == []
    assert open_store(a) is a


@pytest.mark.parametrize("where", [None, 3, object()])
def test_what_is_no_store_is_refused(where):
    with pytest.raises(InvalidSettings, match="is no trial store"):
        open_store(where)


def test_path_as_bytes_and_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store(b"a.db")
    monkeypatch.chdir("/")
    store.create_study(StudyRecord("s", "{}", "{}"))
    assert store.location == "a.db"
    store.close()
    assert (tmp_path / "a.db").exists()


@pytest.mark.parametrize("where", ["", "nul\0.db"])
def test_no_path(where):
    with pytest.raises(StoreError, match="is no path"):
        open_store(where)


def test_folder(tmp_path):
    with pytest.raises(StoreError, match=r"is a folder\. Give a file in it"):
        open_store(tmp_path)


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match=r"there is no folder .*gone\. Create it first"):
        open_store(tmp_path / "gone" / "search.db")


def test_place_where_no_file_can_be(tmp_path):
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    with pytest.raises(StoreError, match=r"cannot be opened|read-only"):
        open_store("/proc/search.db")


def as_nobody(action):
    """What ``action`` raises when a user without rights calls it, in words; a fork, since root may write anywhere."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            action()
        except BaseException as error:  # noqa: BLE001 - all of it goes to the parent
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs users as POSIX has them")
@pytest.mark.parametrize("target", ["file", "folder", "new file", "unreadable"])
def test_read_only_place(target):
    folder = Path(tempfile.mkdtemp())  # not tmp_path, whose parents are closed to other users
    path = folder / "search.db"
    store = open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))
    create(store)
    store.close()

    def use():
        opened = open_store(path)
        assert len(opened.get_trials("s")) == 1
        opened.record_event("s", Event("k", "m"))

    folder.chmod(0o777 if target in ("file", "unreadable") else 0o555)
    path.chmod({"file": 0o444, "unreadable": 0o000}.get(target, 0o666))
    if target == "new file":
        path.unlink()
    error = as_nobody(use)
    left = [file.name for file in folder.iterdir()]
    folder.chmod(0o755)
    shutil.rmtree(folder)
    assert left == ([] if target == "new file" else ["search.db"])
    if target == "new file":
        assert error.startswith(f"StoreError: {path}: the folder {folder} is read-only. Make it writable")
    elif target == "unreadable":
        assert error.startswith(f"StoreError: {path} may not be read by this user. Make it readable")
    else:
        assert error.startswith(f"StoreError: {path} is read-only, it or its folder, and can only be looked at. Make")


def test_read_only_connection(store):
    connection(store).execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match=r"search\.db is read-only .*Make the file and its folder writable"):
        create(store)
    assert store.get_trials("s") == []


@pytest.mark.parametrize("content", [b"a,b\n1,2\n" * 1000, b"\0" * 8192, b"SQLite format 2\0" + b"x" * 5000])
def test_file_that_is_no_database_is_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"is no SQLite database.*another path"):
        open_store(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("application_id", [0, 0x12345678])
@pytest.mark.parametrize("sql", ["CREATE TABLE theirs (a)", "SELECT 1"])
def test_database_of_another_program_is_left_alone(path, application_id, sql):
    Database(path).execute(f"PRAGMA application_id = {application_id}")
    Database(path).execute(sql)
    before = path.read_bytes()
    if application_id == 0 and sql == "SELECT 1":
        open_store(path).close()  # an empty database is nobody's
        return
    with pytest.raises(StoreCorrupt, match="database of another program"):
        open_store(path)
    assert path.read_bytes() == before


def test_damaged_page(store, path):
    for x in range(200):
        create(store, x)
    store.close()
    content = bytearray(path.read_bytes())
    content[-40_000:] = b"\xff" * 40_000
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"is damaged|cannot be read"):
        open_store(path).get_trials("s")


def test_truncated_file(store, path):
    for x in range(200):
        create(store, x)
    store.close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreCorrupt, match="is damaged"):
        open_store(path).get_trials("s")


def test_store_without_its_tables(store, raw):
    raw.execute("DROP TABLE events")
    for call in (lambda: store.get_events("s"), lambda: store.record_event("s", Event("k", "m"))):
        with pytest.raises(StoreCorrupt, match="does not have the tables"):
            call()


def test_disk_full_loses_nothing_and_can_be_tried_again(store):
    conn = connection(store)
    trial = create(store)
    conn.execute(f"PRAGMA max_page_count = {pragma(conn, 'page_count')}")
    with pytest.raises(StoreError, match=r"the disk is full .*Free some space"):
        store.finish_trial("s", 0, Outcome(TrialState.FAILED, error="x" * 100_000))
    assert store.get_trials("s") == [trial]
    conn.execute("PRAGMA max_page_count = 1000000")
    assert store.finish_trial("s", 0, Outcome(TrialState.FAILED, error="x" * 100_000)).state is TrialState.FAILED


@pytest.mark.parametrize("when", ["new", "open"])
def test_locked_file_is_busy(path, when):
    if when == "open":
        store = open_store(path, timeout_s=0.01)
        store.create_study(StudyRecord("s", "{}", "{}"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match=r"is locked by another process.*Try again") as caught:
        create(store) if when == "open" else open_store(path, timeout_s=0.01)
    assert caught.value.advice == "retry"
    other.execute("ROLLBACK")
    other.close()
    store = store if when == "open" else open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))
    assert create(store).number == 0
    store.close()


def test_switch_to_wal_waits_for_a_reader(path, monkeypatch):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM sqlite_master").fetchall()
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if other.in_transaction:
            other.execute("ROLLBACK")

    monkeypatch.setattr(link, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
    store = open_store(path, timeout_s=0.01)
    assert pragma(connection(store), "journal_mode") == "wal"
    assert waits
    store.close()
    other.close()


@pytest.mark.parametrize("how", ["file deleted", "file replaced", "folder gone"])
def test_file_that_vanishes_is_noticed(tmp_path, how):
    folder = tmp_path / "sub"
    folder.mkdir()
    store = open_store(folder / "search.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    if how == "folder gone":
        folder.rename(tmp_path / "elsewhere")
    else:
        (folder / "search.db").rename(folder / "old.db")
    if how == "file replaced":
        (folder / "search.db").touch()
    for call in (lambda: create(store), lambda: store.get_trials("s")):
        with pytest.raises(StoreError, match="is gone"):
            call()
    store.close()


def test_memory_and_file_know_the_same_names():
    from hybridbo.storage.memory import MemoryStore
    from hybridbo.storage.sqlite import SqliteStore

    def public(cls):
        return {name for name in dir(cls) if not name.startswith("_")}

    assert public(MemoryStore) == public(SqliteStore)


def test_all_that_the_package_offers_is_there():
    from hybridbo import storage

    assert [getattr(storage, name).__name__ for name in storage.__all__] == storage.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        storage.nothing  # noqa: B018 - asked for


def test_import_guard():
    root = Path(__file__).parents[3]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import storage"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    if not (root / "storage").is_dir():
        pytest.skip("no checkout")
    assert "import hybridbo.storage, not storage" in run.stderr


def test_memory_store_needs_no_sqlite_utils():
    code = """
import sys
from hybridbo.storage import open_store
open_store(":memory:")
assert "sqlite_utils" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
