import contextlib
import os
import signal
import subprocess
import sys

import pytest

from hybridbo import owner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="how processes end is told by /proc")

SAYS_WHO_IT_IS = """
import sys
from hybridbo import owner
print(owner.current(), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def other_process():
    """Another process, its owner, and its end at the end of the test."""
    with subprocess.Popen(
        [sys.executable, "-c", SAYS_WHO_IT_IS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_this_process_is_there_and_always_the_same():
    assert owner.current() == owner.current()
    assert not owner.is_gone(owner.current())
    assert f"/{os.getpid()}/" in owner.current()


def test_a_living_process_is_there_and_a_finished_one_is_gone():
    with other_process() as (process, other):
        assert other != owner.current()
        assert not owner.is_gone(other)
        process.communicate()
        assert process.returncode == 0
        assert owner.is_gone(other)


def test_a_killed_process_is_gone_even_as_a_zombie():
    with other_process() as (process, other):
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
        assert owner._start_of(process.pid) == "gone"
        os.kill(process.pid, 0)  # its number is still taken
        assert owner.is_gone(other)
        process.wait()
        assert owner.is_gone(other)


FORKS = """
import os
from hybridbo import owner
before = owner.current()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
else:
    print(owner.current() != before and not owner.is_gone(owner.current()), flush=True)
"""


def test_a_fork_is_another_owner():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_later_process_with_the_same_number_is_not_the_owner():
    machine, pid, start = owner.current().rsplit("/", 2)
    assert owner.is_gone(f"{machine}/{pid}/{int(start) - 1}")


@pytest.mark.parametrize(
    "text", [None, "", owner.DETACHED, "x", "/", "//", "elsewhere/1/2", "elsewhere:abc/99999999/1"]
)
def test_what_cannot_be_judged_from_here_is_not_gone(text):
    assert not owner.is_gone(text)


@pytest.mark.parametrize("pid", ["", "-1", "²", "x", "1.5"])
def test_a_number_that_is_none_is_not_judged(pid):
    machine = owner.current().rsplit("/", 2)[0]
    assert not owner.is_gone(f"{machine}/{pid}/1")


def test_a_number_that_no_process_can_have_is_gone():
    machine = owner.current().rsplit("/", 2)[0]
    assert owner.is_gone(f"{machine}/{10**30}/1")


def test_a_released_trial_has_nobody():
    assert owner.is_gone(owner.RELEASED)


def test_another_boot_or_host_is_not_judged(monkeypatch):
    with other_process() as (process, other):
        process.kill()
        process.wait()
        monkeypatch.setattr(owner, "_machine", lambda: "elsewhere")
        assert not owner.is_gone(other)


def test_whoever_ran_before_the_last_boot_is_gone():
    host, boot, space = owner.current().split("/")[0].split(":")
    assert owner.is_gone(f"{host}:{'0' * len(boot)}:{space}/1/1")
    assert not owner.is_gone(f"{host}:{boot}:another/1/1")
    assert not owner.is_gone(f"elsewhere:{'0' * len(boot)}:{space}/1/1")
