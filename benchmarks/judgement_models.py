"""To judge: support vectors, linear models by stochastic descent, features that outgrow the memory, and a forecast."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from benchmarks.judgement_task import Task, prefixed
from hybridbo.parameters import Array, Categorical, Float, Int, Params
from hybridbo.space import Space

# Support vector machines, some of which cannot be solved ----------------------------------------------------------

_KERNELS, _FLAT = {"machine": ["c", "nu"]}, {"machine": ["linear"]}
_TUNED, _SHIFTED = {"kernel": ["rbf", "poly", "sigmoid"]}, {"kernel": ["poly", "sigmoid"]}
MARGINS = Space({
    "scaler": Categorical(["minmax", "none", "standard"]),
    "weights": Categorical(["equal", "balanced"]),
    "machine": Categorical(["linear", "c", "nu"]),
    "C": Float(1e-3, 1e3, log=True, when={"machine": ["c", "linear"]}),
    "nu": Float(0.02, 0.98, when={"machine": ["nu"]}),
    "kernel": Categorical(["rbf", "poly", "sigmoid", "linear"], when=_KERNELS),
    "gamma": Float(1e-5, 10.0, log=True, when=_TUNED),
    "coef0": Float(-2.0, 4.0, when=_SHIFTED),
    "degree": Int(2, 6, when={"kernel": ["poly"]}),
    "loss": Categorical(["hinge", "squared_hinge"], when=_FLAT),
    "penalty": Categorical(["l1", "l2"], when=_FLAT),
})  # fmt: skip


@cache
def _grapes() -> tuple[Array, Array]:
    """Scikit-learn's wines, the last kind against the others, with columns that say nothing and wrong labels."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(31_007)
    noise = rng.normal(size=(len(x), 12)) * 10 ** rng.uniform(-1, 2, 12)
    wrong = rng.random(len(y)) < 0.1
    return np.hstack([x, noise]), ((y == 1) != wrong).astype(int)


def margins(params: Params, seed: int) -> float:
    """Area under the ROC curve in a stratified 4-fold cross-validation."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    x, y = _grapes()
    folds = StratifiedKFold(4, shuffle=True, random_state=12)
    model = make_pipeline(_scaler(str(params["scaler"])), _machine(params, seed))
    return float(cross_val_score(model, x, y, cv=folds, scoring="roc_auc", error_score="raise").mean())


def _scaler(name: str) -> Any:
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

    return {"none": FunctionTransformer, "minmax": MinMaxScaler, "standard": StandardScaler}[name]()


def _machine(params: Params, seed: int) -> Any:
    from sklearn.svm import SVC, LinearSVC, NuSVC

    own: dict[str, Any] = {k: v for k, v in params.items() if k not in ("scaler", "machine", "weights")}
    weight = None if params["weights"] == "equal" else "balanced"
    if params["machine"] == "linear":
        return LinearSVC(class_weight=weight, max_iter=300, random_state=seed, **own)
    kind = SVC if params["machine"] == "c" else NuSVC
    return kind(class_weight=weight, max_iter=20_000, **own)


# Stochastic gradient descent with a schedule -----------------------------------------------------------------------

SCHEDULES = Space({
    "loss": Categorical(["log_loss", "hinge", "modified_huber", "squared_error"]),
    "penalty": Categorical(["elasticnet", "l1", "l2"]),
    "alpha": Float(1e-7, 10.0, log=True),
    "l1_ratio": Float(0.0, 1.0, when={"penalty": ["elasticnet"]}),
    "learning_rate": Categorical(["constant", "optimal", "invscaling", "adaptive"]),
    "eta0": Float(1e-5, 100.0, log=True, when={"learning_rate": ["constant", "invscaling", "adaptive"]}),
    "power_t": Float(0.05, 1.2, when={"learning_rate": ["invscaling"]}),
    "max_iter": Int(1, 60, log=True),
    "averaged": Categorical(["no", "yes"]),
    "average": Int(1, 10_000, log=True, when={"averaged": ["yes"]}),
})  # fmt: skip


@cache
def _biopsies() -> tuple[Array, Array]:
    """Scikit-learn's breast cancer with an eighth of the labels wrong and half of the columns replaced by noise."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(90_901)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x[:, rng.permutation(30)[:15]] = 2 * rng.normal(size=(len(x), 15))
    return x, np.where(rng.random(len(y)) < 0.125, 1 - y, y)


