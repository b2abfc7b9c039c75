"""The executors of one run, and the trials in flight in them.

Most runs have one executor. There are more where the user gave a function that makes them: a new one takes the place of
one that broke or holds a trial that overran, and the old one is ended when no trial is under evaluation in it.
"""

from __future__ import annotations

import contextlib
import math
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hybridbo import leases
from hybridbo.errors import InvalidSettings, InvalidState, describe_error
from hybridbo.executors import FACTORY, Pool, Source
from hybridbo.trial import Trial
from hybridbo.values import shown


@dataclass(eq=False)
class Flight:
    """A trial in an executor.

    Attributes:
        due: When it overruns, on the monotonic clock.
        heart: Sends heartbeats until it is closed: the process that runs the trial for us says nothing by itself.
        overdue: Its trial has failed for that; the worker is still at it.
        alone: This is the second attempt at a suspect.
        is_forgotten: Its pool was broken when it was last looked at, and the task had not ended.
    """

    trial: Trial
    pool: Pool
    future: Any
    due: float
    heart: contextlib.ExitStack
    overdue: bool = False
    alone: bool = False
    is_forgotten: bool = False


class Pools:
    """The executors of one run.

    Args:
        source: Where they come from.
        objective: What is submitted.
        n_workers: How many trials may be in flight; None for as many as the current executor has workers.
        trial_timeout: Seconds after which a trial overruns; None for never.

    Attributes:
        current: Where trials are sent.
        flights: The tasks that workers are at: trials under evaluation, and those that overran.
        ended: Flights, in the order in which their tasks ended.
    """

    def __init__(
        self,
        source: Source,
        objective: Callable[[dict[str, Any]], Any],
        n_workers: int | None,
        trial_timeout: float | None,
    ) -> None:
        self.source, self.objective, self.n_workers, self.trial_timeout = source, objective, n_workers, trial_timeout
        self.current = source.pool()
        self.pools = [self.current]
        self.flights: set[Flight] = set()
        self.ended: queue.SimpleQueue[Flight] = queue.SimpleQueue()

    def live(self) -> list[Flight]:
        """The trials under evaluation."""
        return [flight for flight in self.flights if not flight.overdue]

    def n_slots(self) -> int:
        """How many tasks the executor works on at a time.

        Raises:
            InvalidSettings: It does not tell, and ``n_workers`` was not given.
        """
        n = self.n_workers or self.current.size
        if n is None:
            raise InvalidSettings(
                f"executor={shown(self.current.executor)} does not tell how many workers it has.", "Give n_workers=."
            )
        return int(n)

    def busy(self) -> int:
        """How many workers are taken: by trials, and in the current pool by what overran there."""
        return sum(not flight.overdue or flight.pool is self.current for flight in self.flights)

    def replace(self) -> None:
        """Make a new executor the current one; the old one is ended when no trial is left in it."""
        old, self.current = self.current, self.new_pool()
        old.is_lost = old is not self.current
        self.reap(old)

    def new_pool(self) -> Pool:
        """Another executor; the same again where the user's function keeps returning one."""
        made = self.source.pool()
        known = next((pool for pool in self.pools if pool.executor is made.executor), None)
        if known is None:
            self.pools.append(made)
        return known or made

    def submit(self, trial: Trial) -> None:
        """Send a trial into the current pool; into a new one, if a worker has died while it was idle.

        Raises:
            InvalidState: The executor takes no more work.
        """
        try:
            try:
                self.send(trial, self.current)
            except Exception:
                if not self.source.makes_more:
                    raise
                self.replace()
                self.send(trial, self.current)
        except Exception as error:  # a pool that breaks just now also raises an OSError
            raise InvalidState(f"the executor takes no more work: {describe_error(error)}.", f"{FACTORY}.") from error

    def send_alone(self, trial: Trial) -> None:
        """Send a suspect into a pool of its own."""
        pool = self.new_pool()
        pool.is_lost = pool is not self.current  # for this one only
        self.send(trial, pool, alone=True)

    def send(self, trial: Trial, pool: Pool, *, alone: bool = False) -> None:
        """Send a trial into a pool."""
        heart = contextlib.ExitStack()
        try:
            heart.enter_context(leases.renewing(trial))
            future = pool.submit(self.objective, dict(trial.params))
            flight = Flight(trial, pool, future, self.due(), heart, alone=alone)
            self.flights.add(flight)
        except BaseException:  # Ctrl-C, too: it may come when the worker has begun already
            heart.close()
            raise
        future.add_done_callback(lambda _: self.ended.put(flight))

    def due(self) -> float:
        """When a trial that starts now overruns."""
        return math.inf if self.trial_timeout is None else time.monotonic() + self.trial_timeout

    def reap(self, pool: Pool) -> None:
        """End a pool to which nothing is sent any more, once no trial is under evaluation in it."""
        if not pool.is_lost or pool not in self.pools or any(flight.pool is pool for flight in self.live()):
            return
        self.pools.remove(pool)
        left = {flight for flight in self.flights if flight.pool is pool}
        self.flights -= left
        pool.end(by_force=bool(left))

    def arrives(self, within: float) -> bool:
        """Send the objective to a worker, before a trial is spent on an objective that cannot be sent.

        Returns:
            False if it did not arrive ``within`` so many seconds.

        Raises:
            InvalidSettings: It cannot be sent, or the executor takes no work.
        """
        try:
            future = self.current.submit(callable, self.objective)
        except RuntimeError as error:  # BrokenExecutor is one
            raise InvalidSettings(
                f"the executor takes no work: {describe_error(error)}.", "Give one that is not shut down or broken."
            ) from error
        except Exception as error:
            raise self.lost(error) from error
        try:
            future.result(timeout=None if within == math.inf else max(0.0, within))
        except TimeoutError:
            future.cancel()
            return False
        except Exception as error:
            raise self.lost(error) from error
        return True

    def lost(self, error: Exception) -> InvalidSettings:
        """The error for an objective that does not reach the workers."""
        return InvalidSettings(
            f"objective={shown(self.objective)} cannot be sent to the executor's workers: {describe_error(error)}.",
            "Define it at the top level of a module, no lambda and nothing local, and start the run under "
            '`if __name__ == "__main__":`; or use loky or Dask, which send more.',
        )

    def end(self, *, by_force: bool) -> None:
        """End the executors that were made for this run."""
        for pool in self.pools:
            pool.end(by_force=by_force or any(flight.pool is pool for flight in self.flights))
