import numpy as np
import pytest

from hybridbo.gp.cost import Cost, are_telling, cooled
from hybridbo.gp.features import Features
from hybridbo.observe import Observations
from hybridbo.space import Float, Space

FEATURES = Features.of(Space({"x": Float(0, 1)}))


def fit(places, seconds):
    timed = [{"x": x} for x in places]
    seen = Observations([], np.empty(0), np.empty(0, dtype=bool), timed=timed, seconds=np.array(seconds, dtype=float))
    return Cost.fit(FEATURES, seen, np.random.default_rng(0), 1)


def test_durations_are_predicted_in_seconds():
    places = np.linspace(0, 1, 8)
    cost = fit(places, 10 * np.exp(4 * places))
    found = cost.log_seconds(np.array([[0.3], [0.8]]))
    assert found == pytest.approx(np.log(10) + 4 * np.array([0.3, 0.8]), abs=0.2)
    np.testing.assert_allclose(cost.discount(0.5)(np.array([[0.3], [0.8]])), -0.5 * found)


@pytest.mark.parametrize("seconds", [[], [1, 2], [5] * 6, [0] * 6, [np.nan] * 6, [-1, 0, 1e-4]])
def test_durations_that_tell_nothing_are_left_out(seconds):
    assert fit(np.linspace(0, 1, len(seconds)), seconds) is None


def test_zero_missing_and_repeated_durations_do_no_harm():
    cost = fit([0.0, 0.2, 0.2, 0.5, 0.7, 1.0], [0.0, 1.0, 3.0, np.nan, -2.0, 1e9])
    assert np.isfinite(cost.log_seconds(np.random.default_rng(0).random((9, 1)))).all()


@pytest.mark.parametrize(
    ("n", "budget", "power"), [(5, 25, 1.0), (3, 25, 1.0), (15, 25, 0.5), (25, 25, 0.0), (30, 25, 0.0), (9, None, 1.0)]
)
def test_it_cools_down_as_the_budget_is_used(n, budget, power):
    assert cooled(n, 5, budget)[0] == pytest.approx(power)
    assert cooled(n, 5, budget)[1]


def test_a_budget_of_seeds_leaves_nothing_to_cool():
    assert cooled(5, 5, 5)[0] == 0.0


@pytest.mark.parametrize(
    ("seconds", "telling"),
    [
        ([1.0, 2.0, 3.0], True),
        ([1.0, np.nan, 3.0], False),
        ([2.0] * 5, False),
        ([1e-5, 1e-6, 1e-4], False),
        ([], False),
    ],
)
def test_durations_that_are_few_or_equal_tell_nothing(seconds, telling):
    assert are_telling(np.array(seconds)) is telling
