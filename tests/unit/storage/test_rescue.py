"""A finished result outlives a store that cannot take it."""

import shutil
import sqlite3
import tempfile
from contextlib import closing

import pytest

from hybridbo.errors import StoreBusy, StoreCorrupt, StoreError, TellConflict, TrialNotFound
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.storage.spill import Result, Spill, read
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

VALUE = 0.1 + 0.2
COMPLETE = Outcome(TrialState.COMPLETE, {"value": VALUE}, VALUE)
FAILED = Outcome(TrialState.FAILED, error="out of memory\0\u2603")


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def create(store, x=1):
    seen = len(store.get_trials("s"))
    return store.create_trial("s", Proposal({"x": x}, Origin("sobol", "r")), key=str(x), owner="o", seen=seen)


class Locked:
    """The store's file, held by somebody else's transaction."""

    def __init__(self, path):
        self.conn = sqlite3.connect(path, isolation_level=None)

    def __enter__(self):
        self.conn.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.conn.execute("ROLLBACK")
        self.conn.close()


@pytest.fixture
def hasty(path, store):
    """A store that does not wait for locks, with trials 0 and 1 running."""
    hasty = open_store(path, timeout_s=0.0)
    create(hasty, 0)
    create(hasty, 1)
    yield hasty
    hasty.close()


def kinds(store):
    return [(event.kind, event.trial_number) for event in store.get_events("s")]


@pytest.mark.parametrize("outcome", [COMPLETE, FAILED, Outcome(TrialState.PRUNED)])
def test_result_waits_for_the_next_open(hasty, path, outcome):
    with Locked(path), pytest.raises(StoreBusy, match=r"trial 1 of study 's' .*The result is kept in") as caught:
        hasty.finish_trial("s", 1, outcome)
    assert caught.value.kept == f"{path}-spill.jsonl"
    assert isinstance(caught.value.__cause__, StoreBusy)
    assert [str(trial.state) for trial in hasty.get_trials("s")] == ["RUNNING", "RUNNING"]
    with closing(open_store(path)) as again:
        trial = again.get_trials("s")[1]
        assert (trial.state, trial.value, trial.error) == (outcome.state, outcome.value, outcome.error)
        assert kinds(again) == [("spill_merged", 1)]
        assert "is locked by another process" in again.get_events("s")[0].message
        assert again.finish_trial("s", 1, outcome) == trial
    with closing(open_store(path)) as again:
        assert kinds(again) == [("spill_merged", 1)]
    assert Spill(path).waiting == []


def test_trial_that_has_ended_is_in_conflict_and_not_kept(hasty, path):
    hasty.finish_trial("s", 1, COMPLETE)
    with Locked(path):
        with pytest.raises(TellConflict, match=r"is COMPLETE with .* already and cannot become FAILED"):
            hasty.finish_trial("s", 1, FAILED)
        with pytest.raises(
            StoreBusy, match=r"is stored as COMPLETE .* already.*Nothing has to be told again"
        ) as caught:
            hasty.finish_trial("s", 1, COMPLETE)
    assert caught.value.kept is None
    assert Spill(path).waiting == []


def test_ended_trial_in_a_transaction_keeps_no_other_from_being_kept(hasty, path):
    hasty.finish_trial("s", 1, COMPLETE)

    def tell_both():
        with hasty.transaction():
            hasty.finish_trial("s", 0, FAILED)
            with pytest.raises(TellConflict):
                hasty.finish_trial("s", 1, FAILED)
            raise StoreError("the disk is gone.")

    with pytest.raises(TellConflict):
        tell_both()
    assert [result.number for result in read(Spill(path).beside)] == [0]


def test_result_that_was_kept_is_stored_with_the_next_success(hasty, path):
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 0, COMPLETE)
    kept = read(Spill(path).beside)[0]
    hasty.finish_trial("s", 1, FAILED)
    trial = hasty.get_trials("s")[0]
    assert trial.value == VALUE
    assert trial.finished_at.isoformat(timespec="microseconds")[:26] == kept.at[:26]  # when it was told, not merged
    assert Spill(path).waiting == []
    assert kinds(hasty) == [("spill_merged", 0)]


def test_result_told_again_is_merged_first(hasty, path):
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 0, COMPLETE)
    assert hasty.finish_trial("s", 0, COMPLETE).value == VALUE
    assert Spill(path).waiting == []
    assert kinds(hasty) == [("spill_merged", 0)]


def test_trial_whose_result_is_kept_is_given_to_nobody(hasty, path):
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 0, COMPLETE)
    with hasty.transaction():
        assert hasty.take_over("s", 0, owner="you", previous="o", attempt=0) is None
    assert hasty.get_trials("s")[0].value == VALUE


