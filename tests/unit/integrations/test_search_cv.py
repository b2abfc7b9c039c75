import json
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, precision_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from hybridbo import Float, Int, Optimizer, errors
from hybridbo.errors import BackendUnavailable, InvalidSpace, StudyMismatch
from hybridbo.integrations import HybridSearchCV
from hybridbo.integrations.search_study import SearchStudy
from hybridbo.testing import ScriptedBackend

X, Y = make_classification(90, 5, random_state=0)
C = {"C": Float(1e-3, 1e2, log=True)}


def search(estimator=None, space=None, **changes):
    options = {"n_iter": 4, "cv": 3, "llm": None, "random_state": 0} | changes
    return HybridSearchCV(estimator or LogisticRegression(), space or C, **options)


class Fragile(ClassifierMixin, BaseEstimator):
    """Predicts the first class; fails where ``a`` is in ``bad``, in the folds from ``first`` on."""

    def __init__(self, a=0, bad=(), calls=None):
        self.a, self.bad, self.calls = a, bad, calls

    def fit(self, X, y):
        if self.a in self.bad:
            raise RuntimeError(f"a={self.a} does not fit")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return float(self.a)


# Conventions ---------------------------------------------------------------------------------------------------------


def test_the_results_have_the_columns_of_randomized_search():
    ours = search(return_train_score=True).fit(X, Y)
    theirs = RandomizedSearchCV(
        LogisticRegression(), {"C": stats.loguniform(1e-3, 1e2)}, n_iter=4, cv=3, return_train_score=True
    ).fit(X, Y)
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, column in theirs.cv_results_.items():
        assert type(ours.cv_results_[name]) is type(column), name
        if name != "params":
            assert ours.cv_results_[name].dtype == column.dtype, name
            assert ours.cv_results_[name].shape == column.shape, name
    assert {name for name in vars(theirs) if name.endswith("_")} == {n for n in vars(ours) if n.endswith("_")} - {
        "trials_"
    }


def test_the_best_is_the_best_of_the_results_and_refitted():
    fitted = search().fit(X, Y)
    results = fitted.cv_results_
    assert fitted.best_index_ == np.argmax(results["mean_test_score"])
    assert fitted.best_params_ == results["params"][fitted.best_index_]
    assert fitted.best_score_ == results["mean_test_score"][fitted.best_index_]
    alone = LogisticRegression(**fitted.best_params_).fit(X, Y)
    np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))
    np.testing.assert_array_equal(fitted.decision_function(X), alone.decision_function(X))
    assert fitted.score(X, Y) == alone.score(X, Y)
    np.testing.assert_array_equal(fitted.classes_, [0, 1])


def test_the_scores_are_those_of_cross_validation():
    fitted = search().fit(X, Y)
    for i, params in enumerate(fitted.cv_results_["params"]):
        scores = cross_val_score(LogisticRegression(**params), X, Y, cv=3)
        assert [fitted.cv_results_[f"split{k}_test_score"][i] for k in range(3)] == list(scores)
        assert fitted.trials_[i].value == pytest.approx(scores.mean())


def test_it_searches_as_the_optimizer_does():
    fitted = search(n_iter=8).fit(X, Y)
    opt = Optimizer(C, "maximize", llm=None, seed=0)
    for params in fitted.cv_results_["params"]:
        trial = opt.ask()
        assert trial.params == params
        opt.tell(trial, cross_val_score(LogisticRegression(**params), X, Y, cv=3).mean())
    assert {trial.origin.source for trial in fitted.trials_} == {"default", "sobol", "gp"}


def test_the_same_random_state_searches_the_same():
    def params(state):
        return search(random_state=state).fit(X, Y).cv_results_["params"]

    assert params(1) == params(1) != params(2)
    assert params(np.random.RandomState(3)) == params(np.random.RandomState(3))
    np.random.seed(5)  # noqa: NPY002  # what None means in scikit-learn
    first = params(None)
    np.random.seed(5)  # noqa: NPY002
    assert params(None) == first


