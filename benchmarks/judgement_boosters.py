"""To judge: three choices of a model family with parameters of its own, two of them boosters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from benchmarks.judgement_task import Task, prefixed
from hybridbo.parameters import Array, Categorical, Float, Int, Params
from hybridbo.space import Space

# Boosting written out, with trees, trees that are dropped, or single columns ---------------------------------------

_TREES, _LINEAR = {"booster": ["tree", "droptree"]}, {"booster": ["linear"]}
BOOSTING = Space({
    "booster": Categorical(["tree", "linear", "droptree"]),
    "rounds": Int(4, 80, log=True),
    "shrinkage": Float(0.01, 1.0, log=True),
    "l2": Float(1e-2, 1e3, log=True),
    "growth": Categorical(["by_level", "by_gain"], when=_TREES),
    "tree_depth": Int(1, 9, when={"growth": ["by_level"]}),
    "tree_leaves": Int(2, 64, log=True, when={"growth": ["by_gain"]}),
    "leaf_rows": Int(1, 80, log=True, when=_TREES),
    "row_share": Float(0.15, 1.0, when=_TREES),
    "column_share": Float(0.1, 1.0, when=_TREES),
    "drop_probability": Float(0.01, 0.8, log=True, when={"booster": ["droptree"]}),
    "selection": Categorical(["in_turn", "steepest"], when=_LINEAR),
    "columns_per_round": Int(1, 20, log=True, when={"selection": ["steepest"]}),
})  # fmt: skip


@cache
def _tickets() -> tuple[Array, Array, Array, Array]:
    """Two classes, partly by products and thresholds, partly linear: training and validation rows."""
    rng = np.random.default_rng(70_211)
    x = rng.normal(size=(950, 20))
    x[:, 8:12] = np.round(2 * x[:, 8:12])  # counts
    logit = 1.1 * x[:, 0] * x[:, 1] - 1.6 * (np.abs(x[:, 2]) > 0.9) + 0.8 * np.maximum(x[:, 3], x[:, 4])
    logit += 0.35 * x[:, 8] - 0.5 * x[:, 12] + 0.3 * x[:, 13] + 0.4 * (x[:, 9] > 1)
    y = (1.8 * logit + rng.logistic(size=len(x)) > 0.5).astype(float)
    return x[:500], y[:500], x[500:], y[500:]


@dataclass
class _Boosted:
    """The sum so far, on training rows and on validation rows.

    Attributes:
        train: Log odds of the training rows.
        valid: Of the validation rows.
        parts: What each tree has added to both.
    """

    train: Array
    valid: Array
    parts: list[tuple[Array, Array]] = field(default_factory=list)


def boosting(params: Params, seed: int) -> float:
    """Log loss on the validation rows after boosting of the second order, as XGBoost's paper has it (sections 2 and 3).

    ``droptree`` drops and rescales as DART does (Rashmi and Gilad-Bachrach 2015, algorithm 2).
    """
    _, y, _, y_valid = _tickets()
    rng, odds = np.random.default_rng(seed), float(np.log(y.mean() / (1 - y.mean())))
    state = _Boosted(np.full(len(y), odds), np.full(len(y_valid), odds))
    add = _column if params["booster"] == "linear" else _tree
    for _ in range(int(params["rounds"])):  # type: ignore[arg-type]  # an Int
        add(state, params, rng)
    return float(np.mean(np.logaddexp(0, state.valid) - y_valid * state.valid))


def _tree(state: _Boosted, params: Params, rng: np.random.Generator) -> None:
    from sklearn.tree import DecisionTreeRegressor

    x, y, x_valid, _ = _tickets()
    p: dict[str, Any] = params
    dropped = [i for i in range(len(state.parts)) if rng.random() < p.get("drop_probability", 0.0)]
    for i in dropped:
        state.train, state.valid = state.train - state.parts[i][0], state.valid - state.parts[i][1]
    share = 1 / (1 + np.exp(-state.train))
    rows = np.flatnonzero(rng.random(len(y)) < p["row_share"])
    columns = rng.permutation(x.shape[1])[: max(1, round(p["column_share"] * x.shape[1]))]
    tree = DecisionTreeRegressor(
        max_depth=p.get("tree_depth"), max_leaf_nodes=p.get("tree_leaves"), min_samples_leaf=p["leaf_rows"],
        random_state=int(rng.integers(2**31)),
    ).fit(x[np.ix_(rows, columns)], (y - share)[rows])  # fmt: skip
    leaves = tree.apply(x[rows][:, columns])
    over = np.bincount(leaves, (y - share)[rows], tree.tree_.node_count)
    under = np.bincount(leaves, (share * (1 - share))[rows], tree.tree_.node_count) + p["l2"]
    step = p["shrinkage"] * over / under / (len(dropped) + 1)
    for i in dropped:
        kept = len(dropped) / (len(dropped) + 1)
        state.parts[i] = (kept * state.parts[i][0], kept * state.parts[i][1])
        state.train, state.valid = state.train + state.parts[i][0], state.valid + state.parts[i][1]
    state.parts.append((step[tree.apply(x[:, columns])], step[tree.apply(x_valid[:, columns])]))
    state.train, state.valid = state.train + state.parts[-1][0], state.valid + state.parts[-1][1]


def _column(state: _Boosted, params: Params, rng: np.random.Generator) -> None:
    x, y, x_valid, _ = _tickets()
    p: dict[str, Any] = params
    share = 1 / (1 + np.exp(-state.train))
    gradient = x.T @ (y - share)
    columns = rng.permutation(x.shape[1])
    if p["selection"] == "steepest":
        columns = np.argsort(-np.abs(gradient))[: p["columns_per_round"]]
    for column in columns:
        share = 1 / (1 + np.exp(-state.train))
        under = (x[:, column] ** 2 * share * (1 - share)).sum() + p["l2"]
        step = p["shrinkage"] * (x[:, column] * (y - share)).sum() / under
        state.train, state.valid = state.train + step * x[:, column], state.valid + step * x_valid[:, column]


# Three of scikit-learn's boosters ------------------------------------------------------------------------------------

_GRADIENT, _HISTOGRAM, _ADAPTIVE = ({"booster": [name]} for name in ("gradient", "histogram", "adaptive"))
PROGRESSION = Space({
    "booster": Categorical(["gradient", "histogram", "adaptive"]),
    "gradient_loss": Categorical(["squared_error", "huber", "absolute_error"], when=_GRADIENT),
    "gradient_alpha": Float(0.3, 0.99, when={"gradient_loss": ["huber"]}),
    "gradient_n_estimators": Int(4, 80, log=True, when=_GRADIENT),
    "gradient_learning_rate": Float(0.005, 1.0, log=True, when=_GRADIENT),
    "gradient_max_depth": Int(1, 8, when=_GRADIENT),
    "gradient_subsample": Float(0.1, 1.0, when=_GRADIENT),
    "gradient_max_features": Float(0.1, 1.0, when=_GRADIENT),
    "gradient_min_samples_leaf": Int(1, 50, log=True, when=_GRADIENT),
    "histogram_loss": Categorical(["squared_error", "absolute_error", "gamma", "poisson"], when=_HISTOGRAM),
    "histogram_max_iter": Int(4, 60, log=True, when=_HISTOGRAM),
    "histogram_learning_rate": Float(0.005, 1.0, log=True, when=_HISTOGRAM),
    "histogram_max_leaf_nodes": Int(2, 40, log=True, when=_HISTOGRAM),
    "histogram_min_samples_leaf": Int(2, 60, log=True, when=_HISTOGRAM),
    "histogram_max_bins": Int(3, 255, log=True, when=_HISTOGRAM),
    "histogram_l2_regularization": Float(1e-3, 1e3, log=True, when=_HISTOGRAM),
    "adaptive_loss": Categorical(["linear", "square", "exponential"], when=_ADAPTIVE),
    "adaptive_n_estimators": Int(3, 40, log=True, when=_ADAPTIVE),
    "adaptive_learning_rate": Float(0.01, 5.0, log=True, when=_ADAPTIVE),
    "adaptive_depth": Int(1, 8, when=_ADAPTIVE),
})  # fmt: skip


def progression(params: Params, seed: int) -> float:
    """Mean absolute error of a 3-fold cross-validation on scikit-learn's diabetes."""
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import KFold, cross_val_score

    x, y = load_diabetes(return_X_y=True)
    folds = KFold(3, shuffle=True, random_state=81)
    scores = cross_val_score(
        _booster(params, seed), x, y, cv=folds, scoring="neg_mean_absolute_error", error_score="raise"
    )
    return -float(scores.mean())


