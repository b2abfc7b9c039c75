"""HybridSampler in real studies: the Optimizer's proposals, define-by-run, fixed values, constraints, failures."""

import copy
import json
import logging
import pickle
import subprocess
import sys

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState as State
from optuna_objectives import ADVICE, SPACE, loss, objective

from hybridbo import Categorical, Float, Optimizer, errors
from hybridbo.engine import Engine
from hybridbo.errors import InvalidSettings, InvalidSpace, InvalidValue, StudyMismatch, UnknownBackend
from hybridbo.integrations import HybridSampler
from hybridbo.integrations.optuna_space import distribution_of
from hybridbo.testing.scripted import ScriptedBackend

CHEAP = {"seed_trials": 3, "gp": {"candidates": 64, "restarts": 1}}


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def sampler(**given):
    return HybridSampler(**{"llm": None, "seed": 0, "settings": CHEAP} | given)


def study(**given):
    return optuna.create_study(sampler=sampler(**given))


def params(trials):
    return [trial.params for trial in trials]


def sources(study):
    return [HybridSampler.origin(trial).source for trial in study.trials]


# The Optimizer's proposals ----------------------------------------------------------------------------------------


def by_optimizer(n, **given):
    """Params and origins of n trials; every seventh one fails."""
    with Optimizer(SPACE, seed=5, settings=CHEAP, **given) as opt:
        for number in range(n):
            trial = opt.ask()
            if number % 7 == 6:
                opt.fail(trial, "out of memory")
            else:
                opt.tell(trial, loss(trial.params))
        return [(t.params, t.origin) for t in opt.trials]


def by_sampler(n, **given):
    def sometimes(trial):
        value = objective(trial)
        if trial.number % 7 == 6:
            raise MemoryError
        return value

    made = optuna.create_study(sampler=HybridSampler(seed=5, settings=CHEAP, **given))
    made.optimize(sometimes, n_trials=n, catch=(MemoryError,))
    return [(t.params, HybridSampler.origin(t)) for t in made.trials]


def test_thirty_trials_are_those_of_the_optimizer_bit_for_bit():
    assert by_sampler(30, llm=None, search_space=SPACE) == by_optimizer(30, llm=None)


def test_with_a_language_model_too():
    ours = by_sampler(12, llm=ScriptedBackend([ADVICE]), search_space=SPACE, task="Tune it.")
    assert ours == by_optimizer(12, llm=ScriptedBackend([ADVICE]), task="Tune it.")
    assert [origin.source for _, origin in ours[:4]] == ["default", "llm", "sobol", "gp"]


def test_several_objectives_are_those_of_the_optimizer():
    space, names = {"x": Float(0, 1), "c": Categorical(["a", "b"])}, {"value_0": "minimize", "value_1": "maximize"}

    def two(params):
        return params["x"] ** 2, params["x"] + (params["c"] == "a")

    with Optimizer(space, objectives=names, llm=None, seed=1, settings=CHEAP) as opt:
        opt.run(lambda p: dict(zip(names, two(p), strict=True)), 6, progress=False)
        theirs = params(opt.trials)
    made = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler(seed=1, search_space=space))
    made.optimize(lambda t: two({"x": t.suggest_float("x", 0, 1), "c": t.suggest_categorical("c", ["a", "b"])}), 6)
    assert params(made.trials) == theirs


def test_distributions_of_optuna_serve_as_a_search_space():
    space = {name: distribution_of(parameter) for name, parameter in SPACE.items() if not parameter.when}

    def flat(trial):
        return trial.suggest_float("lr", 1e-5, 1e-1, log=True) + trial.suggest_int("width", 16, 256, log=True)

    made = study(search_space=space)
    made.optimize(flat, n_trials=2)
    assert made.trials[1].params != made.trials[0].params
    assert sources(made) == ["default", "sobol"]


# Define-by-run ----------------------------------------------------------------------------------------------------


