import numpy as np
import pytest

from hybridbo.gp.sampling import draws

COVARIANCE = np.array([[4.0, 1.0, 0.0], [1.0, 0.5, 0.1], [0.0, 0.1, 0.05]])
MEAN = np.array([1.0, -2.0, 3.0])


def normal(point):
    pull = np.linalg.solve(COVARIANCE, point - MEAN)
    return 0.5 * float((point - MEAN) @ pull), pull


def test_draws_have_the_moments_of_the_density():
    found = draws(normal, MEAN, 4000, np.random.default_rng(0))
    assert found.shape == (4000, 3)
    sd = np.sqrt(np.diag(COVARIANCE))
    assert np.abs(found.mean(0) - MEAN) / sd == pytest.approx(0, abs=0.1)
    assert np.cov(found.T) / np.outer(sd, sd) == pytest.approx(COVARIANCE / np.outer(sd, sd), abs=0.12)


def test_a_skew_density_is_not_taken_for_its_normal_approximation():
    def gumbel(point):
        return float(np.sum(point + np.exp(-point))), 1.0 - np.exp(-point)

    found = draws(gumbel, np.zeros(2), 4000, np.random.default_rng(1))
    assert found.mean(0) == pytest.approx(0.577, abs=0.12)  # its mode is 0


def test_the_same_generator_gives_the_same_draws():
    first, second = (draws(normal, MEAN, 5, np.random.default_rng(7)) for _ in range(2))
    assert (first == second).all()


def test_what_has_no_density_is_never_drawn():
    def half(point):
        return (normal(point)[0], normal(point)[1]) if point[0] > 0.5 else (np.nan, np.full(3, np.nan))

    assert (draws(half, MEAN, 200, np.random.default_rng(2))[:, 0] > 0.5).all()
