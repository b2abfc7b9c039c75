"""HybridOracle on real tuners of KerasTuner, with objectives that cost nothing."""

import json
import logging
import math
import re
import threading

import pytest

pytest.importorskip("keras_tuner")

import keras_tuner
from keras_tuner import HyperParameters, Objective
from keras_tuner.oracles import RandomSearchOracle

from hybridbo import Categorical, Float, Int, Optimizer
from hybridbo.errors import BackendRefused, InvalidSettings, StoreCorrupt, StudyMismatch
from hybridbo.integrations import HybridOracle
from hybridbo.testing.scripted import ScriptedBackend

MIN = Objective("loss", "min")
# KerasTuner's locks look a thread up in a way that Python has renamed
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]


def build(hp):
    """Two scopes that share a name, as a model would declare them."""
    kind = hp.Choice("kind", ["mlp", "cnn"])
    lr = hp.Float("lr", 1e-4, 1.0, sampling="log", default=1e-2)
    with hp.conditional_scope("kind", ["mlp"]):
        width = hp.Int("units", 8, 64)  # None where the scope is inactive
    with hp.conditional_scope("kind", ["cnn"]):
        filters = hp.Int("units", 100, 200)
    return kind, lr, width or filters


def loss(kind, lr, units):
    return (math.log10(lr) + 2.5) ** 2 + (kind == "cnn") + units / 1000


class Tuner(keras_tuner.Tuner):
    """Runs ``evaluate(hp)`` in place of a model."""

    def __init__(self, oracle, folder, evaluate=lambda hp: loss(*build(hp)), **options):
        self.evaluate = evaluate
        super().__init__(oracle, directory=str(folder), project_name="project", **options)

    def run_trial(self, trial, *args, **kwargs):
        value = self.evaluate(trial.hyperparameters)
        return value if isinstance(value, dict) else {"loss": value}

    def save_model(self, trial_id, model, step=0): ...


def oracle(max_trials=8, **options):
    given = {"objective": MIN, "llm": None, "seed": 1, "max_consecutive_failed_trials": 99, **options}
    return HybridOracle(max_trials=max_trials, **given)


def search(folder, evaluate=lambda hp: loss(*build(hp)), declare=build, tuner=None, **options):
    """A search to its end; the tuner."""
    hps = HyperParameters()
    if declare:
        declare(hps)
        options.setdefault("hyperparameters", hps)
    found = (tuner or Tuner)(oracle(**options), folder, evaluate)
    found.search(verbose=0)
    return found


def tried(tuner):
    return [tuner.oracle.trials[key].hyperparameters.values for key in tuner.oracle.start_order]


def sources(tuner):
    return [tuner.oracle.origins[key].source for key in tuner.oracle.start_order]


# The search -------------------------------------------------------------------------------------------------------


def test_it_proposes_what_an_optimizer_proposes(tmp_path):
    def declare(hp):
        hp.Choice("kind", ["mlp", "cnn"])
        hp.Float("lr", 1e-4, 1.0, sampling="log", default=1e-2)
        hp.Int("units", 8, 64)

    def evaluate(hp):
        return loss(hp.get("kind"), hp.get("lr"), hp.get("units"))

    tuner = search(tmp_path, evaluate, declare, max_trials=9)
    space = {
        "kind": Categorical(["mlp", "cnn"]),
        "lr": Float(1e-4, 1.0, log=True, default=1e-2),
        "units": Int(8, 64),
    }
    opt = Optimizer(space, llm=None, seed=1)
    for values in tried(tuner):
        trial = opt.ask()
        assert trial.params == values
        opt.tell(trial, loss(**trial.params))
    assert sources(tuner) == [trial.origin.source for trial in opt.trials]
    assert "gp" in sources(tuner)
    best = tuner.get_best_hyperparameters()[0].values
    assert best == opt.best.params


def test_conditional_scopes_have_their_own_values_each(tmp_path):
    seen = []

    def evaluate(hp):
        seen.append(build(hp))
        return loss(*seen[-1])

    tuner = search(tmp_path, evaluate, max_trials=12)
    assert {kind for kind, *_ in seen} == {"mlp", "cnn"}
    assert all(8 <= units <= 64 if kind == "mlp" else 100 <= units <= 200 for kind, _, units in seen)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 12
    assert tried(tuner) == [{"kind": kind, "lr": lr, "units": units} for kind, lr, units in seen]


