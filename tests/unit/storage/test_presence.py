"""A -wal in use is not deleted where another process closes the file; and where it is, nothing is lost."""

import os
import shutil
import subprocess
import sys
import threading

import pytest

from hybridbo.errors import StoreBusy, StoreError
from hybridbo.ports import StudyRecord
from hybridbo.storage import byte_locks, open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

pytestmark = pytest.mark.skipif(os.name == "nt", reason="deletes no file that is open")

COMPLETE = Outcome(TrialState.COMPLETE, {"value": 0.5}, 0.5)
LAST_TO_CLOSE = """
import sys
from hybridbo.storage import open_store
store = open_store(sys.argv[1])
store.enqueue("s", {"x": 99}, key="99")
store.close()
"""


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


def lose_the_locks(path, tmp_path):
    """What any program may do to its own process, and another process that closes the file then."""
    shutil.copy(path, tmp_path / "copy")
    subprocess.run([sys.executable, "-c", LAST_TO_CLOSE, str(path)], check=True, timeout=60)


@pytest.mark.skipif(not byte_locks.ARE_KNOWN, reason="only where locks may belong to an open file")
def test_copy_of_an_open_file_does_not_cost_it_its_wal(store, path, tmp_path, caplog):
    trial = create(store)
    lose_the_locks(path, tmp_path)
    assert path.with_name("search.db-wal").stat().st_size
    store.finish_trial("s", trial.number, COMPLETE)
    store.close()
    assert caplog.text == ""
    assert list(path.parent.glob("search*")) == [path]


@pytest.fixture
def system_without_such_locks(monkeypatch):
    monkeypatch.setattr(byte_locks, "ARE_KNOWN", False)


def test_deleted_wal_is_noticed(system_without_such_locks, store, path, tmp_path, caplog):
    trial = create(store)
    lose_the_locks(path, tmp_path)
    assert not path.with_name("search.db-wal").exists()
    assert [queued["x"] for queued in store.get_queue("s")] == [99]
    store.finish_trial("s", trial.number, COMPLETE)
    assert create(store, 2).number == 1
    store.close()
    assert "has merged its -wal" in caplog.text
    again = open_store(path)
    assert [t.state for t in again.get_trials("s")] == [TrialState.COMPLETE, TrialState.RUNNING]
    again.close()


def test_all_connections_of_a_process_begin_anew(system_without_such_locks, store, path, tmp_path):
    others = [open_store(path) for _ in range(2)]
    for n, other in enumerate(others):
        create(other, n)
    lose_the_locks(path, tmp_path)
    assert create(store, 10).number == 2
    for n, other in enumerate(others, 11):
        assert create(other, n).number == n - 8
        other.close()
    assert len(store.get_trials("s")) == 5
    assert store._file._db.conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_connection_that_another_thread_is_using_is_waited_for(system_without_such_locks, path, tmp_path):
    first, second = open_store(path, timeout_s=0.1), open_store(path, timeout_s=0.1)
    first.create_study(StudyRecord("s", "{}", "{}"))
    create(first)
    lose_the_locks(path, tmp_path)
    held, done = threading.Event(), threading.Event()

    def use():
        with second._file._lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=use)
    thread.start()
    held.wait(60)
    with pytest.raises(StoreBusy, match="in use by another thread"):
        create(first, 2)
    done.set()
    thread.join()
    assert create(first, 2).number == 1
    first.close()
    second.close()


def test_wal_deleted_within_a_transaction_fails_it(store, path):
    create(store)

    def delete_within():
        with store.transaction():
            create(store, 2)
            path.with_name("search.db-wal").unlink()

    with pytest.raises(StoreError, match="deleted during the transaction"):
        delete_within()
