"""Optuna's own suite for samplers, all of it, against HybridSampler."""

import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from hybridbo.integrations import HybridSampler

CHEAP = {"seed_trials": 3, "gp": {"candidates": 16, "restarts": 1}}


class TestHybridSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: HybridSampler(llm=None, seed=0, settings=CHEAP)
