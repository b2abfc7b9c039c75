import gc
import logging
import os
import threading

import pytest

from hybridbo.errors import StoreBusy, StoreError
from hybridbo.ports import Event, StudyRecord
from hybridbo.storage import open_store, queues, turns
from hybridbo.storage.turns import Turns

pytestmark = pytest.mark.skipif(queues.kind_of_queue() is None, reason="needs fcntl")


@pytest.fixture
def two(tmp_path):
    path = tmp_path / "search.db"
    path.touch()
    pair = [Turns(path, "search.db", 20.0) for _ in range(2)]
    yield pair
    for one in pair:
        one.drop()


def in_thread(action):
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def side_file(path):
    return path.with_name(path.name + turns.SUFFIX)


def test_turns_are_taken_one_after_the_other(two):
    first, second = two
    for _ in range(3):
        first.take()
        thread = in_thread(second.take)
        thread.join(0.02)
        assert thread.is_alive()
        first.leave()
        thread.join(20)
        assert not thread.is_alive()
        second.leave()


def test_turn_that_does_not_come_is_not_waited_for_and_its_place_is_given_up(two, caplog):
    first, second = two
    first.take()
    second._timeout_s = 0.01
    with caplog.at_level(logging.WARNING):
        second.take()
    assert "no turn to write within 0.01 s" in caplog.text
    second.leave()
    first.leave()
    first._timeout_s = second._timeout_s = 20.0
    for _ in range(2):  # nobody holds a turn that nobody uses
        for one in two:
            one.take()
            one.leave()


def test_interrupt_while_waiting_gives_the_place_up(two, monkeypatch):
    first, second = two

    def interrupted(_):
        raise KeyboardInterrupt

    first.take()
    with monkeypatch.context() as patch:
        patch.setattr(turns.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            second.take()
    first.leave()
    first.take()
    first.leave()
    second.take()


def test_deleted_side_file_is_made_again(two):
    first, second = two
    first.take()
    side_file(first._path).unlink()
    second.take()  # at a file of its own
    second.leave()
    first.leave()
    first.take()
    thread = in_thread(second.take)
    thread.join(0.02)
    assert thread.is_alive()  # at one file again
    first.leave()
    thread.join(20)


def test_side_file_is_deleted_by_the_last_who_closes(two):
    first, second = two
    place = side_file(first._path)
    second.take()
    first._open(first._kind)
    first.close()
    assert place.exists()
    second.leave()
    second.close()
    assert not place.exists()
    second.close()


def test_side_file_has_the_rights_of_the_store(two):
    first, _ = two
    first._path.chmod(0o660)
    first.take()
    assert side_file(first._path).stat().st_mode & 0o777 == 0o660


def test_forgotten_store_closes_its_side_file(two):
    first, second = two
    other = Turns(first._path, "search.db", 20.0)
    other.take()
    del other
    gc.collect()
    second.take()


@pytest.mark.parametrize("what", ["no fcntl", "no rights", "no such lock"])
def test_without_fair_waiting_the_store_works(tmp_path, monkeypatch, caplog, what):
    def refused(*_):
        raise OSError("not here")

    if what == "no fcntl":
        monkeypatch.setattr(turns, "kind_of_queue", lambda: None)
    elif what == "no rights":
        monkeypatch.setattr(turns.os, "open", refused)
    else:
        monkeypatch.setattr(queues.TicketQueue, "enter", refused)
        monkeypatch.setattr(queues.FlockQueue, "enter", refused)
    with caplog.at_level(logging.WARNING):
        store = open_store(tmp_path / "search.db")
        store.create_study(StudyRecord("s", "{}", "{}"))
        store.record_event("s", Event("k", "m"))
    assert len(store.get_events("s")) == 1
    said = [record.getMessage() for record in caplog.records if "no fair waiting" in record.getMessage()]
    assert len(said) == (what != "no fcntl")
    store.close()


def test_other_store_in_a_transaction_makes_us_busy(tmp_path):
    stores = [open_store(tmp_path / "search.db", timeout_s=0.05) for _ in range(2)]
    stores[0].create_study(StudyRecord("s", "{}", "{}"))
    with stores[0].transaction():
        with pytest.raises(StoreBusy, match=r"is locked by another process.*Try again"):
            stores[1].record_event("s", Event("k", "m"))
        assert stores[1].get_events("s") == []  # readers do not wait
    stores[1].record_event("s", Event("k", "m"))
    for store in stores:
        store.close()


def test_file_that_vanishes_while_we_wait_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "search.db"
    stores = [open_store(path) for _ in range(2)]
    stores[0].create_study(StudyRecord("s", "{}", "{}"))

    def meanwhile(_):
        path.rename(tmp_path / "elsewhere.db")
        other.__exit__(None, None, None)

    other = stores[0].transaction()
    other.__enter__()
    monkeypatch.setattr(turns.time, "sleep", meanwhile)
    with pytest.raises(StoreError, match="is gone"):
        stores[1].record_event("s", Event("k", "m"))
    for store in stores:
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_of_a_fork_takes_turns_of_its_own(two):
    first, second = two
    first.take()
    first.leave()
    first.drop()  # as SqliteFile does before a fork
    ready, go = os.pipe(), os.pipe()
    if not (pid := os.fork()):
        first.take()
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)  # without a word, as if killed
    os.read(ready[0], 1)
    thread = in_thread(second.take)
    thread.join(0.02)
    assert thread.is_alive()
    os.write(go[1], b".")
    thread.join(20)
    assert not thread.is_alive()
    os.waitpid(pid, 0)
    for end in (*ready, *go):
        os.close(end)
