import math

import gpytorch
import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement

from hybridbo.gp import reference
from hybridbo.gp.process import Process

GROUPS = np.array([0, 1, 1, 2])


def data(n=9, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, len(GROUPS)))
    y = np.sin(5 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=n)
    return x, (y - y.mean()) / max(y.std(), 1e-9)


def test_columns_of_a_parameter_share_its_lengthscale():
    theta = np.array([0.0, 1.0, 2.0, -4.0, 0.0])
    kernel = reference.build(*data(), GROUPS, theta).covar_module
    assert kernel.inverse.tolist() == pytest.approx(np.exp([-0.0, -1.0, -1.0, -2.0]).tolist())
    a, b = torch.zeros(1, 4, dtype=torch.float64), torch.tensor([[0.3, 0.4, 0.0, 1.0]], dtype=torch.float64)
    r = math.sqrt(5 * (0.3**2 + (0.4 / math.e) ** 2 + math.exp(-4)))
    assert kernel(a, b).to_dense().item() == pytest.approx((1 + r + r * r / 3) * math.exp(-r))
    assert kernel(b, b, diag=True).tolist() == pytest.approx([1.0])


def test_far_away_the_model_knows_nothing():
    x, y = data()
    process = reference.build(x, y, GROUPS, np.array([-2.0, -2, -2, -6, 0.3]))
    far = process.posterior(torch.full((1, 1, 4), 50.0, dtype=torch.float64))
    assert far.mean.item() == pytest.approx(0.3)
    assert far.variance.item() == pytest.approx(1.0)
    at = process.posterior(torch.as_tensor(x[:1]).unsqueeze(1))
    assert at.mean.item() == pytest.approx(y[0], abs=0.05)
    assert at.variance.item() < 0.01


HYPERPARAMETERS = [
    [0.5, 0.5, 0.5, -4.0, 0.0],
    [-2.0, 0.0, 3.0, -8.0, 1.0],
    [-6.0, -6.0, -6.0, -2.0, -1.0],
    [3.0, 4.0, 2.0, -11.0, 0.2],
]


@pytest.mark.parametrize("n", [1, 6, 40, 150])
@pytest.mark.parametrize("theta", HYPERPARAMETERS)
def test_the_process_in_numpy_is_this_model(n, theta):
    x, y = data(n)
    theta = np.array(theta)
    points = np.concatenate([np.random.default_rng(2).random((20, 4)), x[:2], x[:2] + 1e-6, np.full((1, 4), 30.0)])
    process, model = Process.of(x, y, GROUPS, theta), reference.build(x, y, GROUPS, theta)
    tensor = torch.as_tensor(points).unsqueeze(1)
    with gpytorch.settings.fast_computations(False, False, False), torch.no_grad():
        posterior = model.posterior(tensor)
        log_ei = LogExpectedImprovement(model, best_f=y.max())(tensor).numpy()
    mean, variance = process.predict(points)
    np.testing.assert_allclose(mean, posterior.mean.squeeze().numpy(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(variance, posterior.variance.squeeze().numpy(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(process.log_ei(points, y.max()), log_ei, rtol=1e-8, atol=1e-8)
