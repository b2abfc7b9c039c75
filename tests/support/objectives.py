"""Objectives that the processes of a pool can import."""

import os
import signal
from pathlib import Path


def value_of(params):
    return params["x"]


def fail_in_the_middle(params):
    if 0.3 < params["x"] < 0.7:
        raise RuntimeError("no memory")
    return params["x"]


def die_beside_another(params, folder):
    """The first configuration kills its process whenever it is tried, at first while a second one is in flight."""
    if is_first(params, folder):
        if claim(folder, "met"):
            Path(folder, "fifo").read_bytes()  # until the second has begun
        os.kill(os.getpid(), signal.SIGKILL)
    if claim(folder, "second"):
        Path(folder, "fifo").write_bytes(b"")
        signal.pause()  # ended by the pool, which breaks
    return params["x"]


def hang_at_first(params, folder):
    if is_first(params, folder):
        signal.pause()
    return params["x"]


def hang(params):
    signal.pause()


def hang_audibly(params, fifo):
    with Path(fifo).open("w") as file:
        file.write("begun\n")
    signal.pause()


def leave(params):
    raise SystemExit(3)


def is_first(params, folder):
    """Whether these params are the first that any process came with; x is a float that tells configurations apart."""
    mine = Path(folder, "first")
    if claim(folder, "first-claimed"):
        mine.write_text(repr(params["x"]))
        return True
    return mine.exists() and mine.read_text() == repr(params["x"])


def claim(folder, name):
    """Whether this is the first process to ask for that name."""
    try:
        Path(folder, name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
