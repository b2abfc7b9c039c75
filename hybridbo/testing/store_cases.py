"""Values and helpers with which the clauses of :class:`~hybridbo.testing.store_contract.StoreContract` are written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar, TypeVar

import pytest

from hybridbo.errors import HybridboError
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall, StudyRecord, TrialStore
from hybridbo.trial import Origin, Outcome, Proposal, Trial, TrialState

T = TypeVar("T")

STUDY = "a study"
THREADS = 8


def a_study(name: str = STUDY) -> StudyRecord:
    """A study with something in every field."""
    return StudyRecord(name, '{"x": {}}', '{"objectives": {}}', "Tune ☃\n", "openai:m", 2**70, '{"seed_trials": 5}')


def a_proposal(x: Any = 0.5, source: Any = "sobol") -> Proposal:
    """A proposal of one parameter."""
    return Proposal({"x": x}, Origin(source, "because", 0.1, 0.2))


def complete(value: float) -> Outcome:
    """The outcome of a single objective."""
    return Outcome(TrialState.COMPLETE, {"value": value}, value)


def failed(error: str = "CUDA out of memory") -> Outcome:
    """The outcome of a crash."""
    return Outcome(TrialState.FAILED, error=error)


def a_call(result: ChatReply | ChatFailure, number: int = 0) -> LLMCall:
    """A call with something in every field of its request."""
    schema = {"type": "object", "properties": {"x": {"enum": [1, 2.5, None, True, "☃"]}}}
    request = ChatRequest("seeds", "task", {"x": {"type": "float", "low": 1e-5}}, "system", "user ☃", schema, None, 9)
    return LLMCall(request, result, number, datetime(2026, 1, 31, 23, 59, 59, 123456, timezone(timedelta(hours=5))))


def create(store: TrialStore, x: Any = 0.5, source: Any = "sobol", seen: int | None = None) -> Trial | None:
    """Create a trial whose key is ``repr(x)``, from a history of ``seen`` trials; None for all there are."""
    seen = len(store.get_trials(STUDY)) if seen is None else seen
    return store.create_trial(STUDY, a_proposal(x, source), key=repr(x), owner="me", seen=seen)


def created(store: TrialStore, x: Any = 0.5) -> Trial:
    """A new RUNNING trial."""
    trial = create(store, x)
    assert trial is not None
    return trial


def elsewhere() -> list[Trial]:
    """Finished trials of another program, one for each state."""
    at, origin = datetime(2026, 1, 31, 23, 59, 59, 123456, UTC), Origin("user", "because")
    end = at + timedelta(hours=1.5)
    return [
        Trial(7, {"x": 0.1 + 0.2}, TrialState.COMPLETE, origin, at, 0.1 + 0.2, {"value": 0.1 + 0.2}, None, end, "gone"),
        Trial(7, {"x": 1}, TrialState.PRUNED, origin, at, 5e-324, {"value": 5e-324}, None, end),
        Trial(9, {"x": None}, TrialState.FAILED, origin, at, error="CUDA out of memory", finished_at=end),
    ]


def at_once(calls: list[Callable[[], T]]) -> list[T | HybridboError]:
    """What the calls return or raise when each is made in a thread of its own, all started together."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | HybridboError:
        barrier.wait()
        try:
            return call()
        except HybridboError as error:
            return error

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as can be, so that a missing lock shows
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, calls))
    finally:
        sys.setswitchinterval(interval)


class StoreCases:
    """What the clauses of a store need: a way to make one."""

    persistent: ClassVar[bool] = False

    def make_store(self, folder: Path) -> TrialStore:
        """Open a store that keeps what it holds, if anywhere, in ``folder``."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TrialStore]:
        """A store with one empty study."""
        store = self.make_store(tmp_path)
        store.create_study(a_study())
        yield store
        store.close()
