"""When the engine fails, a Sobol point fills in, and says so."""

import logging

import pytest

from hybridbo import Categorical, Float, Optimizer, Space
from hybridbo.errors import SpaceExhausted, StoreBusy, StoreError
from hybridbo.integrations.fallback import ask, fill_in
from hybridbo.trial import History


def broken(self, history, n, rng):
    raise ZeroDivisionError("broken on purpose")
    yield


@pytest.fixture
def opt():
    return Optimizer({"x": Float(0, 1), "c": Categorical(["a", "b"])}, llm=None, seed=3)


def test_a_sound_engine_is_asked(opt):
    assert ask(opt).origin.source == "default"
    assert opt.events == []


def test_a_broken_engine_is_a_sobol_point_recorded_and_logged(opt, monkeypatch, caplog):
    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    with caplog.at_level(logging.WARNING):
        trials = [ask(opt) for _ in range(5)]
    assert len({opt.space.key(trial.params) for trial in trials}) == 5
    assert {trial.origin.source for trial in trials} == {"sobol"}
    assert all(trial.lease_until for trial in opt.trials)  # like those of opt.ask()
    assert all("ZeroDivisionError: broken on purpose" in trial.origin.reason for trial in trials)
    assert [(event.kind, event.trial_number) for event in opt.events] == [("fallback", i) for i in range(5)]
    assert "the engine failed" in caplog.text


def test_the_points_are_those_of_the_seed():
    space, error = Space({"x": Float(0, 1), "y": Float(0, 1)}), ValueError("x")
    params = [fill_in(space, History(), seed, error).params for seed in (1, 1, 2)]
    assert params[0] == params[1] != params[2]


def test_a_used_up_space_is_used_up(monkeypatch):
    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    small = Optimizer({"c": Categorical(["a", "b", "c"])}, llm=None, seed=0)
    assert {ask(small).params["c"] for _ in range(3)} == {"a", "b", "c"}
    with pytest.raises(SpaceExhausted):
        ask(small)


@pytest.mark.parametrize("error", [StoreError("full"), SpaceExhausted("all of it")])
def test_what_is_no_fault_of_the_engine_is_passed_on(opt, error, monkeypatch):
    def fails(self, **options):
        raise error

    monkeypatch.setattr(Optimizer, "ask", fails)
    with pytest.raises(type(error)):
        ask(opt)


def test_a_race_with_another_process_is_asked_again(opt, monkeypatch):
    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    monkeypatch.setattr(type(opt.store), "create_trial", lambda *_, **__: None)
    with pytest.raises(StoreBusy):
        ask(opt)
