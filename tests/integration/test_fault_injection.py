"""The n-th statement fails, for every n; and bytes of the file change by themselves."""

import os
import random
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from hybridbo import Categorical, Float, Optimizer, Space
from hybridbo.errors import StoreError
from hybridbo.ports import ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage import open_store, texts
from hybridbo.storage.check import check_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

SPACE = {"x": Float(0, 1), "kind": Categorical(["a", "b"])}
DATA = Path(__file__).parents[1] / "data"
KINDS = {
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "busy": (sqlite3.SQLITE_BUSY, "database is locked"),
    "fault": (sqlite3.SQLITE_IOERR, "disk I/O error"),
}


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


class Faults:
    """Makes statement number ``at`` of every connection fail, and with ``lasting`` each one after it.

    A statement fails before it is done; with ``late`` after it, as where an answer is lost.
    """

    def __init__(self):
        self.at, self.kind, self.late, self.lasting = None, "full", False, False
        self.count = 0

    @contextmanager
    def armed(self, at, *, kind="full", late=False, lasting=False):
        self.at, self.kind, self.late, self.lasting, self.count = at, kind, late, lasting, 0
        try:
            yield
        finally:
            self.at = None

    def strikes(self):
        if self.at is None:
            return False
        number, self.count = self.count, self.count + 1
        return number == self.at or (self.lasting and number > self.at)

    def error(self):
        code, message = KINDS[self.kind]
        error = sqlite3.OperationalError(message)
        error.sqlite_errorcode = code
        return error


@pytest.fixture
def faults(monkeypatch):
    faults, connect = Faults(), sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, *args):
            if not faults.strikes():
                return super().execute(*args)
            if faults.late:
                super().execute(*args)
            raise faults.error()

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=Connection))
    return faults


MANNERS = [
    {"kind": "full"},
    {"kind": "fault", "late": True},
    {"kind": "busy", "lasting": True},
    {"kind": "full", "late": True, "lasting": True},
]
EVERY_MANNER = pytest.mark.parametrize("manner", MANNERS, ids=lambda manner: " ".join(map(str, manner.values())))


class Opened:
    """A study whose store does not wait for locks that are not there; closed at the end of the block."""

    def __init__(self, path):
        self.store = open_store(path, timeout_s=0.02)

    def __enter__(self):
        return Optimizer(SPACE, study="s", store=self.store, llm=None, seed=0)

    def __exit__(self, *_):
        self.store.close()


def sound(path):
    assert check_store(path).problems == ()


def each(faults, folder, prepare, manner):
    """A fresh copy of a store for each statement that can fail, until none has failed."""
    (folder / "template").mkdir()
    prepare(folder / "template" / "search.db")
    for n in range(200):
        shutil.copytree(folder / "template", folder / str(n))
        yield folder / str(n) / "search.db", lambda n=n: faults.armed(n, **manner)
        if faults.count <= n:
            assert n > 3, "no statement has failed"
            return
    raise AssertionError("the statements have no end")


