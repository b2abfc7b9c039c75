"""Held-out trainings with scikit-learn on generated data: under a second each, cached on disk by configuration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.cache import evaluation
from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Categorical, Float, Int, Params
from hybridbo.space import Space

_NEEDED = (1, 8)  # scikit-learn before it has another way to choose the penalty of a logistic regression
_REVISION = 1  # part of the cache's key: raise it when data or models change


@dataclass(frozen=True)
class Training:
    """One task.

    Attributes:
        space: What is searched.
        task: What a language model is told.
        direction: Of the score.
        scoring: scikit-learn's name of the score; losses come negated from it.
        data: Makes the table.
        model: Makes the estimator of a configuration.
    """

    space: Space
    task: str
    direction: str
    scoring: str
    data: Callable[[], tuple[Any, Any]]
    model: Callable[[Params], Any]


def all_trained() -> dict[str, Callable[[], Problem]]:
    """Makers of the three problems, by name."""
    return {name: partial(_made, name) for name in _TRAININGS}


def _made(name: str) -> Problem:
    """The problem of that name.

    Raises:
        ImportError: scikit-learn is not installed, or too old.
    """
    import sklearn

    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < _NEEDED:
        raise ImportError(f"{name} needs scikit-learn 1.8 or newer, not {sklearn.__version__}")
    training, version = _TRAININGS[name], f"scikit-learn {sklearn.__version__} revision {_REVISION}"
    best, worst = known_range(name, training.direction)

    def function(params: Params) -> float:
        return evaluation(name, version, params, lambda: score(name, params))

    return Problem(name, training.space, training.direction, training.task, function, best, worst, trains=True)


def score(name: str, params: Params) -> float:
    """Train and score a configuration in a 3-fold cross-validation.

    Raises:
        EvaluationFailed: An exception of the fit, or a score that is not finite.
    """
    from sklearn.model_selection import cross_val_score
    from threadpoolctl import threadpool_limits

    training = _TRAININGS[name]
    x, y = _data(name)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(limits=1):
            warnings.simplefilter("ignore")
            model = training.model(params)
            scores = cross_val_score(model, x, y, cv=_folds(training), scoring=training.scoring, error_score="raise")
    except Exception as error:
        raise EvaluationFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
    value = float(np.mean(scores))
    if not math.isfinite(value):
        raise EvaluationFailed(f"the score is {value}")
    return -value if training.direction == "minimize" else value


@cache
def _data(name: str) -> tuple[Any, Any]:
    return _TRAININGS[name].data()


def _folds(training: Training) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if training.scoring.endswith("error") else StratifiedKFold
    return kind(3, shuffle=True, random_state=20)


def _prefixed(params: Params, prefix: str) -> dict[str, Any]:
    """The parameters behind a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


# A choice of regressors --------------------------------------------------------------------------------------------

_SVR, _KNN, _HGB = ({"model": [name]} for name in ("svr", "knn", "hgb"))
REGRESSORS = Space({
    "model": Categorical(["hgb", "svr", "knn"]),
    "hgb_learning_rate": Float(0.005, 1.0, log=True, when=_HGB),
    "hgb_max_iter": Int(5, 60, log=True, when=_HGB),
    "hgb_max_leaf_nodes": Int(2, 64, log=True, when=_HGB),
    "hgb_min_samples_leaf": Int(2, 100, log=True, when=_HGB),
    "hgb_l2_regularization": Float(1e-4, 1e3, log=True, when=_HGB),
    "svr_kernel": Categorical(["rbf", "poly", "linear"], when=_SVR),
    "svr_C": Float(1e-3, 1e3, log=True, when=_SVR),
    "svr_epsilon": Float(1e-3, 1.0, log=True, when=_SVR),
    "svr_gamma": Float(1e-4, 10.0, log=True, when={"svr_kernel": ["rbf", "poly"]}),
    "svr_degree": Int(2, 5, when={"svr_kernel": ["poly"]}),
    "knn_n_neighbors": Int(1, 100, log=True, when=_KNN),
    "knn_weights": Categorical(["uniform", "distance"], when=_KNN),
    "knn_p": Float(1.0, 4.0, when=_KNN),
})  # fmt: skip


def _friedman() -> tuple[Any, Any]:
    from sklearn.datasets import make_friedman2

    x, y = make_friedman2(n_samples=360, noise=60.0, random_state=4127)
    rng = np.random.default_rng(4128)
    return np.hstack([x, rng.normal(size=(len(x), 3))]), (y - y.mean()) / y.std()


def _regressor(params: Params) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    own = _prefixed(params, f"{params['model']}_")
    if params["model"] == "hgb":
        return HistGradientBoostingRegressor(random_state=0, early_stopping=False, **own)
    model = SVR(max_iter=20_000, **own) if params["model"] == "svr" else KNeighborsRegressor(**own)
    return make_pipeline(StandardScaler(), model)


# Logistic regression, where many pairs of solver and penalty do not exist -----------------------------------------

