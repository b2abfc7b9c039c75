import math

import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import _log_ei_helper
from scipy import stats

from hybridbo.errors import SurrogateError
from hybridbo.gp import process
from hybridbo.gp.process import Process, log_improvement

GROUPS = np.array([0, 1])
THETA = np.array([-1.0, 0.0, -6.0, 0.0])


def learned(n=12, jitter=0.0):
    x = np.random.default_rng(0).random((n, 2))
    return Process.of(x, np.sin(4 * x[:, 0]), GROUPS, THETA, jitter)


def test_what_was_seen_is_predicted_and_what_is_far_is_not_known():
    learner = learned()
    mean, variance = learner.predict(np.concatenate([learner.x[:1], [[40.0, 40.0]]]))
    assert mean[0] == pytest.approx(math.sin(4 * learner.x[0, 0]), abs=0.02)
    assert variance[0] < 0.01
    assert (mean[1], variance[1]) == pytest.approx((0.0, 1.0))


def test_jitter_loosens_the_fit_to_the_data():
    assert learned(jitter=0.1).predict(learned().x)[1].min() > 5 * learned().predict(learned().x)[1].max()


def test_candidates_are_taken_in_pieces_that_change_nothing(monkeypatch):
    points = np.random.default_rng(1).random((50, 2))
    whole = learned().predict(points)
    monkeypatch.setattr(process, "_AT_ONCE", 12 * 7)
    np.testing.assert_allclose(learned().predict(points), whole, rtol=1e-13)


@pytest.mark.parametrize("theta", [[-1.0, 0.0, -800.0, 0.0], [math.nan, 0.0, -4.0, 0.0]])
def test_a_covariance_without_a_factor_says_so(theta, monkeypatch):
    monkeypatch.setattr("hybridbo.gp.model.JITTER", -1.0)
    with pytest.raises(SurrogateError, match="12 trials"):
        Process.of(np.zeros((12, 2)), np.zeros(12), GROUPS, np.array(theta))


def test_targets_that_are_not_finite_say_so():
    with pytest.raises(SurrogateError, match="not finite"):
        Process.of(np.eye(2), np.array([math.inf, 0.0]), GROUPS, THETA)


def test_log_improvement_is_botorchs_over_the_whole_range():
    z = np.concatenate([-np.logspace(-9, 12, 300), np.logspace(-9, 6, 100), [0.0, -1.0, -1e6]])
    np.testing.assert_allclose(log_improvement(z), _log_ei_helper(torch.tensor(z)).numpy(), rtol=1e-13)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(log_improvement(z)).all()
    assert log_improvement(np.array([-np.inf, np.inf])).tolist() == [-np.inf, np.inf]  # the last edge of a box
    assert (np.diff(log_improvement(-np.logspace(0, 9, 4000))) < 0).all()


def test_nothing_is_predicted_of_no_points():
    process = Process.of(np.zeros((1, 1)), np.zeros(1), np.array([0]), np.zeros(3))
    assert [len(part) for part in process.predict(np.empty((0, 1)))] == [0, 0]


def test_the_joint_covariance_agrees_with_the_predictions():
    learner, points = learned(), np.random.default_rng(1).random((6, 2))
    mean, covariance = learner.joint(points)
    np.testing.assert_allclose(mean, learner.predict(points)[0], rtol=1e-12)
    np.testing.assert_allclose(np.diag(covariance), learner.predict(points)[1], atol=1e-12)
    # a further observation shrinks the variance elsewhere by what the covariance says
    more = Process.of(
        np.vstack([learner.x, points[:1]]), np.append(np.sin(4 * learner.x[:, 0]), mean[0]), GROUPS, THETA
    )
    gone = covariance[0, 1:] ** 2 / (covariance[0, 0] + math.exp(THETA[-2]) + 1e-6)
    np.testing.assert_allclose(learner.predict(points[1:])[1] - more.predict(points[1:])[1], gone, atol=1e-10)


def test_columns_of_targets_are_learned_side_by_side():
    x, y = np.random.default_rng(0).random((7, 2)), np.random.default_rng(1).random((7, 3))
    points = np.random.default_rng(2).random((4, 2))
    means, variance = Process.of(x, y, GROUPS, THETA).predict(points)
    for j in range(3):
        mean, same = Process.of(x, y[:, j], GROUPS, THETA).predict(points)
        np.testing.assert_allclose(means[:, j], mean, rtol=1e-10)
        np.testing.assert_allclose(variance, same, rtol=1e-10)


def test_the_chance_to_be_below_a_bound_is_that_of_the_value_without_noise():
    learner, points = learned(), np.random.default_rng(1).random((4, 2))
    mean, variance = learner.predict(points)
    np.testing.assert_allclose(np.exp(learner.log_below(0.3, points)), stats.norm.cdf(0.3, mean, np.sqrt(variance)))
