"""Studies that go from hybridbo to Optuna and back, and go on there."""

import sqlite3
from datetime import UTC, datetime

import optuna
import pytest
from dashboard import get
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as State
from optuna_dashboard import wsgi
from optuna_objectives import ADVICE, SPACE, loss, objective

from hybridbo import Categorical, Float, Int, Optimizer, Space, TrialState
from hybridbo.errors import InvalidState, StoreError, StudyMismatch
from hybridbo.integrations import HybridSampler, export_to_optuna, import_from_optuna
from hybridbo.testing.scripted import ScriptedBackend

CHEAP = {"seed_trials": 3, "gp": {"candidates": 64, "restarts": 1}}


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def search(n, **given):
    """An Optimizer with n trials, every seventh of them failed."""
    given = {"llm": None, "seed": 5, "settings": CHEAP, "study": "mine"} | given
    opt = Optimizer(SPACE, **given)
    for number in range(n):
        trial = opt.ask()
        if number % 7 == 6:
            opt.fail(trial, "CUDA out of memory")
        else:
            opt.tell(trial, loss(trial.params))
    return opt


def facts(trials):
    return [(t.number, t.params, t.state, dict(t.values), t.value, t.origin, t.error, t.started_at) for t in trials]


def test_an_exported_study_says_what_the_study_said(tmp_path):
    file = tmp_path / "out.db"
    with search(9, task="Tune it.") as opt:
        opt.enqueue({"optimizer": "sgd"})
        export_to_optuna(opt, file)
        study = optuna.load_study(study_name="mine", storage=f"sqlite:///{file}")
        done = study.trials[:9]
        assert [t.params for t in done] == [t.params for t in opt.trials]
        assert [t.value for t in done] == [t.value for t in opt.trials]
        assert [t.datetime_complete.astimezone(UTC) for t in done] == [t.finished_at for t in opt.trials]
    assert [t.state for t in study.trials] == [State.COMPLETE] * 6 + [State.FAIL] + [State.COMPLETE] * 2 + [
        State.WAITING
    ]
    assert study.trials[6].user_attrs["error"] == "CUDA out of memory"
    assert study.trials[0].user_attrs["origin"] == "default"
    assert study.trials[9].system_attrs["fixed_params"]["optimizer"] == "sgd"
    assert study.user_attrs == {"task": "Tune it."}
    assert [path.name for path in tmp_path.iterdir()] == ["out.db"]


def test_the_dashboard_opens_an_exported_study(tmp_path):
    with search(4, task="Tune it.") as opt:
        export_to_optuna(opt, tmp_path / "out.db")
        app = wsgi(f"sqlite:///{tmp_path / 'out.db'}")
        [summary] = get(app, "/api/studies")["study_summaries"]
        shown = get(app, f"/api/studies/{summary['study_id']}")
        assert [trial["values"] for trial in shown["trials"]] == [[trial.value] for trial in opt.trials]
    attributes = {entry["key"]: entry["value"] for entry in shown["trials"][0]["user_attrs"]}
    assert "default configuration" in attributes["reason"]


def test_a_sampler_goes_on_where_the_optimizer_stopped(tmp_path):
    file = tmp_path / "out.db"
    with search(12, llm=ScriptedBackend([ADVICE])) as whole:
        expected = [t.params for t in whole.trials]
    with search(8, llm=ScriptedBackend([ADVICE])) as opt:
        export_to_optuna(opt, file)
    silent = ScriptedBackend([])
    sampler = HybridSampler(llm=silent, search_space=SPACE, settings=CHEAP)  # the seed is the study's
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{file}", sampler=sampler)
    study.optimize(objective, n_trials=4)
    assert [t.params for t in study.trials] == expected
    assert silent.requests == []


@pytest.mark.parametrize("name", ["out.db", "out.log"])
def test_there_and_back_again(name, tmp_path):
    file = tmp_path / name
    store = str(tmp_path / "back.db")
    with search(9, llm=ScriptedBackend([ADVICE]), task="Tune it.") as opt:
        export_to_optuna(opt, file)
        done = import_from_optuna(file, store, "mine", llm=None)
        assert (done.trials, done.queued, done.left) == (9, 0, ())
        with Optimizer.load(store, "mine", llm=None) as back:
            assert back.space == opt.space
            assert back.objective == opt.objective
            assert (back.seed, back.settings) == (opt.seed, opt.settings)
            assert facts(back.trials) == facts(opt.trials)
            assert [t.finished_at for t in back.trials] == [t.finished_at for t in opt.trials]
            assert back.llm_usage == opt.llm_usage


