"""Problems with several objectives, seen both as they are and as one value: the share of the hypervolume reached.

The share is the hypervolume of what was found, feasible trials only, over that of the true front, both below the
problem's fixed reference point. It is what ``direction``, ``best`` and ``worst`` of such a problem speak of, so that
whatever handles one objective (regret, ranks, tests, plots) handles it too: regret is the share that is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.hypervolume import hypervolume
from benchmarks.problem import EvaluationFailed, Problem
from hybridbo.objective import Objective
from hybridbo.parameters import Array, Params
from hybridbo.space import Space

Outcomes = Callable[[Params], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class MultiProblem(Problem):
    """Something to optimise in several respects; made by :func:`multi`.

    Attributes:
        outcomes: From a valid configuration to its objectives and constrained outcomes; raises EvaluationFailed.
        objectives: Direction by name.
        constraints: Bound by name, as Optimizer takes them: ``{"memory_gb": "<= 16"}``.
        reference: By objective: what is not better in every objective counts nothing. In the objective's direction.
        volume: Hypervolume of the true front below the reference point.
    """

    outcomes: Outcomes
    objectives: Mapping[str, str]
    constraints: Mapping[str, str]
    reference: Mapping[str, float]
    volume: float

    def arguments(self) -> dict[str, Any]:
        """See Problem."""
        return {"objectives": dict(self.objectives), "constraints": dict(self.constraints) or None}

    def told(self, params: Mapping[str, Any]) -> dict[str, float]:
        """See Problem."""
        values = self.outcomes(self.space.validate(params))
        if not all(map(math.isfinite, values.values())):
            raise EvaluationFailed(f"the values are {values}")
        return values

    def recorded(self, told: Any) -> dict[str, Any]:
        """See Problem."""
        return {"values": told}

    def facts(self) -> dict[str, Any]:
        """See Problem."""
        several = {"objectives": dict(self.objectives), "constraints": dict(self.constraints)}
        return super().facts() | several | {"reference": dict(self.reference), "volume": self.volume}


def multi(
    name: str,
    space: Space,
    objectives: Mapping[str, str],
    task: str,
    outcomes: Outcomes,
    reference: Mapping[str, float],
    volume: float,
    *,
    constraints: Mapping[str, str] | None = None,
    memorised: bool = False,
) -> MultiProblem:
    """A problem with several objectives; see MultiProblem for the arguments."""
    made = Objective.of(objectives=objectives, constraints=constraints)
    return MultiProblem(
        name, space, "maximize", task, partial(_alone, outcomes, made, reference, volume), 1.0, 0.0,
        memorised=memorised, outcomes=outcomes, objectives=objectives, constraints=constraints or {},
        reference=reference, volume=volume,
    )  # fmt: skip


def _alone(
    outcomes: Outcomes, objective: Objective, reference: Mapping[str, float], volume: float, params: Params
) -> float:
    """The share of the front's hypervolume that one configuration dominates by itself."""
    return float(shares([outcomes(params)], objective, reference, volume)[-1])


def shares(
    told: list[dict[str, float] | None], objective: Objective, reference: Mapping[str, float], volume: float
) -> Array:
    """The share of the front's hypervolume after each trial, shape (n,).

    Args:
        told: The values of each trial; None for one that failed, which counts nothing, as one that keeps not every
            constraint does.
        objective: Directions and constraints.
        reference: The reference point by objective, in its direction.
        volume: That of the front.
    """
    end = np.array(objective.losses(reference), dtype=float)
    found = np.empty((0, len(end)))
    out = np.zeros(len(told))
    for i, values in enumerate(told):
        out[i] = out[i - 1] if i else 0.0
        if values is None or not objective.is_feasible(values):
            continue
        point = np.array(objective.losses(values), dtype=float)
        if np.all(point < end) and not np.any(np.all(found <= point, axis=1)):
            found = np.vstack([found[~np.all(found >= point, axis=1)], point])
            out[i] = hypervolume(found, end) / volume
    return out
