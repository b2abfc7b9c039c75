"""Published defaults and usual ranges of well-known hyperparameters: what helps when there is no language model.

Each row names where its figures come from. A figure outside a user's range is not used: the range is the user's own
knowledge and beats a table. Rows are found by the last part of a parameter's name (``model__lr``, ``optimizer.lr``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hybridbo.belief import Belief, NumericBelief, over_choices
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter
from hybridbo.space import Space


@dataclass(frozen=True)
class Known:
    """What is published of one hyperparameter.

    Attributes:
        default: The published default.
        low: Lower end of the usual range; None where none is published.
        high: Upper end of the usual range.
        source: Where the figures come from.
    """

    default: Choice
    low: float | None
    high: float | None
    source: str


_ADAM = "Kingma and Ba 2015, Adam; usual range: Goodfellow et al. 2016, Deep Learning, ch. 11"
_SKLEARN = "scikit-learn's documented default"
_XGBOOST = "XGBoost's documented default; usual range: common practice"

_LEARNING_RATE = Known(1e-3, 1e-4, 1e-2, _ADAM)
_WEIGHT_DECAY = Known(1e-4, 1e-6, 1e-2, "He et al. 2016, ResNet; usual range: Loshchilov and Hutter 2019")
_BATCH = Known(32, 16, 128, "Masters and Luschi 2018: 2 to 32; Bengio 2012: 32 is a good default")
_DROPOUT = Known(0.2, 0.0, 0.5, "Srivastava et al. 2014: 0.2 at inputs, 0.5 in hidden layers")
_WIDTH = Known(100, 32, 512, "scikit-learn's documented default; usual range: common practice")
_DEPTH = Known(2, 1, 3, "common practice for networks on tables")

_TABLE: dict[str, Known] = {
    **dict.fromkeys(("lr", "learning_rate", "learning_rate_init", "init_lr", "lr0", "base_lr"), _LEARNING_RATE),
    **dict.fromkeys(("weight_decay", "wd", "l2"), _WEIGHT_DECAY),
    **dict.fromkeys(("batch_size", "batch", "bs", "minibatch_size"), _BATCH),
    **dict.fromkeys(("dropout", "dropout_rate", "drop_rate", "p_drop"), _DROPOUT),
    **dict.fromkeys(("width", "hidden_size", "hidden_dim", "n_units", "num_units", "units", "n_hidden"), _WIDTH),
    **dict.fromkeys(("depth", "n_layers", "num_layers", "layers"), _DEPTH),
    "momentum": Known(0.9, 0.8, 0.99, "Sutskever et al. 2013"),
    "beta1": Known(0.9, 0.8, 0.95, _ADAM),
    "beta_1": Known(0.9, 0.8, 0.95, _ADAM),
    "beta2": Known(0.999, 0.98, 0.999, _ADAM),
    "beta_2": Known(0.999, 0.98, 0.999, _ADAM),
    "label_smoothing": Known(0.1, 0.0, 0.2, "Szegedy et al. 2016"),
    "warmup_ratio": Known(0.06, 0.0, 0.1, "Liu et al. 2019, RoBERTa"),
    "optimizer": Known("adam", None, None, _ADAM),
    "solver": Known("adam", None, None, _SKLEARN),
    "activation": Known("relu", None, None, "Glorot et al. 2011; scikit-learn's documented default"),
    "kernel": Known("rbf", None, None, _SKLEARN),
    "c": Known(1.0, 0.1, 1000.0, f"{_SKLEARN}; usual range: common practice"),
    "n_estimators": Known(100, 50, 1000, _SKLEARN),
    "min_samples_leaf": Known(1, 1, 10, _SKLEARN),
    "min_samples_split": Known(2, 2, 20, _SKLEARN),
    "criterion": Known("gini", None, None, _SKLEARN),
    "n_neighbors": Known(5, 1, 20, _SKLEARN),
    "weights": Known("uniform", None, None, _SKLEARN),
    "l1_ratio": Known(0.5, 0.1, 1.0, _SKLEARN),
    "degree": Known(3, 2, 4, _SKLEARN),
    "coef0": Known(0.0, -1.0, 1.0, _SKLEARN),
    "tol": Known(1e-4, 1e-5, 1e-2, _SKLEARN),
    "booster": Known("gbtree", None, None, _XGBOOST),
    "eta": Known(0.3, 0.01, 0.3, _XGBOOST),
    "max_depth": Known(6, 3, 12, _XGBOOST),
    "subsample": Known(1.0, 0.5, 1.0, _XGBOOST),
    "colsample_bytree": Known(1.0, 0.4, 1.0, _XGBOOST),
    "colsample_bylevel": Known(1.0, 0.4, 1.0, _XGBOOST),
    "min_child_weight": Known(1, 1, 32, _XGBOOST),
    "reg_lambda": Known(1.0, 0.01, 10.0, _XGBOOST),
    "reg_alpha": Known(0.0, 0.0, 1.0, _XGBOOST),
    "num_leaves": Known(31, 15, 127, "LightGBM's documented default"),
}


def lookup(name: str) -> Known | None:
    """What is published of a hyperparameter of that name, or None."""
    last = re.split(r"__|[./:]", name)[-1].strip().lower().replace("-", "_")
    plain = re.sub(r"_?\d+$", "", last)  # units_1, lr2; but c1 is no C
    return _TABLE.get(last) or (_TABLE.get(plain) if len(plain) > 1 else None)


def defaults(space: Space) -> dict[str, Choice]:
    """The values of the default configuration (arm 0): declared, else published, else the middle of the range."""
    return {name: _default(name, parameter) for name, parameter in space.items()}


def beliefs(space: Space) -> dict[str, Belief]:
    """The usual range of each parameter in the table, as far as it lies within the user's range."""
    out: dict[str, Belief] = {}
    for name, parameter in space.items():
        known = lookup(name)
        if known is None or known.low is None or known.high is None:
            continue
        found: Belief | None
        if isinstance(parameter, Categorical):
            found = over_choices(parameter.numbers, known.low, known.high)
        else:
            found = _range_belief(name, parameter, known.low, known.high)
        if found is not None:
            out[name] = found
    return out


def _range_belief(name: str, parameter: Float | Int, low: float, high: float) -> Belief | None:
    low, high = max(low, parameter.low), min(high, parameter.top)
    center = _default(name, parameter)
    if low < high and isinstance(center, (int, float)) and low <= center <= high:
        return NumericBelief(float(center), float(low), float(high))
    return None


def _default(name: str, parameter: Parameter) -> Choice:
    if parameter.default is not None:
        return parameter.default
    known = lookup(name)
    if known is None:
        return parameter.middle()
    near = parameter.near(known.default)
    return parameter.middle() if near is None else near
