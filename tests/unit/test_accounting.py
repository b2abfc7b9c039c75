"""What opt.trust tells, held against what the search does."""

import json
import subprocess
import sys

import numpy as np
import pytest

from hybridbo import Float, Optimizer, errors
from hybridbo.gp import prior
from hybridbo.testing import ScriptedBackend

SPACE = {"x": Float(0, 1), "z": Float(0, 1)}
NAMED = [{"x": 0.9, "z": 0.9}, {"x": 0.8, "z": 0.7}, {"x": 0.7, "z": 0.8}]
REPLY = json.dumps({"configs": NAMED, "prior": {"x": {"center": 0.85, "low": 0.7, "high": 1.0}}})
QUICK = {"gp": {"candidates": 64, "restarts": 1}}


def make(replies=(REPLY,), **options):
    backend = ScriptedBackend(replies)
    given = {"space": SPACE, "llm": backend, "seed": 0, "settings": QUICK} | options
    return Optimizer(**given), backend


def near(best):
    return lambda params: (params["x"] - best) ** 2 + (params["z"] - best) ** 2


def step(opt, objective):
    trial = opt.ask()
    value = objective(trial.params)
    return opt.fail(trial, "crash") if value is None else opt.tell(trial, value)


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("best", [0.85, 0.2])
def test_it_tells_before_each_proposal_what_the_proposal_does(monkeypatch, seeds, best):
    used, real = [], prior.power
    monkeypatch.setattr(prior, "power", lambda *given: used.append(real(*given)) or used[-1])
    opt, backend = make(settings={**QUICK, "seed_trials": seeds})
    for number in range(9):
        if number:  # the reply comes with the first ask behind the default
            told = opt.trust
        used.clear()
        trial = step(opt, near(best))
        if trial.origin.source != "gp":
            assert number == 0 or told.exponent == 0.0
            continue
        if number > 1:  # the LLM had been asked by then
            assert [told.exponent] == (used or [0.0])
            assert all(str(source) in trial.origin.reason for source in told.sources)
            assert told.source == ("llm" if used else None)
    assert len(backend.requests) == 1


def test_good_beliefs_keep_their_weight_and_bad_ones_lose_it():
    good, bad = make()[0], make()[0]
    for _ in range(8):
        step(good, near(0.85))
        step(bad, near(0.1))
    assert (good.trust.source, good.trust.standing.verdict) == ("llm", "open")
    assert good.trust.weight > 0.5
    assert (bad.trust.weight, bad.trust.source, bad.trust.exponent) == (0.0, None, 0.0)


def test_before_the_first_ask_nobody_has_been_asked():
    opt, backend = make()
    told = opt.trust
    assert (told.weight, told.source) == (0.0, None)
    assert "no reply to the present question is stored" in told.reason
    assert backend.requests == []


def test_a_failed_request_is_told():
    opt, backend = make([errors.BackendTimeout("no reply within 60 s")])
    for _ in range(2):
        step(opt, near(0.5))
    assert "BackendTimeout" in opt.trust.reason
    assert len(backend.requests) == 1


def test_a_reply_without_beliefs_is_told():
    opt, _ = make([json.dumps({"configs": NAMED})])
    for _ in range(3):
        step(opt, near(0.5))
    assert [str(source) for source in opt.trust.sources] == ["The LLM's beliefs weigh 0: Its reply holds no belief."]


def test_without_an_llm_published_beliefs_are_told():
    opt, _ = make(llm=None, space={"learning_rate": Float(1e-6, 1.0, log=True)})
    for _ in range(6):
        step(opt, lambda params: abs(np.log10(params["learning_rate"]) + 3))
    assert (opt.trust.source, opt.trust.standing.verdict) == ("published", "open")
    assert make(llm=None)[0].trust.reason == "Nobody holds a belief about these parameters."


def test_another_process_is_told_the_same_from_the_file_alone(tmp_path):
    store = tmp_path / "t.db"
    opt, _ = make(store=store)
    for _ in range(7):
        step(opt, near(0.3))
    with Optimizer.load(store, llm=ScriptedBackend()) as other:  # its script is empty: it must not be asked
        assert other.trust == opt.trust
        assert other.events == opt.events
    opt.close()


def test_failures_and_several_objectives():
    crashing, _ = make()
    for _ in range(7):
        step(crashing, lambda params: None if params["x"] > 0.6 else params["x"])
    assert crashing.trust.weight == 0.0
    opt, _ = make(objectives={"a": "minimize", "b": "minimize"})
    for _ in range(4):
        trial = opt.ask()
        opt.tell(trial, {"a": 1 - trial.params["x"], "b": 1 - trial.params["z"]})
    assert opt.trust.weight <= 0.5


def test_an_altered_space_is_another_question():
    opt, backend = make()
    for _ in range(6):
        step(opt, near(0.85))
    assert opt.trust.source == "llm"
    opt.alter({"x": Float(0, 2), "z": Float(0, 1), "new": Float(0, 1, default=0.5)})
    assert "no reply to the present question is stored" in opt.trust.reason
    assert len(backend.requests) == 1


def test_default_settings_propose_what_they_did_before_early_results_were_tested(monkeypatch):
    def params(best):
        opt, _ = make()
        return [step(opt, near(best)).params for _ in range(9)]

    now = [params(0.85), params(0.2)]
    monkeypatch.setattr("hybridbo.policy._FEWEST_TO_TEST", 5)
    monkeypatch.setattr("hybridbo.policy._EXACT_BELOW", 5)
    monkeypatch.setattr("hybridbo.gp.prior._WARM_FROM", 1e-9)
    assert [params(0.85), params(0.2)] == now


def test_with_two_seeds_bad_beliefs_are_seen_before_there_are_five_results():
    opt, _ = make(settings={**QUICK, "seed_trials": 2})
    for _ in range(3):
        step(opt, near(0.1))
    assert len(opt.trials) == 3
    assert opt.trust.weight < 0.5


UNLOADED = """
import sys
from hybridbo import Optimizer
opt = Optimizer.load(sys.argv[1], llm=None)
opt.trust
assert "torch" not in sys.modules
"""


def test_it_loads_no_torch(tmp_path):
    store = tmp_path / "t.db"
    opt, _ = make(store=store)
    for _ in range(6):
        step(opt, near(0.3))
    opt.close()
    assert subprocess.run([sys.executable, "-c", UNLOADED, store], check=False).returncode == 0