def test_maximising_is_minimising_the_negative(tmp_path):
    down = search(tmp_path / "down")
    up = search(tmp_path / "up", lambda hp: -loss(*build(hp)), objective=Objective("loss", "max"))
    assert tried(up) == tried(down)


def test_several_objectives_are_added_up_as_kerastuner_does(tmp_path):
    def evaluate(hp):
        value = loss(*build(hp))
        return {"a": 2 * value, "b": value, "multi_objective": 2 * value - value}

    both = search(tmp_path / "both", evaluate, objective=[Objective("a", "min"), Objective("b", "max")])
    assert tried(both) == tried(search(tmp_path / "one"))
    assert both.oracle.objective.name == "multi_objective"


def test_a_single_float_and_no_objective_will_do(tmp_path):
    class Plain(Tuner):
        def run_trial(self, trial, *args, **kwargs):
            return self.evaluate(trial.hyperparameters)

    plain = search(tmp_path / "plain", tuner=Plain, objective=None)
    assert tried(plain) == tried(search(tmp_path / "named"))


def test_the_same_seed_gives_the_same_search_and_another_another(tmp_path):
    assert tried(search(tmp_path / "a")) == tried(search(tmp_path / "b"))
    assert tried(search(tmp_path / "c", seed=2)) != tried(search(tmp_path / "a"))
    assert search(tmp_path / "d", seed=0).oracle.seed == 0


def test_the_language_model_speaks_once_and_its_reply_is_kept(tmp_path):
    reply = json.dumps({"configurations": [{"kind": "mlp", "lr": 0.003, "units": 16}, {"kind": "cnn", "lr": 0.01}]})
    backend = ScriptedBackend([reply])
    first = search(tmp_path, llm=backend, task="an MLP on digits", max_trials=3)
    assert sources(first)[:2] == ["default", "llm"]
    assert first.oracle.llm_usage.calls == len(backend.requests) == 1
    assert "an MLP on digits" in backend.requests[0].user
    again = search(tmp_path, llm=backend, task="an MLP on digits", max_trials=6)
    assert len(again.oracle.trials) == 6
    assert len(backend.requests) == 1
    assert again.oracle.llm_usage.calls == 1


def test_a_language_model_that_fails_is_told_of_and_ends_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        tuner = search(tmp_path, llm=ScriptedBackend([]), max_trials=4)
    reasons = [origin.reason for origin in tuner.oracle.origins.values()]
    assert any("The LLM gave no advice" in reason for reason in reasons)
    assert {event.kind for event in tuner.oracle.events} == {"llm_failed", "llm_paused", "fallback"}
    assert "the language model gave no reply" in caplog.text


def test_a_refused_model_is_told_of_with_what_helps_in_keras_tuner(tmp_path):
    refused = search(tmp_path, llm=ScriptedBackend([BackendRefused("401")]), max_trials=3)
    [off] = [event.message for event in refused.oracle.events if event.kind == "llm_off"]
    assert "Go on with the project with another model" in off
    assert "switch_llm_on" not in off
    other = ScriptedBackend([json.dumps({"configurations": [{"kind": "mlp", "lr": 0.003, "units": 16}]})])
    other.identity = "scripted, another key"
    search(tmp_path, llm=other, max_trials=5)
    assert len(other.requests) == 1


# The space grows --------------------------------------------------------------------------------------------------


def test_a_space_that_shows_itself_trial_by_trial_is_searched_as_far_as_it_is_known(tmp_path):
    def evaluate(hp):
        total = (hp.Float("x", 0.0, 1.0) - 0.3) ** 2
        for i in range(hp.Int("layers", 1, 3)):
            total += hp.Float(f"w{i}", 0.0, 1.0, default=0.5) / 10
        return total

    tuner = search(tmp_path, evaluate, declare=None, max_trials=12)
    assert tried(tuner)[0] == {"x": 0.0, "layers": 1, "w0": 0.5}  # nothing was known: KerasTuner's defaults
    assert {"x", "layers", "w0", "w1"} <= {hp.name for hp in tuner.oracle.get_space().space}
    assert sources(tuner)[0] == "default"
    assert sources(tuner)[-1] == "gp"
    assert tuner.oracle.get_best_trials()[0].score < 0.1


