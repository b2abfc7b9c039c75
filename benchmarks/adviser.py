"""Simulated advisers for consultations: one who knows where the optimum is, but for some noise, and one who misleads.

Neither says anything of the seeds, so that a search with consultations differs from one without an LLM in the
consultations alone. What they answer depends on the question's name, the problem and the seed, as a stored reply does.
"""

from __future__ import annotations

import json
import zlib
from functools import cache

import numpy as np

from benchmarks import advice
from benchmarks.problem import EvaluationFailed, Problem
from hybridbo.parameters import Array
from hybridbo.ports import ChatReply, ChatRequest

_POINTS = 4
_SPREAD = 0.1  # of the unit interval: how far the good one is off, in each parameter
_ROUNDS, _AT_ONCE = 30, 400  # of the search for the optimum that the good one knows


class Adviser:
    """A ChatBackend that answers consultations.

    Args:
        problem: What is optimised.
        seed: Of the search.
        is_good: Near the optimum; else from the worst 20 % of the problem.
    """

    def __init__(self, problem: Problem, seed: int, *, is_good: bool) -> None:
        self._problem, self._seed, self._is_good = problem, seed, is_good

    @property
    def name(self) -> str:
        """See ChatBackend."""
        return "good-adviser" if self._is_good else "bad-adviser"

    def complete(self, request: ChatRequest) -> ChatReply:
        """See ChatBackend."""
        if request.purpose == "seeds":
            return ChatReply('{"configs": []}', self.name, recorded=True)
        seed = [self._seed, zlib.crc32(f"{self._problem.name} {request.purpose}".encode())]
        points = self._near(np.random.default_rng(seed)) if self._is_good else self._worst(seed)
        return ChatReply(json.dumps({"configs": points, "rationale": "From experience."}), self.name, recorded=True)

    def _near(self, rng: np.random.Generator) -> list[dict[str, object]]:
        space, best = self._problem.space, optimum(self._problem.name)
        noise = rng.normal(0.0, _SPREAD, (_POINTS, len(best)))
        return [dict(space.decode(np.clip(best + row, 0.0, 1.0))) for row in noise]

    def _worst(self, seed: list[int]) -> list[dict[str, object]]:
        return list(json.loads(advice.adversarial(self._problem, sum(seed) % 2**31))["configs"][:_POINTS])


@cache
def optimum(name: str) -> Array:
    """The best point that a search with many evaluations finds, on the unit cube, shape (d,)."""
    from benchmarks import suites

    problem = suites.problem(name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    best, least = rng.random(len(problem.space)), np.inf
    for i in range(_ROUNDS):
        scale = 0.5**i  # from everywhere to nearby
        near = best + scale * rng.uniform(-1.0, 1.0, (_AT_ONCE, len(best)))
        for u in np.clip(near, 0.0, 1.0) if i else rng.random((10 * _AT_ONCE, len(best))):
            if (loss := _loss(problem, u)) < least:
                best, least = u, loss
    return best


def _loss(problem: Problem, u: Array) -> float:
    try:
        return problem.loss(problem.evaluate(problem.space.decode(u)))
    except EvaluationFailed:
        return np.inf
