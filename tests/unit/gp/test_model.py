import math

import gpytorch
import numpy as np
import pytest
import torch

from hybridbo.errors import SurrogateError
from hybridbo.gp import model, reference

GROUPS = np.array([0, 1, 1, 2])


def data(n=9, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, len(GROUPS)))
    y = np.sin(5 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=n)
    return x, (y - y.mean()) / y.std()


def thetas():
    rng = np.random.default_rng(1)
    yield model.prior_centre(3)
    yield from (np.append(rng.normal(0, 1.5, 3), [rng.normal(-4, 1), rng.normal()]) for _ in range(4))


@pytest.mark.parametrize("theta", list(thetas()), ids=range(5))
def test_the_gradient_is_that_of_the_value(theta):
    posterior = model._Posterior(*data(), GROUPS)
    _, gradient = posterior(theta)
    steps = 1e-5 * np.eye(len(theta))
    expected = [(posterior(theta + step)[0] - posterior(theta - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("theta", list(thetas()), ids=range(5))
def test_the_value_is_gpytorchs_marginal_likelihood_with_the_priors(theta):
    x, y = data()
    process = reference.build(x, y, GROUPS, theta).train()
    with gpytorch.settings.fast_computations(False, False, False), torch.no_grad():
        likelihood = gpytorch.ExactMarginalLogLikelihood(process.likelihood, process)
        log_likelihood = len(y) * likelihood(process(*process.train_inputs), process.train_targets).item()

    def log_normal(x, mean, sd):
        return -0.5 * ((x - mean) / sd) ** 2

    centre = math.log(3) / 2
    priors = sum(log_normal(s, centre, math.sqrt(3)) for s in theta[:3])
    priors += log_normal(theta[3], -4, 1) + log_normal(theta[4], 0, 1)
    constant = len(y) / 2 * math.log(2 * math.pi)
    assert -model._Posterior(x, y, GROUPS)(theta)[0] - constant == pytest.approx(log_likelihood + priors, rel=1e-6)


def test_the_fit_is_no_worse_than_where_it_started():
    x, y = data(20)
    theta = model.fit(x, y, GROUPS, np.random.default_rng(0), restarts=2)
    posterior = model._Posterior(x, y, GROUPS)
    assert posterior(theta)[0] < posterior(model.prior_centre(3))[0] - 1
    assert np.abs(posterior(theta)[1]).max() < 0.05
    assert theta[0] < theta[2] - 0.5  # the first parameter matters, the third does not


def test_the_fit_is_repeatable():
    x, y = data()
    first, again = (model.fit(x, y, GROUPS, np.random.default_rng(3), restarts=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((1, 4)), np.zeros(1)),
        (np.zeros((6, 4)), np.array([1.0, -1, 1, -1, 1, -1])),
        (np.zeros((6, 4)), np.zeros(6)),
        (np.eye(4)[[0, 0, 1, 2]], np.array([1.0, -1, 0, 0])),
    ],
    ids=["one point", "one place, different values", "nothing at all", "a duplicate"],
)
def test_poor_data_are_fitted(x, y):
    theta = model.fit(x, y, GROUPS, np.random.default_rng(0), restarts=2)
    assert np.isfinite(theta).all()
    posterior = reference.build(x, y, GROUPS, theta).posterior(torch.ones(1, 1, 4, dtype=torch.float64))
    assert math.isfinite(posterior.mean.item())
    assert posterior.variance.item() > 0


def test_many_points_are_fitted_by_some_of_them(monkeypatch):
    sizes = []

    class Spy(model._Posterior):
        def __init__(self, x, *rest):
            sizes.append(len(x))
            super().__init__(x, *rest)

    monkeypatch.setattr(model, "_Posterior", Spy)
    monkeypatch.setattr(model.subset, "MOST_FITTED", 40)
    x, y = data(90)
    theta = model.fit(x, y, GROUPS, np.random.default_rng(0), restarts=1)
    assert sizes == [40]
    assert theta[0] < theta[2] - 0.5  # it has still seen which parameter matters


@pytest.mark.parametrize("y", [np.array([math.nan, 1.0, 2.0]), np.array([1e200, 1.0, 2.0])])
def test_what_cannot_be_fitted_says_so(y):
    with np.errstate(all="ignore"), pytest.raises(SurrogateError, match="no starting point"):
        model.fit(np.random.default_rng(0).random((3, 4)), y, GROUPS, np.random.default_rng(0), restarts=2)