def test_define_by_run_starts_at_the_defaults_and_then_asks_for_advice():
    backend = ScriptedBackend([ADVICE])
    made = study(llm=backend)
    made.optimize(objective, n_trials=2)
    assert made.trials[0].params == {"lr": 1e-3, "width": 100, "optimizer": "adam", "dropout": 0.2}
    assert sources(made) == ["default", "llm"]
    assert made.trials[1].params == {"lr": 0.003, "width": 64, "optimizer": "adam", "dropout": 0.1}
    assert len(backend.requests) == 1


def test_a_given_space_lets_the_model_speak_before_the_first_trial():
    backend = ScriptedBackend([ADVICE])
    made = study(llm=backend, search_space=SPACE)
    made.optimize(lambda t: (objective(t), len(backend.requests))[1], n_trials=1)
    assert made.trials[0].value == 1
    made.optimize(objective, n_trials=3)
    assert len(backend.requests) == 1


def test_a_condition_is_learned_and_its_parameter_sampled_with_the_others():
    made = study()
    for optimizer in ("adam", "sgd", "adam", "sgd"):
        made.enqueue_trial({"optimizer": optimizer})
    made.optimize(objective, n_trials=4)
    assert "momentum" not in made.trials[2].system_attrs["hybridbo:proposal"]["params"]
    assert made.trials[3].system_attrs["hybridbo:proposal"]["params"] == made.trials[3].params
    assert "momentum" in made.trials[3].params


def test_a_space_that_keeps_growing_does_not_ask_for_ever():
    backend = ScriptedBackend(['{"configs": [{"n": 2}]}'] * 9)
    made = study(llm=backend)

    def deeper(trial):
        trial.suggest_float("x", 0, 1 + trial.number)
        return trial.suggest_int("n", 1, 9)

    made.optimize(deeper, n_trials=8)
    assert len(backend.requests) == 3
    assert all("no usable" not in HybridSampler.origin(t).reason for t in made.trials)


def test_a_range_that_changes_is_followed():
    made = study()
    made.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    made.optimize(lambda t: t.suggest_float("x", 10, 11), n_trials=5)
    last = made.trials[-1]
    assert 10 <= last.params["x"] <= 11
    assert last.system_attrs["hybridbo:proposal"]["params"]["x"] == last.params["x"]


def test_a_space_that_is_used_up_is_drawn_from_again(caplog):
    made = study()
    made.optimize(lambda t: t.suggest_categorical("c", ["a", "b"]) == "a", n_trials=5)
    assert {t.params["c"] for t in made.trials[:2]} == {"a", "b"}
    assert "has been tried" in HybridSampler.origin(made.trials[4]).reason
    assert "has been tried" in caplog.text


# What is decided already ------------------------------------------------------------------------------------------


def test_an_enqueued_configuration_is_evaluated_as_it_is():
    made = study()
    made.enqueue_trial({"lr": 0.01, "width": 20, "optimizer": "sgd", "momentum": 0.5, "dropout": 0.3})
    made.optimize(objective, n_trials=5)
    assert made.trials[0].params == {"lr": 0.01, "width": 20, "optimizer": "sgd", "momentum": 0.5, "dropout": 0.3}


def test_what_is_enqueued_in_part_is_completed_to_suit():
    made = study(search_space=SPACE)
    made.optimize(objective, n_trials=4)
    made.enqueue_trial({"optimizer": "sgd", "width": 77})
    made.optimize(objective, n_trials=1)
    proposed = made.trials[-1].system_attrs["hybridbo:proposal"]
    assert proposed["source"] == "gp"
    assert proposed["params"] == made.trials[-1].params
    assert (made.trials[-1].params["optimizer"], made.trials[-1].params["width"]) == ("sgd", 77)
    assert "momentum" in made.trials[-1].params


