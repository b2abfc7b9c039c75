"""What can be sampled together, as the trials of a define-by-run study show it."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from hybridbo import Categorical, Float, Space
from hybridbo.integrations.optuna_plan import plan_of
from hybridbo.integrations.optuna_space import given_columns

UNIT = FloatDistribution(0.0, 1.0)
AB = CategoricalDistribution(("a", "b"))


def trials(*rows, state=TrialState.COMPLETE):
    """Trials of ``{name: (value, distribution)}``."""
    out = []
    for number, row in enumerate(rows):
        trial = create_trial(
            state=state,
            value=1.0 if state == TrialState.COMPLETE else None,
            params={name: value for name, (value, _) in row.items()},
            distributions={name: distribution for name, (_, distribution) in row.items()},
        )
        trial.number = number
        out.append(trial)
    return out


def test_nothing_is_known_before_the_first_trial_has_ended():
    assert plan_of([]).distributions == {}
    running = trials({"x": (0.5, UNIT)}, state=TrialState.RUNNING)
    assert plan_of(running).distributions == {}


def test_a_failed_trial_is_heard_while_there_is_no_other():
    failed = trials({"x": (0.5, UNIT)}, state=TrialState.FAIL)
    assert plan_of(failed).distributions == {"x": UNIT}
    assert plan_of(failed + trials({"y": (0.5, UNIT)})).distributions == {"y": UNIT}


def test_conditions_are_told_from_the_trials():
    plan = plan_of(trials({"k": ("a", AB), "x": (0.1, UNIT)}, {"k": ("b", AB)}))
    assert list(plan.columns) == ["k", "x"]
    assert plan.conditions == {"x": {"k": ["a"]}}
    assert plan.groups == ()


def test_what_comes_and_goes_for_no_reason_is_parted_into_groups():
    rows = [
        {"x": (0.1, UNIT), "y": (0.1, UNIT), "z": (0.1, UNIT)},
        {"x": (0.1, UNIT)},
        {"x": (0.2, UNIT), "y": (0.1, UNIT), "z": (0.1, UNIT)},
        {"x": (0.3, UNIT), "w": (0.1, UNIT)},
    ]
    plan = plan_of(trials(*rows))
    assert list(plan.columns) == ["x"]
    assert [list(group) for group in plan.groups] == [["y", "z"], ["w"]]


def test_a_group_that_has_gone_out_of_use_is_not_sampled():
    rows = [{"x": (0.1, UNIT), "y": (0.1, UNIT)}, *({"x": (0.1, UNIT)} for _ in range(10))]
    assert plan_of(trials(*rows)).groups == ()
    assert plan_of(trials(*rows[:-1])).groups != ()


def test_what_depends_on_a_loose_parameter_is_loose():
    rows = [
        {"x": (0.1, UNIT)},
        {"x": (0.2, UNIT), "k": ("a", AB), "y": (0.1, UNIT)},
        {"x": (0.2, UNIT), "k": ("b", AB)},
    ]
    plan = plan_of(trials(*rows))
    assert list(plan.columns) == ["x"]
    assert plan.conditions == {}
    assert sorted(name for group in plan.groups for name in group) == ["k", "y"]


def test_a_range_that_has_settled_counts_and_one_that_wanders_counts_whole():
    def range_of(*highs):
        return plan_of(trials(*({"n": (1, IntDistribution(1, high))} for high in highs))).distributions["n"]

    assert range_of(9, 5, 5, 5) == IntDistribution(1, 5)
    assert range_of(9, 5, 5, 7) == IntDistribution(1, 9)


def test_another_kind_is_not_mixed_with_what_went_before():
    rows = [{"x": (1, IntDistribution(0, 9))}, {"x": (0.5, UNIT)}]
    assert plan_of(trials(*rows)).distributions == {"x": UNIT}


def test_what_is_given_stands_and_the_trials_add_to_it():
    given = given_columns(Space({"k": Categorical(["a", "b"]), "x": Float(0, 1, when={"k": ["a"]})}))
    rows = [{"k": ("a", AB), "x": (0.1, UNIT), "y": (0.1, UNIT)}, {"k": ("b", AB)}]
    plan = plan_of(trials(*rows), given)
    assert list(plan.columns) == ["k", "x", "y"]
    assert plan.conditions == {"y": {"k": ["a"]}}
    assert plan_of([], given).distributions == {"k": AB, "x": UNIT}


def test_without_a_parent_its_children_are_always_active():
    given = given_columns(Space({"k": Categorical(["a", "b"]), "x": Float(0, 1, when={"k": ["a"]})}))
    plan = plan_of([], given).without({"k"})
    assert list(plan.columns) == ["x"]
    assert plan.columns["x"].parameter.when is None