@pytest.fixture
def folder(tmp_path):
    """In memory where that is possible: thousands of files are made, and each is synced."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@EVERY_MANNER
@pytest.mark.parametrize("source", ["user", "sobol", "again"])
def test_ask(faults, folder, manner, source):
    def prepare(path):
        with Opened(path) as opt:
            for value in (0.1, 0.2):
                opt.tell(opt.ask(), value)
            if source == "user":
                opt.enqueue({"x": 0.25, "kind": "a"})
            if source == "again":
                opt.release(opt.ask())

    for path, armed in each(faults, folder, prepare, manner):
        with Opened(path) as opt:
            before, events = opt.trials, list(opt.events)
            queue = opt.store.get_queue("s")
            with armed():
                try:
                    trial = opt.ask()
                except StoreError:
                    trial = None
            after = opt.trials
            if trial is not None:
                assert after[trial.number].params == trial.params
            if source == "again":
                assert len(after) == len(before)
                assert len(opt.events) - len(events) == after[2].attempt - before[2].attempt  # or neither
            else:
                assert len(after) in (len(before), len(before) + 1)
                assert (opt.store.get_queue("s") == []) == (source != "user" or len(after) > len(before))
                assert opt.store.get_queue("s") in (queue, [])
            sound(path)
            more = opt.ask()
            opt.tell(more, 0.3)
        with Opened(path) as again:
            assert [trial.number for trial in again.trials] == list(range(len(again.trials)))
            assert again.trials[more.number].value == 0.3
            again.tell(again.ask(), 0.4)
        sound(path)


@EVERY_MANNER
@pytest.mark.parametrize("what", ["tell", "fail", "late"])
def test_tell_is_stored_or_kept_and_never_half(faults, folder, manner, what):
    def prepare(path):
        with Opened(path) as opt:
            opt.tell(opt.ask(), 0.1)
            opt.ask(detached=True)
            if what == "late":
                opt.store.take_over("s", 1, owner="o", previous=opt.trials[1].owner, attempt=0, lease_s=1e-9)
                opt.store.expire_lease("s", 1)

    for path, armed in each(faults, folder, prepare, manner):
        with Opened(path) as opt:
            error = None
            with armed():
                try:
                    opt.fail(1, "boom \u2603") if what == "fail" else opt.tell(1, 0.1 + 0.2)
                except StoreError as caught:
                    error = caught
            trial = opt.trials[1]
            if error is None:
                assert trial.state.is_finished
            else:
                assert trial.state.is_finished or error.kept is not None
            sound(path)
            following = opt.ask()
            opt.tell(following, 0.5)
        with Opened(path) as again:
            trial = again.trials[1]
            assert (trial.value, trial.error) == ((None, "boom \u2603") if what == "fail" else (0.1 + 0.2, None))
            assert again.trials[following.number].value == 0.5
            kinds = [event.kind for event in again.events if event.trial_number == 1]
            assert kinds.count("spill_merged") + kinds.count("told_late") <= 2
            assert len(kinds) == len(set(kinds))
        assert list(path.parent.glob("*spill*")) == []
        sound(path)


@EVERY_MANNER
def test_merge_of_what_was_kept_happens_once(faults, folder, manner):
    def prepare(path):
        with Opened(path) as opt:
            opt.ask(detached=True)
            opt.ask(detached=True)
            with faults.armed(0, lasting=True):
                for number in (0, 1):
                    with pytest.raises(StoreError):
                        opt.tell(number, 0.1 * number)

    for path, armed in each(faults, folder, prepare, manner):
        with armed(), suppress(StoreError):
            open_store(path, timeout_s=0.02).close()
        with Opened(path) as again:
            assert [trial.value for trial in again.trials] == [0.0, 0.1]
            kinds = [event.kind for event in again.events if event.kind != "wal_missing"]  # closing has failed as well
            assert kinds == ["spill_merged", "spill_merged"]
        sound(path)


@EVERY_MANNER
def test_alter_happens_or_not(faults, folder, manner):
    new = {**SPACE, "y": Float(0, 1, default=0.5)}

    def prepare(path):
        with Opened(path) as opt:
            opt.tell(opt.ask(), 0.1)
            opt.enqueue({"x": 0.25, "kind": "a"})

    for path, armed in each(faults, folder, prepare, manner):
        with Opened(path) as opt, armed(), suppress(StoreError):
            opt.alter(new)
        with Optimizer.load(path, "s") as again:
            is_altered = again.space == Space(new)
            assert len(again.alterations) == len(again.events) == int(is_altered)
            assert ("y" in again.store.get_queue("s")[0]) == is_altered
            assert again.ask().origin.source == "user"
        sound(path)


@EVERY_MANNER
def test_migration_happens_or_not(faults, folder, manner):
    for path, armed in each(faults, folder, lambda path: shutil.copy(DATA / "search_schema_1.db", path), manner):
        with armed(), suppress(StoreError):
            open_store(path, timeout_s=0.02).close()
        sound(path)
        with Optimizer.load(path, "mlp") as opt:
            assert [trial.number for trial in opt.trials] == list(range(9))
            assert opt.best.value == 3.160324923
        assert check_store(path).schema == 4
        assert check_store(f"{path}.schema1-backup").schema == 1


# Damage -----------------------------------------------------------------------------------------------------------


def full(path):
    """A store with rows enough for several pages of every table; what it holds."""
    with closing(open_store(path)) as store, store.transaction():
        for name in ("s", "other"):
            store.create_study(StudyRecord(name, Space(SPACE).to_json(), "{}", "Tune it " * 20))
            for n in range(60):
                proposal = Proposal({"x": n / 7, "kind": "ab"[n % 2]}, Origin("sobol", f"reason {n} " * 5, n / 3, 0.1))
                store.create_trial(name, proposal, key=str(n), owner="o", seen=n)
                if n % 5:
                    store.finish_trial(name, n, Outcome(TrialState.COMPLETE, {"value": n / 11}, n / 11))
                store.record_event(name, Event("k", f"message {n} " * 5, n))
                store.enqueue(name, {"x": n / 9, "kind": "a"}, key=f"q{n}")
                request = ChatRequest("seeds", "t", {}, "s", "u" * 50)
                store.record_call(name, LLMCall(request, ChatReply(f"reply {n}", "m"), n, texts.now()))
    with closing(open_store(path)) as store:
        return contents(store)


def contents(store):
    """All that the checksums cover."""
    found = {}
    for study in store.list_studies():
        name = study.name
        trials = [(t.number, t.params, t.state, t.origin, t.started_at, t.finished_at, repr(dict(t.values)), t.error)
                  for t in store.get_trials(name)]  # fmt: skip
        found[name] = study, trials, store.get_events(name), store.get_queue(name), store.get_calls(name)
    return found


def damaged(content, rng):
    """A copy of ``content`` that a disk has spoilt, in one of the ways in which disks do."""
    data = bytearray(content)
    way = rng.choice(["bit", "bit", "byte", "bytes", "zeros", "cut", "page"])
    at = rng.randrange(len(data))
    if way == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif way == "byte":
        data[at] = rng.randrange(256)
    elif way == "bytes":
        for _ in range(8):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif way == "zeros":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif way == "cut":
        del data[at:]
    else:
        one, other = (rng.randrange(len(data) // 4096) * 4096 for _ in range(2))
        data[one : one + 4096] = data[other : other + 4096]
    return bytes(data)


def test_damaged_file_says_so_or_is_read_as_it_was(folder):
    good = full(folder / "good.db")
    content = (folder / "good.db").read_bytes()
    seen = {"error": 0, "same": 0}
    for seed in range(300):
        path = folder / f"{seed}.db"
        path.write_bytes(damaged(content, random.Random(seed)))
        try:
            with closing(open_store(path)) as store:
                found = contents(store)
        except StoreError:
            seen["error"] += 1
        else:
            assert found == good, f"seed {seed}"
            seen["same"] += 1
        for file in folder.glob(f"{seed}.db*"):
            file.unlink()
    assert min(seen.values()) > 30, seen


def test_damaged_file_is_checked_without_an_exception_of_another_kind(folder):
    full(folder / "good.db")
    content = (folder / "good.db").read_bytes()
    unsound = 0
    for seed in range(100):
        path = folder / f"{seed}.db"
        path.write_bytes(damaged(content, random.Random(seed)))
        before = path.read_bytes()
        try:
            unsound += not check_store(path).is_sound
        except StoreError:
            unsound += 1
        assert path.read_bytes() == before
        path.unlink()
    assert unsound > 60