def test_arguments_are_stored_untouched_and_survive_a_clone():
    space, settings = {"C": [1, 2]}, {"seed_trials": 3}
    given = search(space=space, settings=settings, task="text", store="a.db", study="s", pre_dispatch=2)
    assert given.get_params(deep=False)["space"] is space
    assert given.get_params(deep=False)["settings"] is settings
    copy = clone(given)
    assert copy.get_params(deep=False).keys() == given.get_params(deep=False).keys()
    assert (copy.task, copy.store, copy.study, copy.llm, copy.n_iter) == ("text", "a.db", "s", None, 4)
    copy.set_params(n_iter=2, estimator__C=3.0)
    assert (copy.n_iter, copy.estimator.C, given.estimator.C) == (2, 3.0, 1.0)
    assert "n_iter=4" in repr(given)


def test_what_is_fitted_can_be_pickled():
    fitted = pickle.loads(pickle.dumps(search().fit(X, Y)))
    assert fitted.predict(X).shape == (90,)
    assert len(fitted.trials_) == 4


@pytest.mark.filterwarnings("ignore:One or more", "ignore:invalid value")  # of PCA's likelihoods
def test_methods_are_those_of_the_estimator():
    assert not hasattr(search(Ridge(), {"alpha": [1, 2]}), "predict_proba")
    assert hasattr(search(), "predict_proba")
    with pytest.raises(NotFittedError):
        search().predict(X)
    reduced = search(PCA(), {"n_components": [1, 2, 3]}).fit(X)
    assert reduced.transform(X).shape == (90, reduced.best_params_["n_components"])
    assert reduced.inverse_transform(reduced.transform(X)).shape == X.shape


def test_without_refit_there_is_no_best_estimator():
    fitted = search(refit=False).fit(X, Y)
    assert not hasattr(fitted, "best_estimator_")
    assert fitted.best_params_ in fitted.cv_results_["params"]
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        fitted.predict(X)


def test_a_pipeline_with_conditions_and_steps_to_choose():
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", "passthrough"), ("model", LogisticRegression())])
    space = {
        "scale": [StandardScaler(), MinMaxScaler()],
        "reduce": [PCA(), "passthrough"],
        "reduce__n_components": Int(1, 4, when={"reduce": ["PCA()"]}),
        "model__C": Float(1e-3, 1e2, log=True),
        "model__solver": ["lbfgs"],
    }
    fitted = search(pipeline, space, n_iter=6).fit(X, Y)
    masked = np.ma.getmaskarray(fitted.cv_results_["param_reduce__n_components"])
    chosen = [params["reduce"] for params in fitted.cv_results_["params"]]
    assert [choice == "passthrough" for choice in chosen] == list(masked)
    assert 0 < masked.sum() < 6
    assert set(fitted.cv_results_["param_model__solver"]) == {"lbfgs"}
    assert fitted.n_features_in_ == 5
    assert space["reduce"][0].n_components is None  # the user's own objects are left alone
    assert not hasattr(space["scale"][0], "mean_")


def test_data_frames_keep_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    fitted = search().fit(frame, pd.Series(Y))
    assert list(fitted.feature_names_in_) == list("abcde")
    assert fitted.predict(frame).shape == (90,)


def test_in_a_pipeline_and_nested():
    scores = cross_val_score(Pipeline([("scale", StandardScaler()), ("search", search())]), X, Y, cv=2)
    assert scores.shape == (2,)
    assert cross_val_score(search(), X, Y, cv=2, n_jobs=2).shape == (2,)


# Scoring -------------------------------------------------------------------------------------------------------------


def test_several_metrics_with_the_one_to_refit_by():
    fitted = search(scoring=["accuracy", "precision"], refit="precision").fit(X, Y)
    assert fitted.multimetric_
    assert set(fitted.scorer_) == {"accuracy", "precision"}
    assert fitted.best_score_ == fitted.cv_results_["mean_test_precision"].max()
    assert [trial.value for trial in fitted.trials_] == pytest.approx(fitted.cv_results_["mean_test_precision"])


