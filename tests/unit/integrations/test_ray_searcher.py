"""HybridSearcher keeps Ray's contract for a searcher. Ray's own classes drive it; no cluster is started."""

import copy
import logging
import math
import pickle
import threading

import pytest

pytest.importorskip("ray.tune")

from ray import cloudpickle, tune
from ray.tune.impl.placeholder import create_resolvers_map, inject_placeholders
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.search.repeater import Repeater

from hybridbo import Categorical, Float, Int, Optimizer, Space, TrialState, owner
from hybridbo.errors import (
    InvalidParams,
    InvalidSettings,
    InvalidSpace,
    InvalidValue,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StudyMismatch,
)
from hybridbo.integrations import HybridSearcher
from hybridbo.storage.sqlite import SqliteStore
from hybridbo.testing.scripted import ScriptedBackend

SPACE = {"lr": Float(1e-4, 1.0, log=True), "depth": Int(1, 4), "kind": Categorical(["a", "b"])}
PARAM_SPACE = {"lr": tune.loguniform(1e-4, 1.0), "net": {"depth": tune.randint(1, 5)}, "data": "digits"}


def searcher(space=SPACE, **options):
    return HybridSearcher(space, **{"metric": "loss", "mode": "min", "llm": None, "seed": 0, **options})


def loss(config):
    return (math.log10(config["lr"]) + 2) ** 2 + config["depth"]


def report(value, iteration=1, done=True, **more):
    """A flattened result, as Ray hands it to a searcher."""
    return {"loss": value, "training_iteration": iteration, "done": done, **more}


def finish(search, trial_id, value, iteration=1):
    """What Ray calls for a function that reports once and returns."""
    search.on_trial_result(trial_id, report(value, iteration, done=False))
    search.on_trial_complete(trial_id, report(value, iteration))


def run(search, n, start=0):
    configs = []
    for i in range(start, start + n):
        configs.append(search.suggest(f"t{i}"))
        finish(search, f"t{i}", loss(configs[-1]))
    return configs


# The search -------------------------------------------------------------------------------------------------------


def test_it_proposes_what_an_optimizer_proposes():
    configs = run(searcher(), 8)
    opt = Optimizer(SPACE, llm=None, seed=0)
    expected = []
    for _ in range(8):
        trial = opt.ask()
        expected.append(trial.params)
        opt.tell(trial, loss(trial.params))
    assert configs == expected


def test_maximising_is_minimising_the_negative():
    up, down = searcher(mode="max"), searcher()
    for i in range(8):
        config = down.suggest(f"t{i}")
        assert up.suggest(f"t{i}") == config
        finish(down, f"t{i}", loss(config))
        finish(up, f"t{i}", -loss(config))
    assert up.optimizer.best.value == -down.optimizer.best.value


def test_param_space_metric_and_mode_may_come_from_the_tuner():
    search = HybridSearcher(llm=None, seed=0)
    assert search.set_search_properties("loss", "min", PARAM_SPACE, stop={"training_iteration": 3}, num_samples=5)
    assert (search.metric, search.mode) == ("loss", "min")
    config = search.suggest("a")
    assert config.keys() == {"lr", "net"}  # Ray adds the constants
    assert search.optimizer.trials[0].params == {"lr": config["lr"], "net/depth": config["net"]["depth"]}


def test_a_space_given_to_the_searcher_is_not_replaced():
    search = searcher()
    assert not search.set_search_properties("loss", "min", PARAM_SPACE)
    assert search.set_search_properties("loss", "min", {"data": "digits"})  # constants are Ray's affair
    assert search.suggest("a").keys() == set(SPACE)


def test_several_metrics_are_several_objectives():
    search = searcher(metric=["loss", "ms"], mode=["min", "max"])
    config = search.suggest("a")
    search.on_trial_complete("a", report(loss(config), ms=3.0))
    assert search.optimizer.trials[0].values == {"loss": loss(config), "ms": 3.0}
    assert dict(search.optimizer.objective.directions) == {"loss": "minimize", "ms": "maximize"}


def test_with_a_mode_alone_the_metric_is_the_one_of_a_trainable_that_returns_a_number():
    search = HybridSearcher(SPACE, mode="min", llm=None)
    search.suggest("a")
    search.on_trial_complete("a", {"_metric": 2.0, "done": True})
    assert search.optimizer.best.value == 2.0