def _booster(params: Params, seed: int) -> Any:
    from sklearn.ensemble import AdaBoostRegressor, GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.tree import DecisionTreeRegressor

    own = prefixed(params, f"{params['booster']}_")
    if params["booster"] == "adaptive":
        base = DecisionTreeRegressor(max_depth=own.pop("depth"), random_state=seed)
        return AdaBoostRegressor(base, random_state=seed, **own)
    if params["booster"] == "gradient":
        return GradientBoostingRegressor(random_state=seed, **own)
    return HistGradientBoostingRegressor(random_state=seed, early_stopping=False, **own)


# Detectors of outliers -----------------------------------------------------------------------------------------------

_FOREST, _NEIGHBOURS, _SUPPORT = ({"detector": [name]} for name in ("forest", "neighbours", "support"))
DETECTORS = Space({
    "scaler": Categorical(["none", "standard", "quantile"]),
    "project": Categorical(["no", "pca", "random"]),
    "project_dimensions": Int(1, 30, log=True, when={"project": ["pca", "random"]}),
    "detector": Categorical(["neighbours", "forest", "covariance", "support"]),
    "forest_n_estimators": Int(3, 60, log=True, when=_FOREST),
    "forest_max_samples": Float(0.02, 1.0, log=True, when=_FOREST),
    "forest_max_features": Float(0.05, 1.0, when=_FOREST),
    "neighbours_n_neighbors": Int(1, 150, log=True, when=_NEIGHBOURS),
    "neighbours_p": Float(1.0, 5.0, when=_NEIGHBOURS),
    "covariance_assume_centered": Categorical(["no", "yes"], when={"detector": ["covariance"]}),
    "covariance_shrinkage": Float(1e-5, 1.0, log=True, when={"detector": ["covariance"]}),
    "support_kernel": Categorical(["rbf", "sigmoid", "poly"], when=_SUPPORT),
    "support_nu": Float(0.005, 0.9, log=True, when=_SUPPORT),
    "support_gamma": Float(1e-5, 10.0, log=True, when=_SUPPORT),
    "support_degree": Int(2, 5, when={"support_kernel": ["poly"]}),
})  # fmt: skip


