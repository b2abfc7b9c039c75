"""Reading the header of a file that is open: nobody may notice."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hybridbo.storage import header, open_store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX locks")

TRY_TO_WRITE = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], timeout=0)
try:
    conn.execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    print(error)
"""


def seen_by_another_process(path):
    run = subprocess.run(
        [sys.executable, "-c", TRY_TO_WRITE, str(path)], check=True, timeout=60, capture_output=True, text=True
    )
    return run.stdout.strip()


def descriptors(path):
    """How many this process has of the file."""
    there = path.stat()
    found = []
    for descriptor in list(Path("/dev/fd").iterdir()):
        try:
            stat = os.fstat(int(descriptor.name))
        except OSError:
            continue
        found.append((stat.st_dev, stat.st_ino))
    return found.count((there.st_dev, there.st_ino))


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE t (x)")
    return path


def test_header_is_read(database):
    assert header.read(database) == database.read_bytes()[:100]
    assert descriptors(database) == 0


def test_what_cannot_be_read_has_none(tmp_path):
    assert header.read(tmp_path / "nowhere.db") == b""
    assert header.read(tmp_path) == b""
    (tmp_path / "short").write_bytes(b"abc")
    assert header.read(tmp_path / "short") == b"abc"


def test_reading_takes_no_lock_away(database):
    with closing(sqlite3.connect(database, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO t VALUES (1)")
        for _ in range(3):
            assert len(header.read(database)) == 100
        assert "locked" in seen_by_another_process(database)
        conn.execute("COMMIT")
    assert not seen_by_another_process(database)


def test_descriptor_is_kept_once_and_closed_when_it_may_be(database):
    with closing(header.connect(database)) as conn:
        conn.execute("SELECT * FROM t").fetchall()
        before = descriptors(database)
        for _ in range(3):
            header.read(database)
        assert descriptors(database) == before + 1
    header.close_idle()
    assert descriptors(database) == 0


def test_closed_store_leaves_no_descriptor(tmp_path):
    store = open_store(tmp_path / "a.db")
    open_store(tmp_path / "a.db").close()
    store.close()
    assert descriptors(tmp_path / "a.db") == 0


def test_replaced_file_is_another_one(database, tmp_path):
    with closing(sqlite3.connect(database, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        old = header.read(database)
        other = tmp_path / "b.db"
        other.write_bytes(b"x" * 200)
        other.replace(database)
        assert header.read(database) == b"x" * 100 != old
    header.close_idle()


def test_where_the_system_does_not_tell_it_is_kept(database, monkeypatch):
    monkeypatch.setattr(header, "_DESCRIPTORS", "/nowhere")
    assert len(header.read(database)) == 100
    assert descriptors(database) == 1
    monkeypatch.undo()
    header.close_idle()
    assert descriptors(database) == 0
