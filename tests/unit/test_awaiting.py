"""Asking from an event loop: nothing blocks it, and a cancelled ask leaves nothing behind."""

import asyncio
import contextvars
import threading
from dataclasses import replace

import pytest

from hybridbo import Float, Int, Optimizer, awaiting, errors
from hybridbo.awaiting import Abandoned, Gate
from hybridbo.chat import ChatReply, ChatRequest
from hybridbo.testing import ScriptedBackend

SPACE = {"x": Float(0.0, 1.0), "n": Int(1, 9)}
ADVICE = '{"configs": [{"x": 0.25, "n": 3}, {"x": 0.75, "n": 4}], "beliefs": {}, "rationale": ""}'


def search(store=":memory:", llm=None, **given):
    return Optimizer(SPACE, study="s", store=store, llm=llm, seed=0, **given)


class Held:
    """A backend that answers once it is let go; it says when it is asked, and to whom."""

    name = "held"

    def __init__(self):
        self.asked, self.go, self.thread = threading.Event(), threading.Event(), None

    def complete(self, request):
        self.thread = threading.current_thread()
        self.asked.set()
        assert self.go.wait(60)
        return ChatReply(ADVICE, "m", 3, 2)


class Awaited:
    """A backend that is awaited in the loop."""

    name = "awaited"

    def __init__(self):
        self.asked, self.go, self.loop = asyncio.Event(), asyncio.Event(), None

    def complete(self, request):
        raise AssertionError("it was not awaited")

    async def complete_async(self, request):
        self.loop = asyncio.get_running_loop()
        self.asked.set()
        await self.go.wait()
        return ChatReply(ADVICE, "m", 3, 2)


async def until(event):
    assert await asyncio.to_thread(event.wait, 60)


@pytest.mark.parametrize("store", [":memory:", "file"])
def test_the_same_trials_as_ask_the_models_included(store, tmp_path):
    async def all_of(opt):
        for _ in range(9):
            trial = await opt.ask_async()
            opt.tell(trial, trial.params["x"])

    with search(tmp_path / "a.db" if store == "file" else store, ScriptedBackend([ADVICE])) as waiting:
        asyncio.run(all_of(waiting))
        with search(llm=ScriptedBackend([ADVICE])) as plain:
            for _ in range(9):
                trial = plain.ask()
                plain.tell(trial, trial.params["x"])
            assert [(t.params, t.origin) for t in waiting.trials] == [(t.params, t.origin) for t in plain.trials]
            assert "gp" in {trial.origin.source for trial in plain.trials}


def test_several_at_once_give_different_trials(tmp_path):
    async def at_once(opt):
        return await asyncio.gather(*(opt.ask_async() for _ in range(8)))

    with search(tmp_path / "a.db") as opt:
        trials = asyncio.run(at_once(opt))
        assert sorted(trial.number for trial in trials) == list(range(8))
        assert len({opt.space.key(trial.params) for trial in trials}) == 8


def test_the_loop_runs_while_a_blocking_backend_thinks():
    backend = Held()

    async def both(opt):
        opt.tell(await opt.ask_async(), 0.5)
        asking = asyncio.create_task(opt.ask_async())
        await until(backend.asked)  # the loop came here while the backend was blocked
        assert not asking.done()
        backend.go.set()
        return await asking

    with search(llm=backend) as opt:
        assert asyncio.run(both(opt)).origin.source == "llm"
    assert backend.thread is not threading.main_thread()


def test_the_loop_runs_while_another_process_holds_the_store(tmp_path):
    async def both(opt, other):
        with other.store.transaction():
            asking = asyncio.create_task(opt.ask_async())
            for _ in range(100):
                await asyncio.sleep(0)
            assert not asking.done()
        return await asking

    with search(tmp_path / "a.db") as opt, search(tmp_path / "a.db") as other:
        assert asyncio.run(both(opt, other)).number == 0


def test_a_backend_that_can_be_awaited_is_awaited_in_the_callers_loop():
    async def both():
        backend = Awaited()
        with search(llm=backend) as opt:
            opt.tell(await opt.ask_async(), 0.5)
            asking = asyncio.create_task(opt.ask_async())
            await backend.asked.wait()
            backend.go.set()
            trial = await asking
            assert backend.loop is asyncio.get_running_loop()
            assert trial.origin.source == "llm"
            assert opt.llm_usage.prompt_tokens == 3

    asyncio.run(both())


def test_a_failure_of_an_awaited_backend_is_recorded_and_a_sobol_point_fills_in():
    class Failing(Awaited):
        async def complete_async(self, request):
            raise errors.BackendUnavailable("it is down.", "Wait.")

    async def one():
        with search(llm=Failing()) as opt:
            opt.tell(await opt.ask_async(), 0.5)
            trial = await opt.ask_async()
            assert trial.origin.source == "sobol"
            assert "it is down" in trial.origin.reason

    asyncio.run(one())


