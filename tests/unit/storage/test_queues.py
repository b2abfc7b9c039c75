"""The kernel's queues, with several open files in one process: each is a stranger to the others."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from hybridbo.storage import queues

KINDS = [kind for kind in (queues.TicketQueue, queues.FlockQueue) if queues.fcntl is not None]
if queues.kind_of_queue() is not queues.TicketQueue:
    KINDS = KINDS[1:]

HOLDER = """
import os, sys
from hybridbo.storage import queues
queue = getattr(queues, sys.argv[2])(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT))
queue.enter()
print("in", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def places(tmp_path, kind):
    fds = [os.open(tmp_path / "side", os.O_RDWR | os.O_CREAT) for _ in range(5)]
    yield [kind(fd) for fd in fds]
    for fd in fds:
        os.close(fd)


def sleeping(place):
    """A thread that waits for the turn."""
    thread = threading.Thread(target=place.sleep, daemon=True)
    thread.start()
    return thread


def has_come(thread, within_s=20.0):
    thread.join(within_s)
    return not thread.is_alive()


def test_one_at_a_time(places):
    first, second, *_ = places
    assert first.enter()
    assert not second.enter()
    thread = sleeping(second)
    assert not has_come(thread, within_s=0.02)
    first.leave()
    assert has_come(thread)
    assert not first.enter()
    first.leave()
    second.leave()
    assert first.enter()


def test_the_turn_may_be_taken_again_and_again(places):
    first, second, *_ = places
    for _ in range(100):
        assert first.enter()
        first.leave()
    assert second.enter()


@pytest.mark.skipif(queues.TicketQueue not in KINDS, reason="needs locks of open file descriptions")
def test_tickets_are_served_in_the_order_of_arrival(tmp_path, monkeypatch):
    monkeypatch.setattr(queues, "_SLICE_S", 0.0)
    fds = [os.open(tmp_path / "side", os.O_RDWR | os.O_CREAT) for _ in range(6)]
    places = [queues.TicketQueue(fd) for fd in fds]
    assert [place.enter() for place in places] == [True, False, False, False, False, False]
    threads = [sleeping(place) for place in reversed(places[1:])][::-1]
    for i in range(5):
        places[i].leave()
        assert not places[i].enter()  # back to the end: those who wait come first
        assert has_come(threads[i])
        assert [thread.is_alive() for thread in threads[i + 1 :]] == [True] * (4 - i)
    for fd in fds:
        os.close(fd)


def test_whoever_gives_up_in_the_queue_keeps_nobody_waiting(places):
    first, second, third, fourth, _ = places
    assert [place.enter() for place in (first, second, third, fourth)] == [True, False, False, False]
    thread = sleeping(fourth)
    second.leave()
    third.leave()
    assert not has_come(thread, within_s=0.02)
    first.leave()
    assert has_come(thread)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_process_leaves_its_turn(tmp_path, kind):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "side"), kind.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"in\n"
        fd = os.open(tmp_path / "side", os.O_RDWR)
        place = kind(fd)
        assert not place.enter()
        thread = sleeping(place)
        assert not has_come(thread, within_s=0.02)
        holder.kill()
        assert has_come(thread)
    os.close(fd)


@pytest.mark.skipif(queues.TicketQueue not in KINDS, reason="needs locks of open file descriptions")
def test_whoever_has_just_had_the_turn_may_take_it_for_a_short_while(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(queues.time, "monotonic", lambda: clock[0])
    fds = [os.open(tmp_path / "side", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    first, second = (queues.TicketQueue(fd) for fd in fds)
    assert first.enter()
    assert not second.enter()
    first.leave()
    clock[0] += queues._SLICE_S / 2
    assert first.enter()  # the other one has not woken up yet
    first.leave()
    clock[0] += queues._SLICE_S
    assert not first.enter()
    assert has_come(sleeping(second))
    for fd in fds:
        os.close(fd)


def test_a_system_without_locks_has_no_queue(monkeypatch):
    monkeypatch.setattr(queues, "fcntl", None)
    assert queues.kind_of_queue() is None


def test_a_system_with_flock_alone_has_the_simple_queue(monkeypatch):
    monkeypatch.setattr(queues.sys, "platform", "darwin")
    assert queues.kind_of_queue() is queues.FlockQueue