@pytest.mark.parametrize("given", [None, SPACE])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_partly_fixed_sampler_searches_the_rest(given):
    made = study(search_space=given)
    made.optimize(objective, n_trials=4)
    made.sampler = optuna.samplers.PartialFixedSampler({"optimizer": "sgd", "lr": 0.002}, made.sampler)
    made.optimize(objective, n_trials=3)
    last = made.trials[-3:]
    assert all((t.params["optimizer"], t.params["lr"]) == ("sgd", 0.002) for t in last)
    assert [HybridSampler.origin(t).source for t in last] == ["gp"] * 3
    assert len({t.params["width"] for t in last}) == 3
    assert [t.system_attrs["hybridbo:proposal"]["params"]["lr"] for t in last] == [0.002] * 3


# Outcomes ---------------------------------------------------------------------------------------------------------


def test_pruned_trials_are_learned_from():
    def pruned(trial):
        value = objective(trial)
        trial.report(value, 0)
        if trial.number % 2:
            raise optuna.TrialPruned
        return value

    made = study(search_space=SPACE)
    made.optimize(pruned, n_trials=6)
    assert "after 5 values" in HybridSampler.origin(made.trials[5]).reason


def test_failed_trials_are_infeasible_and_not_values():
    def fails(trial):
        x = trial.suggest_float("x", 0, 1)
        if x > 0.5:
            raise ValueError
        return -x

    made = study(search_space={"x": Float(0, 1, default=0.25)}, settings={"seed_trials": 5})
    made.optimize(fails, n_trials=16, catch=(ValueError,))
    late = [t.params["x"] for t in made.trials[8:]]
    assert sum(x < 0.7 for x in late) >= 6  # of 8: once the border is found, there may be a look behind it
    assert made.best_value < -0.4


@pytest.mark.skipif(not hasattr(optuna.trial.Trial, "set_constraint"), reason="Optuna 5 brought it")
def test_constraints_of_optuna_5_are_kept():
    def constrained(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("x is small", x - 0.3)
        return -x

    made = study(settings={"seed_trials": 4})
    made.optimize(constrained, n_trials=12)
    assert sum(t.params["x"] <= 0.3 for t in made.trials[6:]) >= 3
    assert made.best_trial.params["x"] == pytest.approx(0.3, abs=0.05)


def test_a_constraints_func_is_kept_too():
    made = study(constraints_func=lambda t: (t.params["x"] - 0.3,), settings={"seed_trials": 4})
    made.optimize(lambda t: -t.suggest_float("x", 0, 1), n_trials=12)
    assert [t.system_attrs["constraints"] for t in made.trials] == [[t.params["x"] - 0.3] for t in made.trials]
    assert max(t.params["x"] for t in made.trials if t.params["x"] <= 0.3) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("returned", [[float("nan")], 0.5, None, "12", ["a"], [None], [10**400]])
def test_constraints_that_are_no_numbers_are_refused(returned):
    made = study(constraints_func=lambda _: returned)
    with pytest.raises(InvalidValue, match=r"constraints_func returned .*Return a sequence.*0 or less"):
        made.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)


def test_beyond_three_objectives_nsga_2_takes_over():
    made = optuna.create_study(directions=["minimize"] * 4, sampler=sampler())
    made.optimize(lambda t: [t.suggest_float(f"x{i}", 0, 1) for i in range(4)], n_trials=27)
    assert sources_of(made.trials[:24]) == ["default", *["sobol"] * 23]
    for trial in made.trials[24:]:
        assert "NSGA-II" in trial.system_attrs["hybridbo:delegated"]
        parents = [t.params[name] for t in made.trials[:24] for name in t.params]
        assert trial.params.keys() == {"x0", "x1", "x2", "x3"}
        assert any(value in parents for value in trial.params.values()) or trial.params


def sources_of(trials):
    return [HybridSampler.origin(trial).source for trial in trials]


# Going on ---------------------------------------------------------------------------------------------------------