def test_points_to_evaluate_come_first_and_are_completed():
    search = searcher(points_to_evaluate=[{"lr": 0.5, "depth": 3, "kind": "b"}, {"lr": 0.25}])
    assert search.suggest("a") == {"lr": 0.5, "depth": 3, "kind": "b"}
    assert search.suggest("b")["lr"] == 0.25
    assert [trial.origin.source for trial in search.optimizer.trials] == ["user", "user"]


def test_the_settings_of_the_store_are_those_of_its_file(tmp_path):
    search = searcher(store=tmp_path / "search.db", settings={"store": {"synchronous": "NORMAL"}})
    with search.optimizer as opt:
        assert opt.store._file._db.conn.execute("PRAGMA synchronous").fetchone()[0] == 1


def test_the_language_model_speaks_through_it():
    reply = '{"configurations": [{"lr": 0.01, "depth": 2, "kind": "b"}, {"lr": 0.02, "depth": 3, "kind": "a"}]}'
    search = searcher(llm=ScriptedBackend([reply]), task="an MLP on digits")
    run(search, 3)
    assert "llm" in [trial.origin.source for trial in search.optimizer.trials]
    assert search.optimizer.llm_usage.calls == 1


def test_a_used_up_space_finishes_the_search():
    search = searcher({"kind": Categorical(["a", "b"])})
    assert {search.suggest("x")["kind"], search.suggest("y")["kind"]} == {"a", "b"}
    assert search.suggest("z") == Searcher.FINISHED
    assert "space_exhausted" in [event.kind for event in search.optimizer.events]


def test_asking_twice_for_one_trial_gives_one_configuration():
    search = searcher()
    assert search.suggest("a") == search.suggest("a")
    assert len(search.optimizer.trials) == 1


# Concurrency ------------------------------------------------------------------------------------------------------


def test_trials_under_way_are_not_repeated():
    search = searcher({"depth": Int(1, 4)})
    assert sorted(search.suggest(f"t{i}")["depth"] for i in range(4)) == [1, 2, 3, 4]


def test_max_concurrent_has_ray_wait():
    search = searcher(max_concurrent=2)
    configs = [search.suggest(trial_id) for trial_id in "abc"]
    assert configs[2] is None
    finish(search, "a", 1.0)
    assert search.suggest("c")
    assert len(search.optimizer.trials) == 3


@pytest.mark.parametrize("batch", [False, True])
def test_a_concurrency_limiter_limits_in_place_of_max_concurrent(batch):
    inner = searcher(max_concurrent=1)
    limited = ConcurrencyLimiter(inner, max_concurrent=2, batch=batch)
    assert [limited.suggest(trial_id) is None for trial_id in "abc"] == [False, False, True]
    limited.on_trial_complete("a", report(1.0))
    assert (limited.suggest("c") is None) is batch  # a batch waits for its last
    limited.on_trial_complete("b", report(2.0))
    assert [trial.value for trial in inner.optimizer.trials][:2] == [1.0, 2.0]
    assert limited.suggest("d")


def test_a_repeater_repeats_and_averages():
    inner = searcher()
    repeated = Repeater(inner, repeat=2)
    first, second = repeated.suggest("a"), repeated.suggest("b")
    assert {key: first[key] for key in SPACE} == {key: second[key] for key in SPACE}
    repeated.on_trial_complete("a", report(1.0))
    repeated.on_trial_complete("b", report(3.0))
    assert [trial.value for trial in inner.optimizer.trials] == [2.0]


# Ends -------------------------------------------------------------------------------------------------------------


def ended(search, trial_id):
    return search.optimizer.trials[search._ledger.numbers[trial_id]]


def test_an_error_is_a_failed_trial():
    search = searcher()
    search.suggest("a")
    search.on_trial_complete("a", error=True)
    assert ended(search, "a").state is TrialState.FAILED
    assert "error.txt" in ended(search, "a").error


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (report(math.nan), "value=nan is not a finite number"),
        (report("0.1"), "value='0.1' is not a finite number"),
        ({"acc": 0.5, "training_iteration": 1, "done": True}, "holds no 'loss', but acc"),
    ],
)
def test_a_result_without_a_finite_metric_is_a_failed_trial(result, why):
    search = searcher()
    search.suggest("a")
    search.on_trial_complete("a", result)
    assert ended(search, "a").state is TrialState.FAILED
    assert why in ended(search, "a").error