def test_conflict_changes_nothing_and_is_recorded(hasty, path):
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 0, COMPLETE)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE trials SET state = 'FAILED', error = 'boom', finished_at = started_at WHERE number = 0")
    with closing(open_store(path)) as again:
        assert again.get_trials("s")[0].error == "boom"
        assert kinds(again) == [("spill_conflict", 0)]
        assert f"cannot become COMPLETE with {VALUE!r}" in again.get_events("s")[0].message
    assert [kept.outcome for kept in read(Spill(path).rejected)] == [COMPLETE]
    assert Spill(path).waiting == []


@pytest.mark.parametrize("what", ["study", "trial", "started", "deleted"])
def test_result_goes_to_no_other_trial(hasty, path, what):
    """The store was put back, or made afresh, with a study or a trial of the same name."""
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 1, COMPLETE)
    if what in ("study", "deleted"):
        hasty.close()
        path.unlink()
        path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
        with closing(open_store(path)) as fresh:
            fresh.create_study(StudyRecord("s" if what == "study" else "other", "{}", "{}"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        if what == "trial":
            other.execute("DELETE FROM trials WHERE number = 1")
        elif what == "started":
            other.execute("UPDATE trials SET started_at = '2020-01-01T00:00:00.000000Z'")
    with closing(open_store(path)) as again:
        for study in again.list_studies():
            assert all(trial.value is None for trial in again.get_trials(study.name))
        if what in ("trial", "started"):
            [event] = again.get_events("s")
            assert (event.kind, event.trial_number) == ("spill_rejected", None)
            assert f"trial 1, COMPLETE with {VALUE!r}" in event.message
            assert '{"x": 1}' in event.message
    [kept] = read(Spill(path).rejected)
    assert (kept.outcome, kept.params) == (COMPLETE, '{"x": 1}')


def test_result_of_a_study_of_the_same_name_is_not_merged(store, path):
    create(store)
    store.close()
    old = Result("s", 0, COMPLETE, "2020-01-02T00:00:00.000000Z", "why", created_at="2020-01-01T00:00:00.000000Z")
    Spill(path).keep(old, StoreError("gone."))
    with closing(open_store(path)) as again:
        assert again.get_trials("s")[0].state is TrialState.RUNNING
    assert read(Spill(path).rejected) == [old]


def test_store_that_still_cannot_be_written_can_be_opened(hasty, path, caplog):
    with Locked(path), pytest.raises(StoreBusy):
        hasty.finish_trial("s", 0, COMPLETE)
    with Locked(path), closing(open_store(path, timeout_s=0.0)) as again:
        assert again.get_trials("s")[0].state is TrialState.RUNNING
    assert "could not be merged, and is kept" in caplog.text
    assert Spill(path).beside.exists()


def test_disk_full(store, path):
    create(store)
    conn = store._file._db.conn
    conn.execute(f"PRAGMA max_page_count = {conn.execute('PRAGMA page_count').fetchone()[0]}")
    long = Outcome(TrialState.FAILED, error="x" * 100_000)
    with pytest.raises(StoreError, match="the disk is full") as caught:
        store.finish_trial("s", 0, long)
    assert caught.value.kept
    store.close()
    with closing(open_store(path)) as again:
        assert again.get_trials("s")[0].error == long.error


@pytest.mark.parametrize("how", ["moved", "folder"])
def test_vanished_and_put_back(tmp_path, how):
    folder = tmp_path / "sub"
    folder.mkdir()
    store = open_store(folder / "search.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    create(store)
    moved, back = (folder, tmp_path / "away") if how == "folder" else (folder / "search.db", folder / "old.db")
    moved.rename(back)
    with pytest.raises(StoreError, match="is gone") as caught:
        store.finish_trial("s", 0, COMPLETE)
    in_temporary = caught.value.kept.startswith(tempfile.gettempdir())
    assert in_temporary == (how == "folder")
    [kept] = read(Spill(folder / "search.db").waiting[0])
    assert kept.params == '{"x": 1}'  # remembered, since the file cannot be read
    store.close()
    back.rename(moved)
    with closing(open_store(folder / "search.db")) as again:
        assert again.get_trials("s")[0].value == VALUE


def test_damaged_file(store, path):
    for x in range(200):
        create(store, x)
    store.close()
    shutil.copy(path, path.with_name("good.db"))
    store = open_store(path)
    store.get_study("s")
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(StoreCorrupt) as caught:
        store.finish_trial("s", 150, COMPLETE)
    assert caught.value.kept
    store.close()
    path.with_name("good.db").replace(path)
    with closing(open_store(path)) as again:
        assert again.get_trials("s")[150].value == VALUE


def test_mistakes_are_not_kept(store, path):
    create(store)
    store.finish_trial("s", 0, COMPLETE)
    with pytest.raises(TellConflict):
        store.finish_trial("s", 0, FAILED)
    with pytest.raises(TrialNotFound):
        store.finish_trial("s", 7, COMPLETE)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.finish_trial("s", 0, COMPLETE)
    assert list(path.parent.glob("*spill*")) == []
