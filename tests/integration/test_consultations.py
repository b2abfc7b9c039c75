"""Consultations in whole searches: what is asked, what is taken, and that a search that was killed agrees."""

import json
import subprocess
import sys
from threading import Event, Thread

import pytest

from hybridbo import Float, Optimizer, Space, errors
from hybridbo.ports import ChatReply

SPACE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
GP = {"candidates": 64, "restarts": 1}
TRIALS = 24


def loss(params):
    return (params["x"] - 0.37) ** 2 + (params["y"] - 0.61) ** 2


class Adviser:
    """Says where the optimum is, or where it is not."""

    name = "adviser"

    def __init__(self, x=0.4, y=0.6, error=None):
        self.asked, self.x, self.y, self.error = [], x, y, error

    def complete(self, request):
        self.asked.append(request.purpose)
        if request.purpose == "seeds":
            return ChatReply('{"configs": []}', self.name)
        if self.error:
            raise self.error
        k = int(request.purpose.split(":")[1])
        points = [{"x": self.x + k / 1000, "y": self.y + i / 100} for i in range(3)]
        return ChatReply(json.dumps({"configs": points, "rationale": "There."}), self.name)


def search(backend, store=":memory:", consult=4, trials=TRIALS, function=loss):
    settings = {"llm": {"consult": consult}, "gp": GP}
    with Optimizer(SPACE, llm=backend, store=store, seed=3, settings=settings, study="s") as opt:
        opt.run(function, trials, progress=False)
        return opt.trials, list(opt.events), opt.llm_usage


def test_good_advice_is_taken_within_its_share_and_each_question_asked_once():
    backend = Adviser()
    trials, events, usage = search(backend)
    assert backend.asked[0] == "seeds"
    assert len(set(backend.asked)) == len(backend.asked) == usage.calls
    taken = [trial for trial in trials if trial.origin.source == "llm"]
    assert taken
    assert len(taken) <= 0.3 * len(trials)
    assert "The LLM was consulted after" in taken[0].origin.reason
    assert taken[0].origin.predicted_mean is not None
    assert [event.kind for event in events].count("llm_consulted") == len(backend.asked) - 1


def test_off_by_default():
    backend = Adviser()
    with Optimizer(SPACE, llm=backend, seed=3, settings={"gp": GP}) as opt:
        opt.run(loss, 12, progress=False)
    assert backend.asked == ["seeds"]


def test_bad_advice_is_refused_and_the_search_is_what_it_was():
    backend = Adviser(0.95, 0.05)
    trials, _, _ = search(backend, consult=4)
    without, _, _ = search(backend, consult="never")
    assert len(backend.asked) > 2
    n = next(t.number for t in trials if t.origin.source == "gp")
    refused = [t for t in trials[n:] if "were needed" in t.origin.reason and t.origin.source == "gp"]
    assert len(refused) >= 10
    assert min(loss(t.params) for t in trials) <= 2 * min(loss(t.params) for t in without) + 1e-4
    assert sum(t.origin.source == "llm" for t in trials) <= 2


def test_a_failing_model_is_recorded_and_the_search_goes_on():
    backend = Adviser(error=errors.BackendTimeout("late"))
    trials, events, usage = search(backend)
    assert len(trials) == TRIALS
    assert usage.failures == len(backend.asked) - 1 > 0
    assert any("The LLM gave no advice" in event.message for event in events if event.kind == "fallback")


def test_a_used_up_budget_consults_nobody_and_says_so_once():
    backend = Adviser()
    with Optimizer(SPACE, llm=backend, seed=3, settings={"llm": {"consult": 4, "max_calls": 1}, "gp": GP}) as opt:
        opt.run(loss, 10, progress=False)
        kinds = [event.kind for event in opt.events]
        reasons = [trial.origin.reason for trial in opt.trials]
    assert backend.asked == ["seeds"]
    assert "llm_consulted" not in kinds
    assert kinds.count("llm_budget") == 1
    why = "The LLM was not consulted: settings.llm.max_calls is used up (1 of 1)."
    assert [reason.count(why) for reason in reasons].count(1) == 5
    assert not any("was consulted" in reason or "gave no advice" in reason for reason in reasons)


def test_without_any_budget_the_reason_stands_once_in_a_trial():
    with Optimizer(SPACE, llm=Adviser(), seed=3, settings={"llm": {"consult": 4, "max_calls": 0}, "gp": GP}) as opt:
        opt.run(loss, 7, progress=False)
        assert opt.trials[6].origin.source == "gp"
        assert opt.trials[6].origin.reason.count("max_calls is used up") == 1
        fallbacks = [event.message for event in opt.events if event.kind == "fallback"]
    assert len(fallbacks) == 1


def test_what_training_logs_show_is_told():
    seen = []

    class Listening(Adviser):
        def complete(self, request):
            seen.append(request)
            return super().complete(request)

    with Optimizer(SPACE, llm=Listening(), seed=3, settings={"llm": {"consult": 4}, "gp": GP}) as opt:
        for _ in range(6):
            with opt.trial() as trial:
                trial.log(step=0, loss=float("nan"))
                trial.value = loss(trial.params)
    logs = json.loads(seen[-1].user)["results"]["training_logs"]
    assert logs[0]["divergence"] == "loss: nan at step 0."


CHILD = """
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import test_consultations as t

class Killed(t.Adviser):
    def complete(self, request):
        if request.purpose == sys.argv[3]:
            os._exit(9)  # between the claim and the answer
        return super().complete(request)

def function(params):
    if sys.argv[3].isdigit() and len(opened) == int(sys.argv[3]):
        os._exit(9)
    opened.append(params)
    return t.loss(params)

opened = []
t.search(Killed(), sys.argv[2], function=function)
"""


@pytest.fixture(scope="module")
def uninterrupted():
    backend = Adviser()
    return search(backend)[0], backend.asked


@pytest.mark.parametrize("where", ["consult:13", "15"])
def test_a_search_that_was_killed_asks_nothing_twice_and_ends_the_same(tmp_path, uninterrupted, where):
    store = tmp_path / "s.db"
    done = subprocess.run([sys.executable, "-c", CHILD, __file__, str(store), where], timeout=100, check=False)
    assert done.returncode == 9
    backend = Adviser()
    trials, _, usage = search(backend, store)
    expected, asked = uninterrupted
    assert [t.params for t in trials] == [t.params for t in expected]
    assert [t.origin.source for t in trials] == [t.origin.source for t in expected]
    assert usage.calls - usage.lost == len(asked)
    assert len(backend.asked) < len(asked)


def test_of_two_that_search_at_once_one_asks_and_the_other_goes_on(tmp_path):
    is_asked, may_answer = Event(), Event()

    class Slow(Adviser):
        def complete(self, request):
            if request.purpose != "seeds":
                is_asked.set()
                assert may_answer.wait(60)
            return super().complete(request)

    slow, quick = Slow(), Adviser()
    options = {"store": tmp_path / "s.db", "seed": 3, "settings": {"llm": {"consult": 4}, "gp": GP}}
    with Optimizer(SPACE, llm=slow, **options) as one, Optimizer(SPACE, llm=quick, **options) as other:
        one.run(loss, 5, progress=False)
        thread = Thread(target=one.ask)
        thread.start()
        assert is_asked.wait(60)
        trial = other.ask()
        assert "another process is consulting" in trial.origin.reason
        may_answer.set()
        thread.join()
        other.tell(trial, 0.5)
        assert "The LLM was consulted after 5 trials" in other.ask().origin.reason
        assert quick.asked == []
        assert slow.asked == ["seeds", "consult:5"]