@cache
def _cells() -> tuple[Array, Array, Array]:
    """Scikit-learn's breast cancer: benign rows with a few malignant ones to learn from, and rows to tell apart."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(5_512)
    benign, malignant = rng.permutation(np.flatnonzero(y == 1)), rng.permutation(np.flatnonzero(y == 0))
    train = np.r_[benign[:180], malignant[:25]]
    valid = np.r_[benign[180:], malignant[25:]]
    return x[train], x[valid], 1 - y[valid]


def detectors(params: Params, seed: int) -> float:
    """Area under the ROC curve of a detector that is fitted without labels."""
    from sklearn.metrics import roc_auc_score

    x, x_valid, y_valid = _cells()
    for step in _preparation(params, seed):
        x, x_valid = step.fit(x).transform(x), step.transform(x_valid)
    return float(roc_auc_score(y_valid, -_detector(params, seed).fit(x).score_samples(x_valid)))


def _preparation(params: Params, seed: int) -> list[Any]:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
    from sklearn.random_projection import GaussianRandomProjection

    scaler: dict[str, Any] = {"none": FunctionTransformer(), "standard": StandardScaler()}
    scaler["quantile"] = QuantileTransformer(n_quantiles=100, random_state=seed)
    n: Any = params.get("project_dimensions")
    projection = {
        "no": FunctionTransformer(),
        "pca": PCA(n, random_state=seed),
        "random": GaussianRandomProjection(n or "auto", random_state=seed),
    }
    return [scaler[str(params["scaler"])], projection[str(params["project"])]]


def _detector(params: Params, seed: int) -> Any:
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.svm import OneClassSVM

    own = prefixed(params, f"{params['detector']}_")
    if params["detector"] == "forest":
        return IsolationForest(random_state=seed, n_jobs=1, **own)
    if params["detector"] == "neighbours":
        return LocalOutlierFactor(novelty=True, **own)
    if params["detector"] == "support":
        return OneClassSVM(max_iter=20_000, **own)
    return _Distance(own["shrinkage"], centered=own["assume_centered"] == "yes")


@dataclass
class _Distance:
    """Mahalanobis distance to the mean, or to the origin, by a shrunk covariance."""

    shrinkage: float
    centered: bool
    model: Any = None

    def fit(self, x: Array) -> _Distance:
        """Estimate the covariance."""
        from sklearn.covariance import ShrunkCovariance

        self.model = ShrunkCovariance(shrinkage=self.shrinkage, assume_centered=self.centered).fit(x)
        return self

    def score_samples(self, x: Array) -> Array:
        """Large where a row is usual."""
        distance: Array = -self.model.mahalanobis(x)
        return distance


TASKS = {
    "judgement/boosting": Task(BOOSTING, (
        "Tune a program for gradient boosting (trees, trees of which some are dropped in each round, or a linear model "
        "by coordinates) on a generated table: 500 rows, 20 numeric features, 2 classes. Metric: log loss on 450 "
        "validation rows, minimise."
    ), "minimize", boosting),
    "judgement/progression": Task(PROGRESSION, (
        "Choose and tune one of scikit-learn's boosted regressors (gradient boosting, histogram gradient boosting, "
        "AdaBoost with trees) on its diabetes data: 442 rows, 10 features, the target is the disease's progression "
        "within a year (25 to 346). Metric: mean absolute error of a 3-fold cross-validation, minimise."
    ), "minimize", progression),
    "judgement/detectors": Task(DETECTORS, (
        "Choose and tune an outlier detector of scikit-learn (isolation forest, local outlier factor, one-class "
        "support vectors, or distances by a shrunk covariance) behind a scaler and a projection. It is fitted without "
        "labels to 205 rows of the breast cancer data, 30 features, of which 25 rows are malignant. Metric: area under "
        "the ROC curve for malignant rows among 364 others, maximise."
    ), "maximize", detectors),
}  # fmt: skip
