"""What a process does to a file besides writing, and what another one that closes it makes of that: nothing is lost."""

import os
import sqlite3
import subprocess
import sys

import pytest

from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.trial import TrialState

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX locks")

ROUNDS = 25
WRITERS = 3

# Creates and finishes trials, says so after each, and does something to the file in between; or closes it each time.
WRITER = """
import shutil, sys
from hybridbo.errors import StoreError
from hybridbo.ports import StudyRecord
from hybridbo.storage import backup_store, check_store, open_store
from hybridbo.storage.salvage import salvage
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

path, name, what, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
MEANWHILE = {
    "check": lambda: check_store(path),
    "a second store": lambda: open_store(path).close(),
    "backup": lambda: backup_store(path, f"{path}-{name}-copy", overwrite=True),
    "shutil.copy": lambda: shutil.copy(path, f"{path}-{name}-copy"),
}
store = open_store(path)
for i in range(rounds):
    proposal = Proposal({"worker": name, "i": i}, Origin("sobol", ""))
    trial = store.create_trial("s", proposal, key=f"{name}.{i}", owner=name, seen=0)
    print("C", trial.number, flush=True)
    MEANWHILE.get(what, lambda: None)()
    value = trial.number / 7
    store.finish_trial("s", trial.number, Outcome(TrialState.COMPLETE, {"value": value}, value))
    print("F", trial.number, value, flush=True)
    if name == "2":  # the one that closes, and would merge and delete the -wal if it believed to be the last one
        store.close()
        store = open_store(path)
"""


def run(path, what):
    tasks = [(str(name), what if name < 2 else "", str(ROUNDS)) for name in range(WRITERS)]
    command = [sys.executable, "-c", WRITER, str(path)]
    processes = [subprocess.Popen([*command, *task], stdout=subprocess.PIPE, text=True) for task in tasks]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * WRITERS
    return [line.split() for text in said for line in text.splitlines()]


@pytest.mark.parametrize("what", ["check", "a second store", "backup", "shutil.copy"])
def test_nothing_is_lost_whatever_a_process_does_to_its_open_file(tmp_path, what):
    path = tmp_path / "search.db"
    store = open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))
    store.close()
    said = run(path, what)
    created = [int(line[1]) for line in said if line[0] == "C"]
    assert sorted(created) == list(range(ROUNDS * WRITERS))
    with sqlite3.connect(path) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store = open_store(path)
    trials = store.get_trials("s")
    assert [(trial.state, trial.value) for trial in trials] == [
        (TrialState.COMPLETE, n / 7) for n in range(ROUNDS * WRITERS)
    ]
    assert [event.kind for event in store.get_events("s")] == []
    store.close()


FORKING_THREADS = """
import os, sys, threading
from hybridbo.storage import open_store
stores = [open_store(f"{sys.argv[1]}-{n}.db") for n in range(6)]

def fork():
    for _ in range(25):
        if not (pid := os.fork()):
            os._exit(0)
        os.waitpid(pid, 0)

threads = [threading.Thread(target=fork) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_threads_that_fork_at_once_do_not_wait_for_each_other_for_ever(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", FORKING_THREADS, str(tmp_path / "s")]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "all forked\n"
