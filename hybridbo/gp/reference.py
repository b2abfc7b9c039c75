"""The model of record: the surrogate as a BoTorch SingleTaskGP.

Proposals compute the same numbers in NumPy (:mod:`hybridbo.gp.process`): asking this model takes three times as long,
and loading torch three times the memory. Nothing in a search calls it; the tests hold the two together to the eighth
digit, and a BoTorch acquisition of the user's own can start from here.
"""

from __future__ import annotations

from typing import Any

import gpytorch
import numpy as np
import torch
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from numpy.typing import NDArray

from hybridbo.gp.model import JITTER
from hybridbo.parameters import Array


class SpaceKernel(gpytorch.kernels.Kernel):
    """Matern 5/2 on columns that share a lengthscale where they belong to one parameter.

    Args:
        lengthscales: One per parameter, shape (d,).
        groups: The parameter of each column, shape (f,).
    """

    def __init__(self, lengthscales: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("inverse", (1.0 / lengthscales)[groups])

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_: Any) -> torch.Tensor:
        """Covariances, shape (..., n1, n2), or (..., n) for ``diag``, of columns (..., n1, f) and (..., n2, f)."""
        a, b = x1 * self.inverse, x2 * self.inverse
        squared = (a - b).square().sum(-1) if diag else (a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1)
        return matern(squared)


def matern(squared: torch.Tensor) -> torch.Tensor:
    """Matern 5/2 correlation of squared distances (Rasmussen and Williams 2006, eq. 4.17)."""
    r = torch.sqrt(5.0 * squared + 1e-20)  # the shift keeps the gradient of the root finite at 0
    return (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def build(x: Array, y: Array, groups: NDArray[np.int64], theta: Array) -> SingleTaskGP:
    """The BoTorch model of the data under given hyperparameters, ready to predict.

    Args:
        x: Columns, shape (n, f).
        y: Targets, larger is better, shape (n,).
        groups: The parameter of each column, shape (f,).
        theta: As :func:`hybridbo.gp.model.fit` returns them, shape (d + 2,).
    """
    tensor = _tensor(theta)
    kernel = SpaceKernel(tensor[:-2].exp(), torch.as_tensor(groups))
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(JITTER / 2)
    ).double()
    likelihood.initialize(noise=tensor[-2].exp() + JITTER)
    mean = gpytorch.means.ConstantMean().double()
    mean.initialize(constant=tensor[-1])
    with validate_input_scaling(False):  # ranks of five points are not exactly standardised, and need not be
        model = SingleTaskGP(
            _tensor(x),
            _tensor(y).unsqueeze(-1),
            likelihood=likelihood,
            covar_module=kernel,
            mean_module=mean,
            outcome_transform=None,
        )
    return model.eval()


def _tensor(array: Array) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64)