LOGISTIC = Space({
    "solver": Categorical(["lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"]),
    "penalty": Categorical(["l2", "l1", "elasticnet", "none"]),
    "C": Float(1e-4, 1e4, log=True, when={"penalty": ["l2", "l1", "elasticnet"]}),
    "l1_ratio": Float(0.02, 0.98, when={"penalty": ["elasticnet"]}),
    "max_iter": Int(5, 300, log=True),
    "tol": Float(1e-6, 1e-1, log=True),
    "class_weight": Categorical(["none", "balanced"]),
    "scaler": Categorical(["none", "standard", "quantile"]),
    "n_quantiles": Int(5, 200, log=True, when={"scaler": ["quantile"]}),
})  # fmt: skip


def _wide() -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=360, n_features=60, n_informative=9, n_redundant=12, n_clusters_per_class=2, weights=[0.85],
        flip_y=0.03, class_sep=0.9, random_state=9041,
    )  # fmt: skip
    scales = 10 ** np.random.default_rng(9042).uniform(-2, 2, x.shape[1])
    return x * scales, y


def _logistic(params: Params) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

    ratio = {"l2": 0.0, "l1": 1.0, "none": 0.0}.get(str(params["penalty"]), params.get("l1_ratio"))
    weight = None if params["class_weight"] == "none" else "balanced"
    model = LogisticRegression(
        solver=params["solver"], l1_ratio=ratio, C=params.get("C", math.inf), max_iter=params["max_iter"],
        tol=params["tol"], class_weight=weight, random_state=0,
    )  # fmt: skip
    scalers: Mapping[str, Callable[[], Any]] = {
        "none": FunctionTransformer,
        "standard": StandardScaler,
        "quantile": lambda: QuantileTransformer(n_quantiles=params["n_quantiles"], random_state=0),
    }
    return make_pipeline(scalers[str(params["scaler"])](), model)


# Neighbours behind a projection ------------------------------------------------------------------------------------

_CURVED = {"metric": ["minkowski"]}
NEIGHBOURS = Space({
    "scaler": Categorical(["standard", "robust", "none"]),
    "reduce": Categorical(["none", "pca", "select", "lda"]),
    "pca_n_components": Int(1, 30, log=True, when={"reduce": ["pca"]}),
    "pca_whiten": Categorical(["no", "yes"], when={"reduce": ["pca"]}),
    "select_k": Int(1, 30, log=True, when={"reduce": ["select"]}),
    "lda_shrinkage": Float(1e-4, 1.0, log=True, when={"reduce": ["lda"]}),
    "n_neighbors": Int(1, 120, log=True),
    "weights": Categorical(["uniform", "distance"]),
    "metric": Categorical(["minkowski", "cosine", "chebyshev"]),
    "p": Float(1.0, 5.0, when=_CURVED),
})  # fmt: skip


def _crowded() -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=420, n_features=30, n_informative=5, n_redundant=5, n_classes=4, n_clusters_per_class=2,
        class_sep=1.3, flip_y=0.02, random_state=6607,
    )  # fmt: skip
    return x * 10 ** np.random.default_rng(6608).uniform(-0.8, 0.8, x.shape[1]), y


def _neighbours(params: Params) -> Any:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler

    scaler = {"standard": StandardScaler, "robust": RobustScaler, "none": FunctionTransformer}[str(params["scaler"])]
    own = {name: params[name] for name in ("n_neighbors", "weights", "metric", "p") if name in params}
    return make_pipeline(scaler(), _reducer(params), KNeighborsClassifier(**own))


def _reducer(params: Params) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.preprocessing import FunctionTransformer

    if params["reduce"] == "pca":
        return PCA(params["pca_n_components"], whiten=params["pca_whiten"] == "yes", random_state=0)
    if params["reduce"] == "select":
        return SelectKBest(f_classif, k=params["select_k"])
    if params["reduce"] == "lda":
        return LinearDiscriminantAnalysis(solver="eigen", shrinkage=params["lda_shrinkage"])
    return FunctionTransformer()


_TRAININGS = {
    "heldout/fit-regressors": Training(REGRESSORS, (
        "Choose and tune a scikit-learn regressor (histogram gradient boosting; support vectors or neighbours on "
        "standardised features) on a generated table: 360 rows, 7 features of which 4 matter, not linear, noisy. "
        "Metric: mean absolute error of a 3-fold cross-validation, the target scaled to unit variance, minimise."
    ), "minimize", "neg_mean_absolute_error", _friedman, _regressor),
    "heldout/fit-logistic": Training(LOGISTIC, (
        "Tune scikit-learn's logistic regression on a generated table: 360 rows, 60 features on scales from 0.01 to "
        "100, 15 % of the rows in the second class. Metric: log loss of a stratified 3-fold cross-validation, "
        "minimise. Pairs of solver and penalty that scikit-learn does not have fail."
    ), "minimize", "neg_log_loss", _wide, _logistic),
    "heldout/fit-neighbours": Training(NEIGHBOURS, (
        "Tune a scikit-learn pipeline of scaler, reduction of the features and nearest neighbours on a generated "
        "table: 420 rows, 30 features of which 10 say something, 4 classes. Metric: accuracy of a stratified 3-fold "
        "cross-validation, maximise."
    ), "maximize", "accuracy", _crowded, _neighbours),
}  # fmt: skip