def test_several_metrics_without_one_are_several_objectives():
    def first(results):
        assert len(results["mean_test_accuracy"]) == 4
        return 0

    fitted = search(scoring={"accuracy": "accuracy", "p": make_scorer(precision_score)}, refit=first).fit(X, Y)
    assert fitted.best_index_ == 0
    assert not hasattr(fitted, "best_score_")
    assert [trial.values["p"] for trial in fitted.trials_] == pytest.approx(fitted.cv_results_["mean_test_p"])
    assert set(fitted.trials_[0].values) == {"accuracy", "p"}
    assert not hasattr(search(scoring=["accuracy", "f1"], refit=False).fit(X, Y), "best_index_")


def test_a_function_may_return_several_metrics_if_refit_names_one():
    def both(estimator, X, y):
        return {"a": estimator.score(X, y), "b": 0.5}

    assert search(scoring=both, refit="a").fit(X, Y).best_score_ > 0.5
    with pytest.raises(errors.InvalidSettings, match=r"scoring returns a, b.*refit="):
        search(scoring=both).fit(X, Y)


def test_refit_must_name_a_metric():
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(scoring=["accuracy", "f1"], refit="recall").fit(X, Y)


# Metadata ------------------------------------------------------------------------------------------------------------


def test_groups_reach_the_splitter():
    groups = np.arange(90) // 10
    fitted = search(cv=GroupKFold(3)).fit(X, Y, groups=groups)
    scores = cross_val_score(LogisticRegression(**fitted.best_params_), X, Y, cv=GroupKFold(3), groups=groups)
    assert fitted.best_score_ == pytest.approx(scores.mean())


def test_sample_weights_reach_the_estimator():
    weights = np.where(Y == 1, 1e-3, 1.0)
    plain, weighted = search().fit(X, Y), search().fit(X, Y, sample_weight=weights)
    assert weighted.predict(X).sum() < plain.predict(X).sum()


def test_metadata_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = LogisticRegression().set_fit_request(sample_weight=True)
        scoring = make_scorer(precision_score).set_score_request(sample_weight=False)
        fitted = search(estimator, scoring=scoring, cv=GroupKFold(3)).fit(
            X, Y, sample_weight=np.ones(90), groups=np.arange(90) // 10
        )
        assert fitted.n_splits_ == 3
        assert "estimator" in repr(fitted.get_metadata_routing())


@pytest.mark.parametrize(
    "splits",
    [
        lambda: ShuffleSplit(3, test_size=0.3),
        lambda: KFold(3, shuffle=True),
        lambda: iter(list(KFold(3).split(X))),
        lambda: list(KFold(3).split(X)),
    ],
)
def test_all_candidates_see_the_same_splits(splits):
    # the space's choices score the same, so that only the splits could make a difference
    fitted = search(space={"max_iter": [200, 300, 500]}, cv=splits(), n_iter=3).fit(X, Y)
    scores = np.array([fitted.cv_results_[f"split{k}_test_score"] for k in range(3)])
    assert (scores == scores[:, :1]).all()


def test_candidates_are_evaluated_in_batches_only_where_there_are_more_workers_than_splits(monkeypatch):
    sizes = []
    ask = SearchStudy.ask

    def counted(self, n_iter, batch):
        candidates = ask(self, n_iter, batch)
        sizes.append(len(candidates))
        return candidates

    monkeypatch.setattr(SearchStudy, "ask", counted)
    search(n_jobs=3, n_iter=3, pre_dispatch="all").fit(X, Y)
    assert sizes == [1, 1, 1, 0]
    sizes.clear()
    search(n_jobs=4, cv=2, n_iter=3).fit(X, Y)
    assert sizes == [2, 1, 0]


# Failures ------------------------------------------------------------------------------------------------------------


def fragile(bad, **changes):
    return search(Fragile(bad=bad), {"a": Int(0, 3)}, **changes)


