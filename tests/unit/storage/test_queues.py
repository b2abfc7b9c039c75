"""The kernel's queues, with several open files in one process: each is a stranger to the others."""

import os
import signal
import subprocess
import sys

import pytest

from hybridbo.storage import queues

KINDS = [kind for kind in (queues.TicketQueue, queues.FlockQueue) if queues.fcntl is not None]
if queues.kind_of_queue() is not queues.TicketQueue:
    KINDS = KINDS[1:]
needs_tickets = pytest.mark.skipif(queues.TicketQueue not in KINDS, reason="needs locks of open file descriptions")

HOLDER = """
import os, sys
from hybridbo.storage import queues
queue = getattr(queues, sys.argv[2])(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT))
print(queue.enter(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [0.0]
    monkeypatch.setattr(queues.time, "monotonic", lambda: now[0])
    return now


def opened(path, kind, n):
    return [kind(os.open(path, os.O_RDWR | os.O_CREAT)) for _ in range(n)]


@pytest.fixture
def places(tmp_path, kind):
    places = opened(tmp_path / "side", kind, 5)
    yield places
    for place in places:
        os.close(place._fd)


def process_in(path, kind, answer):
    """A process that has entered the queue."""
    command = [sys.executable, "-c", HOLDER, str(path), kind.__name__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == f"{answer}\n".encode()
    return process


def killed(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_one_at_a_time(places):
    first, second, *_ = places
    assert first.enter()
    assert not second.enter()
    assert not second.has_come()
    first.leave()
    assert second.has_come()
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


@needs_tickets
def test_tickets_are_served_in_the_order_of_arrival(tmp_path, clock):
    places = opened(tmp_path / "side", queues.TicketQueue, 6)
    assert [place.enter() for place in places] == [True, False, False, False, False, False]
    for i in range(20):
        clock[0] += 2 * queues._SLICE_S
        places[i % 6].leave()
        assert not places[i % 6].enter()  # back to the end: those who wait come first
        waiting = [places[(i + k) % 6] for k in range(6, 0, -1)]  # asked from the end
        assert [place.has_come() for place in waiting] == [False] * 5 + [True]
    for place in places:
        os.close(place._fd)


@needs_tickets
def test_who_is_next_looks_more_often(tmp_path):
    first, second, third = opened(tmp_path / "side", queues.TicketQueue, 3)
    assert [place.enter() for place in (first, second, third)] == [True, False, False]
    assert second.pause_s < third.pause_s
    first.leave()
    assert second.has_come()
    assert not third.has_come()
    assert third.pause_s == second.pause_s
    for place in (first, second, third):
        os.close(place._fd)


@needs_tickets
def test_whoever_has_just_had_the_turn_may_take_it_for_a_short_while(tmp_path, clock):
    first, second = opened(tmp_path / "side", queues.TicketQueue, 2)
    assert first.enter()
    assert not second.enter()
    first.leave()
    clock[0] += queues._SLICE_S / 2
    assert first.enter()  # the other one has not looked yet
    first.leave()
    clock[0] += queues._SLICE_S
    assert not first.enter()
    assert second.has_come()
    assert not first.has_come()
    for _ in range(queues._RETAKES):
        second.leave()
        assert second.enter()
    second.leave()
    assert not second.enter()
    assert first.has_come()
    for place in (first, second):
        os.close(place._fd)


def test_whoever_gives_up_in_the_queue_keeps_nobody_waiting(places):
    assert [place.enter() for place in places[:4]] == [True, False, False, False]
    places[1].leave()
    places[2].leave()
    assert not places[3].has_come()
    places[0].leave()
    assert places[3].has_come()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_process_leaves_its_turn_or_its_place(tmp_path, kind):
    path = tmp_path / "side"
    holder, waiting = process_in(path, kind, answer=True), process_in(path, kind, answer=False)
    [place] = opened(path, kind, 1)
    assert not place.enter()
    killed(waiting)
    assert not place.has_come()
    killed(holder)
    assert place.has_come()
    os.close(place._fd)


def test_a_system_without_locks_has_no_queue(monkeypatch):
    monkeypatch.setattr(queues, "fcntl", None)
    assert queues.kind_of_queue() is None


def test_a_system_with_flock_alone_has_the_simple_queue(monkeypatch):
    monkeypatch.setattr(queues.byte_locks, "ARE_KNOWN", False)
    assert queues.kind_of_queue() is queues.FlockQueue
