"""What is accounted for a language model is what its server reported: whatever fails, is killed, or asks at once."""

import importlib.util
import json
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from hybridbo import Optimizer
from hybridbo.backends.openai_chat import OpenAIChat
from hybridbo.ports import ChatFailure, ChatReply
from hybridbo.testing.chat_server import FAULTS, ChatServer, completion

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("llm_search.py")
GOOD = json.dumps({"configs": [{"lr": 0.001, "width": 128}, {"lr": 0.01, "width": 64}]})
PRICES = {"m": {"prompt": 2.0, "completion": 8.0}}
PATIENT = {"max_failures": 1000, "breaker_failures": None, "retries": 0, "prices": PRICES}


def _program():
    spec = importlib.util.spec_from_file_location("llm_search", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEARCH = _program()


class Ledger:
    """What a server has told of the tokens of each request: the n-th has a count of its own.

    It answers with tokens and no text, so that it is asked again for the next trial.
    """

    def __init__(self, content=None, pauses=(0.0,)):
        self.content, self.pauses = content, pauses
        self.told = {}
        self._lock = threading.Lock()
        self._chance = random.Random(0)

    def __call__(self, exchange):
        with self._lock:
            n = 1000 + len(self.told)
            self.told[n] = 2 * n + 1
            pause = self._chance.choice(self.pauses)
        exchange.chat.closing.wait(pause)
        usage = {"prompt_tokens": n, "completion_tokens": self.told[n], "total_tokens": n + self.told[n]}
        message = {"role": "assistant", "content": self.content}
        exchange.send(200, completion(choices=[{"message": message, "finish_reason": "stop"}], usage=usage, model="m"))

    def cost(self):
        return sum(2.0 * sent + 8.0 * received for sent, received in self.told.items()) / 1e6


@contextmanager
def started(store, server, trials, settings, *wait):
    command = [sys.executable, str(PROGRAM), str(store), server.base_url, str(trials), json.dumps(settings), *wait]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _usage(store, server, llm):
    with SEARCH.optimizer(store, server.base_url, {"llm": llm}) as opt:
        return opt.llm_usage, opt.store.get_calls("s"), opt.events


# All ways to fail, at random ------------------------------------------------------------------------------------------

EXPECTED = {
    "BackendRefused": {"401", "403", "404", "429 quota"},
    "BackendUnavailable": {"429", "500", "503", "html 502", "cut off", "reset", "endless error"},
    "BackendTimeout": {"hang", "drip", "drip headers", "drip error"},
}


def _label(name):
    return next((label for label, names in EXPECTED.items() if name in names), "BackendBadReply")


@pytest.mark.parametrize("seed", range(2))
def test_30_trials_on_a_server_that_fails_in_all_ways_at_random(seed, tmp_path):
    names = sorted(FAULTS)
    random.Random(seed).shuffle(names)
    names = names[:29]  # each trial but the first asks
    llm = {"max_failures": 1000, "breaker_s": 0.0, "retries": 0, "timeout_s": 1.0}
    import openai.resources.chat  # noqa: F401  # the SDK loads it at the first request: not in the time of that

    with ChatServer(names) as server:
        backend = OpenAIChat("m", server.base_url, SEARCH.KEY)
        settings = {"seed_trials": 25, "llm": llm}
        opt = Optimizer(SEARCH.SPACE, task="t", llm=backend, store=tmp_path / "s.db", seed=seed, settings=settings)
        for _ in range(30):
            trial = opt.ask()
            opt.tell(trial, trial.params["lr"])
            if opt.events and opt.events[-1].kind != SWITCHED and any(e.kind == "llm_off" for e in opt.events[-3:]):
                opt.switch_llm_on()  # as a user would who has put the key right
    assert [trial.state for trial in opt.trials] == ["COMPLETE"] * 30
    calls = opt.store.get_calls(opt.study)
    assert len(set(names)) >= 15
    assert [(name, call.result.error) for name, call in zip(names, calls, strict=True)] == [
        (name, _label(name)) for name in names
    ]
    told = [event.message.partition(":")[0] for event in opt.events if event.kind == "llm_failed"]
    assert told == [_label(name) for name in names]
    assert [event.kind for event in opt.events].count("llm_off") == sum(_label(n) == "BackendRefused" for n in names)
    # of the replies that are of no use, some tell what they cost, and that is counted
    counted = [name for name in names if name in COUNTED]
    assert opt.llm_usage.prompt_tokens == 11 * len(counted)
    assert opt.llm_usage.completion_tokens == 7 * len(counted)


SWITCHED = "llm_on"
COUNTED = {
    *("empty choices", "null content", "empty content", "refusal", "content filter"),
    *("content of a wrong type", "message of a wrong type"),
}


# Killed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_figures_are_those_of_the_server_after_kills(seed, tmp_path):
    chance = random.Random(seed)
    ledger, store, kills = Ledger(pauses=(0.0, 0.05, 0.15)), tmp_path / "s.db", 3
    with ChatServer([ledger]) as server:
        settings = {"seed_trials": 30, "llm": PATIENT}
        for _ in range(kills):
            with started(store, server, 30, settings) as process:
                for _ in range(chance.randint(3, 10)):
                    assert process.stdout.readline()
                time.sleep(chance.uniform(0, 0.15))  # somewhere in the middle of a call
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL
        SEARCH.search(store, server.base_url, 30, settings)
        usage, calls, events = _usage(store, server, PATIENT)
    known = {call.result.prompt_tokens: call.result.completion_tokens for call in calls if call.result.prompt_tokens}
    unheard = {n: m for n, m in ledger.told.items() if n not in known}  # told to a process that was killed
    assert known.items() <= ledger.told.items()
    assert usage.prompt_tokens == sum(ledger.told) - sum(unheard)
    assert usage.completion_tokens == sum(ledger.told.values()) - sum(unheard.values())
    assert usage.cost == pytest.approx(ledger.cost() - sum(2 * n + 8 * m for n, m in unheard.items()) / 1e6, rel=1e-12)
    assert len(unheard) <= usage.lost <= kills
    assert usage.calls == len(known) + usage.lost == len(calls)
    lost = [call for call in calls if call.result.prompt_tokens is None]
    assert [call.result.error for call in lost] == ["CallLost"] * usage.lost
    assert sum(event.message.startswith("CallLost") for event in events) == usage.lost


def test_a_call_that_is_killed_is_counted_and_labelled(tmp_path):
    store = tmp_path / "s.db"
    with ChatServer(["hang"]) as server, started(store, server, 2, {"llm": PATIENT}) as process:
        while not server.requests:
            time.sleep(0.01)
        usage, [call], _ = _usage(store, server, PATIENT)
        assert (usage.calls, usage.failures, usage.lost, call.result.error) == (1, 1, 1, "CallUnsettled")
        process.kill()
        process.wait()
    with ChatServer([Ledger(GOOD)]) as server:
        SEARCH.search(store, server.base_url, 3, {"llm": PATIENT})
        usage, calls, events = _usage(store, server, PATIENT)
    assert [getattr(call.result, "error", "reply") for call in calls] == ["CallLost", "reply"]
    assert (usage.calls, usage.lost, usage.prompt_tokens, usage.completion_tokens) == (2, 1, 1000, 2001)
    assert usage.cost == (2.0 * 1000 + 8.0 * 2001) / 1e6
    assert [event.message.partition(":")[0] for event in events if event.kind == "llm_failed"] == ["CallLost"]


# At once --------------------------------------------------------------------------------------------------------------


def test_processes_that_ask_at_once_do_not_both_spend_the_last_call(tmp_path):
    store, llm = tmp_path / "s.db", {**PATIENT, "max_calls": 5}
    with ChatServer([Ledger(pauses=(0.0, 0.02))]) as server:
        with SEARCH.optimizer(store, server.base_url, {"llm": llm}) as opt:
            opt.tell(opt.ask(), 1.0)  # the default
        settings = {"seed_trials": 30, "llm": llm}
        with (
            started(store, server, 20, settings, "wait") as one,
            started(store, server, 20, settings, "wait") as two,
        ):
            assert one.stdout.readline() == two.stdout.readline() == "ready\n"
            for process in (one, two):
                process.stdin.write("go\n")
                process.stdin.flush()
            for process in (one, two):
                process.stdout.read()
                assert process.wait() == 0
        usage, _, events = _usage(store, server, llm)
        assert len(server.requests) == usage.calls == 5
    assert usage.calls_left == 0
    assert [event.kind for event in events].count("llm_budget") == 1


def test_an_answer_under_way_is_waited_for_and_not_asked_for_twice(tmp_path):
    store = tmp_path / "s.db"
    with ChatServer([Ledger(GOOD, pauses=(0.5,))]) as server:
        with SEARCH.optimizer(store, server.base_url, {}) as opt:
            opt.tell(opt.ask(), 1.0)
        with started(store, server, 2, {}) as process:
            while not server.requests:
                time.sleep(0.01)
            with SEARCH.optimizer(store, server.base_url, {}) as opt:
                trial = opt.ask()
                assert trial.origin.source == "llm"
                opt.tell(trial, 2.0)
            process.stdout.read()
        assert len(server.requests) == 1


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "most"),
    [({"max_calls": 2}, 2), ({"max_total_tokens": 9000}, 3), ({"max_cost": 0.036}, 2), ({"max_calls": 0}, 0)],
    ids=["calls", "tokens", "cost", "none"],
)
def test_limits_hold_over_restarts_and_are_told_once(limit, most, tmp_path):
    store, llm = tmp_path / "s.db", {**PATIENT, **limit, "max_tokens": 1024}
    with ChatServer([Ledger()]) as server:
        for trials in (3, 5, 8):
            SEARCH.search(store, server.base_url, trials, {"llm": llm, "seed_trials": 30})
        usage, calls, events = _usage(store, server, llm)
        assert len(server.requests) == len(calls) == usage.calls == most
    told = [event for event in events if event.kind == "llm_budget"]
    assert len(told) == 1
    assert next(iter(limit)) in told[0].message
    left = {"max_calls": usage.calls_left, "max_total_tokens": usage.tokens_left, "max_cost": usage.cost_left}
    assert [name for name, rest in left.items() if rest is not None] == list(limit)
    assert [event.kind for event in events].count("fallback") <= most + 1