def test_a_candidate_whose_fits_all_fail_is_a_failed_trial_and_a_row():
    with pytest.warns(FitFailedWarning, match="a=2 does not fit"), pytest.warns(UserWarning, match="non-finite"):
        fitted = fragile([2]).fit(X, Y)
    row = [params["a"] for params in fitted.cv_results_["params"]].index(2)
    assert len(fitted.cv_results_["params"]) == 4
    assert np.isnan(fitted.cv_results_["mean_test_score"][row])
    assert np.isnan(fitted.cv_results_["split2_test_score"][row])
    assert fitted.cv_results_["rank_test_score"][row] == 4
    assert fitted.trials_[row].state.value == "FAILED"
    assert fitted.trials_[row].error == "RuntimeError: a=2 does not fit"
    assert fitted.best_params_ == {"a": 3}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_a_number_for_failed_fits_stands_in_the_results_and_not_in_the_study():
    fitted = fragile([1, 2], error_score=-7).fit(X, Y)
    tried = [params["a"] for params in fitted.cv_results_["params"]]
    scores = dict(zip(tried, fitted.cv_results_["mean_test_score"], strict=True))
    assert scores == {0: 0.0, 1: -7.0, 2: -7.0, 3: 3.0}
    assert sorted(t.params["a"] for t in fitted.trials_ if t.state.value == "FAILED") == [1, 2]


class FailsOnSome(Fragile):
    """Fails on one of the splits, whatever its parameter, if that is 2."""

    def fit(self, X, y):
        if self.a == 2 and X[0, 0] != FIRST:
            raise RuntimeError("only some")
        return super().fit(X, y)


FIRST = X[0, 0]


@pytest.mark.filterwarnings("ignore:One or more")
def test_a_candidate_with_one_failed_fit_has_failed():
    with pytest.warns(FitFailedWarning, match="1 fits failed"):
        fitted = search(FailsOnSome(), {"a": Int(0, 3)}, cv=KFold(3), error_score=0.0).fit(X, Y)
    failed = [t for t in fitted.trials_ if t.state.value == "FAILED"]
    assert [t.params["a"] for t in failed] == [2]
    assert failed[0].error == "1 of 3 fits failed: RuntimeError: only some"
    row = [params["a"] for params in fitted.cv_results_["params"]].index(2)
    assert fitted.cv_results_["mean_test_score"][row] == pytest.approx(4 / 3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_if_every_fit_fails_the_search_does():
    with pytest.raises(ValueError, match="fits failed"):
        fragile([0, 1, 2, 3]).fit(X, Y)


def test_with_raise_the_error_propagates_and_the_trial_has_failed(tmp_path):
    with pytest.raises(RuntimeError, match="does not fit"):
        fragile([0, 1, 2, 3], error_score="raise", store=tmp_path / "a.db").fit(X, Y)
    with Optimizer.load(tmp_path / "a.db", "Fragile") as opt:
        assert [trial.state.value for trial in opt.trials] == ["FAILED"]
        assert opt.trials[0].error.startswith("RuntimeError: a=")


@pytest.mark.filterwarnings("ignore:One or more")
def test_scores_that_are_not_finite_are_failed_trials():
    fitted = search(scoring=lambda estimator, X, y: float("nan") if estimator.C < 1 else 0.5, n_iter=6).fit(X, Y)
    assert {t.params["C"] < 1 for t in fitted.trials_ if t.state.value == "FAILED"} == {True}
    assert fitted.best_score_ == 0.5


def test_a_space_that_is_used_up_ends_the_search():
    assert len(search(space={"C": [0.1, 1.0, 7.0]}, n_iter=9).fit(X, Y).trials_) == 3


# Stored --------------------------------------------------------------------------------------------------------------


SCRIPT = """
import os, signal, sys
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from hybridbo import Float
from hybridbo.integrations import HybridSearchCV
from hybridbo.integrations.search_study import SearchStudy

calls = 0

class Deadly(LogisticRegression):
    def fit(self, X, y):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)

Deadly.__qualname__ = "Deadly"
X, y = make_classification(90, 5, random_state=0)
space = {"C": Float(1e-3, 1e2, log=True)}
search = HybridSearchCV(Deadly(), space, n_iter=6, cv=3, llm=None, random_state=0, store=sys.argv[1])
search.fit(X, y)
print([params["C"] for params in search.cv_results_["params"]], list(search.cv_results_["split1_test_score"]))
print(calls)
"""


def run_script(store, dies_in):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(store), str(dies_in)], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.stdout.splitlines()


