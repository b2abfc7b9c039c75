from types import SimpleNamespace

import pytest

from hybridbo.gp.deadline import Deadline, DeadlinePassed


def test_a_deadline_passes_by_its_share():
    now = SimpleNamespace(time=0.0)
    deadline = Deadline(10.0, 0.0, lambda: now.time)
    now.time = 5.5
    assert deadline.is_past(0.5)
    assert not deadline.is_past()
    deadline.check()
    with pytest.raises(DeadlinePassed, match="50% of the 10 s"):
        deadline.check(0.5)
