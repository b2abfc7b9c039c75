"""Several real processes on one file, some of them killed."""

import os
import random
import selectors
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hybridbo import Float, Optimizer
from hybridbo.errors import StoreBusy, TellConflict
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store, queues
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

# Creates and finishes trials and says so after each, when the store has returned: "C number", "F number value".
WORKER = """
import sys
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = open_store(path)
store.create_study(StudyRecord("s", "{}", "{}"))
for i in range(count):
    proposal = Proposal({"worker": name, "i": i}, Origin("sobol", ""))
    trial = store.create_trial("s", proposal, key=f"{name}.{i}", owner=name, seen=0)
    print("C", trial.number, flush=True)
    value = trial.number / 7
    store.finish_trial("s", trial.number, Outcome(TrialState.COMPLETE, {"value": value}, value))
    print("F", trial.number, repr(value), flush=True)
"""

# Opens every file whose path it is told, and creates a trial there.
OPENER = """
import os, sys
import hybridbo.storage.sqlite
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Proposal

print("ready", flush=True)
for line in sys.stdin:
    store = open_store(line.strip())
    store.create_study(StudyRecord("s", "{}", "{}"))
    store.create_trial("s", Proposal({}, Origin("sobol", "")), key=str(os.getpid()), owner="", seen=0)
    store.close()
    print("done", flush=True)
"""


class Workers:
    """Processes that run WORKER on one file; what each said is in ``lines``."""

    def __init__(self, path, names, count):
        command = [sys.executable, "-c", WORKER, str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.processes = {name: subprocess.Popen([*command, name, str(count)], **pipes) for name in names}
        self.lines = {name: [] for name in names}
        self._partial = dict.fromkeys(names, b"")
        self._selector = selectors.DefaultSelector()
        for name, process in self.processes.items():
            assert process.stdout.readline() == b"ready\n"
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, name)
        for process in self.processes.values():  # all of them at once
            process.stdin.write(b"go\n")
            process.stdin.flush()

    def read(self, until=lambda said: False):
        """Read until all have ended, or ``until`` of how many lines were read is true."""
        said = 0
        while self._selector.get_map() and not until(said):
            for key, _ in self._selector.select():
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    self._selector.unregister(key.fileobj)
                *lines, self._partial[key.data] = (self._partial[key.data] + chunk).split(b"\n")
                self.lines[key.data] += [line.decode().split() for line in lines]
                said += len(lines)

    def close(self):
        codes = []
        for process in self.processes.values():
            codes.append(process.wait(timeout=60))
            process.stdin.close()
            process.stdout.close()
        return codes

    @property
    def created(self):
        return [int(line[1]) for lines in self.lines.values() for line in lines if line[0] == "C"]

    @property
    def finished(self):
        return {int(line[1]): float(line[2]) for lines in self.lines.values() for line in lines if line[0] == "F"}


def check(path, workers):
    """Everything that was acknowledged is there, once, and the file is sound."""
    store = open_store(path)
    trials = store.get_trials("s")
    store.close()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    created = [number for w in workers for number in w.created]
    assert len(created) == len(set(created))
    assert set(created) <= set(range(len(trials)))
    for w in workers:
        for number, value in w.finished.items():
            assert (trials[number].state, trials[number].value) == (TrialState.COMPLETE, value)
    pairs = [(trial.params["worker"], trial.params["i"]) for trial in trials]
    assert len(pairs) == len(set(pairs))
    conn = sqlite3.connect(path)
    assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    conn.close()
    return trials


def test_processes_share_a_file(tmp_path):
    path = tmp_path / "search.db"  # not there yet: all of them create it at once
    workers = Workers(path, "abcd", 25)
    workers.read()
    assert workers.close() == [0, 0, 0, 0]
    assert sorted(workers.created) == list(range(100))
    assert sorted(workers.finished) == list(range(100))
    trials = check(path, [workers])
    assert len(trials) == 100
    assert all(trial.value == trial.number / 7 for trial in trials)


def test_processes_create_a_file_at_once(tmp_path):
    """SQLite itself does not wait when two processes switch a new file to WAL."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", OPENER], **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for i in range(30):
        for process in processes:
            process.stdin.write(f"{tmp_path / str(i)}.db\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in processes] == ["done\n"] * 4
        store = open_store(tmp_path / f"{i}.db")
        assert [trial.number for trial in store.get_trials("s")] == [0, 1, 2, 3]
        store.close()
    for process in processes:
        process.communicate()
        assert process.returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_processes_lose_nothing_acknowledged(tmp_path):
    rng = random.Random(20260131)
    path = tmp_path / "search.db"
    rounds = []
    for round_ in range(6):
        workers = Workers(path, [f"{round_}{letter}" for letter in "abc"], 100_000)
        rounds.append(workers)
        for victim in rng.sample(sorted(workers.processes), 3):
            enough = rng.randrange(1, 60)
            workers.read(until=lambda said, enough=enough: said >= enough)
            workers.processes[victim].kill()
        workers.read()
        assert workers.close() == [-signal.SIGKILL] * 3
        check(path, rounds)
    assert len(check(path, rounds)) > 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_the_store_is_open(tmp_path):
    """The parent closes its store while the child writes: without care, SQLite would then delete the child's WAL."""
    path = tmp_path / "search.db"
    store = open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))

    def create(store, i):
        return store.create_trial("s", Proposal({"i": i}, Origin("sobol", "")), key=str(i), owner="", seen=0).number

    assert create(store, 0) == 0
    to_parent, from_child = os.pipe()
    to_child, from_parent = os.pipe()
    if not (pid := os.fork()):
        code = 1
        try:
            ok = create(store, 1) == 1
            os.write(from_child, b".")
            os.read(to_child, 1)  # the parent has closed its store
            ok = ok and [create(store, i) for i in (3, 4, 5)] == [3, 4, 5]
            code = 0 if ok else 2
        finally:
            os._exit(code)  # a crash: the child never closes
    os.read(to_parent, 1)
    assert create(store, 2) == 2
    store.close()
    os.write(from_parent, b".")
    assert os.waitpid(pid, 0)[1] == 0
    for end in (to_parent, from_child, to_child, from_parent):
        os.close(end)
    again = open_store(path)
    assert [trial.params for trial in again.get_trials("s")] == [{"i": i} for i in range(6)]
    done = Outcome(TrialState.COMPLETE, {"value": 1.0}, 1.0)
    assert again.finish_trial("s", 5, done).value == 1.0
    again.close()