def test_a_study_goes_on_in_another_process_as_if_nothing_had_happened(tmp_path):
    def storage(name):
        return f"sqlite:///{tmp_path / name}.db"

    whole = optuna.create_study(storage=storage("whole"), sampler=sampler(seed=9))
    whole.optimize(objective, n_trials=8)
    begun = optuna.create_study(storage=storage("parts"), study_name="parts", sampler=sampler(seed=9))
    begun.optimize(objective, n_trials=5)
    code = (
        "import optuna; from optuna_objectives import objective; from hybridbo.integrations import HybridSampler;"
        f"s = optuna.load_study(study_name='parts', storage={storage('parts')!r},"
        f" sampler=HybridSampler(llm=None, seed=9, settings={CHEAP!r})); s.optimize(objective, n_trials=3)"
    )
    path = ":".join(entry for entry in sys.path if entry)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path}, capture_output=True)
    assert params(begun.trials) == params(whole.trials)


def test_without_a_seed_the_study_keeps_one():
    made = study(seed=None)
    made.optimize(objective, n_trials=2)
    other = copy.deepcopy(made)
    other.sampler = sampler(seed=None)
    made.optimize(objective, n_trials=3)
    other.optimize(objective, n_trials=3)
    assert params(other.trials) == params(made.trials)


def test_replies_and_trust_stay_with_the_study():
    made = study(llm=ScriptedBackend([ADVICE]), search_space=SPACE)
    made.optimize(objective, n_trials=5)
    silent = ScriptedBackend([])
    made.sampler = sampler(llm=silent, search_space=SPACE)
    made.optimize(objective, n_trials=2)
    assert silent.requests == []
    assert "LLM's beliefs weigh" in HybridSampler.origin(made.trials[-1]).reason
    trust = made._storage.get_study_system_attrs(made._study_id)["hybridbo:trust"]
    assert trust["llm"] in {"open", "doubtful", "lost"}
    assert "LLM's beliefs weigh" in trust["beliefs"][0]


def test_a_model_that_fails_is_told_and_left_alone_after_two_faults(caplog):
    backend = ScriptedBackend([])
    made = study(llm=backend)
    made.optimize(objective, n_trials=6)
    assert len(backend.requests) == 2  # settings.llm.breaker_failures
    assert "gave no advice" in HybridSampler.origin(made.trials[1]).reason
    assert "gave no advice" in " ".join(made.trials[1].system_attrs["hybridbo:proposal"]["notes"])
    assert "no reply" in caplog.text


def test_a_used_up_budget_is_logged_once_for_the_study_and_a_larger_one_is_taken(caplog):
    backend = ScriptedBackend([ADVICE] * 2)
    made = study(llm=backend, search_space=SPACE, settings={"llm": {"max_calls": 0}})
    made.optimize(objective, n_trials=5)
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("not asked any more, unless settings=" in message for message in logged) == 1
    assert sum("was not consulted: settings.llm.max_calls is used up (0 of 0)" in message for message in logged) == 1
    assert backend.requests == []
    made.sampler = sampler(llm=backend, search_space=SPACE, settings={"llm": {"max_calls": 1}})
    made.optimize(objective, n_trials=1)
    assert len(backend.requests) == 1


def test_a_refused_model_is_switched_on_by_what_its_remedy_says(caplog):
    made = study(llm=ScriptedBackend([errors.BackendRefused("401")]), search_space=SPACE)
    made.optimize(objective, n_trials=3)
    assert "Give study.sampler a HybridSampler with another model" in caplog.text
    assert "switch_llm_on" not in caplog.text
    other = ScriptedBackend([ADVICE])
    other.identity = "scripted, another key"
    made.sampler = sampler(llm=other, search_space=SPACE)
    made.optimize(objective, n_trials=1)
    assert len(other.requests) == 1


def test_samplers_can_be_pickled_and_copied():
    made = study(search_space=SPACE)
    made.optimize(objective, n_trials=4)
    for other in (pickle.loads(pickle.dumps(made.sampler)), copy.deepcopy(made.sampler)):
        twin = copy.deepcopy(made)
        twin.sampler = other
        twin.optimize(objective, n_trials=1)
        assert twin.trials[-1].params == twin_of(made).params


