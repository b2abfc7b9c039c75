"""Random configurations of a benchmark's problem, shared by the tests of several suites."""

import math
from collections.abc import Iterator

import numpy as np

from benchmarks import suites
from benchmarks.problem import EvaluationFailed
from hybridbo.parameters import Params


def sampled(name: str, n: int) -> Iterator[tuple[Params, float]]:
    """Configurations with their losses, infinite where they fail."""
    problem = suites.problem(name)
    rng = np.random.default_rng(4)
    for _ in range(n):
        params = problem.sample(rng)
        try:
            yield params, problem.loss(problem.evaluate(params))
        except EvaluationFailed:
            yield params, math.inf
