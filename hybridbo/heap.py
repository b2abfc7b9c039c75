"""Loading many objects without Python looking through all of them for garbage again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_n_growing = 0
_was_enabled = False


@contextmanager
def growing() -> Iterator[None]:
    """Within the block much is made and nothing thrown away: the collector waits until it ends.

    Each time that a fraction of what is there has been added, the collector visits all that is there, and among trials
    it finds nothing. Where it is switched off already, it stays so.
    """
    global _n_growing, _was_enabled  # noqa: PLW0603 - as the collector is, one for the process
    with _lock:
        if not _n_growing:
            _was_enabled = gc.isenabled()
            gc.disable()
        _n_growing += 1
    try:
        yield
    finally:
        with _lock:
            _n_growing -= 1
            if not _n_growing and _was_enabled:
                gc.enable()
