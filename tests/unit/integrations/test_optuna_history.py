"""From an Optuna study to what the engine is told."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState as State
from optuna.trial import create_trial

from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.integrations.optuna_history import constraints_of, history_of, objective_of
from hybridbo.integrations.optuna_space import column_of, space_of
from hybridbo.trial import Origin, TrialState

COLUMNS = {
    "x": column_of("x", FloatDistribution(0.0, 1.0)),
    "k": column_of("k", CategoricalDistribution(("a", "b"))),
}
SPACE = space_of(COLUMNS)


def study_of(*trials, directions=("minimize",)):
    study = optuna.create_study(directions=directions)
    study.add_trials(trials)
    return study


def trial(x=0.5, k="a", state=State.COMPLETE, **given):
    params = {name: value for name, value in {"x": x, "k": k}.items() if value is not None}
    if state is State.COMPLETE and "values" not in given:
        given.setdefault("value", 1.0)
    distributions = {name: COLUMNS[name].distribution for name in params}
    return create_trial(state=state, params=params, distributions=distributions, **given)


def history(study, but=-1):
    trials = study.get_trials()
    return history_of(trials, SPACE, COLUMNS, objective_of(study, trials), but=but)


def test_each_state_has_its_place():
    study = study_of(
        trial(0.1, value=3.0),
        trial(0.2, state=State.PRUNED, intermediate_values={1: 9.0, 7: 4.0}),
        trial(0.3, state=State.PRUNED),
        trial(0.4, state=State.FAIL),
        trial(0.5, state=State.RUNNING),
    )
    found, notes = history(study)
    assert [(t.params["x"], t.values) for t in found.completed] == [(0.1, {"value": 3.0}), (0.2, {"value": 4.0})]
    assert [t.params["x"] for t in found.failed] == [0.3, 0.4]
    assert [t.params["x"] for t in found.pending] == [0.5]
    assert notes == []


def test_the_trial_that_is_asked_for_is_not_in_its_own_history():
    study = study_of(trial(), trial(0.6, state=State.RUNNING))
    assert history(study, but=1)[0].pending == ()


def test_an_infinite_value_is_a_failure_and_is_told():
    found, notes = history(study_of(trial(value=math.inf), trial(0.6)))
    assert [t.state for t in found.failed] == [TrialState.FAILED]
    assert notes == ["Trials with infinite values count as failed"]


def test_trials_outside_the_space_are_left_out_and_told():
    far = create_trial(value=1.0, params={"x": 7.0}, distributions={"x": FloatDistribution(0.0, 9.0)})
    found, notes = history(study_of(trial(), far, trial(k=None)))
    assert len(found) == 1
    assert notes == ["Finished trials that lie outside the search space are left out"]


def test_a_trial_that_was_retried_is_no_failure():
    study = study_of(trial(0.3, state=State.FAIL), trial(0.3, system_attrs={"failed_trial": 0}))
    found, _ = history(study)
    assert found.failed == ()
    assert len(found.completed) == 1


def test_a_running_trial_counts_with_what_was_proposed_for_it():
    record = attrs.Record(Origin("gp", "Because."), {"x": 0.25, "k": "b"})
    study = study_of(trial(x=None, k=None, state=State.RUNNING, system_attrs={attrs.PROPOSAL: record.to_data()}))
    (pending,) = history(study)[0].pending
    assert pending.params == {"x": 0.25, "k": "b"}
    assert pending.origin == Origin("gp", "Because.")


def test_an_enqueued_configuration_counts_as_pending():
    study = study_of()
    study.enqueue_trial({"x": 0.125, "k": "a"})
    study.enqueue_trial({"x": 0.125})
    assert [t.params for t in history(study)[0].pending] == [{"x": 0.125, "k": "a"}]


def test_what_the_objective_never_asked_for_is_filled_in_from_the_proposal():
    record = attrs.Record(Origin("gp", "Because."), {"x": 0.25, "k": "b"})
    study = study_of(trial(x=0.75, k=None, system_attrs={attrs.PROPOSAL: record.to_data()}))
    assert history(study)[0].completed[0].params == {"x": 0.75, "k": "b"}


def test_a_trial_of_another_sampler_is_the_users():
    assert history(study_of(trial()))[0].completed[0].origin.source == "user"


def test_constraints_are_bounds_of_zero():
    study = study_of(
        trial(system_attrs={"constraints": [-1.0, 2.0]}), trial(0.6, system_attrs={"constraints:mem": 3.0})
    )
    objective = objective_of(study, study.trials)
    assert objective.names == ("value", "constraint 0", "constraint 1", "mem")
    first, second = history(study)[0].completed
    assert first.values == {"value": 1.0, "constraint 0": -1.0, "constraint 1": 2.0, "mem": 0.0}
    assert not objective.is_feasible(first.values)
    assert not objective.is_feasible(second.values)


def test_a_constraint_that_could_not_be_computed_is_none():
    assert constraints_of(trial(system_attrs={"constraints": None})) == {}


def test_objectives_have_the_names_that_the_study_gives_them():
    study = study_of(directions=["minimize", "maximize"])
    assert objective_of(study, []).directions == (("value_0", "minimize"), ("value_1", "maximize"))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["error", "speed"])
    assert objective_of(study, []).directions == (("error", "minimize"), ("speed", "maximize"))


def test_durations_are_in_utc():
    done = history(study_of(trial()))[0].completed[0]
    assert done.duration_s is not None
    assert done.duration_s >= 0
