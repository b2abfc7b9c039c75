"""What a scikit-learn search is run on: the data, the splits, and a fingerprint of all that a score depends on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_IRRELEVANT = ("n_jobs", "verbose")  # parameters that change no score


class FixedSplits:
    """The same splits every time: ``ShuffleSplit()`` draws others whenever it is asked, so no two trials would compare.

    Args:
        splits: Pairs of the rows to train on and the rows to test on.
    """

    def __init__(self, splits: list[tuple[Any, Any]]) -> None:
        self.splits = splits

    def split(self, *_: Any, **__: Any) -> Iterator[tuple[Any, Any]]:
        """The pairs."""
        return iter(self.splits)

    def get_n_splits(self, *_: Any, **__: Any) -> int:
        """How many there are."""
        return len(self.splits)


@dataclass(frozen=True)
class SearchData:
    """What the candidates of a search are evaluated on.

    Attributes:
        X: The features, as they were given.
        y: The targets; None without any.
        splits: Of the rows.
        metadata: What ``fit`` was given besides: groups, sample weights.
    """

    X: Any
    y: Any
    splits: FixedSplits
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, search: Any, evaluate_candidates: Callable[..., Any], metadata: Mapping[str, Any]) -> SearchData:
        """What scikit-learn hands to the splitter: data made indexable, groups routed to where they belong."""
        looker = _Looker(search)
        with contextlib.suppress(_SeenError):
            evaluate_candidates([], cv=looker)
        return cls(looker.X, looker.y, FixedSplits(looker.splits), metadata)

    def fingerprint(self, search: Any) -> dict[str, str]:
        """A text for each thing that a score depends on; equal in another process for equal things."""
        return {
            "X": _hash(self.X),
            "y": _hash(self.y),
            "cv": _hash({i: tuple(map(np.asarray, split)) for i, split in enumerate(self.splits.splits)}),
            "fit parameters": _hash(dict(self.metadata)),
            "scoring": scoring_text(search),
            "estimator": _estimator_text(search.estimator),
        }

    def describe(self, search: Any) -> str:
        """The task in a sentence or two, for a language model; no value of the data is in it."""
        n, p = len(self.splits.splits), getattr(self.X, "shape", (0, 0))
        shape = f"{p[0]} samples with {p[1]} features" if len(p) == 2 else f"{_length(self.X)} samples"
        kind = ""
        if is_classifier(search.estimator) and self.y is not None:
            kind = f", {len(set(map(str, self.y)))} classes"
        return (
            f"Tune the hyperparameters of {_estimator_name(search.estimator)} (scikit-learn) on {shape}{kind}; "
            f"metric: {scoring_text(search)}, mean of {n} cross-validation splits."
        )


class _SeenError(Exception):
    """Ends a call of evaluate_candidates that was made to see what it hands to the splitter."""


class _Looker:
    """A splitter that takes notes."""

    def __init__(self, search: Any) -> None:
        self._search = search
        self.X: Any = None
        self.y: Any = None
        self.splits: list[tuple[Any, Any]] = []

    def split(self, X: Any, y: Any = None, **routed: Any) -> Iterator[tuple[Any, Any]]:
        cv = check_cv(self._search.cv, y, classifier=is_classifier(self._search.estimator))
        self.X, self.y = X, y
        self.splits = list(cv.split(X, y, **routed))
        raise _SeenError


def scoring_text(search: Any) -> str:
    """What is scored, in words."""
    scoring = search.scoring
    if scoring is None:
        return "the estimator's own score"
    if callable(scoring):
        return _ADDRESS.sub("", getattr(scoring, "__qualname__", None) or repr(scoring))
    if isinstance(scoring, Mapping):
        return ", ".join(f"{name} ({_ADDRESS.sub('', str(scorer))})" for name, scorer in scoring.items())
    return scoring if isinstance(scoring, str) else ", ".join(sorted(map(str, scoring)))


def _hash(value: Any) -> str:
    """A hash that another process computes too; for what cannot be hashed, its type."""
    try:
        return str(joblib.hash(np.asarray(value) if isinstance(value, (list, tuple)) else value))
    except Exception:  # noqa: BLE001  # whatever the user's data raise when they are pickled
        return f"a {type(value).__name__}"


def _estimator_text(estimator: Any) -> str:
    """The estimator with all parameters that change what it learns."""
    params = estimator.get_params(deep=True)
    leaves = {
        name: type(value).__qualname__ if hasattr(value, "get_params") else _ADDRESS.sub("", repr(value))
        for name, value in sorted(params.items())
        if name.rpartition("__")[2] not in _IRRELEVANT and not isinstance(value, (list, tuple))
    }
    return f"{type(estimator).__qualname__}({', '.join(f'{name}={text}' for name, text in leaves.items())})"


def _estimator_name(estimator: Any) -> str:
    """The class, and those of a pipeline's steps."""
    steps = getattr(estimator, "steps", None)
    if not isinstance(steps, list):
        return type(estimator).__name__
    return f"a pipeline of {', '.join(type(step).__name__ for _, step in steps)}"


def _length(data: Any) -> int:
    try:
        return len(data)
    except TypeError:
        return 0
