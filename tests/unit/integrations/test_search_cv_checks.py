"""scikit-learn's own checks of estimators, on the instances that it makes of its own searches."""

import pytest
from sklearn.base import is_regressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from hybridbo.integrations import HybridSearchCV


def search(estimator, name):
    return HybridSearchCV(estimator, {name: [0.1, 1.0]}, n_iter=2, cv=2, error_score="raise", random_state=0, llm=None)


CHEAP = search(Ridge(), "alpha")
OTHERS = [
    search(LogisticRegression(), "C"),
    search(Pipeline([("pca", PCA()), ("ridge", Ridge())]), "ridge__alpha"),
    search(Pipeline([("pca", PCA()), ("logisticregression", LogisticRegression())]), "logisticregression__C"),
]


def expected_failures(searching):
    """What scikit-learn expects of RandomizedSearchCV, too."""
    return {"check_supervised_y_2d": "DataConversionWarning not caught"} if is_regressor(searching) else {}


@parametrize_with_checks([CHEAP], expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore")  # as scikit-learn runs them
def test_a_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(OTHERS, expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore")
def test_a_check_of_scikit_learn_with_other_estimators(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [CHEAP, OTHERS[0]], ids=["regressor", "classifier"])
@pytest.mark.parametrize("check", [check_param_validation, check_dataframe_column_names_consistency])
def test_a_check_that_scikit_learn_runs_on_its_own_estimators(estimator, check):
    check("HybridSearchCV", estimator)