def test_errors_arrive_where_it_is_awaited():
    with Optimizer({"n": Int(1, 2)}, llm=None, seed=0) as opt:

        async def three():
            await opt.ask_async()
            await opt.ask_async()
            with pytest.raises(errors.SpaceExhausted):
                await opt.ask_async()
            with pytest.raises(errors.InvalidSettings):
                await opt.ask_async(request_id="")

        asyncio.run(three())


# Cancelling ------------------------------------------------------------------------------------------------------


def test_cancelled_while_the_model_thinks_nothing_is_stored_and_the_reply_is_kept(tmp_path):
    backend = Held()

    async def cancel(opt):
        opt.tell(await opt.ask_async(), 0.5)
        asking = asyncio.create_task(opt.ask_async())
        await until(backend.asked)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert len(opt.trials) == 1
        backend.go.set()
        return await opt.ask_async()

    with search(tmp_path / "a.db", backend) as opt:
        trial = asyncio.run(cancel(opt))
        assert (trial.number, trial.origin.source, trial.params["x"]) == (1, "llm", 0.25)
        assert [t.state for t in opt.trials] == ["COMPLETE", "RUNNING"]
        assert opt.llm_usage.calls == 1  # the reply to the cancelled one served the next


def test_cancelled_while_it_waits_for_its_turn_it_asks_no_model():
    backend = ScriptedBackend([ADVICE])

    async def cancel(opt):
        opt.tell(opt.ask(), 0.5)
        with opt._asking:  # this thread asks
            asking = asyncio.create_task(opt.ask_async())
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        for thread in threading.enumerate():
            if thread.name == "hybridbo-ask":
                thread.join(60)
        assert (len(opt.trials), backend.requests) == (1, [])

    with search(llm=backend) as opt:
        asyncio.run(cancel(opt))


class Storing:
    """A store that says when a trial is being stored, and waits until it is let go."""

    def __init__(self, store):
        self._store, self.storing, self.go = store, threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    def create_trial(self, *args, **given):
        trial = self._store.create_trial(*args, **given)
        self.storing.set()
        assert self.go.wait(60)
        return trial


@pytest.mark.parametrize("times", [1, 3])
def test_cancelled_while_it_is_stored_the_trial_is_given_back(times):
    async def cancel(opt, store):
        asking = asyncio.create_task(opt.ask_async())
        await until(store.storing)
        for _ in range(times):
            asking.cancel()
            await asyncio.sleep(0)
        store.go.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await opt.ask_async()

    with search() as opt:
        store = Storing(opt.store)
        opt._asker = replace(opt._asker, store=store)
        again = asyncio.run(cancel(opt, store))
        assert (again.number, len(opt.trials)) == (0, 1)
        assert [event.kind for event in opt.events] == ["trial_released", "trial_offered_again"]


def test_a_trial_of_another_asker_of_the_same_request_is_not_given_back():
    async def cancel(opt):
        mine = await opt.ask_async(request_id="r")
        asking = asyncio.create_task(opt.ask_async(request_id="r"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return mine

    with search() as opt:
        mine = asyncio.run(cancel(opt))
        assert opt.trials[0].owner == mine.owner
        assert opt.events == []


def test_a_gate_lets_one_of_the_two_through():
    gate = Gate()
    gate.check()
    gate.enter()
    assert gate.close() is True
    other = Gate()
    assert other.close() is False
    with pytest.raises(Abandoned):
        other.enter()
    with pytest.raises(Abandoned):
        other.check()


# The rest --------------------------------------------------------------------------------------------------------


def test_a_loop_that_is_blocked_is_a_time_out_and_not_a_dead_lock(monkeypatch):
    monkeypatch.setattr(awaiting, "_GRACE_S", 0.1)
    backend = Awaited()

    async def block(opt):
        opt.tell(opt.ask(), 0.5)
        asking = asyncio.create_task(opt.ask_async())
        await backend.asked.wait()
        opt.ask()  # blocks the loop that the other one waits for
        backend.go.set()
        await asking
        return [event.message for event in opt.events if event.kind == "llm_failed"]

    with search(llm=backend, settings={"llm": {"timeout_s": 0.1, "retries": 0, "max_failures": 1}}) as opt:
        told = asyncio.run(block(opt))
    assert "block the event loop" in told[0]


def test_a_backend_is_not_awaited_where_no_loop_waits():
    class Both(Awaited):
        def complete(self, request):
            return ChatReply("plain", "m")

    assert awaiting.complete(Both(), ChatRequest("seeds", "t", {}, "", "")).text == "plain"


def test_the_callers_context_reaches_the_work():
    variable = contextvars.ContextVar("variable", default="")

    async def look():
        variable.set("here")
        return await awaiting.in_thread(lambda gate: variable.get(), print)

    assert asyncio.run(look()) == "here"
