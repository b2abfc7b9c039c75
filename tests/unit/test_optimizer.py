import json
import pickle
import threading

import numpy as np
import pytest

from hybridbo import Categorical, Float, Int, Optimizer, Space, TrialState, errors
from hybridbo.storage import open_store
from hybridbo.testing import ScriptedBackend

SPACE = {
    "lr": Float(1e-5, 1e-1, log=True, default=1e-3),
    "depth": Int(1, 4),
    "opt": Categorical(["adam", "sgd"]),
    "momentum": Float(0.0, 0.99, when={"opt": ["sgd"]}),
}


def make(**changes):
    given = {"space": SPACE, "llm": None, "seed": 0} | changes
    return Optimizer(**given)


def loss(params):
    return abs(np.log10(params["lr"]) + 3) + params["depth"] / 10 + params.get("momentum", 0.5)


def test_ask_and_tell():
    opt = make()
    trial = opt.ask()
    assert (trial.number, trial.state, trial.origin.source, trial.value) == (0, TrialState.RUNNING, "default", None)
    assert trial.params == {"lr": 1e-3, "depth": 2, "opt": "adam"}
    told = opt.tell(trial, 0.123)
    assert (told.state, told.value, told.values) == (TrialState.COMPLETE, 0.123, {"value": 0.123})
    assert opt.best == told == opt.trials[0]
    assert told.finished_at >= told.started_at


def test_told_by_number_and_numpy_value():
    opt = make()
    opt.ask()
    assert opt.tell(np.int64(0), np.float32(0.5)).value == 0.5


def test_same_tell_twice_is_harmless_and_another_conflicts():
    opt = make()
    trial = opt.ask()
    first = opt.tell(trial, 1.0)
    assert opt.tell(trial, 1.0) == first
    with pytest.raises(errors.TellConflict):
        opt.tell(trial, 2.0)
    with pytest.raises(errors.TellConflict):
        opt.fail(trial, "late")
    assert opt.trials == [first]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.1", True, [1.0], 10**400])
def test_what_is_no_finite_number_is_refused_and_changes_nothing(value):
    opt = make()
    trial = opt.ask()
    with pytest.raises(errors.InvalidValue, match="fail"):
        opt.tell(trial, value)
    assert opt.trials == [trial]


@pytest.mark.parametrize("trial", [7, -1, "0", None, 0.0, True])
def test_unknown_trial(trial):
    opt = make()
    opt.ask()
    with pytest.raises(errors.TrialNotFound):
        opt.tell(trial, 1.0)


def test_fail_keeps_the_reason_and_gives_no_best():
    opt = make()
    failed = opt.fail(opt.ask(), "CUDA out of memory")
    assert (failed.state, failed.error, failed.value) == (TrialState.FAILED, "CUDA out of memory", None)
    assert opt.best is None


def test_maximise():
    opt = make(direction="maximize")
    for value in (1.0, 3.0, 2.0):
        opt.tell(opt.ask(), value)
    assert opt.best.number == 1


def test_enqueued_is_next_completed_and_taken_once():
    opt = make()
    assert opt.enqueue({"lr": 0.01})
    assert not opt.enqueue({"lr": 0.01})
    trial = opt.ask()
    assert (trial.origin.source, trial.params) == ("user", {"lr": 0.01, "depth": 2, "opt": "adam"})
    assert not opt.enqueue({"lr": 0.01})
    assert opt.ask().origin.source == "default"


def test_an_inactive_value_that_is_enqueued_is_left_out_with_a_word():
    opt = make()
    assert opt.enqueue({"opt": "adam", "momentum": 0.9})
    assert "momentum" not in opt.ask().params
    assert [(event.kind, "momentum" in event.message) for event in opt.events] == [("inactive_dropped", True)]
    assert opt.enqueue({"opt": "sgd", "momentum": 0.9})
    assert len(opt.events) == 1


def test_enqueue_refuses_what_is_outside():
    with pytest.raises(errors.InvalidParams, match=r"'lr'=5 is out of range.*1e-05"):
        make().enqueue({"lr": 5})


def test_batch_is_all_different():
    opt = make()
    keys = {opt.space.key(trial.params) for trial in opt.ask_batch(8)}
    assert len(keys) == 8


