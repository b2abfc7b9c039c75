"""One thread, and nobody else's settings, while the Gaussian process computes.

Its matrices are small. A second BLAS or OpenMP thread wins nothing on an idle machine, costs a factor of six or more on
a busy one (the threads wait for each other), and makes the last digits of a sum depend on how many cores there are, so
that the same seed and history would not give the same trial everywhere. See docs/adr/0002-one-thread-per-proposal.md.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController


@contextmanager
def isolated() -> Iterator[None]:
    """Within this context the user's debugging aids leave the arithmetic alone, and it leaves them alone.

    NumPy's error state, warnings as errors and torch's default device are meant for the user's code; here an underflow
    is a zero, and a tensor lives on the processor. Whoever computes with torch in here has imported it before.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings(), one_thread(), ExitStack() as stack:
        warnings.simplefilter("ignore")
        if torch := _torch():
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this context BLAS, OpenMP and torch use one thread; the limits found before are restored at its end."""
    with _controller(len(sys.modules)).limit(limits=1), _one_thread_of_torch():
        yield


@contextmanager
def _one_thread_of_torch() -> Iterator[None]:
    # threadpoolctl does not see the MKL inside torch, which computes exp and log on threads of its own once anybody in
    # the process has called torch.set_num_threads
    torch = _torch()
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _torch() -> Any:
    """torch, where somebody has imported it; the surrogate of one objective does without."""
    return sys.modules.get("torch")


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:  # noqa: ARG001  # the key alone
    # looking for the libraries takes 10 ms, and has to be done again when an import may have loaded another one
    return ThreadpoolController()
