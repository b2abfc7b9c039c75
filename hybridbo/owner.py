"""Which process holds a trial, and whether that process is still there.

An owner is written ``machine/process/start``. ``machine`` is made of host name, boot and PID namespace, so a process is
judged only from where its number means something, or when its host has been booted since; ``start`` tells a process
from a later one with the same number.
A trial handed out by the command line outlives the process that printed it and has no owner (``DETACHED``); one that
its process gave back, interrupted by Ctrl-C, is ``RELEASED``.
"""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path

DETACHED = ""
RELEASED = "released"


def current() -> str:
    """The owner that this process is; a forked child is another one than its parent."""
    return _named(os.getpid())


def is_gone(owner: str | None) -> bool:
    """Whether the owner's process has surely ended; False where that cannot be known from here."""
    if owner == RELEASED:
        return True
    if owner == current():
        return False
    machine, _, rest = (owner or "").rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if _booted_since(machine):
        return True
    if machine != _machine() or not pid.isdecimal() or sys.platform == "win32":
        return False  # Windows has no signal 0: os.kill would end the process
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # it exists, under another user; or no process can have that number
    return _start_of(int(pid)) != rest


def _booted_since(machine: str) -> bool:
    """Whether that is this host before its last boot."""
    then, now = machine.split(":"), _machine().split(":")
    return len(then) == len(now) == 3 and then[0] == now[0] and then[1] != now[1]


def _start_of(pid: int) -> str:
    """When the process started, in ticks since boot; ``"gone"`` for a zombie, ``"-"`` where there is no /proc."""
    try:
        # the command name, in brackets, may itself hold brackets and blanks: count fields from the last bracket
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "gone" if Path("/proc/self/stat").exists() else "-"
    return "gone" if fields[0] in "ZX" else fields[19]


@cache
def _named(pid: int) -> str:
    return f"{_machine()}/{pid}/{_start_of(pid)}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_named.cache_clear)  # a number that an ancestor had may be used again


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            text = str(Path(path).readlink()) if path.endswith("pid") else Path(path).read_text().strip()[:8]
        except OSError:
            continue
        parts.append("".join(c for c in text if c.isalnum()))
    return ":".join(parts).replace("/", "_")