def test_batch_of_a_finite_space_ends_with_it():
    opt = make(space={"a": Int(1, 3)})
    assert len(opt.ask_batch(5)) == 3
    with pytest.raises(errors.SpaceExhausted, match="3 configurations"):
        opt.ask_batch(1)


def test_several_objectives_and_constraints():
    opt = make(objectives={"error": "minimize", "speed": "maximize"}, constraints={"memory_gb": "<= 16"})
    rows = [(0.2, 5.0, 9.0), (0.1, 4.0, 9.0), (0.3, 4.0, 9.0), (0.01, 9.0, 17.0), (0.25, 4.5, 1.0), (0.15, 6.0, 3.0)]
    for error, speed, memory in rows:
        opt.tell(opt.ask(), {"error": error, "speed": speed, "memory_gb": memory})
    assert [trial.number for trial in opt.pareto_front] == [1, 5]
    assert opt.ask().origin.source == "gp"
    with pytest.raises(errors.InvalidState, match="pareto_front"):
        _ = opt.best
    with pytest.raises(errors.InvalidValue, match="'speed' is missing"):
        opt.tell(opt.ask(), {"error": 1.0, "memory_gb": 1.0})


def test_constraint_on_one_objective_decides_the_best():
    opt = make(constraints={"memory_gb": "<= 16"})
    opt.tell(opt.ask(), {"value": 1.0, "memory_gb": 20.0})
    opt.tell(opt.ask(), {"value": 2.0, "memory_gb": 10.0})
    assert opt.best.number == 1


def test_same_seed_and_history_give_the_same_trial():
    def search(seed):
        opt = make(seed=seed)
        for _ in range(7):
            trial = opt.ask()
            opt.tell(trial, loss(trial.params))
        return [(trial.params, trial.origin) for trial in opt.trials]

    assert search(1) == search(1)
    assert search(1) != search(2)


def test_resume_takes_the_stored_seed_and_task(tmp_path):
    first = make(store=tmp_path / "a.db", seed=11, task="Tune it.")
    first.close()
    again = Optimizer(SPACE, store=tmp_path / "a.db", llm=None)
    assert (again.seed, again.task) == (11, "Tune it.")
    loaded = Optimizer.load(tmp_path / "a.db")
    assert (loaded.seed, loaded.task, loaded.space) == (11, "Tune it.", Space(SPACE))


def test_resume_with_another_space_or_direction_names_the_differences(tmp_path):
    make(store=tmp_path / "a.db").close()
    other = dict(SPACE, depth=Int(1, 9))
    with pytest.raises(errors.StudyMismatch, match=r"'depth' was .*\"high\": 4.*now .*\"high\": 9"):
        make(space=other, store=tmp_path / "a.db")
    with pytest.raises(errors.StudyMismatch, match="maximize"):
        make(direction="maximize", store=tmp_path / "a.db")


def test_order_of_parameters_is_the_studys(tmp_path):
    make(store=tmp_path / "a.db").close()
    again = make(space=dict(reversed(SPACE.items())), store=tmp_path / "a.db")
    assert list(again.space) == list(SPACE)