def test_a_growing_space_is_not_asked_about_for_ever(tmp_path):
    reply = json.dumps({"configurations": [{"w0": 0.9}, {"w0": 0.8}]})
    backend = ScriptedBackend([reply] * 9)
    numbers = iter(range(99))

    def evaluate(hp):
        return sum(hp.Float(f"w{i}", 0.0, 1.0) for i in range(next(numbers) + 1))

    search(tmp_path, evaluate, declare=None, llm=backend, max_trials=9)
    assert len(backend.requests) <= 3


def test_entries_that_are_not_tuned_keep_their_default_and_others_are_refused(tmp_path):
    def declare(hp):
        hp.Float("lr", 1e-4, 1.0, sampling="log")

    def evaluate(hp):
        return loss(hp.Choice("kind", ["mlp", "cnn"]), hp.get("lr"), hp.Int("units", 8, 64))

    kept = search(tmp_path / "a", evaluate, declare, tune_new_entries=False)
    assert {(values["kind"], values["units"]) for values in tried(kept)} == {("mlp", 8)}
    assert len({values["lr"] for values in tried(kept)}) == 8
    with pytest.raises(RuntimeError, match="allow_new_entries"):
        search(tmp_path / "b", evaluate, declare, allow_new_entries=False)


def test_what_is_given_in_advance_stands_in_place_of_what_the_model_declares(tmp_path):
    def declare(hp):
        hp.Fixed("kind", "cnn")
        hp.Float("lr", 1e-3, 1e-2, sampling="log")

    for values in tried(search(tmp_path, declare=declare)):
        assert values["kind"] == "cnn"
        assert 1e-3 <= values["lr"] <= 1e-2
        assert 100 <= values["units"] <= 200


@pytest.mark.parametrize("declare", [lambda hp: hp.Choice("c", ["a", "b", "c"]), lambda hp: hp.Fixed("c", "a")])
def test_a_used_up_space_ends_the_search(declare, tmp_path):
    tuner = search(tmp_path, lambda hp: float(ord(hp.get("c"))), declare, max_trials=9)
    assert len(tuner.oracle.trials) == len({values["c"] for values in tried(tuner)}) in (1, 3)
    assert tuner.oracle.events[-1].kind == "space_exhausted"


# Failures -----------------------------------------------------------------------------------------------------------


def test_trials_that_crash_are_learned_from_as_failures(tmp_path):
    def evaluate(hp):
        kind, lr, units = build(hp)
        if kind == "cnn":
            raise RuntimeError("out of memory")
        return loss(kind, lr, units)

    tuner = search(tmp_path, evaluate, max_trials=16)
    statuses = [tuner.oracle.trials[key].status for key in tuner.oracle.start_order]
    assert {"FAILED", "COMPLETED"} == set(statuses)
    assert statuses[-6:].count("FAILED") <= 1  # it has learned where crashes are
    assert len({json.dumps(values) for values in tried(tuner)}) == 16


def test_nan_is_a_failure_and_so_is_infinity(tmp_path):
    values = iter([1.0, math.nan, math.inf, *[2.0 / i for i in range(1, 9)]])
    tuner = search(tmp_path, lambda hp: (build(hp), next(values))[1], max_trials=9)
    assert len(tuner.oracle.trials) == 9
    history, notes = tuner.oracle._record.history(list(tuner.oracle.trials.values()), known(tuner))
    assert [trial.number for trial in history.failed] == [1, 2]
    assert notes == []


def known(tuner):
    from hybridbo.integrations.keras_space import KerasSpace

    return KerasSpace.of(tuner.oracle.hyperparameters.space)


def test_a_trial_that_is_run_again_is_the_same_trial(tmp_path):
    crashes = iter([True, True, False, True, False] + [False] * 99)

    def evaluate(hp):
        made = build(hp)
        if next(crashes):
            raise RuntimeError("a bad node")
        return loss(*made)

    calm = search(tmp_path / "calm", max_trials=5)
    tuner = search(tmp_path / "crashing", evaluate, max_trials=5, max_retries_per_trial=2)
    assert tried(tuner) == tried(calm)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 5


