"""What a problem of the ``judgement`` suite is made of: a space, its words, and a training that may really fail."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cache import evaluation
from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Params
from hybridbo.space import Space

_REVISION = 1  # part of the cache's key: raise it when data or models change


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        space: What is searched.
        words: What a language model is told.
        direction: Of the score.
        score: From a configuration and the seed of its randomness to its value. Whatever it raises is a failed trial.
    """

    space: Space
    words: str
    direction: str
    score: Callable[[Params, int], float]


def makers(tasks: Mapping[str, Task]) -> dict[str, Callable[[], Problem]]:
    """Makers of the problems, by name."""
    return {name: partial(_made, name, task) for name, task in tasks.items()}


def seed_of(params: Params) -> int:
    """A seed from the configuration alone: its neighbours draw others, it always draws the same."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def scored(task: Task, params: Params) -> float:
    """Train and score a configuration.

    Raises:
        EvaluationFailed: Any exception of the training, or a score that is not finite.
    """
    from threadpoolctl import threadpool_limits

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(limits=1):
            warnings.simplefilter("ignore")
            value = float(task.score(params, seed_of(params)))
    except Exception as error:
        raise EvaluationFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
    if not math.isfinite(value):
        raise EvaluationFailed(f"the score is {value}")
    return value


def prefixed(params: Params, prefix: str) -> dict[str, Any]:
    """The parameters behind a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def _made(name: str, task: Task) -> Problem:
    """The problem of that name.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    import sklearn

    version = f"scikit-learn {sklearn.__version__} numpy {np.__version__} revision {_REVISION}"
    best, worst = known_range(name, task.direction)

    def function(params: Params) -> float:
        return evaluation(name, version, params, lambda: scored(task, params))

    return Problem(name, task.space, task.direction, task.words, function, best, worst, trains=True)