def twin_of(made):
    one = copy.deepcopy(made)
    one.optimize(objective, n_trials=1)
    return one.trials[-1]


def test_workers_of_one_process_are_given_different_trials():
    made = study(search_space=SPACE)
    made.optimize(objective, n_trials=12, n_jobs=4)
    assert [t.state for t in made.trials] == [State.COMPLETE] * 12
    assert len({json.dumps(t.params) for t in made.trials}) == 12
    assert sources(made).count("default") == 1


# Trouble ----------------------------------------------------------------------------------------------------------


def test_a_failure_inside_falls_back_to_independent_sampling(monkeypatch, caplog):
    made = study(search_space=SPACE)
    made.optimize(objective, n_trials=2)
    monkeypatch.setattr(Engine, "suggest", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING):
        made.optimize(objective, n_trials=3)
    assert [t.state for t in made.trials] == [State.COMPLETE] * 5
    assert "ZeroDivisionError" in made.trials[-1].system_attrs["hybridbo:fallback"]
    assert "sampled independently" in caplog.text
    assert len({t.params["lr"] for t in made.trials}) == 5


def test_an_independent_sampler_of_the_users_takes_over(monkeypatch):
    monkeypatch.setattr(Engine, "suggest", lambda *_: 1 / 0)
    fixed = optuna.samplers.RandomSampler(seed=1)
    made = study(independent_sampler=fixed)
    made.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    expected = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    expected.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    assert params(made.trials) == params(expected.trials)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"llm": "oracle:x"}, UnknownBackend),
        ({"seed": -1}, InvalidSettings),
        ({"settings": {"seeds": 3}}, InvalidSettings),
        ({"search_space": {"x": (0, 1)}}, InvalidSpace),
        ({"task": 3}, InvalidSettings),
    ],
)
def test_wrong_arguments_are_told_at_once(given, error):
    with pytest.raises(error):
        sampler(**given)


def test_another_studys_search_space_is_refused():
    made = study()
    made.optimize(objective, n_trials=1)
    made.sampler = sampler(search_space={"lr": FloatDistribution(0, 1)})
    with pytest.raises(StudyMismatch, match="'lr'"):
        made.optimize(objective, n_trials=1)


def test_trials_of_the_other_direction_are_refused():
    made = study()
    made.optimize(objective, n_trials=2)
    other = optuna.create_study(direction="maximize", sampler=sampler())
    other.add_trials(made.trials)
    with pytest.raises(StudyMismatch, match="turn the sign"):
        other.optimize(objective, n_trials=1)


def test_a_parameter_that_is_never_suggested_is_told_and_harms_nothing(caplog):
    made = study(search_space={"x": Float(0, 1), "unused": Float(0, 1)})
    made.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    assert sources(made)[3:] == ["gp", "gp"]
    assert caplog.text.count("did not suggest unused") == 1


def test_a_distribution_that_differs_from_the_first_trial_on_is_explained(caplog):
    made = study(search_space={"x": Float(0.1, 1, log=True)})
    with pytest.raises(ValueError, match="log configuration"):  # it is Optuna that sees it, before any sampler
        made.optimize(lambda t: t.suggest_float("x", 0.1, 1), n_trials=1)
    assert "failed before it suggested x: where Optuna says that a distribution differs" in caplog.text


def test_suggestions_beyond_the_given_space_are_learned():
    def more(trial):
        return trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)

    made = study(search_space={"x": Float(0, 1)})
    made.optimize(more, n_trials=6)
    assert made.trials[-1].system_attrs["hybridbo:proposal"]["params"].keys() == {"x", "y"}


def test_importing_the_sampler_loads_what_optuna_loads_and_hybridbo():
    def modules(statement):
        code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return {name.partition(".")[0] for name in done.stdout.split()}

    more = modules("from hybridbo.integrations import HybridSampler") - modules("import optuna.samplers")
    assert more <= {"hybridbo"}
    assert "optuna" not in modules("import hybridbo.integrations")