def test_constraints_and_several_objectives_come_back_exactly(tmp_path):
    goals, bounds = {"error": "minimize", "speed": "maximize"}, {"mem": "<= 16", "acc": ">= 0.3"}
    with Optimizer({"x": Float(0, 1)}, objectives=goals, constraints=bounds, llm=None, seed=0) as opt:
        for value in (0.1, 0.7):
            opt.tell(opt.ask(), {"error": value, "speed": 3.3, "mem": 15.9, "acc": value})
        opt.ask()
        export_to_optuna(opt, tmp_path / "out.db")
        study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / 'out.db'}")
        assert study.metric_names == ["error", "speed"]
        assert study.trials[2].state is State.RUNNING
        assert [t.number for t in study.best_trials] == [1]  # the first breaks a constraint
        done = import_from_optuna(study, str(tmp_path / "back.db"), "again", llm=None)
        assert done.left == ("1 running trials",)
        with Optimizer.load(tmp_path / "back.db", "again", llm=None) as back:
            assert facts(back.trials) == facts(opt.trials[:2])


def test_a_study_is_added_to_a_storage_that_has_others(tmp_path):
    url = f"sqlite:///{tmp_path / 'out.db'}"
    optuna.create_study(storage=url, study_name="theirs")
    with search(2) as opt:
        export_to_optuna(opt, tmp_path / "out.db")
        export_to_optuna(opt, url, "another")
        with pytest.raises(InvalidState, match="has a study 'mine' already"):
            export_to_optuna(opt, url)
    assert optuna.get_all_study_names(url) == ["theirs", "mine", "another"]


def test_what_is_no_optuna_storage_is_left_alone(tmp_path):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE trials (x)")
    text = tmp_path / "text.log"
    text.write_text("hello\n")
    before = other.read_bytes()
    with search(1) as opt:
        for file in (other, text):
            with pytest.raises(InvalidState, match="is no Optuna storage"):
                export_to_optuna(opt, file)
            with pytest.raises(InvalidState, match="is no Optuna storage"):
                import_from_optuna(file, ":memory:", "x")
        with pytest.raises(InvalidState, match="cannot write"):
            export_to_optuna(opt, tmp_path / "nowhere" / "out.log")
    with pytest.raises(InvalidState, match="there is no Optuna storage"):
        import_from_optuna(tmp_path / "nothing.db", ":memory:", "x")
    with pytest.raises(StoreError, match="cannot be opened"):
        import_from_optuna("oracle://nowhere/x", ":memory:", "x")
    assert other.read_bytes() == before


# Studies of others ------------------------------------------------------------------------------------------------


