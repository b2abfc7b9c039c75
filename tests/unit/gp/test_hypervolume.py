import math

import numpy as np
import pytest
from botorch.utils.multi_objective.hypervolume import Hypervolume
from scipy import stats

from hybridbo.gp.hypervolume import Boxes, log_expected_improvement, reference_point

FRONTS = {
    2: np.array([[0.2, 0.9], [0.5, 0.6], [0.8, 0.1], [0.1, 0.1]]),
    3: np.array([[0.9, 0.2, 0.3], [0.3, 0.8, 0.4], [0.2, 0.3, 0.9], [0.5, 0.5, 0.5]]),
    4: np.array([[0.9, 0.2, 0.3, 0.1], [0.3, 0.8, 0.4, 0.2], [0.2, 0.3, 0.9, 0.6]]),
}


def volume(points, m):
    import torch

    return Hypervolume(torch.zeros(m, dtype=torch.double)).compute(torch.as_tensor(points))


@pytest.mark.parametrize("m", FRONTS)
def test_a_sure_outcome_adds_the_volume_that_it_adds(m):
    front = FRONTS[m]
    boxes = Boxes.over(front, np.zeros(m))
    points = np.random.default_rng(0).random((20, m)) * 1.2
    added = [volume(_front(np.vstack([front, p])), m) - volume(_front(front), m) for p in points]
    found = np.exp(log_expected_improvement(points[:, None, :], np.full((20, m), 1e-7), [boxes]))
    np.testing.assert_allclose(found, added, atol=1e-6)


def _front(points):
    beaten = [any((q >= p).all() and (q > p).any() for q in points) for p in points]
    return points[~np.array(beaten)]


@pytest.mark.parametrize("m", FRONTS)
def test_an_unsure_outcome_adds_the_mean_over_samples(m):
    boxes = Boxes.over(FRONTS[m], np.zeros(m))
    mean, sd = np.full((1, 1, m), 0.6), np.full((1, m), 0.3)
    draws = stats.qmc.MultivariateNormalQMC(mean[0, 0], np.diag(sd[0] ** 2), seed=0).random(2**14)
    sampled = np.exp(log_expected_improvement(draws[:, None, :], np.full((2**14, m), 1e-9), [boxes])).mean()
    assert np.exp(log_expected_improvement(mean, sd, [boxes]))[0] == pytest.approx(sampled, rel=0.02)


def test_an_empty_front_leaves_the_product_of_gains():
    boxes = Boxes.over(np.empty((0, 2)), np.zeros(2))
    found = log_expected_improvement(np.zeros((1, 1, 2)), np.ones((1, 2)), [boxes])
    assert found[0] == pytest.approx(2 * math.log(stats.norm.pdf(0)))


def test_several_fronts_are_averaged():
    mean, sd = np.full((1, 2, 2), 0.5), np.array([[0.2, 0.4]])
    both = [Boxes.over(FRONTS[2], np.zeros(2)), Boxes.over(FRONTS[2] + 0.3, np.zeros(2))]
    each = [np.exp(log_expected_improvement(mean[:, [s]], sd, [boxes]))[0] for s, boxes in enumerate(both)]
    assert np.exp(log_expected_improvement(mean, sd, both))[0] == pytest.approx(np.mean(each))


def test_hopeless_points_still_have_a_slope():
    boxes = Boxes.over(FRONTS[2], np.zeros(2))
    mean = -np.array([50.0, 60.0, 70.0])[:, None, None] * np.ones((3, 1, 2))
    found = log_expected_improvement(mean, np.full((3, 2), 0.5), [boxes])
    assert np.isfinite(found).all()
    assert (np.diff(found) < -100).all()


def test_many_points_are_done_in_parts_and_none_in_none(monkeypatch):
    boxes = Boxes.over(FRONTS[2], np.zeros(2))
    mean, sd = np.random.default_rng(0).random((50, 1, 2)), np.full((50, 2), 0.1)
    whole = log_expected_improvement(mean, sd, [boxes])
    monkeypatch.setattr("hybridbo.gp.hypervolume._ELEMENTS", 30)
    np.testing.assert_array_equal(log_expected_improvement(mean, sd, [boxes]), whole)
    assert log_expected_improvement(mean[:0], sd[:0], [boxes]).shape == (0,)


def test_the_reference_lies_beyond_the_worst_of_all():
    assert reference_point(np.array([[0.0, 5.0], [1.0, 5.0]])) == pytest.approx([-0.1, 4.9])
    assert (reference_point(np.array([[2.0, 3.0]])) < [2.0, 3.0]).all()