def test_a_trial_stopped_before_others_is_pruned_with_its_last_value():
    search = searcher()
    for trial_id in "ab":
        search.suggest(trial_id)
    for i in range(1, 10):
        search.on_trial_result("a", report(1.0 / i, i, done=False))
    search.on_trial_result("b", report(5.0, 1, done=False))
    search.on_trial_complete("b", report(4.0, 2))  # a scheduler stops with a result that it does not pass on
    assert (ended(search, "b").state, ended(search, "b").value) == (TrialState.PRUNED, 4.0)
    search.on_trial_complete("a", report(1.0 / 9, 9))
    assert ended(search, "a").state is TrialState.COMPLETE
    assert search.optimizer.best.number == 0


def test_a_trial_that_ends_by_itself_is_complete_however_short():
    search = searcher()
    for trial_id in "ab":
        search.suggest(trial_id)
    search.on_trial_result("a", report(1.0, 50, done=False))
    finish(search, "b", 0.5, iteration=3)
    assert ended(search, "b").state is TrialState.COMPLETE


def test_a_trial_that_meets_the_stopping_criterion_is_complete():
    search = HybridSearcher(llm=None)
    search.set_search_properties("loss", "min", PARAM_SPACE, stop={"training_iteration": 5})
    for trial_id in "ab":
        search.suggest(trial_id)
    search.on_trial_result("a", report(1.0, 50, done=False))
    search.on_trial_complete("b", report(1.0, 5))
    assert ended(search, "b").state is TrialState.COMPLETE


def test_a_trial_stopped_where_another_goes_on_is_pruned_though_none_has_gone_further():
    search = searcher()
    for trial_id in "ab":
        search.suggest(trial_id)
    search.on_trial_result("a", report(1.0, 1, done=False))
    search.on_trial_complete("b", report(2.0, 1))
    assert ended(search, "b").state is TrialState.PRUNED


def test_trials_stopped_at_the_most_iterations_that_a_scheduler_allows_are_complete():
    search = searcher()
    for trial_id in "ab":
        search.suggest(trial_id)
        search.on_trial_result(trial_id, report(2.0, 1, done=False))
        search.on_trial_complete(trial_id, report(1.0, 2))
    assert [ended(search, trial_id).state for trial_id in "ab"] == [TrialState.COMPLETE] * 2


def test_a_trial_stopped_as_late_as_others_end_by_themselves_is_complete():
    search = searcher()
    for trial_id in "abc":
        search.suggest(trial_id)
    finish(search, "a", 1.0, iteration=9)
    search.on_trial_complete("b", report(2.0, 9))
    search.on_trial_complete("c", report(2.0, 8))
    assert [ended(search, trial_id).state for trial_id in "bc"] == [TrialState.COMPLETE, TrialState.PRUNED]


def test_a_trial_cut_off_while_it_ran_is_pruned():
    search = searcher()
    search.suggest("a")
    search.on_trial_result("a", report(1.0, 7, done=False))
    search.on_trial_complete("a", report(1.0, 7, done=False))  # the time budget is spent
    assert (ended(search, "a").state, ended(search, "a").value) == (TrialState.PRUNED, 1.0)


def test_a_trial_stopped_while_paused_keeps_what_it_had_reported():
    search = searcher()
    search.suggest("a")
    search.on_trial_result("a", report(3.0, 2, done=False))
    search.on_trial_result("a", report(math.nan, 3, done=False))
    search.on_trial_complete("a")
    assert (ended(search, "a").state, ended(search, "a").value) == (TrialState.PRUNED, 3.0)


def test_a_trial_taken_back_before_it_began_is_offered_again():
    search = searcher()
    config = search.suggest("a")
    search.on_trial_complete("a")
    assert search.suggest("b") == config
    assert len(search.optimizer.trials) == 1


def test_another_end_of_a_finished_trial_changes_nothing_and_is_recorded(caplog):
    search = searcher()
    search.suggest("a")
    finish(search, "a", 1.0)
    with caplog.at_level(logging.WARNING):
        search.on_trial_complete("a", report(2.0))
    assert ended(search, "a").value == 1.0
    assert "result_ignored" in [event.kind for event in search.optimizer.events]
    assert "another end of trial 0" in caplog.text


