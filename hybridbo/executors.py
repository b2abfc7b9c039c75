"""Executors: anything with ``submit``. How many workers one has, whether it is whole, how it is ended.

Known by their attributes, not by their classes, so that nothing has to be imported: ``concurrent.futures``, loky,
mpi4py.futures, and dask.distributed's ``Client``. An executor that the user gives is the user's: it is never shut
down, and its processes are left alone. One that comes from the user's function (:class:`Source`) is ended here, by
force where something in it does not come back, and replaced when it breaks.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from hybridbo.errors import InvalidSettings, InvalidState, describe_error
from hybridbo.values import shown

_logger = logging.getLogger(__name__)
FACTORY = "Give a function that makes one, executor=lambda: ProcessPoolExecutor(4), so that run() can replace it"
_EXAMPLE = "Give, for example, executor=ProcessPoolExecutor(4) or a dask.distributed Client."


class Pool:
    """One executor.

    Args:
        executor: Has ``submit``.
        owned: It was made for this run.
    """

    def __init__(self, executor: Any, *, owned: bool) -> None:
        self.executor = executor
        self.owned = owned
        self.suspects: tuple[int, ...] = ()  # the trials in flight when it broke
        self.is_lost = False  # no trial is to be sent here any more

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """A future of ``function(*args)``.

        Raises:
            Exception: It is broken, or takes no more work; of a kind that is the executor's.
        """
        # dask takes a function for pure and would hand out an earlier result for the same arguments
        options = {} if _dask_client(self.executor) is None else {"pure": False}
        return self.executor.submit(function, *args, **options)

    @property
    def size(self) -> int | None:
        """How many tasks it works on at a time; None where it does not tell. A Dask cluster may grow and shrink.

        Raises:
            InvalidState: A Dask client that is closed, or has lost its scheduler.
        """
        client = _dask_client(self.executor)
        if client is not None:
            try:
                n = sum(client.nthreads().values())
            except Exception as error:
                text = f"the Dask cluster does not answer: {describe_error(error)}."
                raise InvalidState(text, "Give a client that is connected.") from error
            return max(1, int(n))  # a cluster that scales up on demand begins with none
        for name in ("_max_workers", "num_workers"):  # concurrent.futures and loky; mpi4py.futures
            size = getattr(self.executor, name, None)
            if isinstance(size, int) and size > 0:
                return size
        return None

    @property
    def is_broken(self) -> bool:
        """Whether it takes no more work; a BrokenExecutor may also come out of an objective with a pool of its own."""
        try:
            self.submit(callable, callable)
        except Exception:  # noqa: BLE001  # a pool that breaks just now also raises an OSError
            return True
        return False

    @property
    def says_broken(self) -> bool:
        """Whether it has marked itself broken; CPython's process pool may do so and forget a task that just came in."""
        return bool(getattr(self.executor, "_broken", False))

    def end(self, *, by_force: bool) -> None:
        """Shut down an executor of our own; ``by_force`` does not wait for what it is still doing."""
        if not self.owned:
            return
        try:
            if _dask_client(self.executor) is self.executor:
                self.executor.close()  # its shutdown() would end a cluster that others may use
                return
            if by_force or self.suspects:  # a broken pool of CPython 3.11 may wait for ever for its own processes
                _kill_processes(self.executor)
            self.executor.shutdown(wait=not (by_force or self.suspects))
        except Exception as error:  # noqa: BLE001  # somebody else's clean-up is not worth a search
            _logger.warning("an executor could not be shut down: %s", describe_error(error))


class Source:
    """Where a run's executors come from: the one that was given, or a function that makes them.

    Args:
        given: An executor, or a function (or class) that returns one when it is called without arguments.

    Raises:
        InvalidSettings: It is neither.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        self.makes_more = callable(given) and (isinstance(given, type) or not _is_executor(given))
        if not self.makes_more:
            _check(given, "executor")

    def pool(self) -> Pool:
        """A pool: a new one, where the source makes them.

        Raises:
            InvalidSettings: The function raises, or returns no executor.
        """
        if not self.makes_more:
            return Pool(self._given, owned=False)
        try:
            made = self._given()
        except Exception as error:
            raise InvalidSettings(f"executor() raised {describe_error(error)}.", _EXAMPLE) from error
        _check(made, "executor()")
        return Pool(made, owned=True)


def _is_executor(given: Any) -> bool:
    return callable(getattr(given, "submit", None))


def _check(executor: Any, name: str) -> None:
    if not _is_executor(executor):
        raise InvalidSettings(f"{name}={shown(executor)} has no submit method.", _EXAMPLE)
    if getattr(executor, "asynchronous", False):
        raise InvalidSettings(f"{name} is an asynchronous Dask client.", "Give Client(..., asynchronous=False).")


def _dask_client(executor: Any) -> Any:
    """The Dask client that an executor is, or wraps; None for any other executor."""
    for client in (executor, getattr(executor, "_client", None)):
        if callable(getattr(client, "nthreads", None)):
            return client
    return None


def _kill_processes(executor: Any) -> None:
    """SIGKILL for the processes of a pool that has some; threads cannot be ended from outside."""
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        with contextlib.suppress(Exception):  # it has ended meanwhile
            process.kill()
