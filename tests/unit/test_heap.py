"""The garbage collector waits while much is loaded, and only then."""

import gc
import threading

import pytest

from hybridbo.heap import growing


@pytest.fixture(autouse=True)
def collector():
    was_enabled = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was_enabled else gc.disable)()


def test_it_waits_within_the_block_also_when_that_fails():
    with growing():
        assert not gc.isenabled()
        with growing():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), growing():
        raise KeyError
    assert gc.isenabled()


def test_where_the_user_has_switched_it_off_it_stays_off():
    gc.disable()
    with growing():
        pass
    assert not gc.isenabled()


def test_it_waits_for_the_last_of_several_threads():
    entered, leave = threading.Event(), threading.Event()

    def load():
        with growing():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=load)
    thread.start()
    entered.wait(60)
    with growing():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()
