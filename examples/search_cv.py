"""HybridSearchCV in the place of RandomizedSearchCV: a pipeline with a condition, kept in a store, and continued.

Needs `pip install scikit-learn`. The space may also be written with lists and SciPy's distributions.
"""

import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.svm import SVC

from hybridbo import Categorical, Float
from hybridbo.integrations import HybridSearchCV

PIPELINE = Pipeline([("scale", StandardScaler()), ("svc", SVC())])
SPACE = {
    "scale": [StandardScaler(), RobustScaler()],
    "svc__C": Float(1e-2, 1e3, log=True),
    "svc__kernel": Categorical(["linear", "rbf"]),
    "svc__gamma": Float(1e-4, 1.0, log=True, when={"svc__kernel": ["rbf"]}),
}


def main() -> int:
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
    with tempfile.TemporaryDirectory() as folder:
        # llm=None keeps a language model out; by default one is asked if a key is set
        options = {"cv": 3, "random_state": 0, "llm": None, "store": Path(folder, "search.db")}
        first = HybridSearchCV(PIPELINE, SPACE, n_iter=6, **options).fit(x_train, y_train)
        search = HybridSearchCV(PIPELINE, SPACE, n_iter=12, **options).fit(x_train, y_train)
    for trial, score in zip(search.trials_, search.cv_results_["mean_test_score"], strict=True):
        print(f"trial {trial.number:<2}  {trial.origin.source:<7}  {score:.4f}  {trial.params}")
    goes_on = search.cv_results_["params"][0]["svc__C"] == first.cv_results_["params"][0]["svc__C"]
    goes_on = goes_on and len(search.trials_) == 12
    print(f"goes on with the candidates of before: {goes_on}")
    accuracy = search.score(x_test, y_test)
    print(f"best in cross-validation: {search.best_score_:.4f}, {search.best_params_}; on test data: {accuracy:.4f}")
    return 0 if goes_on and accuracy > 0.93 else 1


if __name__ == "__main__":
    sys.exit(main())
