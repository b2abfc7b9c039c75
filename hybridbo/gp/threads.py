"""One thread while the Gaussian process computes.

Its matrices are small. A second BLAS or OpenMP thread wins nothing on an idle machine, costs a factor of six or more on
a busy one (the threads wait for each other), and makes the last digits of a sum depend on how many cores there are, so
that the same seed and history would not give the same trial everywhere. See docs/adr/0002-one-thread-per-proposal.md.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Within this context BLAS and OpenMP use one thread; the limits found before are restored at its end."""
    return _controller(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:  # noqa: ARG001  # the key alone
    # looking for the libraries takes 10 ms, and has to be done again when an import may have loaded another one
    return ThreadpoolController()
