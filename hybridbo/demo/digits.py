"""The objective of the demo: a scikit-learn pipeline on the 8x8 digits, with a test split that no search sees."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hybridbo.errors import MissingDependency
from hybridbo.parameters import Categorical, Float, Int
from hybridbo.space import Space

# The recorded reply of a real model is found by this text and this space: changing either orphans it.
TASK = (
    "Tune a pipeline on scikit-learn's 8x8 digits (1797 rows, 64 features, 10 classes): standardise or not, PCA or "
    "not, then k-nearest neighbours or multinomial logistic regression. Metric: mean accuracy of a stratified 3-fold "
    "cross-validation (shuffled, seed 0), maximise."
)
SPACE = Space({
    "scaler": Categorical(["none", "standard"]),
    "pca": Categorical([True, False]),
    "n_components": Int(2, 64, log=True, when={"pca": [True]}),
    "model": Categorical(["knn", "logreg"]),
    "n_neighbors": Int(1, 100, log=True, when={"model": ["knn"]}),
    "weights": Categorical(["uniform", "distance"], when={"model": ["knn"]}),
    "p": Float(1.0, 4.0, when={"model": ["knn"]}),
    "C": Float(1e-5, 1e3, log=True, when={"model": ["logreg"]}),
})  # fmt: skip
DIRECTION = "maximize"
TEST_SHARE = 0.25


class Digits:
    """The digits in two parts: one to search on, one held out until the end.

    Calling it with a configuration is the objective: mean accuracy of a stratified 3-fold cross-validation within the
    search part.

    Raises:
        MissingDependency: scikit-learn is not installed.
    """

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
            from sklearn.model_selection import train_test_split
        except ImportError as error:
            if not (error.name or "").startswith("sklearn"):
                raise
            raise MissingDependency(
                "The demo tunes a scikit-learn pipeline, and scikit-learn is not installed.",
                'Run: pip install "hybridbo[demo]"',
            ) from None
        x, y = load_digits(return_X_y=True)
        self._x, self._x_test, self._y, self._y_test = train_test_split(
            x, y, test_size=TEST_SHARE, stratify=y, random_state=0
        )

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows the search part and the test part have."""
        return len(self._y), len(self._y_test)

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Mean accuracy of the cross-validation; a configuration that cannot be fitted raises."""
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        with _quiet_and_single_threaded():
            scores = cross_val_score(pipeline(params), self._x, self._y, cv=folds, n_jobs=1, error_score="raise")
        return float(scores.mean())

    def test_score(self, params: Mapping[str, Any]) -> float:
        """Accuracy on the test part of the pipeline fitted to the whole search part."""
        with _quiet_and_single_threaded():
            return float(pipeline(params).fit(self._x, self._y).score(self._x_test, self._y_test))


def pipeline(params: Mapping[str, Any]) -> Any:
    """The unfitted pipeline of a configuration."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps: list[Any] = [StandardScaler()] if params["scaler"] == "standard" else []
    if params["pca"]:
        steps.append(PCA(params["n_components"], random_state=0))
    if params["model"] == "knn":
        steps.append(KNeighborsClassifier(params["n_neighbors"], weights=params["weights"], p=params["p"]))
    else:
        steps.append(LogisticRegression(C=params["C"], max_iter=300))
    return make_pipeline(*steps)


@contextmanager
def _quiet_and_single_threaded() -> Iterator[None]:
    """No warnings of logistic regression that stops at its 300 iterations, as declared; and one BLAS thread.

    One thread, because the fits are small enough for threads to cost more than they give, and because sums then have
    one order: an interrupted search gets the same values as an uninterrupted one.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
