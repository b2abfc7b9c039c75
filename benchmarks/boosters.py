"""Conditional spaces of the XGBoost kind: a booster and its own parameters, with a condition below a condition.

Two are synthetic (trees win on one, the linear booster on the other), one trains scikit-learn's models.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cache import evaluation
from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

_TREES = {"booster": ["gbtree", "dart"]}
_LINEAR = {"booster": ["gblinear"]}
SPACE = Space({
    "booster": Categorical(["gbtree", "dart", "gblinear"]),
    "n_estimators": Int(10, 1000, log=True),
    "eta": Float(1e-3, 1.0, log=True),
    "reg_lambda": Float(1e-3, 100.0, log=True),
    "reg_alpha": Float(1e-4, 100.0, log=True),
    "max_depth": Int(1, 14, when=_TREES),
    "min_child_weight": Float(0.1, 128.0, log=True, when=_TREES),
    "subsample": Float(0.2, 1.0, when=_TREES),
    "colsample_bytree": Float(0.2, 1.0, when=_TREES),
    "rate_drop": Float(0.0, 0.5, when={"booster": ["dart"]}),
    "feature_selector": Categorical(["cyclic", "shuffle", "greedy"], when=_LINEAR),
    "top_k": Int(1, 100, log=True, when={"feature_selector": ["greedy"]}),
})  # fmt: skip
_TASK = "Tune a gradient boosting library on a table of {words}. Metric: validation error, minimise."


@dataclass(frozen=True)
class Boosting:
    """A synthetic data set.

    Attributes:
        words: What the task says of it.
        trees: Error of the best trees.
        linear: Error of the best linear booster.
        depth: Best depth of the trees.
        rounds: Best log10 of rounds x rate.
        sparse: Best log10 of reg_alpha.
    """

    words: str
    trees: float
    linear: float
    depth: float
    rounds: float
    sparse: float

    def __call__(self, params: Params) -> float:
        """Validation error of a configuration."""
        p = {name: float(v) for name, v in params.items() if not isinstance(v, str)}  # type: ignore[arg-type]
        rounds = math.log10(p["n_estimators"]) + math.log10(p["eta"])
        error = 0.06 * math.pow(max(0.0, self.rounds - rounds), 1.5) + 0.02 * max(0.0, rounds - self.rounds) ** 2
        error += 0.015 * max(0.0, math.log10(p["eta"]) + 1.3) ** 2  # a small rate never hurts, given the rounds
        error += 0.004 * abs(math.log10(p["reg_lambda"]))
        if params["booster"] == "gblinear":
            return min(1.0, self.linear + error + self._linear(p, str(params["feature_selector"])))
        return min(1.0, self.trees + error + self._trees(p, str(params["booster"])))

    def _trees(self, p: Mapping[str, float], booster: str) -> float:
        held = 0.6 * math.log10(p["min_child_weight"])  # deeper trees want heavier leaves
        error = 0.0035 * (p["max_depth"] - self.depth - 2 * held) ** 2 + 0.004 * (held - 0.3) ** 2
        error += 0.08 * (p["subsample"] - 0.8) ** 2 + 0.06 * (p["colsample_bytree"] - 0.65) ** 2
        error += 0.006 * max(0.0, math.log10(p["reg_alpha"]) - self.sparse) ** 2
        return error + (0.4 * (p["rate_drop"] - 0.08) ** 2 - 0.003 if booster == "dart" else 0.0)

    def _linear(self, p: Mapping[str, float], selector: str) -> float:
        error = 0.02 * (math.log10(p["reg_alpha"]) - self.sparse) ** 2
        if selector == "greedy":
            return error + 0.05 * (math.log10(p["top_k"]) - 1.3) ** 2 - 0.005
        return error + (0.006 if selector == "cyclic" else 0.0)


_DATA = {
    "trees": Boosting("20,000 rows, 40 features of many kinds", 0.10, 0.24, depth=6.5, rounds=1.1, sparse=0.0),
    "linear": Boosting("300 rows, 5,000 sparse features", 0.17, 0.09, depth=2.5, rounds=0.7, sparse=-1.0),
}


def all_boosters() -> dict[str, Callable[[], Problem]]:
    """Makers of all problems of the suite, by name."""
    synthetic = {f"boosters/{name}": partial(_synthetic, name) for name in _DATA}
    return {**synthetic, "boosters/trained": trained}


def _synthetic(data: str) -> Problem:
    name, function = f"boosters/{data}", _DATA[data]
    best, worst = known_range(name, "minimize")
    return Problem(name, SPACE, "minimize", _TASK.format(words=function.words), function, best, worst)


# Real training -------------------------------------------------------------------------------------------------------

_GBM, _FOREST, _RIDGE = ({"model": [name]} for name in ("boosting", "forest", "ridge"))
TRAINED_SPACE = Space({
    "model": Categorical(["boosting", "forest", "ridge"]),
    "n_estimators": Int(10, 200, log=True, when={"model": ["boosting", "forest"]}),
    "learning_rate": Float(1e-3, 1.0, log=True, when=_GBM),
    "max_depth": Int(1, 8, when=_GBM),
    "subsample": Float(0.2, 1.0, when=_GBM),
    "max_features": Float(0.1, 1.0, when={"model": ["boosting", "forest"]}),
    "min_samples_leaf": Int(1, 30, log=True, when={"model": ["boosting", "forest"]}),
    "degree": Int(1, 3, when=_RIDGE),
    "alpha": Float(1e-4, 1e3, log=True, when=_RIDGE),
})  # fmt: skip
_TRAINED_TASK = (
    "Choose and tune a scikit-learn regressor (gradient boosting, extra trees, or ridge on polynomial features) on a "
    "generated table: Friedman #1, 400 rows, 8 features of which 5 matter, noise 1.0. Metric: mean squared error of a "
    "3-fold cross-validation, minimise."
)


def trained() -> Problem:
    """A choice of models, each with its own parameters.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    import sklearn

    name, version = "boosters/trained", f"scikit-learn {sklearn.__version__}"
    best, worst = known_range(name, "minimize")

    def function(params: Params) -> float:
        return evaluation(name, version, params, lambda: _score(params))

    return Problem(name, TRAINED_SPACE, "minimize", _TRAINED_TASK, function, best, worst, trains=True)


def _score(params: Params) -> float:
    from sklearn.datasets import make_friedman1
    from sklearn.model_selection import KFold, cross_val_score
    from threadpoolctl import threadpool_limits

    x, y = make_friedman1(n_samples=400, n_features=8, noise=1.0, random_state=7)
    folds = KFold(3, shuffle=True, random_state=0)
    try:
        with warnings.catch_warnings(), threadpool_limits(limits=1):
            warnings.simplefilter("ignore")
            scores = cross_val_score(
                _model(params), x, y, cv=folds, scoring="neg_mean_squared_error", error_score="raise"
            )
    except Exception as error:
        raise EvaluationFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
    return -float(np.mean(scores))


def _model(params: Params) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    own = {name: value for name, value in params.items() if name != "model"}
    if params["model"] == "boosting":
        return GradientBoostingRegressor(random_state=0, **own)
    if params["model"] == "forest":
        return ExtraTreesRegressor(random_state=0, n_jobs=1, **own)
    return make_pipeline(StandardScaler(), PolynomialFeatures(own["degree"]), Ridge(alpha=own["alpha"]))
