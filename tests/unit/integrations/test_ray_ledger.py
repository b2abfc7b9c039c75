"""Ray's trials and the study's: which is which, and how an end is stored."""

import time
from types import SimpleNamespace

import pytest

pytest.importorskip("ray.tune")

from hybridbo import Float, Optimizer, TrialState, owner
from hybridbo.errors import InvalidParams, StudyMismatch
from hybridbo.integrations.ray_ledger import Ledger, add, add_unknown, settle
from hybridbo.integrations.ray_space import RaySpace
from hybridbo.trial import Outcome

SPACE = {"x": Float(0, 1), "net/y": Float(0, 1)}
FAILED = Outcome(TrialState.FAILED, error="crashed")


def value(x, state=TrialState.COMPLETE):
    return Outcome(state, {"value": x}, x)


@pytest.fixture
def opt(tmp_path):
    with Optimizer(SPACE, store=tmp_path / "s.db", llm=None, seed=0) as found:
        yield found


def ends(opt):
    return [(trial.state, trial.value) for trial in opt.trials]


def test_a_trial_is_settled_once(opt):
    number = opt.ask().number
    settle(opt, number, value(1.0))
    settle(opt, number, value(1.0))
    assert opt.events == []
    settle(opt, number, value(2.0))
    assert ends(opt) == [(TrialState.COMPLETE, 1.0)]
    assert [event.kind for event in opt.events] == ["result_ignored"]


def test_one_that_had_failed_and_runs_after_all_is_a_trial_of_its_own_whoever_proposed_it(opt):
    opt.enqueue({"x": 0.25})
    for source in ("user", "default"):
        trial = opt.ask()
        settle(opt, trial.number, FAILED)
        settle(opt, trial.number, value(1.0))
        assert opt.trials[-1].origin.source == source
        assert opt.trials[-1].params == trial.params
    assert ends(opt) == [(TrialState.FAILED, None), (TrialState.COMPLETE, 1.0)] * 2


def test_one_that_never_ran_is_offered_again_unless_it_has_ended(opt):
    first, second = opt.ask(), opt.ask()
    settle(opt, first.number, None)
    settle(opt, second.number, value(1.0))
    settle(opt, second.number, None)
    assert opt.ask().number == first.number
    assert opt.trials[1].state is TrialState.COMPLETE


def test_what_ran_elsewhere_is_added_once(opt):
    params = {"x": 0.1, "net/y": 0.2}
    add(opt, params, value(1.0), "Elsewhere.", seconds=60.0)
    add(opt, params, value(2.0), "Elsewhere.")
    assert ends(opt) == [(TrialState.COMPLETE, 1.0)]
    assert (opt.trials[0].origin.source, opt.trials[0].duration_s) == ("user", 60.0)
    with pytest.raises(InvalidParams, match="'net/y' is missing"):
        add(opt, {"x": 0.1}, value(1.0), "Elsewhere.")


def test_what_ray_ran_without_asking_is_read_from_its_result(opt):
    space = RaySpace.of(SPACE)
    result = {"config/x": 0.5, "config/net/y": 0.25, "time_total_s": 3.0, "value": 1.0}
    add_unknown(opt, space, result, value(1.0))
    assert opt.trials[0].params == {"x": 0.5, "net/y": 0.25}
    assert opt.trials[0].duration_s == 3.0
    for nothing in [(result, None), (result, FAILED), (None, value(1.0))]:
        add_unknown(opt, space, *nothing)
    add_unknown(opt, space, {"config/z": 1}, value(1.0))
    assert len(opt.trials) == 1
    assert "not in the space" in opt.events[-1].message


def test_claiming_holds_what_still_runs_and_leaves_what_has_ended(opt):
    ledger = Ledger()
    for trial_id in "abc":
        ledger.begin(trial_id, opt.ask().number)
    settle(opt, 1, value(1.0))
    for number in (0, 2):
        opt.store.take_over(opt.study, number, owner="gone", previous=owner.current(), attempt=0)
    del ledger.live["c"]  # Ray knows of its end
    ledger.claim(opt)
    assert [trial.owner for trial in opt.trials][::2] == [owner.current(), "gone"]
    assert opt.trials[1].state is TrialState.COMPLETE


def test_a_store_without_the_trials_is_another_store(opt):
    ledger = Ledger()
    ledger.begin("a", 4)
    with pytest.raises(StudyMismatch, match=r"knows trial 4, .* has 0 trials.*Give the store and study"):
        ledger.claim(opt)


def test_a_result_extends_the_lease_of_its_trial(opt, monkeypatch):
    ledger, goal = Ledger(), SimpleNamespace(told=lambda given, objective: {})
    trial = opt.ask(lease_s=5.0)
    ledger.begin("a", trial.number)
    ledger.report("a", {"training_iteration": 1}, goal, opt)
    first = opt.trials[0].lease_until
    assert first > trial.lease_until
    ledger.report("a", {"training_iteration": 2}, goal, opt)
    assert opt.trials[0].lease_until == first  # not with every result
    monkeypatch.setattr(time, "time", lambda: ledger.beats["a"] + 61.0)
    ledger.report("a", {"training_iteration": 3}, goal, opt)
    assert opt.trials[0].lease_until > first


def test_a_store_that_takes_no_heartbeat_does_not_end_the_search(opt, caplog):
    ledger = Ledger()
    ledger.begin("a", 7)  # no such trial
    ledger.report("a", {"training_iteration": 1}, SimpleNamespace(told=lambda given, objective: {}), opt)
    assert "no heartbeat of trial 7" in caplog.text
