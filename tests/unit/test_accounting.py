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

    now = [params(best) for best in (0.85, 0.6, 0.5, 0.2)]
    monkeypatch.setattr("hybridbo.policy._FEWEST_TO_TEST", 5)
    monkeypatch.setattr("hybridbo.policy._EXACT_BELOW", 0)
    monkeypatch.setattr("hybridbo.gp.prior._WARM_FROM", 1e-9)
    assert [params(best) for best in (0.85, 0.6, 0.5, 0.2)] == now


def test_with_two_seeds_bad_beliefs_are_seen_before_there_are_five_results():
    opt, _ = make(settings={**QUICK, "seed_trials": 2})
    for _ in range(3):
        step(opt, near(0.1))
    assert len(opt.trials) == 3
    assert opt.trust.weight < 0.5


# Attribution


def random_state():
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - whether the global generator was used


def advised(points, n, *, objective=near(0.7), seed=0, **options):
    opt, _ = make([json.dumps({"configs": points})], seed=seed, **options)
    for _ in range(n):
        step(opt, objective)
    return opt


GOOD = [{"x": 0.72, "z": 0.7}, {"x": 0.6, "z": 0.75}]
BAD = [{"x": 0.02, "z": 0.05}, {"x": 0.1, "z": 0.02}]


def test_good_advice_has_helped_and_bad_advice_has_not():
    good, bad = advised(GOOD, 14).attribution(), advised(BAD, 14).attribution()
    assert (good.verdict, bad.verdict) == ("helped", "did not help")
    assert [place.trial for place in good.counterfactual.places] == [1, 2]
    assert good.counterfactual.results == 14
    assert {one.source: one.trials for one in good.sources} == {"default": 1, "llm": 2, "sobol": 2, "gp": 9}


def test_false_verdicts_are_rare_over_seeds():
    """Points drawn at random, the best 4 % and the worst 20 % of the square, eight searches of each."""
    verdicts = {"noise": [], "good": [], "bad": []}
    for seed in range(8):
        points = np.random.default_rng([3, seed]).random((400, 2))
        points = points[np.argsort(np.sum((points - 0.7) ** 2, axis=1))]
        chance = np.random.default_rng([4, seed])
        for kind, among in (("noise", points), ("good", points[:16]), ("bad", points[-80:])):
            named = [{"x": float(x), "z": float(z)} for x, z in chance.permutation(among)[:2]]
            verdicts[kind].append(advised(named, 9, seed=seed).attribution().verdict)
    assert verdicts["noise"].count("helped") <= 1
    assert "did not help" not in verdicts["good"]
    assert "helped" in verdicts["good"]
    assert verdicts["bad"] == ["did not help"] * 8


@pytest.mark.parametrize("n", [0, 1, 2])
def test_without_seeds_or_results_nothing_can_be_told(n):
    found = advised(GOOD, n).attribution()
    assert found.verdict == "cannot tell yet"
    assert found.counterfactual is None
    assert sum(one.trials for one in found.sources) == n


def test_without_an_llm_the_sources_are_told_all_the_same():
    opt, _ = make(llm=None)
    for _ in range(6):
        step(opt, near(0.5))
    found = opt.attribution()
    assert found.verdict == "cannot tell yet"
    assert found.reason == "No trial of the LLM's has finished before the Gaussian process took over."
    assert [one.source for one in found.sources] == ["default", "sobol", "gp"]


def test_several_objectives_are_not_judged():
    opt, _ = make([json.dumps({"configs": GOOD})], objectives={"a": "minimize", "b": "maximize"})
    for _ in range(5):
        trial = opt.ask()
        opt.tell(trial, {"a": trial.params["x"], "b": trial.params["z"]})
    found = opt.attribution()
    assert found.verdict == "cannot tell yet"
    assert "several objectives" in found.reason


def test_seeds_that_crash_have_not_helped():
    found = advised(BAD, 8, objective=lambda params: None if params["x"] < 0.15 else params["x"]).attribution()
    assert found.verdict == "did not help"
    assert [place.as_good for place in found.counterfactual.places] == [1.0, 1.0]


def test_constraints_count_and_while_none_is_kept_nothing_is_told():
    opt, _ = make([json.dumps({"configs": GOOD})], constraints={"gb": "<= 0.5"})
    for _ in range(6):
        trial = opt.ask()
        opt.tell(trial, {"value": trial.params["x"], "gb": 2.0 + trial.params["z"]})
    assert opt.attribution().reason == "No trial keeps the constraints yet."
    other, _ = make([json.dumps({"configs": GOOD})], constraints={"gb": "<= 0.73"})
    for _ in range(8):
        trial = other.ask()
        other.tell(trial, {"value": near(0.7)(trial.params), "gb": trial.params["z"]})
    shares = [place.as_good for place in other.attribution().counterfactual.places]
    assert shares[0] < 1.0 == shares[1]  # the second is beyond the bound


def test_equal_values_tell_nothing():
    assert "values are equal" in advised(GOOD, 6, objective=lambda _: 1.0).attribution().reason


def test_it_is_the_same_from_the_file_alone_and_changes_nothing(tmp_path):
    store = tmp_path / "t.db"
    opt = advised(GOOD, 8, store=store)
    before, state = opt.attribution(), random_state()
    with Optimizer.load(store, llm=None) as other:
        assert other.attribution() == before == opt.attribution()
    assert random_state() == state
    assert opt.events == []
    opt.close()


def test_a_model_that_breaks_down_is_no_verdict(monkeypatch):
    opt = advised(GOOD, 6)
    monkeypatch.setattr("hybridbo.gp.counterfactual.Ensemble.of", lambda *_: 1 / 0)
    found = opt.attribution()
    assert found.verdict == "cannot tell yet"
    assert found.reason.startswith("The model failed:")


def test_an_altered_space_is_judged_as_it_is_now():
    opt = advised(GOOD, 8)
    opt.alter({"x": Float(0, 2), "z": Float(0, 1), "new": Float(0, 1, default=0.5)})
    assert opt.attribution().counterfactual.results == 8


UNLOADED = """
import sys
from hybridbo import Optimizer
opt = Optimizer.load(sys.argv[1], llm=None)
opt.trust, opt.attribution()
assert "torch" not in sys.modules
"""


def test_it_loads_no_torch(tmp_path):
    store = tmp_path / "t.db"
    opt, _ = make(store=store)
    for _ in range(6):
        step(opt, near(0.3))
    opt.close()
    assert subprocess.run([sys.executable, "-c", UNLOADED, store], check=False).returncode == 0
