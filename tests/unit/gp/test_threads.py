import subprocess
import sys

import pytest
import torch  # noqa: F401  # its libraries are the ones that are limited
from threadpoolctl import threadpool_info

from hybridbo.gp.threads import one_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info()]


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
    sys.exit(set(pool["num_threads"] for pool in threadpool_info()) != {1})
"""


def test_a_library_that_comes_later_is_limited_too():
    pytest.importorskip("sklearn")
    assert subprocess.run([sys.executable, "-c", LATE], check=False).returncode == 0