def test_load_creates_nothing(tmp_path):
    with pytest.raises(errors.StudyNotFound):
        Optimizer.load(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    make(store=tmp_path / "a.db", study="here").close()
    with pytest.raises(errors.StudyNotFound, match="here"):
        Optimizer.load(tmp_path / "a.db", "there")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "min"}, "minimize"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"seed": True}, "seed=True"),
        ({"study": ""}, "study=''"),
        ({"study": 3}, "study=3"),
        ({"task": None}, "task=None"),
        ({"task": "\ud800"}, "UTF-8"),
        ({"settings": {"seeds": 3}}, "settings.seeds"),
        ({"settings": {"seed_trials": 0}}, "settings.seed_trials=0"),
        ({"objectives": ["error"]}, "objectives"),
        ({"objectives": {}}, "objectives"),
        ({"direction": "minimize", "objectives": {"a": "minimize"}}, "both given"),
        ({"constraints": {"m": "< 3"}}, "<= 16"),
        ({"llm": "nobody:x"}, "nobody"),
        ({"llm": 3}, "ChatBackend"),
        ({"store": 3}, "store=3"),
        ({"space": {}}, "empty"),
    ],
)
def test_wrong_arguments_are_named_with_the_remedy(changes, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        make(**changes)
    assert caught.value.hint


def test_threads_get_different_trials(tmp_path):
    opt = make(store=tmp_path / "a.db")
    asked = []
    threads = [threading.Thread(target=lambda: asked.append(opt.ask())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(trial.number for trial in asked) == list(range(6))
    assert len({opt.space.key(trial.params) for trial in asked}) == 6


def test_llm_speaks_second_and_is_asked_once():
    reply = json.dumps({"configs": [{"lr": 0.002, "depth": 3, "opt": "adam"}, {"lr": 0.02, "depth": 1, "opt": "adam"}]})
    backend = ScriptedBackend([reply])
    opt = make(llm=backend, settings={"seed_trials": 6})
    sources = []
    for _ in range(7):
        trial = opt.ask()
        sources.append(trial.origin.source)
        opt.tell(trial, loss(trial.params) - 10 * (trial.origin.source == "llm"))  # good advice is not cut short
    assert sources == ["default", "llm", "llm", "sobol", "sobol", "sobol", "gp"]
    assert len(backend.requests) == 1
    assert opt.llm_usage.calls == 1
    assert opt.trials[3].origin.reason.startswith("All 2 usable configurations")


def test_a_trial_whose_process_keeps_dying_fails_at_last(tmp_path, monkeypatch):
    opt = make(store=tmp_path / "a.db")
    monkeypatch.setattr("hybridbo.owner.is_gone", lambda _: True)
    numbers = [opt.ask().number for _ in range(7)]
    assert numbers == [0] * 6 + [1]
    assert "died 6 times" in opt.trials[0].error


def test_detached_trials_are_not_offered_again():
    opt = make()
    assert [opt.ask(detached=True).number for _ in range(3)] == [0, 1, 2]


def test_trials_pickle():
    opt = make()
    opt.tell(opt.ask(), 1.0)
    assert pickle.loads(pickle.dumps(opt.trials)) == opt.trials


def test_changing_what_was_returned_changes_nothing():
    opt = make()
    opt.ask().params["lr"] = 99
    opt.trials[0].params.clear()
    assert opt.trials[0].params["lr"] == 1e-3


def test_another_seed_than_the_studys_is_used_and_recorded(tmp_path):
    make(store=tmp_path / "a.db", seed=1).close()
    opt = make(store=tmp_path / "a.db", seed=2)
    assert opt.seed == 2
    assert [event.kind for event in opt.events] == ["seed_changed"]
    assert Optimizer.load(tmp_path / "a.db").seed == 1


def synchronous(opt):
    return opt.store._file._db.conn.execute("PRAGMA synchronous").fetchone()[0]


def test_synchronous_is_full_unless_the_settings_say_otherwise(tmp_path):
    with make(store=tmp_path / "a.db") as opt:
        assert synchronous(opt) == 2
    normal = {"store": {"synchronous": "NORMAL"}}
    with make(store=tmp_path / "b.db", settings=normal) as opt:
        assert synchronous(opt) == 1
    with make(store=tmp_path / "b.db") as opt:  # the study has kept it
        assert synchronous(opt) == 1
        opt.tell(opt.ask(), 1.0)
    with Optimizer.load(tmp_path / "b.db", opt.study, llm=None) as opt:
        assert synchronous(opt) == 1
    with pytest.raises(errors.InvalidSettings, match="synchronous"):
        make(settings={"store": {"synchronous": "OFF"}})


def test_a_store_that_is_given_stays_as_it_is(tmp_path):
    store = open_store(tmp_path / "a.db")
    opt = make(store=store, settings={"store": {"synchronous": "NORMAL"}})
    assert opt.store is store
    assert synchronous(opt) == 2
    store.close()


def test_what_is_handed_out_cannot_change_what_is_known():
    opt = make()
    opt.tell(opt.ask(), 1.0)
    for trial in (opt.trials[0], opt.best, opt.pareto_front[0]):
        trial.params["x"] = 99.0
        trial.values["value"] = 99.0
    assert opt.trials[0] == opt.store.get_trials(opt.study)[0]
    assert opt.best.value == 1.0


def test_a_request_gives_the_same_trial_in_another_process_too(tmp_path):
    with make(store=tmp_path / "a.db") as opt:
        first = opt.ask(request_id="job 1")
    with make(store=tmp_path / "a.db") as opt:
        assert opt.ask(request_id="job 1") == first
        assert opt.ask(request_id="job 2").number == 1
