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

from hybridbo import leases, loop
from hybridbo.errors import HybridboError, InvalidSettings, InvalidState, SpaceExhausted, StoreError, describe_error
from hybridbo.executors import FACTORY, Source
from hybridbo.pools import Flight, Pools
from hybridbo.trial import Trial
from hybridbo.values import is_number, shown

_logger = logging.getLogger(__name__)
_LOOK_S = 1.0  # how often it is looked whether the executor has grown, and whether a trial is overdue


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
    pools = Pools(Source(executor), objective, limits.n_workers, limits.trial_timeout)
    flying = _Run(study, pools, limits, watcher)
    whole = False
    try:
        flying.go()
        whole = True
    except BaseException:
        flying.give_back()
        raise
    finally:
        pools.end(by_force=not whole)


class _Run:
    """One call of :func:`run`."""

    def __init__(self, study: loop.Study, pools: Pools, limits: Limits, watcher: loop.Watcher | None) -> None:
        self.study, self.pools, self.limits, self.watcher = study, pools, limits, watcher
        self.deadline = math.inf if limits.timeout is None else time.monotonic() + limits.timeout
        self.told = len(study.events)
        self.is_exhausted = False
        self.stuck_until = math.inf  # when waiting for a worker that is busy with an overdue trial ends

    # The loop ----------------------------------------------------------------------------------------------------

    def go(self) -> None:
        """Ask and submit while there are free workers, wait, tell; until nothing is wanted and nothing in flight."""
        self.pools.n_slots()
        if not self.pools.arrives(self.deadline - time.monotonic()):
            return
        while self.wants_more() or self.pools.live():
            if self.wants_more() and self.is_open():
                self.start_one()
            else:
                self.wait()

    def wants_more(self) -> bool:
        """Whether another trial is to be started, now or as soon as a worker is free."""
        return not self.is_exhausted and time.monotonic() < self.deadline and self.study.n_started < self.limits.target

    def is_open(self) -> bool:
        """Whether a trial can be submitted; puts a new executor in the place of one that is lost.

        Raises:
            InvalidState: The executor is broken and cannot be replaced.
        """
        if not self.pools.ended.empty():
            return False  # to be told first: the next proposal shall know of it
        if self.pools.current.is_lost:
            if self.pools.source.makes_more:
                self.pools.replace()
            elif self.pools.live():
                return False  # they have ended with it, and are to be told first
            else:
                raise InvalidState("a worker died, which broke the executor for good.", f"{FACTORY}, and run again.")
        return self.pools.busy() < self.pools.n_slots()

    # One trial ---------------------------------------------------------------------------------------------------

    def start_one(self) -> None:
        """Ask and submit."""
        try:
            trial = self.study.ask(lease_s=leases.watched(self.study.settings.store.lease_s))
        except SpaceExhausted as error:
            self.is_exhausted = True
            self.study.note("space_exhausted", error.message)
            if self.watcher:
                self.watcher.message(str(error))
            return
        try:
            self.pools.submit(trial)
        except BaseException:
            self.study.release(trial)
            raise
        if self.watcher:
            self.told = loop.announce(self.study, trial, self.told, self.watcher)

    def wait(self) -> None:
        """Until a trial ends, or is overdue."""
        live = self.pools.live()
        if not live and self.stuck_until == math.inf:
            self.stuck_until = self.pools.due()
        until = min([flight.due for flight in live] or [self.stuck_until, self.deadline])
        try:
            flight = self.pools.ended.get(timeout=min(_LOOK_S, max(0.0, until - time.monotonic())))
        except queue.Empty:
            self.look(live)
            return
        if flight in self.pools.flights:
            self.end_of(flight, self.land)

    def end_of(self, flight: Flight, store: Callable[[Flight], None]) -> None:
        """Store how a trial ended, and forget its task; in this order, since an interrupt would lose it."""
        store(flight)
        flight.heart.close()
        self.pools.flights.discard(flight)
        self.pools.reap(flight.pool)

    def land(self, flight: Flight) -> None:
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

    def fail(self, flight: Flight, reason: str) -> None:
        """Store that a trial has failed."""
        flight.heart.close()
        self.show(loop.give_up(self.study, flight.trial, reason))

    def show(self, trial: Trial) -> None:
        """Tell whoever watches that a trial has ended."""
        if self.watcher:
            self.watcher.finished(trial, self.study.incumbent, self.study.llm_usage)

    def look(self, live: list[Flight]) -> None:
        """Nothing has ended for a while: whether something is overdue, stuck, or lost in a broken pool."""
        if not live:
            self.check_stuck()
        self.time_out()
        for flight in live:
            if flight.is_forgotten and not flight.overdue and not flight.future.done():
                self.end_of(flight, lambda one: self.crash(one, BrokenExecutor("the pool broke and lost the task")))
            flight.is_forgotten = flight.pool.says_broken  # if it has not ended at the next look either

    # What goes wrong ---------------------------------------------------------------------------------------------

    def crash(self, flight: Flight, error: BaseException) -> None:
        """A worker of the trial's pool died, perhaps of this trial."""
        pool = flight.pool
        if not pool.suspects:
            pool.suspects = tuple(sorted(other.trial.number for other in self.pools.live() if other.pool is pool))
            pool.is_lost = True
        if len(pool.suspects) == 1 or flight.alone:
            self.fail(flight, f"the worker died: {describe_error(error)}")
        elif self.pools.source.makes_more:
            self.study.note("suspect", f"Trial {flight.trial.number} was in a pool whose worker died; it is run alone.")
            self.pools.send_alone(flight.trial)
        else:
            numbers = ", ".join(map(str, pool.suspects))
            reason = f"a worker died, with trials {numbers} in flight; which of them it died of is not known"
            self.fail(flight, f"{reason}: {describe_error(error)}")

    def time_out(self) -> None:
        """Fail the trials that have overrun."""
        now = time.monotonic()
        for flight in [flight for flight in self.pools.live() if flight.due <= now]:
            if _waits(flight.future):  # for a worker that is busy with somebody else's task
                flight.due = self.pools.due()
                continue
            if flight.future.done():
                continue  # just in time: it is in the queue
            flight.overdue = True
            flight.pool.is_lost = self.pools.source.makes_more
            self.fail(flight, f"took longer than trial_timeout={self.limits.trial_timeout:g} s")
            if not flight.pool.is_lost:
                text = f"Trial {flight.trial.number} overran and cannot be ended; its worker is busy until it returns."
                self.study.note("worker_busy", text)
                _logger.warning("%s", text)
            self.pools.reap(flight.pool)

    def check_stuck(self) -> None:
        """All workers are busy with what overran.

        Raises:
            InvalidState: None has come back within a further ``trial_timeout``.
        """
        if time.monotonic() >= self.stuck_until:
            text = f"all {self.pools.n_slots()} workers are busy with trials that overran"
            raise InvalidState(
                f"{text}, and the executor cannot end them.", f"{FACTORY}, or make the objective end itself."
            )

    # Beginning and end -------------------------------------------------------------------------------------------

    def give_back(self) -> None:
        """Release every trial in flight; values that have arrived are kept."""
        for flight in self.pools.flights:
            flight.heart.close()
        for flight in self.pools.live():
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


def _waits(future: Any) -> bool:
    """Whether a task has not been begun, where its executor tells."""
    running = getattr(future, "running", None)
    return running is not None and not running() and not future.done()