def test_too_many_failures_in_a_row_end_the_search(tmp_path):
    def evaluate(hp):
        build(hp)
        raise RuntimeError("always")

    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 3"):
        search(tmp_path, evaluate, max_consecutive_failed_trials=3)


def broken(self, history, n, rng):
    raise ZeroDivisionError("broken on purpose")
    yield


def test_a_failure_of_the_engine_is_a_sobol_point_with_its_reason(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    with caplog.at_level(logging.WARNING):
        tuner = search(tmp_path, max_trials=4)
    assert len({json.dumps(values) for values in tried(tuner)}) == 4
    for origin in tuner.oracle.origins.values():
        assert (origin.source, "ZeroDivisionError: broken on purpose" in origin.reason) == ("sobol", True)
    assert [event.kind for event in tuner.oracle.events] == ["fallback"] * 4
    assert "the engine failed" in caplog.text


def test_where_even_that_fails_kerastuner_draws(tmp_path, monkeypatch):
    def worse(*_):
        raise ZeroDivisionError("broken too")

    monkeypatch.setattr("hybridbo.integrations.keras_oracle.KerasSpace.of", worse)
    tuner = search(tmp_path, max_trials=3)
    assert len(tuner.oracle.trials) == 3
    assert all("drawn at random" in origin.reason for origin in tuner.oracle.origins.values())


def test_a_trial_whose_values_are_no_longer_in_the_space_is_left_out_and_told_of(tmp_path):
    tuner = search(tmp_path, max_trials=3)
    tuner.oracle.trials["0"].hyperparameters.values["kind"] = "rnn"
    tuner.oracle.max_trials = 5
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == 5
    assert any("Trial 0 is left out: 'kind'='rnn'" in event.message for event in tuner.oracle.events)


# Several workers ------------------------------------------------------------------------------------------------------


def test_trials_under_way_are_not_repeated(tmp_path):
    hps = HyperParameters()
    hps.Choice("c", ["a", "b", "c", "d"])
    chief = oracle(hyperparameters=hps)
    Tuner(chief, tmp_path)
    chief.verbose = 0
    trials = [chief.create_trial(f"worker{i}") for i in range(5)]
    assert sorted(trial.hyperparameters.values["c"] for trial in trials[:4]) == ["a", "b", "c", "d"]
    assert trials[4].status == "STOPPED"


def test_workers_that_ask_at_once_get_different_trials(tmp_path):
    hps = HyperParameters()
    build(hps)
    chief = oracle(hyperparameters=hps)
    Tuner(chief, tmp_path)
    chief.verbose = 0
    trials = []
    threads = [
        threading.Thread(target=lambda i=i: trials.append(chief.create_trial(f"worker{i}")), name=f"worker{i}")
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.dumps(trial.hyperparameters.values, sort_keys=True) for trial in trials}) == 6


def test_while_nothing_is_known_of_the_space_a_second_worker_waits(tmp_path):
    chief = oracle()
    Tuner(chief, tmp_path)
    chief.verbose = 0
    assert chief.create_trial("worker0").status == "RUNNING"
    assert chief.create_trial("worker1").status == "IDLE"


# Projects -------------------------------------------------------------------------------------------------------------


def test_a_project_is_reloaded_and_goes_on_as_the_uninterrupted_one(tmp_path):
    whole = search(tmp_path / "whole", max_trials=9)
    begun = search(tmp_path / "cut", max_trials=5)
    again = search(tmp_path / "cut", max_trials=9)
    assert tried(again) == tried(whole)
    assert again.oracle.origins == whole.oracle.origins
    assert tried(again)[:5] == tried(begun)


def test_a_trial_that_was_cut_off_is_run_first(tmp_path):
    class PowerCut(BaseException):
        pass

    def evaluate(hp):
        made = build(hp)
        seen.append(made)
        if len(seen) == 4:
            raise PowerCut
        return loss(*made)

    seen = []
    with pytest.raises(PowerCut):
        search(tmp_path / "cut", evaluate)
    again = search(tmp_path / "cut", evaluate)
    assert seen[3] == seen[4]
    assert tried(again) == tried(search(tmp_path / "whole"))


