import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_info

from hybridbo.gp.threads import isolated, one_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info()] + [torch.get_num_threads()]


def test_one_thread_within_and_as_before_after():
    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before


LATE = """
import torch, sys
from threadpoolctl import threadpool_info
from hybridbo.gp.threads import one_thread
with one_thread():
    pass
import sklearn.ensemble  # brings an OpenMP of its own, as an objective may
with one_thread():
    sys.exit({pool["num_threads"] for pool in threadpool_info()} != {1})
"""


def test_a_library_that_comes_later_is_limited_too():
    pytest.importorskip("sklearn")
    assert subprocess.run([sys.executable, "-c", LATE], check=False).returncode == 0


TORCH = """
import sys, threading, time, torch
from hybridbo.gp.threads import one_thread
torch.set_num_threads(2)  # as a training script does
x = torch.rand(1024, 36, dtype=torch.float64)
with one_thread():
    everybody, mine = time.process_time(), time.thread_time()
    for _ in range(300):
        torch.exp(x)
    everybody, mine = time.process_time() - everybody, time.thread_time() - mine
sys.exit(everybody > 1.3 * mine or torch.get_num_threads() != 2)
"""


def test_torch_is_limited_whatever_it_was_told_before():
    assert subprocess.run([sys.executable, "-c", TORCH], check=False).returncode == 0


UNLOADED = """
import sys
from hybridbo.gp.threads import isolated
with isolated():
    import numpy
    (numpy.ones((50, 50)) @ numpy.ones((50, 50))).sum()
sys.exit("torch" in sys.modules)
"""


def test_torch_is_not_loaded_for_it():
    assert subprocess.run([sys.executable, "-c", UNLOADED], check=False).returncode == 0


def test_a_default_device_of_the_users_does_not_reach_in():
    with torch.device("meta"), isolated():
        assert torch.ones(1).device.type == "cpu"