def test_source_of_the_workers_is_the_one_under_test():
    import hybridbo

    code = "import hybridbo; print(hybridbo.__file__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert Path(out.strip()) == Path(hybridbo.__file__)


# Asks and holds its trial until it is killed: "A number attempt".
ASKER = """
import sys
from hybridbo import Optimizer, owner

if len(sys.argv) > 3:
    owner.current = lambda: sys.argv[3]  # as if it were another machine, of whose processes nothing is known
with Optimizer.load(sys.argv[1], "s", llm=None) as opt:
    trial = opt.ask(lease_s=float(sys.argv[2]), request_id="job")
    print("A", trial.number, trial.attempt, flush=True)
    for line in sys.stdin:
        print("B" if line == "beat\\n" and trial.heartbeat() else "L", flush=True)
        if line == "tell\\n":
            print("T", opt.tell(trial, 0.5).value, flush=True)
"""


def asker(path, *args):
    command = [sys.executable, "-c", ASKER, str(path), *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process, line=None):
    if line is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    return process.stdout.readline().split()


def end(process):
    process.kill()
    process.communicate()


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "search.db"
    with Optimizer({"x": Float(0, 1)}, llm=None, seed=0, study="s", store=path):
        pass
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how processes end is told by /proc")
def test_trial_of_a_killed_process_of_this_machine_is_offered_at_once(study):
    first = asker(study, 3600)
    assert said(first) == ["A", "0", "0"]
    end(first)
    second = asker(study, 3600)  # the same request, after the crash
    assert said(second) == ["A", "0", "1"]
    with Optimizer.load(study, "s", llm=None) as opt:
        assert opt.ask().number == 1
    end(second)


def test_trial_of_a_process_elsewhere_is_offered_when_its_lease_has_run_out(study):
    first = asker(study, 1e-6, "elsewhere/1/1")
    assert said(first) == ["A", "0", "0"]
    end(first)
    with Optimizer.load(study, "s", llm=None) as opt:
        again = opt.ask()
        assert (again.number, again.attempt, again.lost) == (0, 1, 1)
        assert [event.kind for event in opt.events] == ["trial_stale", "trial_offered_again"]
        opt.tell(again, 1.0)


def test_process_elsewhere_that_sends_heartbeats_keeps_its_trial_and_a_late_one_is_believed(study):
    far = asker(study, 3600, "elsewhere/1/1")
    assert said(far) == ["A", "0", "0"]
    assert said(far, "beat") == ["B"]
    with Optimizer.load(study, "s", llm=None) as opt:
        assert opt.ask().number == 1
        held = opt.trials[0]
        opt.store.renew_lease("s", 0, owner=held.owner, attempt=0, lease_s=1e-6)  # as if it had kept silent
        assert opt.ask(request_id="another").number == 0
        assert said(far, "beat") == ["L"]
        assert said(far, "tell") == ["L"]
        assert said(far) == ["T", "0.5"]
        assert opt.trials[0].value == 0.5
        with pytest.raises(TellConflict):
            opt.tell(0, 0.75)
        assert opt.trials[0].value == 0.5
    end(far)


def test_process_killed_in_a_transaction_leaves_its_turn(tmp_path):
    holder = """
import sys
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
store = open_store(sys.argv[1])
store.create_study(StudyRecord("s", "{}", "{}"))
with store.transaction():
    store.create_study(StudyRecord("half", "{}", "{}"))
    print("in", flush=True)
    sys.stdin.read()
"""
    path = tmp_path / "search.db"
    command = [sys.executable, "-c", holder, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    impatient, patient = open_store(path, timeout_s=0.05), open_store(path)
    with pytest.raises(StoreBusy, match="Try again"):
        impatient.create_study(StudyRecord("other", "{}", "{}"))
    end(process)
    for store, name in ((impatient, "other"), (patient, "another")):
        store.create_study(StudyRecord(name, "{}", "{}"))
        store.close()
    assert [record.name for record in open_store(path).list_studies()] == ["s", "other", "another"]
    assert not path.with_name("search.db-lock").exists() or queues.kind_of_queue() is None