def test_overwrite_begins_anew(tmp_path):
    search(tmp_path, max_trials=3)
    hps = HyperParameters()
    build(hps)
    tuner = Tuner(oracle(max_trials=3, hyperparameters=hps), tmp_path, overwrite=True)
    assert tuner.oracle.trials == {}
    assert tuner.oracle.origins == {}


def test_a_project_with_another_objective_is_refused(tmp_path):
    search(tmp_path, max_trials=3)
    for objective, message in [
        (Objective("loss", "max"), r"direction was 'min', now 'max'.*overwrite=True"),
        (Objective("acc", "min"), r"name was 'loss', now 'acc'"),
    ]:
        with pytest.raises(StudyMismatch, match=message):
            Tuner(oracle(objective=objective), tmp_path)


def test_a_project_with_other_hyperparameters_is_refused(tmp_path):
    search(tmp_path, max_trials=3)
    hps = HyperParameters()
    hps.Float("lr", 1e-4, 0.5, sampling="log", default=1e-2)
    with pytest.raises(StudyMismatch, match=r"hyperparameter 'lr' was .*1\.0.*0\.5.*project_name"):
        Tuner(oracle(hyperparameters=hps), tmp_path)


@pytest.mark.parametrize("text", ["\x00 garbage", "", "[]", "{}"])
def test_a_damaged_project_is_told_with_its_path(tmp_path, text):
    search(tmp_path, max_trials=2)
    [path] = tmp_path.rglob("oracle.json")
    path.write_text(text)
    with pytest.raises(StoreCorrupt, match=r"oracle\.json cannot be read .*backup.*overwrite=True"):
        search(tmp_path, max_trials=3)


def test_a_damaged_trial_is_told_with_its_path(tmp_path):
    search(tmp_path, max_trials=2)
    path = sorted(tmp_path.rglob("trial.json"))[1]
    path.write_text("{")
    with pytest.raises(StoreCorrupt, match=re.escape(f"{path} cannot be read")):
        search(tmp_path, max_trials=3)


def test_the_project_of_another_oracle_is_taken_over_and_learned_from(tmp_path):
    lr_only = HyperParameters()
    lr_only.Float("lr", 1e-4, 1.0, sampling="log")
    random = RandomSearchOracle(objective=MIN, max_trials=6, hyperparameters=lr_only, seed=3)
    Tuner(random, tmp_path, lambda hp: loss("mlp", hp.get("lr"), 8)).search(verbose=0)
    tuner = search(
        tmp_path,
        lambda hp: loss("mlp", hp.get("lr"), 8),
        lambda hp: hp.Float("lr", 1e-4, 1.0, sampling="log"),
        max_trials=8,
    )
    assert len(tuner.oracle.trials) == 8
    assert tuner.oracle.origins[tuner.oracle.start_order[-1]].source == "gp"


def test_the_state_is_plain_json_and_keeps_times_and_events(tmp_path):
    tuner = search(tmp_path, llm=ScriptedBackend([]), max_trials=3)
    state = json.loads((tmp_path / "project" / "oracle.json").read_text())["hybridbo"]
    assert state["origins"].keys() == state["started"].keys() == state["ended"].keys() == tuner.oracle.trials.keys()
    again = Tuner(oracle(max_trials=3), tmp_path)
    assert again.oracle.events == tuner.oracle.events
    assert again.oracle.llm_usage == tuner.oracle.llm_usage
    trials, _ = again.oracle._record.history(list(again.oracle.trials.values()), known(again))
    assert all(trial.duration_s >= 0 for trial in trials.completed)


# Wrong uses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, r"seed=-1"),
        ({"seed": 1.5}, r"seed=1\.5"),
        ({"task": 7}, r"task=7"),
        ({"settings": {"seeds": 3}}, r"settings\.seeds"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InvalidSettings, match=message):
        oracle(**options)


def test_an_objective_whose_direction_is_unknown_is_refused_by_kerastuner():
    with pytest.raises(ValueError, match="Could not infer optimization direction"):
        oracle(objective="my_metric")
