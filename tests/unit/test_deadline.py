import threading

import pytest

from hybridbo.deadline import DeadlineExceeded, within


def test_what_is_done_in_time_is_returned_or_raised():
    assert within(9.0, lambda: 7, pytest.fail) == 7
    with pytest.raises(ZeroDivisionError):
        within(9.0, lambda: 1 // 0, pytest.fail)


def test_what_is_late_is_abandoned():
    gate = threading.Event()
    with pytest.raises(DeadlineExceeded):
        within(0.01, lambda: gate.wait(30), gate.set)
    assert gate.is_set()
