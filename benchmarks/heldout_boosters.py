"""Held-out conditional spaces of the XGBoost kind: three synthetic surfaces, conditions up to three deep.

Unlike :mod:`benchmarks.boosters`, effects multiply, ridges run through capacity and rate, every surface ripples as the
noise of a validation does, and on one the booster that is nobody's default wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

_TREES, _LINEAR = {"booster": ["gbtree", "dart"]}, {"booster": ["gblinear"]}
_DART, _HIST = {"booster": ["dart"]}, {"tree_method": ["hist"]}
XGB = Space({
    "booster": Categorical(["gbtree", "dart", "gblinear"]),
    "num_boost_round": Int(20, 2000, log=True),
    "learning_rate": Float(0.003, 1.0, log=True),
    "lambda": Float(1e-4, 1e3, log=True),
    "max_depth": Int(2, 14, when=_TREES),
    "gamma": Float(1e-4, 30.0, log=True, when=_TREES),
    "subsample": Float(0.3, 1.0, when=_TREES),
    "colsample_bynode": Float(0.1, 1.0, when=_TREES),
    "tree_method": Categorical(["exact", "hist"], when=_TREES),
    "max_bin": Int(16, 1024, log=True, when=_HIST),
    "grow_policy": Categorical(["depthwise", "lossguide"], when=_HIST),
    "max_leaves": Int(4, 1024, log=True, when={"grow_policy": ["lossguide"]}),
    "rate_drop": Float(0.01, 0.9, log=True, when=_DART),
    "skip_drop": Float(0.0, 0.95, when=_DART),
    "normalize_type": Categorical(["tree", "forest"], when=_DART),
    "updater": Categorical(["shotgun", "coord_descent"], when=_LINEAR),
    "feature_selector": Categorical(["cyclic", "greedy", "thrifty"], when={"updater": ["coord_descent"]}),
    "top_k": Int(1, 200, log=True, when={"feature_selector": ["greedy", "thrifty"]}),
})  # fmt: skip


def _numbers(params: Params) -> dict[str, float]:
    return {name: float(v) for name, v in params.items() if not isinstance(v, str)}  # type: ignore[arg-type]


def _ripple(values: Mapping[str, float], size: float) -> float:
    """What folds and seeds of a validation add: fast waves over all numbers together, of amplitude ``size``."""
    phase = sum(math.log(abs(v) + 0.1) * (3.1 + 1.7 * len(name)) for name, v in values.items())
    return size * (0.6 * math.sin(phase) + 0.4 * math.sin(2.7 * phase + 1.0))


@dataclass(frozen=True)
class Xgb:
    """A synthetic data set under XGB.

    Attributes:
        floor: Loss that nothing beats.
        fit: Log10 of rounds x rate at which a tree of depth 6 has learned what there is.
        noisy: How fast the loss grows when more is learned.
        dropping: What the right share of dropped trees takes off the loss, relative.
        linear: Factor of the best linear booster on the floor.
        leafwise: Factor of lossguide's best.
        ripple: Amplitude of the noise of the validation, relative.
    """

    floor: float
    fit: float
    noisy: float
    dropping: float
    linear: float
    leafwise: float
    ripple: float

    def __call__(self, params: Params) -> float:
        """Validation loss of a configuration."""
        p = _numbers(params)
        pace = math.log10(p["num_boost_round"]) + math.log10(p["learning_rate"])
        linear = params["booster"] == "gblinear"
        factor = self._linear(params, p, pace) if linear else self._trees(params, p, pace)
        factor = factor if factor < 3 else 3 + math.log(factor - 2)  # bad is bad: the far end is flat
        return self.floor * factor * (1 + _ripple(p, self.ripple))

    def _trees(self, params: Params, p: Mapping[str, float], pace: float) -> float:
        leafwise = params.get("grow_policy") == "lossguide"
        capacity = min(p["max_depth"], math.log2(p["max_leaves"]) + 1) if leafwise else p["max_depth"]
        drop, lost, kept = self._drop(params, p)
        # deep trees learn in fewer rounds: a ridge; what they learn too much, sampling and lambda and dropping damp
        learned = pace + 0.17 * (capacity - 6) - lost - self.fit
        damp = 1.1 * (1 - p["subsample"]) + 0.9 * (1 - p["colsample_bynode"]) + 0.25 * math.log10(p["lambda"] + 0.1)
        damp += 0.35 * math.log10(1 + p["gamma"]) + drop
        under = 0.11 * math.exp(-1.5 * (learned - 0.5 * max(0.0, damp)))
        over = 0.07 * math.exp(self.noisy * (learned + 0.3 * max(0.0, capacity - 7)) - 1.3 * damp)
        starved = 0.5 * max(0.0, 0.5 - p["subsample"] * math.sqrt(p["colsample_bynode"])) ** 2
        coarse = 0.06 * abs(math.log10(p["learning_rate"]) + 1.6) if p["learning_rate"] > 0.025 else 0.0
        binned = 0.02 * abs(math.log2(p["max_bin"]) - 6.5) - 0.02 if "max_bin" in p else 0.0
        return (1 + under + over) * (1 + starved + coarse + binned) * (self.leafwise if leafwise else 1.0) * kept

    def _drop(self, params: Params, p: Mapping[str, float]) -> tuple[float, float, float]:
        """What dropping trees damps, what it costs in learning, and its factor on the loss."""
        if "rate_drop" not in p:
            return 0.0, 0.0, 1.0
        dropped = p["rate_drop"] * (1 - p["skip_drop"])
        forest = params["normalize_type"] == "forest"
        gain = 1 - self.dropping * math.exp(-(((dropped - 0.22) / 0.12) ** 2)) + 0.04 * dropped
        return 0.5 * math.tanh(5 * dropped), dropped * (0.6 if forest else 1.5), gain

    def _linear(self, params: Params, p: Mapping[str, float], pace: float) -> float:
        factor = self.linear * (1 + 0.08 * (pace - 0.9) ** 2 / (1 + 0.3 * abs(pace))) * (
            1 + 0.05 * (math.log10(p["lambda"]) - 0.8) ** 2
        )  # fmt: skip
        if params["updater"] == "shotgun":
            return factor * (1 + 0.15 * max(0.0, math.log10(p["learning_rate"]) + 0.6))  # unstable at large rates
        kept = 1 - 0.06 * math.exp(-3 * (math.log10(p["top_k"]) - 1.5) ** 2) if "top_k" in p else 1.0
        return factor * kept * (0.99 if params["feature_selector"] == "thrifty" else 1.0)


_CLAIMS = Xgb(floor=0.41, fit=0.9, noisy=1.0, dropping=0.0, linear=1.7, leafwise=0.95, ripple=0.004)
_FRAUD = Xgb(floor=0.18, fit=0.2, noisy=1.5, dropping=0.2, linear=1.35, leafwise=1.06, ripple=0.008)


# LightGBM's --------------------------------------------------------------------------------------------------------

LGBM = Space({
    "boosting": Categorical(["gbdt", "goss", "rf"]),
    "objective": Categorical(["l2", "poisson", "tweedie"]),
    "tweedie_variance_power": Float(1.05, 1.95, when={"objective": ["tweedie"]}),
    "num_iterations": Int(20, 3000, log=True),
    "learning_rate": Float(1e-3, 0.5, log=True, when={"boosting": ["gbdt", "goss"]}),
    "num_leaves": Int(4, 512, log=True),
    "min_data_in_leaf": Int(1, 500, log=True),
    "feature_fraction": Float(0.1, 1.0),
    "lambda_l2": Float(1e-5, 1e2, log=True),
    "bagging_fraction": Float(0.2, 1.0, when={"boosting": ["gbdt", "rf"]}),
    "top_rate": Float(0.05, 0.8, when={"boosting": ["goss"]}),
    "other_rate": Float(0.02, 0.8, when={"boosting": ["goss"]}),
    "linear_tree": Categorical(["off", "on"], when={"boosting": ["gbdt"]}),
    "linear_lambda": Float(1e-6, 1e2, log=True, when={"linear_tree": ["on"]}),
})  # fmt: skip


def demand(params: Params) -> float:
    """Validation deviance of a forecast of sales.

    Raises:
        EvaluationFailed: goss was asked for more than all rows.
    """
    p = _numbers(params)
    loss = 0.52 + _objective(params, p) + _leaves(p) + {"gbdt": _gbdt, "goss": _goss, "rf": _rf}[str(
        params["boosting"])](params, p)  # fmt: skip
    return loss + _ripple(p, 0.003)


def _objective(params: Params, p: Mapping[str, float]) -> float:
    if params["objective"] == "tweedie":
        return 0.25 * abs(p["tweedie_variance_power"] - 1.22) - 0.02  # a kink, not a bowl
    return 0.03 if params["objective"] == "poisson" else 0.12


def _leaves(p: Mapping[str, float]) -> float:
    """Leaves times their rows meet the table: a ridge across both, steeper where leaves hold too much."""
    off = math.log10(p["num_leaves"]) + math.log10(p["min_data_in_leaf"]) - 3.3
    ridge = 0.06 * off**2 if off < 0 else 0.11 * abs(off)
    alone = 0.05 * abs(math.log10(p["num_leaves"]) - 1.7) + 0.09 * (p["feature_fraction"] - 0.45) ** 2
    return ridge + alone + 0.006 * abs(math.log10(p["lambda_l2"]) + 0.5)


def _pace(p: Mapping[str, float], wanted: float) -> float:
    off = math.log10(p["num_iterations"]) + math.log10(p["learning_rate"]) - wanted
    return 0.13 * math.log1p(off**2 / 0.15) + 0.04 * max(0.0, math.log10(p["learning_rate"]) + 1.2)


def _gbdt(params: Params, p: Mapping[str, float]) -> float:
    bagged = 0.05 * (p["bagging_fraction"] - 0.7) ** 2
    if params["linear_tree"] == "off":
        return _pace(p, 1.35) + bagged + 0.02
    # linear leaves need fewer rounds, and blow up unless their penalty grows as the leaves empty
    held = math.log10(p["linear_lambda"]) + 0.6 * math.log10(p["min_data_in_leaf"]) - 0.4
    return (
        _pace(p, 0.75) + bagged - 0.035 + 0.05 * math.pow(max(0.0, held), 1.5) + 0.03 * math.pow(max(0.0, -held), 2.2)
    )


def _goss(params: Params, p: Mapping[str, float]) -> float:  # noqa: ARG001  # the three are called alike
    if p["top_rate"] + p["other_rate"] > 1:
        raise EvaluationFailed("ValueError: top_rate + other_rate <= 1.0 is required")
    return _pace(p, 1.55) + 0.3 * (p["top_rate"] - 0.3) ** 2 + 0.2 * abs(p["other_rate"] - 0.5 * p["top_rate"])


def _rf(params: Params, p: Mapping[str, float]) -> float:  # noqa: ARG001
    return 0.13 + 0.05 * max(0.0, 2.3 - math.log10(p["num_iterations"])) + 0.2 * (p["bagging_fraction"] - 0.62) ** 2


# The problems ------------------------------------------------------------------------------------------------------

_PROBLEMS: dict[str, tuple[Space, str, str, Callable[[Params], float]]] = {
    "heldout/xgb-claims": (XGB, "minimize", (
        "Tune XGBoost on insurance claims: 120,000 rows, 60 features, many with missing values. Metric: validation "
        "log loss, minimise."
    ), _CLAIMS),
    "heldout/xgb-fraud": (XGB, "maximize", (
        "Tune XGBoost to find fraud among 8,000 card payments, 3 % of them fraud, labels unreliable. Metric: average "
        "precision on validation data, maximise."
    ), lambda params: 1 - _FRAUD(params)),
    "heldout/lgbm-demand": (LGBM, "minimize", (
        "Tune LightGBM to forecast daily sales of 3,000 articles, most of them zero. Metric: mean deviance on the last "
        "four weeks, minimise. Settings that LightGBM refuses fail."
    ), demand),
}  # fmt: skip


def all_boosters() -> dict[str, Callable[[], Problem]]:
    """Makers of the three problems, by name."""
    return {name: partial(_made, name) for name in _PROBLEMS}


def _made(name: str) -> Problem:
    space, direction, task, function = _PROBLEMS[name]
    best, worst = known_range(name, direction)
    return Problem(name, space, direction, task, function, best, worst)
