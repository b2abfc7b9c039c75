"""Copies that are whole or not there, and the one that is made before a schema changes."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hybridbo.errors import InvalidSettings, StoreCorrupt, StoreError, StoreTooNew, StudyNotFound
from hybridbo.storage import migrations, open_store
from hybridbo.storage.backup import backup_store
from hybridbo.trial import Origin, Proposal

LATER = migrations.Migration(99, "later", ("ALTER TABLE trials ADD COLUMN later TEXT",))
LAST = migrations.MIGRATIONS[-1].number


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


def only(target):
    """The copy is all that is in its folder."""
    return list(target.parent.iterdir()) == [target]


def test_copy_of_a_store_in_use_has_all_that_was_stored(store, path, target):
    for x in range(50):
        create(store, x)
    backup_store(path, target)
    assert only(target)
    assert target.read_bytes()[18] == 1  # in rollback mode, or it would be taken for a copy without its -wal
    with closing(open_store(target)) as copy:
        assert copy.get_trials("s") == store.get_trials("s")
        assert copy.get_events("s") == []
    create(store, "after")


def test_copy_while_another_writes_is_sound(store, path, target):
    done = threading.Event()

    def write():
        for x in range(400):
            create(store, x)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        backup_store(path, target, overwrite=True)
        with closing(open_store(target)) as copy:
            trials = copy.get_trials("s")
            assert [trial.number for trial in trials] == list(range(len(trials)))
    thread.join()


def test_file_that_is_there_is_replaced_only_on_demand(store, path, target):
    target.write_bytes(b"mine")
    with pytest.raises(InvalidSettings, match=r"copy\.db exists.*--force"):
        backup_store(path, target)
    assert target.read_bytes() == b"mine"
    backup_store(path, target, overwrite=True)
    assert only(target)
    open_store(target).close()


def test_copy_in_use_is_never_replaced(store, path, target):
    backup_store(path, target)
    with closing(open_store(target)) as copy:
        create(copy)
        with pytest.raises(InvalidSettings, match="is in use, or was not closed"):
            backup_store(path, target, overwrite=True)
        assert len(copy.get_trials("s")) == 1


@pytest.mark.parametrize("where", ["itself", "a link to itself", "folder", "no folder"])
def test_place_that_is_none(store, path, target, where):
    store.close()
    before = path.read_bytes()
    if where == "a link to itself":
        target.symlink_to(path)
    place = {"itself": path, "folder": target.parent, "no folder": target.parent / "x" / "copy.db"}.get(where, target)
    with pytest.raises(InvalidSettings, match=r"is the store itself|is a folder|there is no folder"):
        backup_store(path, place, overwrite=True)
    assert path.read_bytes() == before


def test_no_store(path, target):
    with pytest.raises(StudyNotFound, match="there is no store"):
        backup_store(path, target)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorrupt, match="is no SQLite database"):
        backup_store(path, target)
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    with pytest.raises(StoreCorrupt, match="another program"):
        backup_store(path, target)
    assert list(target.parent.iterdir()) == []


def test_damaged_store_does_not_replace_a_good_copy(store, path, target):
    for x in range(300):
        create(store, x)
    backup_store(path, target)
    good = target.read_bytes()
    store.close()
    content = bytearray(path.read_bytes())
    content[-40_000:-4_000] = b"\xff" * 36_000
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="damaged"):
        backup_store(path, target, overwrite=True)
    assert target.read_bytes() == good
    assert only(target)


def test_copy_that_cannot_be_written_leaves_nothing(store, path, target, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match=r"copy\.db cannot be written: No space left on device\. Free some space"):
        backup_store(path, target)
    assert list(target.parent.iterdir()) == []


# Before a migration -----------------------------------------------------------------------------------------------


@pytest.fixture
def updated(monkeypatch):
    """hybridbo knows a further schema now."""
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, LATER))


def version(path):
    with closing(sqlite3.connect(path)) as conn:
        return migrations.version_of(conn)


@pytest.fixture
def old(store, path):
    """A file that another process has left in the middle of its work, with some of it in the -wal."""
    trial = create(store)
    for file in (path, path.with_name("search.db-wal")):
        shutil.copy(file, path.with_name(f"copy{file.suffix}"))
    store.close()
    for suffix in (".db", ".db-wal"):
        path.with_name(f"copy{suffix}").replace(path.with_name(f"search{suffix}"))
    return trial


def test_old_file_is_backed_up_once(old, path, updated):
    copy = path.with_name(f"search.db.schema{LAST}-backup")
    for _ in range(2):
        with closing(open_store(path)) as store:
            assert store.get_trials("s") == [old]
    assert sorted(path.parent.iterdir()) == [path, copy]
    assert (version(path), version(copy)) == (99, LAST)
    kept = copy.read_bytes()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {LAST}")
        conn.execute("ALTER TABLE trials DROP COLUMN later")
        conn.execute("DELETE FROM migrations WHERE number = 99")
        conn.commit()
    open_store(path).close()
    assert copy.read_bytes() == kept


def test_new_file_is_not_backed_up(path, updated):
    open_store(path).close()
    assert list(path.parent.iterdir()) == [path]


def test_backup_goes_back_to_the_older_hybridbo(old, path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, LATER))
        open_store(path).close()
    with pytest.raises(StoreTooNew, match=rf"schema 99.*schema{LAST}-backup"):
        open_store(path)
    with closing(open_store(path.with_name(f"search.db.schema{LAST}-backup"))) as store:
        assert store.get_trials("s") == [old]


def test_without_a_backup_nothing_is_changed(old, path, updated, monkeypatch):
    before = version(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StoreError, match=rf"schema {LAST}, and cannot be backed up before its change to schema 99"):
            open_store(path)
    assert version(path) == before
    assert list(path.parent.iterdir()) == [path]
    open_store(path).close()


def test_many_that_open_an_old_file_at_once(old, path, updated):
    errors = []

    def use():
        try:
            with closing(open_store(path)) as store:
                assert store.get_trials("s") == [old]
        except BaseException as error:  # noqa: BLE001 - all of it goes to the test
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(file.name for file in Path(path.parent).iterdir()) == ["search.db", f"search.db.schema{LAST}-backup"]
    assert (version(path), version(path.with_name(f"search.db.schema{LAST}-backup"))) == (99, LAST)
