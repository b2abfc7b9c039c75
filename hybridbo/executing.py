"""Evaluating in an executor: ``opt.run(..., executor=...)``, as many trials in flight as it has workers.

One thread, the caller's, asks, submits and tells; futures report to a queue as they end, so that a new trial begins
whenever one has finished and knows of all that have. The objective itself is submitted, so workers need no hybridbo.

How an evaluation can end, besides with a value or an exception:

* It overruns ``trial_timeout``. The trial fails then and there. An executor cannot end a task that runs, so its worker
  stays busy: one worker fewer, until the task returns (what it returns is dropped). Where the executor comes from a
  function, later trials get a new executor, and the old one is killed as soon as no other trial is in it.
* A worker dies. A process pool is broken then, and every trial in it is a suspect. With a function that makes
  executors, each suspect is tried once more in a pool of its own, and what breaks that has failed; otherwise all of
  them have failed, and the run ends with the remedy. Dask replaces workers by itself.
* It is cancelled by somebody else: it was not evaluated, and is offered again.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any

from hybridbo import loop
from hybridbo.errors import HybridboError, InvalidSettings, InvalidState, SpaceExhausted, StoreError, describe_error
from hybridbo.executors import Pool, Source
from hybridbo.trial import Trial
from hybridbo.values import is_number, shown

_logger = logging.getLogger(__name__)
_LOOK_S = 1.0  # how often it is looked whether the executor has grown, and whether a trial is overdue

FACTORY = "Give a function that makes one, executor=lambda: ProcessPoolExecutor(4), so that run() can replace it"


@dataclass(frozen=True)
class Limits:
    """What bounds a run.

    Attributes:
        target: How many trials the study is to have.
        timeout: Seconds after which no trial is started; None for no limit.
        n_workers: How many trials may be in flight; None for as many as the executor has workers.
        trial_timeout: Seconds after which a trial has failed; None for no limit.
    """

    target: float
    timeout: float | None = None
    n_workers: int | None = None
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        n, limit = self.n_workers, self.trial_timeout
        if n is not None and (not is_number(n) or n != int(n) or n < 1):
            raise InvalidSettings(f"n_workers={shown(n)} is not a positive integer.", "Give 1 or more, or None.")
        if limit is not None and limit != math.inf and (not is_number(limit) or limit <= 0):
            raise InvalidSettings(f"trial_timeout={shown(limit)} is no positive number of seconds.", "Or give None.")


@dataclass(eq=False)
class _Flight:
    """A trial in an executor.

    Attributes:
        due: When it overruns, on the monotonic clock.
        overdue: Its trial has failed for that; the worker is still at it.
        alone: This is the second attempt at a suspect.
        is_forgotten: Its pool was broken when it was last looked at, and the task had not ended.
    """

    trial: Trial
    pool: Pool
    future: Any
    due: float
    overdue: bool = False
    alone: bool = False
    is_forgotten: bool = False


def run(
    study: loop.Study, objective: loop.ObjectiveFunction, executor: Any, limits: Limits, watcher: loop.Watcher | None
) -> None:
    """Evaluate trials in an executor until the study has enough of them, or the time is up.

    Trials that are in flight when the time is up are waited for. Ctrl-C gives the running trials back.

    Raises:
        InvalidSettings: ``executor`` has no ``submit``, does not tell how many workers it has, or the objective cannot
            be sent to them. No trial has been started.
        InvalidState: The executor broke, or all its workers overran, and it cannot be replaced.
    """
    flying = _Run(study, objective, Source(executor), limits, watcher)
    whole = False
    try:
        flying.go()
        whole = True
    except BaseException:
        flying.give_back()
        raise
    finally:
        flying.end(by_force=not whole)


class _Run:
    """One call of :func:`run`."""

    def __init__(
        self,
        study: loop.Study,
        objective: loop.ObjectiveFunction,
        source: Source,
        limits: Limits,
        watcher: loop.Watcher | None,
    ) -> None:
        self.study, self.objective, self.source, self.limits, self.watcher = study, objective, source, limits, watcher
        self.deadline = math.inf if limits.timeout is None else time.monotonic() + limits.timeout
        self.pool = source.pool()
        self.pools = [self.pool]
        self.flights: set[_Flight] = set()
        self.ended: queue.SimpleQueue[_Flight] = queue.SimpleQueue()
        self.told = len(study.events)
        self.is_exhausted = False
        self.stuck_until = math.inf  # when waiting for a worker that is busy with an overdue trial ends

    # The loop ----------------------------------------------------------------------------------------------------

    def go(self) -> None:
        """Ask and submit while there are free workers, wait, tell; until nothing is wanted and nothing in flight."""
        self.n_slots()
        if not self.arrives():
            return
        while self.wants_more() or self.live():
            if self.wants_more() and self.is_open():
                self.start_one()
            else:
                self.wait()

    def wants_more(self) -> bool:
        """Whether another trial is to be started, now or as soon as a worker is free."""
        return not self.is_exhausted and time.monotonic() < self.deadline and self.study.n_started < self.limits.target

    def live(self) -> list[_Flight]:
        """The trials under evaluation."""
        return [flight for flight in self.flights if not flight.overdue]

    def n_slots(self) -> int:
        """How many tasks the executor works on at a time.

        Raises:
            InvalidSettings: It does not tell, and ``n_workers`` was not given.
        """
        n = self.limits.n_workers or self.pool.size
        if n is None:
            raise InvalidSettings(
                f"executor={shown(self.pool.executor)} does not tell how many workers it has.", "Give n_workers=."
            )
        return int(n)

    def is_open(self) -> bool:
        """Whether a trial can be submitted; puts a new executor in the place of one that is lost.

        Raises:
            InvalidState: The executor is broken and cannot be replaced.
        """
        if not self.ended.empty():
            return False  # to be told first: the next proposal shall know of it
        if self.pool.is_lost:
            if self.source.makes_more:
                self.replace()
            elif self.live():
                return False  # they have ended with it, and are to be told first
            else:
                raise InvalidState("a worker died, which broke the executor for good.", f"{FACTORY}, and run again.")
        return self.busy() < self.n_slots()

    def busy(self) -> int:
        """How many workers are taken: by trials, and in the current pool by what overran there."""
        return sum(not flight.overdue or flight.pool is self.pool for flight in self.flights)

    def replace(self) -> None:
        """Make a new executor the current one; the old one is ended when no trial is left in it."""
        old, self.pool = self.pool, self.new_pool()
        old.is_lost = old is not self.pool
        self.reap(old)

    def new_pool(self) -> Pool:
        """Another executor; the same again where the user's function keeps returning one."""
        made = self.source.pool()
        known = next((pool for pool in self.pools if pool.executor is made.executor), None)
        if known is None:
            self.pools.append(made)
        return known or made

    # One trial ---------------------------------------------------------------------------------------------------

    def start_one(self) -> None:
        """Ask and submit."""
        try:
            trial = self.study.ask()
        except SpaceExhausted as error:
            self.is_exhausted = True
            self.study.note("space_exhausted", error.message)
            if self.watcher:
                self.watcher.message(str(error))
            return
        try:
            self.submit(trial)
        except BaseException:
            self.study.release(trial)
            raise
        if self.watcher:
            self.told = loop.announce(self.study, trial, self.told, self.watcher)

    def submit(self, trial: Trial) -> None:
        """Send a trial into the current pool; into a new one, if a worker has died while it was idle.

        Raises:
            InvalidState: The executor takes no more work.
        """
        try:
            try:
                self.send(trial, self.pool)
            except Exception:
                if not self.source.makes_more:
                    raise
                self.replace()
                self.send(trial, self.pool)
        except Exception as error:  # a pool that breaks just now also raises an OSError
            raise InvalidState(f"the executor takes no more work: {describe_error(error)}.", f"{FACTORY}.") from error

    def send_alone(self, trial: Trial) -> None:
        """Send a suspect into a pool of its own."""
        pool = self.new_pool()
        pool.is_lost = pool is not self.pool  # for this one only
        self.send(trial, pool, alone=True)

    def send(self, trial: Trial, pool: Pool, *, alone: bool = False) -> None:
        """Send a trial into a pool."""
        future = pool.submit(self.objective, dict(trial.params))
        flight = _Flight(trial, pool, future, self.due(), alone=alone)
        self.flights.add(flight)
        future.add_done_callback(lambda _: self.ended.put(flight))

    def due(self) -> float:
        """When a trial that starts now overruns."""
        limit = self.limits.trial_timeout
        return math.inf if limit is None else time.monotonic() + limit

    def wait(self) -> None:
        """Until a trial ends, or is overdue."""
        live = self.live()
        if not live and self.stuck_until == math.inf:
            self.stuck_until = self.due()
        until = min([flight.due for flight in live] or [self.stuck_until, self.deadline])
        try:
            flight = self.ended.get(timeout=min(_LOOK_S, max(0.0, until - time.monotonic())))
        except queue.Empty:
            self.look(live)
            return
        if flight in self.flights:
            self.end_of(flight, self.land)

    def end_of(self, flight: _Flight, store: Callable[[_Flight], None]) -> None:
        """Store how a trial ended, and forget its task; in this order, since an interrupt would lose it."""
        store(flight)
        self.flights.discard(flight)
        self.reap(flight.pool)

    def land(self, flight: _Flight) -> None:
        """Store how a trial ended."""
        self.stuck_until = math.inf
        if flight.overdue:
            _logger.warning("trial %d returned after it had timed out; dropped", flight.trial.number)
        elif flight.future.cancelled() or getattr(flight.future, "status", None) == "lost":  # with Dask's scheduler
            self.study.release(flight.trial)
        elif (error := flight.future.exception()) is None:
            self.show(loop.keep(self.study, flight.trial, flight.future.result()))
        elif isinstance(error, KeyboardInterrupt):  # Ctrl-C reaches the processes of a pool too
            self.study.release(flight.trial)
            raise KeyboardInterrupt
        elif isinstance(error, BrokenExecutor) and (flight.pool.suspects or flight.pool.is_broken):
            self.crash(flight, error)
        else:
            _logger.warning("trial %d failed", flight.trial.number, exc_info=error)
            self.fail(flight, describe_error(error))

    def fail(self, flight: _Flight, reason: str) -> None:
        """Store that a trial has failed."""
        self.show(self.study.fail(flight.trial, reason))

    def show(self, trial: Trial) -> None:
        """Tell whoever watches that a trial has ended."""
        if self.watcher:
            self.watcher.finished(trial, self.study.incumbent, self.study.llm_usage)

    def look(self, live: list[_Flight]) -> None:
        """Nothing has ended for a while: whether something is overdue, stuck, or lost in a broken pool."""
        if not live:
            self.check_stuck()
        self.time_out()
        for flight in live:
            if flight.is_forgotten and not flight.overdue and not flight.future.done():
                self.end_of(flight, lambda one: self.crash(one, BrokenExecutor("the pool broke and lost the task")))
            flight.is_forgotten = flight.pool.says_broken  # if it has not ended at the next look either

    # What goes wrong ---------------------------------------------------------------------------------------------

    def crash(self, flight: _Flight, error: BaseException) -> None:
        """A worker of the trial's pool died, perhaps of this trial."""
        pool = flight.pool
        if not pool.suspects:
            pool.suspects = tuple(sorted(other.trial.number for other in self.live() if other.pool is pool))
            pool.is_lost = True
        if len(pool.suspects) == 1 or flight.alone:
            self.fail(flight, f"the worker died: {describe_error(error)}")
        elif self.source.makes_more:
            self.study.note("suspect", f"Trial {flight.trial.number} was in a pool whose worker died; it is run alone.")
            self.send_alone(flight.trial)
        else:
            numbers = ", ".join(map(str, pool.suspects))
            reason = f"a worker died, with trials {numbers} in flight; which of them it died of is not known"
            self.fail(flight, f"{reason}: {describe_error(error)}")

    def time_out(self) -> None:
        """Fail the trials that have overrun."""
        now = time.monotonic()
        for flight in [flight for flight in self.live() if flight.due <= now]:
            if _waits(flight.future):  # for a worker that is busy with somebody else's task
                flight.due = self.due()
                continue
            if flight.future.done():
                continue  # just in time: it is in the queue
            flight.overdue = True
            flight.pool.is_lost = self.source.makes_more
            self.fail(flight, f"took longer than trial_timeout={self.limits.trial_timeout:g} s")
            if not flight.pool.is_lost:
                text = f"Trial {flight.trial.number} overran and cannot be ended; its worker is busy until it returns."
                self.study.note("worker_busy", text)
                _logger.warning("%s", text)
            self.reap(flight.pool)

    def check_stuck(self) -> None:
        """All workers are busy with what overran.

        Raises:
            InvalidState: None has come back within a further ``trial_timeout``.
        """
        if time.monotonic() >= self.stuck_until:
            raise InvalidState(
                f"all {self.n_slots()} workers are busy with trials that overran, and the executor cannot end them.",
                f"{FACTORY}, or make the objective end itself.",
            )

    def reap(self, pool: Pool) -> None:
        """End a pool to which nothing is sent any more, once no trial is under evaluation in it."""
        if not pool.is_lost or pool not in self.pools or any(flight.pool is pool for flight in self.live()):
            return
        self.pools.remove(pool)
        left = {flight for flight in self.flights if flight.pool is pool}
        self.flights -= left
        pool.end(by_force=bool(left))

    # Beginning and end -------------------------------------------------------------------------------------------

    def arrives(self) -> bool:
        """Send the objective to a worker, before a trial is spent on an objective that cannot be sent.

        Returns:
            False if the time was up first.

        Raises:
            InvalidSettings: It cannot be sent, or the executor takes no work.
        """
        wait = None if self.deadline == math.inf else max(0.0, self.deadline - time.monotonic())
        try:
            future = self.pool.submit(callable, self.objective)
        except RuntimeError as error:  # BrokenExecutor is one
            raise InvalidSettings(
                f"the executor takes no work: {describe_error(error)}.", "Give one that is not shut down or broken."
            ) from error
        except Exception as error:
            raise self.lost(error) from error
        try:
            future.result(timeout=wait)
        except TimeoutError as error:
            if time.monotonic() < self.deadline:
                raise self.lost(error) from error
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

    def give_back(self) -> None:
        """Release every trial in flight; values that have arrived are kept."""
        for flight in self.live():
            with contextlib.suppress(Exception):
                flight.future.cancel()
            try:
                if flight.future.done() and not flight.future.cancelled() and flight.future.exception() is None:
                    loop.keep(self.study, flight.trial, flight.future.result())
                else:
                    self.study.release(flight.trial)
            except HybridboError as error:  # what ended the run is the thing to tell
                _logger.warning("trial %d could not be given back: %s", flight.trial.number, error)
                if isinstance(error, StoreError):
                    break  # each further attempt would wait as long

    def end(self, *, by_force: bool) -> None:
        """End the executors that were made for this run."""
        for pool in self.pools:
            pool.end(by_force=by_force or any(flight.pool is pool for flight in self.flights))


def _waits(future: Any) -> bool:
    """Whether a task has not been begun, where its executor tells."""
    running = getattr(future, "running", None)
    return running is not None and not running() and not future.done()