def test_one_ask_ends_in_time_whatever_is_tried_again(tmp_path):
    llm = {"timeout_s": 60.0, "retries": 10, "max_ask_s": 0.5}
    with (
        ChatServer(["503", "hang"]) as server,
        SEARCH.optimizer(tmp_path / "s.db", server.base_url, {"llm": llm}) as opt,
    ):
        opt.tell(opt.ask(), 1.0)
        started_at = time.monotonic()
        trial = opt.ask()
        assert time.monotonic() - started_at < 3.0
        [call] = opt.store.get_calls("s")
    assert trial.origin.source == "sobol"
    assert isinstance(call.result, ChatFailure)
    assert call.result.error == "BackendTimeout"


def test_a_backend_that_knows_no_deadline_is_held_to_it(tmp_path):
    gate = threading.Event()

    class Slow:
        name = "slow"

        def complete(self, request):
            gate.wait(30)
            return ChatReply("{}", "slow")

    with Optimizer(SEARCH.SPACE, llm=Slow(), store=tmp_path / "s.db", settings={"llm": {"max_ask_s": 0.2}}) as opt:
        opt.tell(opt.ask(), 1.0)
        assert opt.ask().origin.source == "sobol"
        gate.set()
        assert opt.store.get_calls(opt.study)[0].result.error == "BackendTimeout"