def test_a_fit_that_was_killed_goes_on_with_all_its_rows(tmp_path):
    rows, calls = run_script(tmp_path / "whole.db", 0)
    assert int(calls) == 6 * 3 + 1
    assert run_script(tmp_path / "broken.db", 3 * 3 + 2) == []  # in the middle of the fourth trial
    resumed, further = run_script(tmp_path / "broken.db", 0)
    assert resumed == rows
    assert int(further) == 3 * 3 + 1
    again, once_more = run_script(tmp_path / "broken.db", 0)
    assert again == rows
    assert int(once_more) == 3 + 1  # the best one, since scikit-learn wants to have seen one


@pytest.mark.filterwarnings("ignore:One or more of the train scores")
def test_a_finished_search_goes_on_where_more_is_wanted(tmp_path):
    first = search(store=tmp_path / "a.db").fit(X, Y)
    more = search(store=tmp_path / "a.db", n_iter=6, return_train_score=True).fit(X, Y)
    assert more.cv_results_["params"][:4] == first.cv_results_["params"]
    np.testing.assert_array_equal(more.cv_results_["mean_test_score"][:4], first.cv_results_["mean_test_score"])
    assert list(np.isnan(more.cv_results_["mean_train_score"])) == [True] * 4 + [False] * 2
    with Optimizer.load(tmp_path / "a.db", "LogisticRegression") as opt:
        assert len(opt.trials) == 6
        assert opt.task.startswith("Tune the hyperparameters of LogisticRegression (scikit-learn) on 90 samples")


@pytest.mark.parametrize(
    ("what", "changes", "data"),
    [
        ("X", {}, (X + 1, Y, {})),
        ("y", {}, (X, 1 - Y, {})),
        ("cv", {"cv": 4}, (X, Y, {})),
        ("cv", {"cv": ShuffleSplit(3)}, (X, Y, {})),
        ("scoring", {"scoring": "f1"}, (X, Y, {})),
        ("estimator", {"estimator": LogisticRegression(fit_intercept=False)}, (X, Y, {})),
        ("fit parameters", {}, (X, Y, {"sample_weight": np.ones(90)})),
    ],
)
def test_a_study_of_other_data_is_refused(tmp_path, what, changes, data):
    search(store=tmp_path / "a.db", n_iter=1).fit(X, Y)
    x, y, params = data
    with pytest.raises(StudyMismatch, match=f"was made with another .*{what}.*another study name"):
        search(store=tmp_path / "a.db", **changes).fit(x, y, **params)
    with Optimizer.load(tmp_path / "a.db", "LogisticRegression") as opt:
        assert len(opt.trials) == 1


@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        (SVC(), r"\(LogisticRegression; now SVC\)"),
        (LogisticRegression(fit_intercept=False), r"\(fit_intercept=True; now fit_intercept=False\)"),
    ],
)
def test_another_estimator_is_told_with_what_differs(tmp_path, estimator, told):
    search(store=tmp_path / "a.db", n_iter=1, study="s").fit(X, Y)
    with pytest.raises(StudyMismatch, match=f"made with another estimator {told}.*Give what the study was made with"):
        search(store=tmp_path / "a.db", study="s", estimator=estimator).fit(X, Y)


def test_the_name_of_randomized_search_cv_will_do():
    given = {"C": [0.1, 1.0, 3.0]}
    options = {"n_iter": 2, "cv": 3, "random_state": 0, "llm": None}
    made = HybridSearchCV(LogisticRegression(), param_distributions=given, **options).fit(X, Y)
    assert (
        made.cv_results_["params"]
        == HybridSearchCV(LogisticRegression(), given, **options).fit(X, Y).cv_results_["params"]
    )
    with pytest.raises(InvalidSpace, match=r"both space and param_distributions"):
        HybridSearchCV(LogisticRegression(), given, param_distributions=given, **options).fit(X, Y)
    with pytest.raises(InvalidSpace, match=r"no space.*Give space="):
        HybridSearchCV(LogisticRegression(), **options).fit(X, Y)