def test_a_failed_trial_that_ray_resumes_is_learned_from():
    search = searcher()
    config = search.suggest("a")
    search.on_trial_complete("a", error=True)
    finish(search, "a", 1.5)
    assert [(trial.state, trial.value) for trial in search.optimizer.trials] == [
        (TrialState.FAILED, None),
        (TrialState.COMPLETE, 1.5),
    ]
    assert search.optimizer.trials[1].params == config
    assert "run again by Ray" in search.optimizer.trials[1].origin.reason


def test_a_failed_trial_restarted_under_another_id_is_learned_from():
    search = HybridSearcher(llm=None)
    search.set_search_properties("loss", "min", PARAM_SPACE)
    config = search.suggest("a")
    search.on_trial_complete("a", error=True)
    flat = {"config/lr": config["lr"], "config/net/depth": config["net"]["depth"], "config/data": "digits"}
    search.on_trial_result("b", report(1.5, done=False, **flat))
    search.on_trial_complete("b", report(1.5, **flat))
    assert [trial.value for trial in search.optimizer.trials] == [None, 1.5]
    search.on_trial_complete("c", report(1.0, **{"config/lr": 77.0, "config/net/depth": 1}))
    assert "not in the space" in search.optimizer.events[-1].message


def test_trials_run_elsewhere_are_learned_from():
    search = searcher()
    search.add_evaluated_point({"lr": 0.1, "depth": 2, "kind": "a"}, 3.0)
    search.add_evaluated_point({"lr": 0.2, "depth": 2, "kind": "a"}, 2.0, pruned=True)
    search.add_evaluated_point({"lr": 0.3, "depth": 2, "kind": "a"}, math.nan, error=True)
    search.add_evaluated_point({"lr": 0.1, "depth": 2, "kind": "a"}, 3.0)  # known already
    assert [trial.state for trial in search.optimizer.trials] == ["COMPLETE", "PRUNED", "FAILED"]
    with pytest.raises(InvalidParams, match="'depth'"):
        search.add_evaluated_point({"lr": 0.1, "depth": 9, "kind": "a"}, 3.0)
    with pytest.raises(InvalidValue, match="nan"):
        search.add_evaluated_point({"lr": 0.4, "depth": 1, "kind": "a"}, math.nan)


# Saved and restored -----------------------------------------------------------------------------------------------


def test_a_restored_search_goes_on_as_the_uninterrupted_one(tmp_path):
    whole = run(searcher(), 9)
    first = searcher()
    begun = run(first, 5)
    first.save_to_dir(str(tmp_path))
    again = searcher()
    again.restore_from_dir(str(tmp_path))
    assert begun + run(again, 4, start=5) == whole
    assert [trial.value for trial in again.optimizer.trials][:5] == [trial.value for trial in first.optimizer.trials]


def test_a_trial_in_flight_is_told_after_the_restore_and_offered_to_nobody(tmp_path, monkeypatch):
    first = searcher(store=tmp_path / "s.db")
    config = first.suggest("a")
    first.save(str(tmp_path / "state.pkl"))
    first.optimizer.close()
    monkeypatch.setattr(owner, "is_gone", lambda holder: holder == "gone")
    with SqliteStoreOf(tmp_path / "s.db") as store:
        store.take_over("default", 0, owner="gone", previous=store.get_trials("default")[0].owner, attempt=0)
    again = HybridSearcher(llm=None, store=tmp_path / "s.db")
    again.restore(str(tmp_path / "state.pkl"))
    assert again.suggest("b") != config
    finish(again, "a", 0.5)
    assert [trial.value for trial in again.optimizer.trials] == [0.5, None]


class SqliteStoreOf:
    def __init__(self, path):
        self.store = SqliteStore(str(path))

    def __enter__(self):
        return self.store

    def __exit__(self, *_):
        self.store.close()


def test_a_searcher_in_memory_takes_its_study_from_the_saved_state(tmp_path):
    first = HybridSearcher(llm=None, seed=3)
    first.set_search_properties("loss", "max", PARAM_SPACE)
    config = first.suggest("a")
    first.save(str(tmp_path / "state.pkl"))
    again = HybridSearcher(llm=None)
    again.restore(str(tmp_path / "state.pkl"))
    assert (again.metric, again.mode) == ("loss", "max")
    assert again.suggest("a") == config
    assert again.optimizer.seed == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "max"}, r"it was to min loss, now max loss"),
        ({"metric": "acc"}, r"it was to min loss, now min acc"),
        ({"space": {**SPACE, "depth": Int(1, 9)}}, r"parameter 'depth' was"),
        ({"study": "other"}, r"its study was 'default', now 'other'"),
    ],
)
def test_another_search_does_not_go_on_from_a_saved_state(options, message, tmp_path):
    run(first := searcher(), 2)
    first.save(str(tmp_path / "state.pkl"))
    with pytest.raises(StudyMismatch, match=message) as caught:
        searcher(**options).restore(str(tmp_path / "state.pkl"))
    assert "start a new one" in caught.value.hint


