"""HybridSearchCV: the search of scikit-learn's users, steered by hybridbo.

Written against what scikit-learn offers to searches of others: ``BaseSearchCV`` calls ``_run_search`` with a function
that evaluates candidates, any number of times. Three things are our own: splits are drawn once, since a splitter that
shuffles would draw others for every trial; a candidate whose fits all fail is a failed trial and not the end; and
``cv_results_`` is made from the study, so that a search that was killed and is started again has all its rows.
"""

from __future__ import annotations

import contextlib
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection._search import BaseSearchCV  # its docstring says how to derive from it
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from hybridbo.errors import InvalidSpace, describe_error
from hybridbo.integrations.estimator_space import EstimatorSpace
from hybridbo.integrations.search_data import SearchData
from hybridbo.integrations.search_study import SearchStudy, objectives_of
from hybridbo.optimizer import Optimizer
from hybridbo.ports import ChatBackend, TrialStore
from hybridbo.settings import Settings
from hybridbo.space import Space

_OURS = (
    "space",
    "param_distributions",
    "random_state",
    "task",
    "llm",
    "store",
    "study",
    "settings",
)  # checked by hybridbo's own errors


class HybridSearchCV(BaseSearchCV):
    """Search over an estimator's parameters with cross-validation, in the manner of RandomizedSearchCV.

    Candidates are evaluated one at a time, each on ``n_jobs`` workers; more at a time only where ``n_jobs`` exceeds
    the number of splits. A candidate with a failed fit, or with a score that is not finite, is a failed trial: the
    search learns to keep away from its like, whatever ``error_score`` puts into ``cv_results_``.

    Args:
        estimator: What is tuned.
        space: A Space, or a dict from parameter names (``step__parameter`` in a pipeline) to Float, Int, Categorical,
            lists, or SciPy's uniform, loguniform and randint. Choices that are no str, number, bool or None are
            known to the study by their repr, or by their name if they are functions or classes.
        param_distributions: RandomizedSearchCV's name of the same; give one of the two.
        n_iter: How many candidates the study is to have, those of an interrupted fit included.
        scoring: As in RandomizedSearchCV.
        n_jobs: As in RandomizedSearchCV.
        refit: As there. With several metrics its name steers the search; if it is False or a function, all metrics do,
            as several objectives.
        cv: As there; the splits are drawn once and are the same for all candidates.
        verbose: As there, for each candidate.
        pre_dispatch: As there.
        error_score: As there.
        return_train_score: As there.
        random_state: An int is the seed of the study. None draws one as scikit-learn does; with a ``store``, an
            existing study keeps its own.
        task: What is tuned, on which data, for the language model; None has it written from the estimator, the shape of
            the data and the scoring.
        llm: As for the Optimizer. ``"auto"``, as everywhere in hybridbo, asks a model only where OPENAI_API_KEY or
            OPENAI_BASE_URL is set; None never does. Prefer texts to backend objects, which ``clone`` copies.
        store: A path to keep the study in, so that a fit that was killed goes on when it is started again with the
            same data; None for none. If nothing is left to do, the best candidate is evaluated once more, since
            scikit-learn wants to have seen one; its stored scores stand.
        study: Name of the study in the store; None for the class of the estimator.
        settings: Settings of the search, or a dict of them.

    Attributes:
        trials_: The trials behind the rows of ``cv_results_``, with their origins.
        cv_results_: As in RandomizedSearchCV; fits that left no record have NaN as their times.
        best_estimator_, best_score_, best_params_, best_index_: As there.
        scorer_, n_splits_, refit_time_, multimetric_: As there.

    Raises:
        InvalidSpace: The space cannot be searched, or names a parameter that the estimator does not have.
        StudyMismatch: The study in the store was made with another space, other data, splits or scoring.
    """

    cv: Any
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,  # noqa: SLF001  # how scikit-learn's own searches extend it
        "n_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        **dict.fromkeys(_OURS, "no_validation"),
    }

    def __init__(
        self,
        estimator: Any,
        space: Space | Mapping[str, Any] | None = None,
        *,
        param_distributions: Mapping[str, Any] | None = None,
        n_iter: int = 25,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        task: str | None = None,
        llm: str | ChatBackend | None = "auto",
        store: str | PathLike[str] | TrialStore | None = None,
        study: str | None = None,
        settings: Settings | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.task = task
        self.llm = llm
        self.store = store
        self.study = study
        self.settings = settings

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        # scikit-learn sends the search along to its workers while it is running
        return {name: value for name, value in state.items() if name not in {"_study", "_metadata"}}

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, and refit on all data with what was best.

        Args:
            X: Features, shape (n_samples, n_features), or whatever the estimator takes.
            y: Targets, shape (n_samples,) or (n_samples, n_outputs); None without any.
            **params: For the estimator's fit, the scorer and the splitter: groups, sample_weight.

        Returns:
            Itself, fitted.
        """
        given_cv = self.cv
        self._metadata = params
        try:
            if isinstance(given_cv, Iterator):
                self.cv = list(given_cv)  # looked at more than once
            super().fit(X, y, **params)
        finally:
            self.cv = given_cv
            del self._metadata
        return self

    def _run_search(self, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        """Ask, have candidates evaluated, tell; then make ``cv_results_`` from the study."""
        space = EstimatorSpace(self._given_space())
        space.check(self.estimator)
        data = SearchData.of(self, evaluate_candidates, self._metadata)
        with self._opened(space, data) as study:
            self._study = study
            try:
                results = self._search(study, evaluate_candidates, data)
            finally:
                del self._study
            # scikit-learn goes on with this very dict
            candidates, out = study.table(with_train_scores=self.return_train_score)
            results.update(super()._format_results(candidates, study.n_splits, out))
            self.trials_ = [trial for trial, _ in study.rows()]

    def _given_space(self) -> Any:
        """What is to be searched, by either name.

        Raises:
            InvalidSpace: Both are given, or none.
        """
        given = [each for each in (self.space, self.param_distributions) if each is not None]
        if len(given) != 1:
            what = "both space and param_distributions" if given else "no space"
            raise InvalidSpace(
                f"HybridSearchCV has {what}.", "Give space=..., or param_distributions=... in its place."
            )
        return given[0]

    def _search(self, study: SearchStudy, evaluate: Callable[..., dict[str, Any]], data: SearchData) -> dict[str, Any]:
        """Evaluate what is left of the search; returns the dict that becomes ``cv_results_``."""
        batch = max(1, effective_n_jobs(self.n_jobs) // study.n_splits)
        results, failure = None, None
        while candidates := study.ask(self.n_iter, batch):
            try:
                results = evaluate(candidates, cv=data.splits)
            except ValueError as error:
                if "fits failed" not in str(error):  # scikit-learn says so when all fits of a call have failed
                    study.release()
                    raise
                failure = error
                study.fail(str(error))
                warnings.warn(str(error), FitFailedWarning, stacklevel=2)
            except BaseException as error:
                is_its_own = isinstance(error, BrokenExecutor) or self.error_score == "raise"
                if isinstance(error, Exception) and is_its_own and len(candidates) == 1:
                    study.fail(describe_error(error))
                study.release()
                raise
        if results is not None:
            return results
        if failure is not None and not study.opt.pareto_front:
            raise failure
        return evaluate([study.best()], cv=data.splits)

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: list[dict[str, Any]], more_results: Any = None
    ) -> dict[str, Any]:
        """Keep what a call of evaluate_candidates has brought; the results themselves are made at the end."""
        self._study.keep(out[len(out) - n_splits * len(self._study.running) :])
        return {}

    @contextlib.contextmanager
    def _opened(self, space: EstimatorSpace, data: SearchData) -> Iterator[SearchStudy]:
        """The study of this search, for the time of a fit."""
        metrics = objectives_of(self.scoring, self.refit)
        settings = Settings.of(self.settings)
        goal: dict[str, Any] = {"direction": "maximize"}
        if len(metrics) > 1:
            goal = {"objectives": dict.fromkeys(metrics, "maximize")}
        opt = Optimizer(
            space.space,
            **goal,
            task=data.describe(self) if self.task is None else self.task,
            study=type(self.estimator).__name__ if self.study is None else self.study,
            store=":memory:" if self.store is None else self.store,
            llm=self.llm,
            seed=self._seed(),
            settings=settings.model_copy(update={"budget": settings.budget or int(self.n_iter)}),
        )
        error_score = np.nan if self.error_score == "raise" else float(self.error_score)
        try:
            study = SearchStudy(opt, space, metrics, data.splits.get_n_splits(), error_score)
            if self.store is not None:  # nobody else can come upon a study in memory
                study.check(data.fingerprint(self))
            yield study
        finally:
            if opt.store is not self.store:
                opt.close()

    def _seed(self) -> int | None:
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        if self.random_state is None and self.store is not None:
            return None  # an existing study keeps its own
        return int(check_random_state(self.random_state).randint(2**31 - 1))