def schedules(params: Params, seed: int) -> float:
    """Accuracy of a stratified 4-fold cross-validation."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    x, y = _biopsies()
    own: dict[str, Any] = {k: v for k, v in params.items() if k != "averaged"}
    model = SGDClassifier(tol=None, random_state=seed, **own)
    folds = StratifiedKFold(4, shuffle=True, random_state=3)
    return float(cross_val_score(model, x, y, cv=folds, scoring="accuracy", error_score="raise").mean())


# Features that outgrow the memory ------------------------------------------------------------------------------------

_POLY, _WAVES, _BINS = ({"features": [name]} for name in ("poly", "waves", "bins"))
MEMORY = Space({
    "features": Categorical(["waves", "poly", "bins"]),
    "poly_degree": Int(1, 7, when=_POLY),
    "poly_interaction_only": Categorical([False, True], when=_POLY),
    "waves_n_components": Int(4, 4000, log=True, when=_WAVES),
    "waves_gamma": Float(1e-3, 10.0, log=True, when=_WAVES),
    "bins_n_bins": Int(2, 60, log=True, when=_BINS),
    "bins_strategy": Categorical(["uniform", "quantile"], when=_BINS),
    "bins_pairs": Categorical([False, True], when=_BINS),
    "alpha": Float(1e-4, 1e4, log=True),
    "bags": Int(1, 12),
    "bag_share": Float(0.2, 1.0),
})  # fmt: skip
_ROWS, _COLUMNS, _LIMIT = 220, 9, 2.5e6  # bytes that all bags together may take


@cache
def _field() -> tuple[Array, Array, Array, Array]:
    """A target of products, a wave and a threshold: training and validation rows."""
    rng = np.random.default_rng(17_389)
    x = rng.uniform(-1, 1, (620, _COLUMNS))
    y = 2 * x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 1.2 * (x[:, 3] > 0.2) * x[:, 4] + x[:, 5] ** 2
    y = (y - y.mean()) / y.std() + 0.35 * rng.normal(size=len(y))
    return x[:_ROWS], y[:_ROWS], x[_ROWS:], y[_ROWS:]


def memory(params: Params, seed: int) -> float:
    """Root mean square error on validation rows of ridge regressions on bags of rows and expanded features.

    Raises:
        MemoryError: The bags' features would take more than there is.
    """
    from sklearn.linear_model import Ridge

    x, y, x_valid, y_valid = _field()
    p: dict[str, Any] = params
    rows = max(10, round(p["bag_share"] * _ROWS))
    needed = 8.0 * rows * p["bags"] * _width(params)
    if needed > _LIMIT:
        raise MemoryError(f"Unable to allocate {needed / 2**20:.2f} MiB for the features")
    rng, total = np.random.default_rng(seed), np.zeros(len(y_valid))
    for _ in range(p["bags"]):
        chosen, expand = rng.permutation(_ROWS)[:rows], _expansion(params, int(rng.integers(2**31)))
        model = Ridge(alpha=p["alpha"]).fit(expand.fit_transform(x[chosen]), y[chosen])
        total += model.predict(expand.transform(x_valid))
    return float(np.sqrt(np.mean((total / p["bags"] - y_valid) ** 2)))


def _width(params: Params) -> float:
    """Columns of the expanded features."""
    p: dict[str, Any] = params
    if p["features"] == "waves":
        return float(p["waves_n_components"])
    if p["features"] == "bins":
        wide = p["bins_n_bins"] * _COLUMNS
        return float(wide * (wide + 1) / 2 if p["bins_pairs"] else wide)
    if p["poly_interaction_only"]:
        return float(sum(math.comb(_COLUMNS, k) for k in range(p["poly_degree"] + 1)))
    return float(math.comb(_COLUMNS + p["poly_degree"], p["poly_degree"]))


def _expansion(params: Params, seed: int) -> Any:
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, PolynomialFeatures

    own = prefixed(params, f"{params['features']}_")
    if params["features"] == "waves":
        return RBFSampler(random_state=seed, **own)
    if params["features"] == "poly":
        return PolynomialFeatures(own["degree"], interaction_only=own["interaction_only"])
    bins = KBinsDiscretizer(
        own["n_bins"], encode="onehot-dense", strategy=own["strategy"], quantile_method="averaged_inverted_cdf"
    )
    pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False) if own["pairs"] else None
    return make_pipeline(bins, pairs) if pairs else make_pipeline(bins)


# A forecast by whole numbers -----------------------------------------------------------------------------------------

LAGS = Space({
    "differences": Int(0, 2),
    "lags": Int(1, 40, log=True),
    "lag_stride": Int(1, 6),
    "season": Int(2, 60),
    "seasonal_lags": Int(0, 4),
    "waves": Int(0, 8),
    "smoothing": Int(1, 30, log=True),
    "window": Int(60, 500, log=True),
    "ridge": Float(1e-4, 1e4, log=True),
})  # fmt: skip
_AHEAD, _TESTED = 3, 160


@cache
def _series() -> Array:
    """Two seasons, of which one drifts, a trend that bends, shocks that last, noise: 760 values."""
    rng = np.random.default_rng(44_021)
    t = np.arange(760)
    shocks = np.convolve(rng.normal(size=len(t)), 0.85 ** np.arange(40))[: len(t)]
    long = 2 * np.pi * t / 45.5
    y: Array = 2.2 * np.sin(2 * np.pi * t / 17) + 0.9 * np.sin(4 * np.pi * t / 17 + 0.002 * t) + 1.5 * np.sin(long)
    return y + 0.004 * t + 0.8 * np.tanh((t - 420) / 60) + 0.7 * shocks + 0.25 * rng.normal(size=len(t))


def lags(params: Params, seed: int) -> float:  # noqa: ARG001  # nothing in it is random
    """Mean absolute error three steps ahead over the last values, by ridge regression on lags and waves."""
    p: dict[str, Any] = params
    y, x = _series(), _lagged(params)
    last, first = len(y) - _TESTED, len(y) - _TESTED - p["window"]
    base = _base(y, p["differences"])
    train, tested = slice(max(first, 0), last - _AHEAD), slice(last - _AHEAD, len(y) - _AHEAD)
    goal = y[_AHEAD:] - base[:-_AHEAD]
    known = ~np.isnan(x[train]).any(axis=1)
    a, b = x[train][known], goal[train][known]
    mean, spread = a.mean(axis=0), a.std(axis=0) + 1e-9
    a = (a - mean) / spread
    weights = np.linalg.solve(a.T @ a + p["ridge"] * np.eye(a.shape[1]), a.T @ (b - b.mean()))
    told = b.mean() + ((x[tested] - mean) / spread) @ weights
    return float(np.mean(np.abs(told - goal[tested])))


def _base(y: Array, differences: int) -> Array:
    """What a forecast of that many differences starts from: nothing, the last value, or the last slope."""
    slope = np.r_[0.0, np.diff(y)] * _AHEAD
    return (np.zeros(len(y)), y, y + slope)[differences]


def _lagged(params: Params) -> Array:
    """Columns that are known at each time: smoothed values and seasons ago, and waves of the season."""
    p: dict[str, Any] = params
    y, t = _series(), np.arange(len(_series()))
    smooth = np.convolve(y, np.full(p["smoothing"], 1 / p["smoothing"]))[: len(y)]
    ago = [0, *(p["lag_stride"] * i for i in range(1, p["lags"]))]
    seasons = [max(0, p["season"] * i - _AHEAD) for i in range(1, p["seasonal_lags"] + 1)]
    columns = [_shifted(y, n) for n in (*ago[:1], *seasons)] + [_shifted(smooth, n) for n in ago]
    angle = 2 * np.pi * t / p["season"]
    columns += [wave(k * angle) for k in range(1, p["waves"] + 1) for wave in (np.sin, np.cos)]
    return np.column_stack(columns)


def _shifted(y: Array, n: int) -> Array:
    return np.concatenate([np.full(n, np.nan), y[: len(y) - n]])


TASKS = {
    "judgement/margins": Task(MARGINS, (
        "Choose and tune a support vector machine of scikit-learn (LinearSVC, SVC or NuSVC) on a table of 178 wines: "
        "25 features on different scales, 2 classes, some labels wrong. Metric: area under the ROC curve in a "
        "stratified 4-fold cross-validation, maximise. What scikit-learn cannot solve fails."
    ), "maximize", margins),
    "judgement/schedules": Task(SCHEDULES, (
        "Tune scikit-learn's SGDClassifier and its learning rate schedule on 569 rows with 30 standardised features, 2 "
        "classes, some labels wrong. Metric: accuracy of a stratified 4-fold cross-validation, maximise."
    ), "maximize", schedules),
    "judgement/memory": Task(MEMORY, (
        "Tune bagged ridge regressions on expanded features (polynomials, random Fourier features or binned columns) "
        "on a generated table: 220 rows, 9 features in [-1, 1], a target of unit variance before its noise. Metric: "
        "root mean square error on 400 validation rows, minimise. What needs too much memory fails."
    ), "minimize", memory),
    "judgement/lags": Task(LAGS, (
        "Tune the forecast of a time series of 760 values, three steps ahead, by ridge regression on earlier values, "
        "on values whole seasons ago, and on sines of the season. Metric: mean absolute error over the last 160 "
        "values, minimise."
    ), "minimize", lags),
}  # fmt: skip