def test_a_saved_state_does_not_go_on_in_another_file(tmp_path):
    run(first := searcher(), 2)
    first.save(str(tmp_path / "memory.pkl"))
    with pytest.raises(StudyMismatch, match=r"was in memory, now in"):
        searcher(store=tmp_path / "s.db").restore(str(tmp_path / "memory.pkl"))
    run(second := searcher(store=tmp_path / "a.db"), 2)
    second.save(str(tmp_path / "file.pkl"))
    with pytest.raises(StudyMismatch, match=r"knows trial 1, and study 'default' in .*b\.db.* has 0 trials"):
        searcher(store=tmp_path / "b.db").restore(str(tmp_path / "file.pkl"))


@pytest.mark.parametrize(("content", "problem"), [(None, "is not there"), (b"x", "cannot be read"), (b"N.", "is none")])
def test_what_is_no_saved_state_is_refused(content, problem, tmp_path):
    path = tmp_path / "state.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=problem):
        searcher().restore(str(path))


def test_a_study_in_a_file_is_resumed_and_held_against_what_is_asked(tmp_path):
    run(searcher(store=tmp_path / "s.db"), 3)
    again = searcher(store=tmp_path / "s.db")
    assert len(again.optimizer.trials) == 3
    with pytest.raises(StudyMismatch, match="minimize value, now maximize value"):
        searcher(store=tmp_path / "s.db", mode="max")
    with pytest.raises(StudyMismatch, match="'depth'"):
        searcher({**SPACE, "depth": Int(1, 9)}, store=tmp_path / "s.db")


def test_the_same_param_space_may_come_twice_and_another_may_not():
    search = HybridSearcher(llm=None)
    search.set_search_properties("loss", "min", PARAM_SPACE)
    assert search.set_search_properties("loss", "min", copy.deepcopy(PARAM_SPACE))
    with pytest.raises(StudyMismatch, match=r"begun with another space: parameter 'x' is new"):
        search.set_search_properties("loss", "min", {**PARAM_SPACE, "x": tune.uniform(0, 1)})


@pytest.mark.parametrize("store", [":memory:", "s.db"])
def test_a_searcher_travels_as_ray_pickles_it(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(first := searcher(store=store), 2)
    data = cloudpickle.dumps(first)
    monkeypatch.chdir("/")  # a relative path means the same there
    again = pickle.loads(data)
    assert [trial.value for trial in again.optimizer.trials] == [trial.value for trial in first.optimizer.trials]
    assert run(again, 1, start=2) == run(first, 1, start=2) or store != ":memory:"


def test_what_cannot_be_pickled_is_said_with_the_remedy(tmp_path):
    class Backend:
        name = "mine"
        lock = None

        def complete(self, request):
            raise NotImplementedError

    backend = Backend()
    backend.lock = threading.Lock()
    with pytest.raises(InvalidSettings, match=r"llm=.*cannot be pickled.*specification"):
        cloudpickle.dumps(searcher(llm=backend))
    store = SqliteStore(str(tmp_path / "s.db"))
    with pytest.raises(InvalidSettings, match=r"store=.*cannot be pickled.*Give a path"):
        cloudpickle.dumps(searcher(store=store))
    store.close()


# Wrong uses and faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "loss", "mode": None}, r"without a mode"),
        ({"mode": "minimize"}, r"mode='minimize' is unknown.*\"min\" or \"max\""),
        ({"metric": ["a", "b"], "mode": "min"}, r"do not fit"),
        ({"metric": ["a", "b"], "mode": ["min"]}, r"do not fit"),
        ({"metric": ["a", "a"], "mode": ["min", "max"]}, r"do not fit"),
        ({"metric": ["a"], "mode": ["obs"]}, r"mode='obs' is unknown"),
        ({"max_concurrent": 0}, r"max_concurrent=0"),
        ({"seed": -1}, r"seed=-1"),
        ({"settings": {"seeds": 3}}, r"settings\.seeds"),
    ],
)
def test_wrong_arguments_are_refused_when_they_are_given(options, message):
    with pytest.raises(InvalidSettings, match=message):
        searcher(**options)


