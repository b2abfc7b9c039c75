"""Optuna's dashboard, plots, importances and pruners on studies of HybridSampler."""

import warnings

import optuna
import pytest
from dashboard import get
from optuna import visualization
from optuna.trial import TrialState as State
from optuna_dashboard import wsgi
from optuna_objectives import SPACE, loss, objective, suggest

from hybridbo.integrations import HybridSampler

EVALUATORS = ["FanovaImportanceEvaluator", "PedAnovaImportanceEvaluator", "MeanDecreaseImpurityImportanceEvaluator"]
CHEAP = {"seed_trials": 4, "gp": {"candidates": 64, "restarts": 1}}


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
    optuna.logging.set_verbosity(before)


def sampler(**given):
    return HybridSampler(**{"llm": None, "seed": 0, "settings": CHEAP} | given)


@pytest.fixture(scope="module")
def single():
    """A conditional study with complete, pruned and failed trials."""

    def mixed(trial):
        value = objective(trial)
        for step in range(3):
            trial.report(value + 1 / (step + 1), step)
        if trial.number == 5:
            raise optuna.TrialPruned
        if trial.number == 6:
            raise ValueError
        return value

    study = optuna.create_study(sampler=sampler(search_space=SPACE))
    study.optimize(mixed, n_trials=12, catch=(ValueError,))
    return study


@pytest.fixture(scope="module")
def double():
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler())
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.suggest_float("x", 0, 1) * t.suggest_int("n", 1, 9)), 8)
    return study


@pytest.mark.parametrize(
    "plot",
    [
        visualization.plot_contour,
        visualization.plot_edf,
        visualization.plot_intermediate_values,
        visualization.plot_optimization_history,
        visualization.plot_parallel_coordinate,
        visualization.plot_param_importances,
        visualization.plot_rank,
        visualization.plot_slice,
        visualization.plot_timeline,
        visualization.plot_terminator_improvement,
    ],
)
def test_every_plot_of_one_objective_is_drawn(plot, single):
    if plot is visualization.plot_terminator_improvement:
        single = optuna.create_study(sampler=sampler())
        single.optimize(lambda t: t.suggest_float("x", 0, 1) ** 2 + t.suggest_float("y", 0, 1), n_trials=6)
    figure = plot(single)
    assert figure.to_plotly_json()["data"]


@pytest.mark.parametrize("plot", [visualization.plot_pareto_front, visualization.plot_hypervolume_history])
def test_every_plot_of_several_objectives_is_drawn(plot, double):
    given = {"reference_point": [2.0, -1.0]} if plot is visualization.plot_hypervolume_history else {}
    assert plot(double, **given).to_plotly_json()["data"]


@pytest.mark.parametrize("name", EVALUATORS)
def test_importances_are_told(name, single):
    found = optuna.importance.get_param_importances(single, evaluator=getattr(optuna.importance, name)())
    assert set(found) >= {"lr", "width", "optimizer", "dropout"}  # momentum is not in every trial
    assert all(value >= 0 for value in found.values())


@pytest.mark.parametrize(
    "pruner",
    [
        optuna.pruners.MedianPruner(n_startup_trials=2),
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9),
        optuna.pruners.SuccessiveHalvingPruner(),
    ],
)
def test_pruners_prune_and_the_search_goes_on(pruner):
    study = optuna.create_study(sampler=sampler(), pruner=pruner)

    def learns(trial):
        value = loss(suggest(trial))
        for step in range(9):
            trial.report(value + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(learns, n_trials=14)
    states = [trial.state for trial in study.trials]
    assert set(states) <= {State.COMPLETE, State.PRUNED}
    assert State.PRUNED in states or isinstance(pruner, optuna.pruners.HyperbandPruner)
    origins = [HybridSampler.origin(trial).source for trial in study.trials]
    assert origins.count("default") == 1
    assert origins[4:] == ["gp"] * 10  # of all brackets together: one search, which they do not part


def test_the_dashboard_opens_a_study(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="mine", sampler=sampler(search_space=SPACE))
    study.optimize(objective, n_trials=6)
    app = wsgi(url)
    [summary] = get(app, "/api/studies")["study_summaries"]
    assert summary["study_name"] == "mine"
    shown = get(app, f"/api/studies/{summary['study_id']}")
    assert [trial["values"] for trial in shown["trials"]] == [trial.values for trial in study.trials]
    assert {space["name"] for space in shown["union_search_space"]} == {name for t in study.trials for name in t.params}