def test_what_changes_no_score_changes_no_study(tmp_path):
    search(store=tmp_path / "a.db", n_iter=1).fit(X, Y)
    again = search(LogisticRegression(verbose=0), store=tmp_path / "a.db", n_iter=2, n_jobs=2).fit(X.copy(), list(Y))
    assert len(again.trials_) == 2


def test_a_study_with_another_space_is_refused(tmp_path):
    search(store=tmp_path / "a.db", n_iter=1).fit(X, Y)
    with pytest.raises(StudyMismatch, match="parameter 'C' was"):
        search(space={"C": [1, 2]}, store=tmp_path / "a.db").fit(X, Y)


def test_a_study_of_somebody_else_is_refused(tmp_path):
    with Optimizer(C, "maximize", store=tmp_path / "a.db", study="theirs", llm=None) as opt:
        opt.run(lambda p: p["C"], 1, progress=False)
    with pytest.raises(StudyMismatch, match="is no search by HybridSearchCV"):
        search(store=tmp_path / "a.db", study="theirs").fit(X, Y)


def test_a_store_that_was_given_as_an_object_stays_open(tmp_path):
    from hybridbo.storage import open_store

    store = open_store(tmp_path / "a.db")
    search(store=store, n_iter=1).fit(X, Y)
    assert len(store.get_trials("LogisticRegression")) == 1
    store.close()


def test_interrupted_fit_gives_its_trial_back(tmp_path):
    def interrupt(estimator, X, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(scoring=interrupt, store=tmp_path / "a.db").fit(X, Y)
    with Optimizer.load(tmp_path / "a.db", "LogisticRegression") as opt:
        assert [trial.state.value for trial in opt.trials] == ["RUNNING"]
        assert opt.ask().number == 0


# Language model ------------------------------------------------------------------------------------------------------


def test_the_language_model_is_told_the_task_and_no_data():
    answer = json.dumps({"configs": [{"C": 0.25}], "beliefs": {}, "rationale": ""})
    backend = ScriptedBackend([answer])
    fitted = search(llm=backend, scoring="f1").fit(X, Y)
    assert "llm" in {trial.origin.source for trial in fitted.trials_}
    asked = backend.requests[0].user
    assert "LogisticRegression (scikit-learn) on 90 samples with 5 features, 2 classes" in asked
    assert "metric: f1, mean of 3 cross-validation splits" in asked
    assert json.loads(asked)["trials_planned"] == 4
    assert str(X[0, 0])[:6] not in asked


def test_a_language_model_that_fails_does_not_fail_the_fit():
    fitted = search(llm=ScriptedBackend([BackendUnavailable("refused")] * 9)).fit(X, Y)
    assert any("refused" in trial.origin.reason for trial in fitted.trials_)


# Wrong uses ----------------------------------------------------------------------------------------------------------


def test_an_engine_that_fails_does_not_fail_the_fit(monkeypatch):
    def broken(self, history, n, rng):
        raise ZeroDivisionError("broken on purpose")
        yield

    monkeypatch.setattr("hybridbo.engine.Engine.suggest", broken)
    trials = search().fit(X, Y).trials_
    assert len(trials) == 4
    assert all("ZeroDivisionError: broken on purpose" in trial.origin.reason for trial in trials)


def test_a_parameter_that_the_estimator_lacks():
    with pytest.raises(errors.InvalidSpace, match="no parameter 'c'"):
        search(space={"c": [1, 2]}).fit(X, Y)


@pytest.mark.parametrize("n_iter", [0, 1.5, "many"])
def test_a_number_of_candidates_that_is_none(n_iter):
    with pytest.raises(ValueError, match="n_iter"):
        search(n_iter=n_iter).fit(X, Y)


def test_settings_that_there_are_not():
    with pytest.raises(errors.InvalidSettings, match="seeds"):
        search(settings={"seeds": 3}).fit(X, Y)


def test_an_error_outside_the_fits_gives_the_trial_back(tmp_path):
    def wrong(estimator, X, y):
        return "text"

    with pytest.raises(ValueError, match="scoring"):
        search(scoring=wrong, store=tmp_path / "a.db").fit(X, Y)
    with Optimizer.load(tmp_path / "a.db", "LogisticRegression") as opt:
        assert opt.ask().number == 0