def test_a_point_outside_the_space_is_refused_when_it_is_given():
    with pytest.raises(InvalidParams, match="'lrr'"):
        searcher(points_to_evaluate=[{"lrr": 1.0}])
    with pytest.raises(InvalidParams, match="'depth'=9"):
        searcher(points_to_evaluate=[{"depth": 9}])


def test_without_a_space_or_a_metric_it_says_how_to_give_them():
    with pytest.raises(InvalidSpace, match=r"no space.*param_space"):
        HybridSearcher(metric="loss", mode="min").suggest("a")
    with pytest.raises(InvalidSettings, match=r"metric and mode are missing.*Give both to the searcher"):
        HybridSearcher(SPACE).suggest("a")
    with pytest.raises(InvalidSettings, match=r"metric and mode are missing"):
        HybridSearcher().set_search_properties(None, None, PARAM_SPACE)


def test_a_tuner_that_says_otherwise_is_refused():
    with pytest.raises(InvalidSettings, match=r"the Tuner says max loss, and HybridSearcher was given min loss"):
        HybridSearcher(metric="loss", mode="min").set_search_properties("loss", "max", PARAM_SPACE)


def test_a_failure_of_the_engine_is_a_sobol_point_with_its_reason(monkeypatch, caplog):
    search = searcher()
    run(search, 2)

    def broken(self, history, n, rng):
        raise ZeroDivisionError("broken on purpose")
        yield

    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    with caplog.at_level(logging.WARNING):
        configs = run(search, 3, start=2)
    assert len({str(config) for config in configs}) == 3
    for trial in search.optimizer.trials[2:]:
        assert trial.origin.source == "sobol"
        assert "ZeroDivisionError: broken on purpose" in trial.origin.reason
        Space(SPACE).validate(trial.params)
    assert [event.kind for event in search.optimizer.events].count("fallback") == 3
    assert "a Sobol point fills in" in caplog.text


def test_a_failure_of_the_engine_ends_a_used_up_space_too(monkeypatch):
    search = searcher({"kind": Categorical(["a", "b"])})

    def broken(self, history, n, rng):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    assert {search.suggest("x")["kind"], search.suggest("y")["kind"]} == {"a", "b"}
    assert search.suggest("z") == Searcher.FINISHED


def test_a_busy_store_has_ray_ask_again_but_not_for_ever(monkeypatch):
    search = searcher()
    faults = iter([StoreBusy("busy")] * 3)
    ask = Optimizer.ask

    def sometimes(opt, **options):
        for fault in faults:
            raise fault
        return ask(opt, **options)

    monkeypatch.setattr(Optimizer, "ask", sometimes)
    assert [search.suggest("a") for _ in range(3)] == [None] * 3
    assert search.suggest("a")
    faults = iter([StoreBusy("busy")] * 99)
    assert [search.suggest("b") for _ in range(9)] == [None] * 9
    with pytest.raises(StoreBusy):
        search.suggest("b")


def test_a_store_that_cannot_be_written_is_an_error(monkeypatch):
    search = searcher()

    def full(opt, **options):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Optimizer, "ask", full)
    with pytest.raises(StoreError, match="the disk is full"):
        search.suggest("a")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"x": tune.sample_from(lambda _: 1)}, "'x'"),
        ({"lr": tune.uniform(0, 1), "net": {"x": [tune.sample_from(lambda _: 1)]}}, "'net/x/0'"),
        ({"kind": tune.choice(["a", {"x": tune.sample_from(lambda _: 1)}])}, "'kind/1/x'"),
    ],
)
def test_a_function_is_refused_as_the_tuner_hands_it_over(config, name):
    config = inject_placeholders(config, create_resolvers_map())  # so that functions come as pairs of a mark and a hash
    with pytest.raises(InvalidSpace, match=rf"{name} is drawn by a function.*Compute it in the trainable"):
        HybridSearcher(llm=None).set_search_properties("loss", "min", config)


def test_a_function_beside_a_space_of_ones_own_is_refused_too():
    config = inject_placeholders({"x": tune.sample_from(lambda _: 1)}, create_resolvers_map())
    with pytest.raises(InvalidSpace, match="'x' is drawn by a function"):
        searcher().set_search_properties("loss", "min", config)