def theirs(storage=None, n=12):
    """A define-by-run study of Optuna's own, with trials in every state."""

    def mixed(trial):
        kernel = trial.suggest_categorical("kernel", ["rbf", "linear"])
        c = trial.suggest_float("C", 1e-3, 1e3, log=True)
        gamma = trial.suggest_float("gamma", 1e-4, 1, log=True) if kernel == "rbf" else 0
        trial.suggest_int("folds", 5, 5)
        trial.report(c, 3)
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 5:
            raise MemoryError
        return c + gamma

    study = optuna.create_study(storage=storage, study_name="svm", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(mixed, n_trials=n, catch=(MemoryError,))
    return study


def test_a_define_by_run_study_warm_starts_a_new_one(tmp_path):
    study = theirs()
    study.enqueue_trial({"kernel": "linear"})
    study.ask()
    study.enqueue_trial({"kernel": "rbf", "C": 2.0})
    done = import_from_optuna(study, str(tmp_path / "new.db"), "svm", llm=None, seed=0)
    assert (done.trials, done.queued, done.left) == (12, 1, ("1 running trials",))
    with Optimizer.load(tmp_path / "new.db", "svm", llm=None) as opt:
        assert opt.space == Space(
            {
                "folds": Categorical([5]),
                "kernel": Categorical(["rbf", "linear"]),
                "C": Float(1e-3, 1e3, log=True),
                "gamma": Float(1e-4, 1, log=True, when={"kernel": ["rbf"]}),
            }
        )
        assert [t.value for t in opt.trials] == [t.value for t in study.trials[:12]]
        assert [t.params for t in opt.trials] == [{"folds": 5} | t.params for t in study.trials[:12]]
        assert opt.trials[3].state is TrialState.PRUNED
        assert opt.trials[5].state is TrialState.FAILED
        assert {t.origin.source for t in opt.trials} == {"user"}
        assert opt.trials[0].origin.reason == "Trial 0 of the Optuna study 'svm'."
        assert all(t.duration_s < 60 for t in opt.trials)
        assert opt.ask().params["kernel"] == "rbf"  # enqueued
        assert [opt.ask().origin.source for _ in range(2)] == ["default", "gp"]


def test_importing_again_brings_what_is_new(tmp_path):
    study, store = theirs(n=4), str(tmp_path / "new.db")
    assert import_from_optuna(study, store, "svm", llm=None).trials == 4
    assert import_from_optuna(study, store, "svm", llm=None).trials == 0
    study.add_trials(study.trials[:2])  # the same once more, which says nothing new
    first = study.trials[0]
    study.add_trial(optuna.create_trial(value=1.0, params=first.params, distributions=first.distributions))
    assert import_from_optuna(study, store, "svm", llm=None).trials == 1


def test_a_study_that_maximises_is_refused_by_one_that_minimises():
    with search(1) as opt:
        study = optuna.create_study(direction="maximize")
        with pytest.raises(
            StudyMismatch, match=r"'mine' is to minimize, and the Optuna study to maximize.*turn the sign"
        ):
            import_from_optuna(study, opt.store, "mine")
        assert len(opt.trials) == 1


def test_trials_outside_the_study_stay_behind_and_are_told():
    study = optuna.create_study()
    for x in (0.5, 7.0):
        study.add_trial(optuna.create_trial(value=x, params={"x": x}, distributions={"x": FloatDistribution(0, 9)}))
    with Optimizer({"x": Float(0, 1)}, llm=None, study="narrow") as opt:
        done = import_from_optuna(study, opt.store, "narrow")
        assert done.trials == 1
        assert done.left == ("1 trials that lie outside the space or lack a parameter: 1",)
        assert "Left behind: 1 trials" in next(e.message for e in opt.events if e.kind == "imported")


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_choices_that_json_does_not_know_become_texts():
    choice = CategoricalDistribution(((1, 2), (3, 4)))
    study = optuna.create_study()
    study.add_trial(optuna.create_trial(value=1.0, params={"shape": (3, 4)}, distributions={"shape": choice}))
    with Optimizer({"shape": Categorical(["(1, 2)", "(3, 4)"])}, llm=None, study="s") as opt:
        assert import_from_optuna(study, opt.store, "s").trials == 1
        assert opt.trials[0].params == {"shape": "(3, 4)"}


def test_every_range_that_was_tried_is_in_the_space():
    study = optuna.create_study()
    for low, high in ((1, 5), (3, 9), (3, 9), (3, 9)):
        study.add_trial(
            optuna.create_trial(value=1.0, params={"n": high}, distributions={"n": IntDistribution(low, high)})
        )
    with Optimizer({"n": Int(1, 3)}, llm=None, study="other") as opt:
        assert import_from_optuna(study, opt.store, "new", llm=None).trials == 4
        assert Space.from_json(opt.store.get_study("new").space) == Space({"n": Int(1, 9)})


def test_a_parameter_that_comes_and_goes_is_told():
    study = optuna.create_study()
    unit = FloatDistribution(0, 1)
    for names in ("x", "xy", "x", "xy", "xy", "xz"):
        params = dict.fromkeys(names, 0.5)
        study.add_trial(optuna.create_trial(value=1.0, params=params, distributions=dict.fromkeys(names, unit)))
    with Optimizer({"n": Int(1, 3)}, llm=None) as opt:
        done = import_from_optuna(study, opt.store, "new", llm=None)
        assert done.trials == 3
        assert "'y' is in 3 of 6 trials" in done.left[0]
        assert "'z' is in 1 of 6 trials" in done.left[1]
        assert list(Space.from_json(opt.store.get_study("new").space)) == ["x", "y"]


def test_a_study_without_trials_needs_a_space():
    with pytest.raises(InvalidState, match="Give a space"):
        import_from_optuna(optuna.create_study(), ":memory:", "x", llm=None)
    assert import_from_optuna(optuna.create_study(), ":memory:", "x", llm=None, space=SPACE).trials == 0


def test_one_of_several_studies_has_to_be_named(tmp_path):
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "both.log")))
    for name in ("a", "b"):
        optuna.create_study(storage=storage, study_name=name)
    with pytest.raises(InvalidState, match=r"2 studies, and none is named.*'a', 'b'"):
        import_from_optuna(tmp_path / "both.log", ":memory:", "x")
    with pytest.raises(InvalidState, match=r"no study 'c'.*'a', 'b'"):
        import_from_optuna(tmp_path / "both.log", ":memory:", "x", optuna_study="c")


def test_times_of_the_local_clock_are_read_as_such():
    trial = optuna.create_trial(value=1.0, params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)})
    trial.datetime_start = datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001  # as Optuna does
    trial.datetime_complete = datetime(2026, 1, 2, 3, 5, 5, 6)  # noqa: DTZ001  # as above
    study = optuna.create_study()
    study.add_trial(trial)
    with Optimizer({"x": Float(0, 1)}, llm=None, study="s") as opt:
        import_from_optuna(study, opt.store, "s")
        assert opt.trials[0].started_at == trial.datetime_start.astimezone(UTC)
        assert opt.trials[0].duration_s == 60
