from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hybridbo.objective import Objective
from hybridbo.observe import Observations, merits, n_dominating, observe, weighed
from hybridbo.trial import History, Origin, Trial, TrialState

AT = datetime(2026, 1, 1, tzinfo=UTC)
BOTH = Objective.of(objectives={"error": "minimize", "speed": "maximize"}, constraints={"memory": "<= 3"})


def trial(number, state=TrialState.COMPLETE, seconds=None, **values):
    end = None if seconds is None else AT + timedelta(seconds=seconds)
    return Trial(number, {"x": number / 10}, state, Origin("sobol", ""), AT, None, values, None, end, None)


def test_each_kind_of_outcome_has_its_array():
    history = History.of(
        [
            trial(0, seconds=2, error=0.5, speed=7.0, memory=1.0),
            trial(1, seconds=4, error=0.25, speed=3.0, memory=5.0),
            trial(2, TrialState.FAILED, seconds=8),
            trial(3, TrialState.RUNNING),
        ]
    )
    seen = observe(history, BOTH)
    assert seen.losses.tolist() == [[0.5, -7.0], [0.25, -3.0]]
    assert seen.violations.tolist() == [[-2.0], [2.0]]
    assert seen.feasible.tolist() == [True, False]
    assert (list(seen.failed), list(seen.pending)) == ([{"x": 0.2}], [{"x": 0.3}])
    assert [p["x"] for p in seen.timed] == [0.0, 0.1, 0.2]  # a failure took its time too
    assert seen.seconds.tolist() == [2, 4, 8]
    assert not seen.is_single
    assert not seen.seeks_feasible


def test_a_trial_that_lacks_an_outcome_tells_its_duration_alone():
    seen = observe(History.of([trial(0, TrialState.PRUNED, seconds=2, error=0.5, speed=1.0)]), BOTH)
    assert (list(seen.params), len(seen.losses), seen.violations.size) == ([], 0, 0)
    assert seen.seconds.tolist() == [2]


def test_one_objective_is_a_column():
    seen = observe(History.of([trial(0, value=1.0), trial(1, value=2.0)]), Objective.of("maximize"))
    assert seen.losses.tolist() == [-1.0, -2.0]
    assert seen.violations.size == 0
    assert seen.is_single
    assert seen.merit().tolist() == [-1.0, -2.0]


def test_a_violation_that_has_no_double_is_the_largest():
    objective = Objective.of("minimize", constraints={"c": "<= -1.7e308"})
    assert np.isfinite(observe(History.of([trial(0, value=1.0, c=1.7e308)]), objective).violations).all()


def test_merit_counts_who_dominates():
    losses = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [3.0, 3.0], [2.0, 2.0]])
    assert n_dominating(losses).tolist() == [0, 0, 0, 4, 0]  # equals do not dominate each other
    assert Observations([{}] * 5, losses, np.ones(5, dtype=bool)).merit().tolist() == [0, 0, 0, 4, 0]


def test_while_nothing_is_feasible_merit_is_the_violation():
    violations = np.array([[1e300, -1.0], [3.0, 2.0], [1.0, -9.0]])
    seen = Observations([{}] * 3, np.arange(3.0), np.zeros(3, dtype=bool), violations=violations)
    assert seen.seeks_feasible
    assert seen.merit().tolist() == [2.0, 2.0, 0.0]


@pytest.mark.parametrize("factor", [1.0, 1e300])
def test_weighing_is_blind_to_units_and_keeps_ties(factor):
    losses = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]) * [1.0, factor]
    for seed in range(5):
        out = weighed(losses, np.random.default_rng(seed))
        assert (np.diff(out) >= 0).all()
        assert out[0] < out[2]
    assert not np.array_equal(weighed(losses, np.random.default_rng(0)), weighed(losses, np.random.default_rng(1)))


def test_what_fails_or_breaks_a_constraint_ranks_behind_everything():
    objective = Objective.of("minimize", constraints={"memory": "<= 3"})
    rows = [trial(0, value=2.0, memory=1.0), trial(1, value=1.0, memory=9.0), trial(2, TrialState.FAILED)]
    found = merits(History.of([*rows, trial(3, value=0.5, memory=2.0), trial(4, TrialState.RUNNING)]), objective)
    assert found == {0: 2.0, 1: np.inf, 2: np.inf, 3: 0.5}
    assert merits(History.of([rows[2]]), objective) == {2: np.inf}


def test_while_nothing_keeps_the_constraints_the_smaller_violation_ranks_first():
    objective = Objective.of("minimize", constraints={"memory": "<= 3"})
    found = merits(History.of([trial(0, value=2.0, memory=9.0), trial(1, value=5.0, memory=4.0)]), objective)
    assert found[1] < found[0] < np.inf
