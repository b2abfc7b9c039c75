"""What Ray's words mean: goals, and how a trial has ended. How Ray says them is in test_ray_searcher.py."""

import pytest

pytest.importorskip("ray.tune")

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.integrations.ray_results import Ending, Goal, Progress, iteration_of, unnamed
from hybridbo.objective import Objective
from hybridbo.trial import Outcome, TrialState


def value(x):
    return Outcome(TrialState.COMPLETE, {"value": x}, x)


def test_a_goal_is_an_objective_in_rays_words():
    one, two = Goal.of("loss", "min"), Goal.of(["loss", "acc"], ["min", "max"])
    assert one.arguments == {"direction": "minimize"}
    assert two.arguments == {"objectives": {"loss": "minimize", "acc": "maximize"}}
    assert (str(one), str(two)) == ("min loss", "min loss, max acc")
    assert Goal.of(None, "max").metric == ("_metric",)
    assert Goal.of(None, None) is None


@pytest.mark.parametrize(
    ("metric", "mode"), [("a", None), ("a", "up"), (["a"], "min"), ("a", ["min"]), ([], []), (["a", "b"], ["min", 3])]
)
def test_what_is_no_goal_is_refused(metric, mode):
    with pytest.raises(InvalidSettings, match=r"Give|Use"):
        Goal.of(metric, mode)


def test_without_a_goal_the_remedy_names_where_it_is_given():
    assert "HybridSearcher(space, metric" in str(unnamed())


def test_a_result_tells_its_metrics_and_no_others():
    goal = Goal.of(["loss", "acc"], ["min", "max"])
    objective = Objective.of(**goal.arguments)
    assert goal.told({"loss": 1, "acc": 0.5, "time": 3}, objective).values == {"loss": 1.0, "acc": 0.5}
    with pytest.raises(InvalidValue, match=r"holds no 'acc', but loss, time"):
        goal.told({"loss": 1, "time": 3, "node": "x"}, objective)


@pytest.mark.parametrize(
    ("result", "iteration"), [({"training_iteration": 3}, 3), ({}, 0), ({"training_iteration": "x"}, 0)]
)
def test_the_iteration_of_a_result(result, iteration):
    assert iteration_of(result) == iteration


def ended(ending, progress, iteration, x=1.0, *, done=True):
    result = {"value": x, "training_iteration": iteration, "done": done}
    return ending.outcome(progress, result, lambda given: value(given["value"]), error=False).state


def test_a_stop_criterion_counts_whatever_it_is_of():
    ending = Ending(stop={"value": 0.9}, passed=100)
    assert ended(ending, Progress(), 5, x=0.95) is TrialState.COMPLETE
    assert ended(ending, Progress(), 5, x=0.5) is TrialState.PRUNED  # others have gone on longer


def test_what_is_whole_is_known_from_trials_that_ended_by_themselves():
    ending = Ending(passed=9)
    assert ended(ending, Progress(iteration=9), 9) is TrialState.COMPLETE
    assert ending.whole == 9
    assert ended(ending, Progress(), 9) is TrialState.COMPLETE
    assert ended(ending, Progress(), 8) is TrialState.PRUNED
    assert ended(ending, Progress(iteration=9), 9, done=False) is TrialState.PRUNED


def test_a_short_trial_that_ended_by_itself_says_nothing_of_longer_ones():
    ending = Ending(passed=100)
    assert ended(ending, Progress(iteration=5), 5) is TrialState.COMPLETE
    assert ended(ending, Progress(), 50) is TrialState.PRUNED
    assert ended(ending, Progress(), 101) is TrialState.COMPLETE


def test_only_finite_reports_are_remembered():
    progress = Progress()
    objective = Objective.of("minimize")
    for i, x in enumerate([2.0, float("nan")], start=1):
        progress.report({"value": x, "training_iteration": i}, lambda given: objective.outcome(given["value"]))
    assert progress.iteration == 2
    assert progress.outcome.value == 2.0
