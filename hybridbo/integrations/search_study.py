"""The study behind a scikit-learn search: trials asked for, their splits kept, the rows of ``cv_results_``.

A trial's value is its mean test score. The scores of the single splits and the times are kept as an event of the
study, so that a search that was killed has all its rows when it goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from hybridbo.errors import InvalidSettings, InvalidState, SpaceExhausted, StudyMismatch
from hybridbo.integrations.estimator_space import EstimatorSpace
from hybridbo.integrations.fallback import ask
from hybridbo.optimizer import Optimizer
from hybridbo.trial import Trial, TrialState

_logger = logging.getLogger(__name__)
_FINGERPRINT, _SPLITS = "search_cv", "cv_splits"  # kinds of events

_PARTS = re.compile(r"(\w[\w.]*)\((.*)\)$", re.DOTALL)  # the class of an estimator and its parameters
_LONGEST = 80
_NEXT = re.compile(r", (?=\w+=)")
Split = dict[str, Any]  # test_scores, train_scores, fit_time, score_time of one fit, as scikit-learn names them


class SearchStudy:
    """The study of one search.

    Args:
        opt: Its Optimizer.
        space: From configurations to an estimator's parameters.
        metrics: The names of the objectives; empty for a search by a single score.
        n_splits: How many fits a trial consists of.
        error_score: What a failed fit scores in ``cv_results_``.
    """

    def __init__(
        self, opt: Optimizer, space: EstimatorSpace, metrics: tuple[str, ...], n_splits: int, error_score: float
    ) -> None:
        self.opt, self.space, self.metrics, self.n_splits = opt, space, metrics, n_splits
        self.error_score = error_score
        self.running: list[Trial] = []

    def check(self, fingerprint: Mapping[str, str]) -> None:
        """Hold the data against those that the study was made with.

        Raises:
            StudyMismatch: Naming what is not the same.
        """
        stored = self._fingerprint()
        if stored is None:
            if self.opt.trials:
                raise self._mismatch("is no search by HybridSearchCV")
            self.opt.note(_FINGERPRINT, json.dumps(fingerprint))
            stored = self._fingerprint()  # the first one counts, if another process was faster
        others = [name for name, text in fingerprint.items() if stored is not None and stored.get(name) != text]
        if stored is not None and others:
            rows = [f"another {name}{difference(stored.get(name), fingerprint[name])}" for name in others]
            raise self._mismatch(f"was made with {', '.join(rows)}")

    def _fingerprint(self) -> dict[str, str] | None:
        texts = [event.message for event in self.opt.events if event.kind == _FINGERPRINT]
        return json.loads(texts[0]) if texts else None

    def _mismatch(self, what: str) -> StudyMismatch:
        return StudyMismatch(
            f"study {self.opt.study!r} {what}: its scores cannot be compared with those of this fit.",
            "Give what the study was made with (a cv that shuffles needs a random_state); or another study name.",
        )

    # Trials ------------------------------------------------------------------------------------------------------

    def ask(self, n_iter: int, batch: int) -> list[dict[str, Any]]:
        """The parameters of the next candidates, up to ``batch``; none when the study has ``n_iter`` trials."""
        n = min(batch, n_iter - self.opt.n_started)
        self.running = []
        with contextlib.suppress(SpaceExhausted):
            while len(self.running) < n:
                self.running.append(ask(self.opt))
        return [self.space.decode(trial.params) for trial in self.running]

    def keep(self, out: list[Split]) -> None:
        """Store how the running trials ended.

        Args:
            out: One entry per fit, the splits of a trial one after the other.
        """
        for i, trial in enumerate(self.running):
            splits = out[i * self.n_splits : (i + 1) * self.n_splits]
            kept = [_plain_split(split) for split in splits]
            self.opt.note(_SPLITS, json.dumps(kept), trial.number)
            self._tell(trial, kept, [str(split["fit_error"]) for split in splits if split.get("fit_error")])
        self.running = []

    def fail(self, reason: str) -> None:
        """Store that the running trials failed."""
        for trial in self.running:
            self.opt.fail(trial, _last_line(reason))
        self.running = []

    def release(self) -> None:
        """Give the running trials back."""
        for trial in self.running:
            self.opt.release(trial)
        self.running = []

    def _tell(self, trial: Trial, splits: list[Split], errors: list[str]) -> None:
        if errors:
            self.opt.fail(trial, f"{len(errors)} of {self.n_splits} fits failed: {_last_line(errors[0])}")
            return
        means = {name: _mean(splits, name) for name in self.metrics or (None,)}
        if not all(math.isfinite(mean) for mean in means.values()):
            self.opt.fail(trial, "a score is not a finite number")
        elif len(means) == 1:
            self.opt.tell(trial, next(iter(means.values())))
        else:
            self.opt.tell(trial, {str(name): mean for name, mean in means.items()})

    # Rows --------------------------------------------------------------------------------------------------------

    def rows(self) -> list[tuple[Trial, list[Split]]]:
        """The finished trials with their splits, by number; those of earlier fits and other processes included."""
        events = (event for event in self.opt.events if event.kind == _SPLITS)
        known = {event.trial_number: json.loads(event.message) for event in events}
        out = []
        for trial in self.opt.trials:
            splits = known.get(trial.number)
            if splits is None and trial.state is TrialState.FAILED:
                splits = [self._failed_split(known) for _ in range(self.n_splits)]
            if trial.state is TrialState.COMPLETE and splits is None:
                _logger.warning("trial %d was told from outside: no row of cv_results_", trial.number)
            elif trial.state.is_finished and splits is not None:
                out.append((trial, splits))
        return out

    def table(self, *, with_train_scores: bool) -> tuple[list[dict[str, Any]], list[Split]]:
        """The candidates, and one entry per fit, as scikit-learn formats them."""
        candidates, out = [], []
        for trial, splits in self.rows():
            candidates.append(self.space.decode(trial.params))
            for split in splits:
                entry = {key: split[key] for key in ("test_scores", "fit_time", "score_time")}
                if with_train_scores:  # an earlier fit may not have asked for them
                    entry["train_scores"] = split.get("train_scores", _like(split["test_scores"], math.nan))
                out.append(entry)
        return candidates, out

    def best(self) -> dict[str, Any]:
        """The parameters of one of the best trials, or of any where all have failed.

        Raises:
            InvalidState: No trial has ended.
        """
        ended = self.opt.pareto_front or [trial for trial, _ in self.rows()]
        if not ended:
            raise InvalidState(
                f"all trials of study {self.opt.study!r} are held by other processes.",
                "Wait for them, or raise n_iter.",
            )
        return self.space.decode(ended[0].params)

    def _failed_split(self, known: Mapping[Any, list[Split]]) -> Split:
        """A fit that left no record, since its process died or all fits of its trial failed."""
        like = next((splits[0]["test_scores"] for splits in known.values()), self.error_score)
        scores = _like(like, self.error_score)
        return {"test_scores": scores, "train_scores": scores, "fit_time": math.nan, "score_time": math.nan}


def difference(stored: str | None, now: str) -> str:
    """How the text of an estimator differs from the stored one, in brackets; empty for what has no such text."""
    old, new = _PARTS.match(stored or ""), _PARTS.match(now)
    if old is None or new is None:
        return ""
    if old[1] != new[1]:
        return f" ({old[1]}; now {new[1]})"
    before, after = _NEXT.split(old[2]), _NEXT.split(new[2])
    rows = [part for part in before if part not in after], [part for part in after if part not in before]
    words = [textwrap.shorten(", ".join(row), _LONGEST, placeholder=" ...") or "less" for row in rows]
    return f" ({words[0]}; now {words[1]})"


def objectives_of(scoring: Any, refit: Any) -> tuple[str, ...]:
    """What a search is steered by: the metric of ``refit``, or all metrics where none is named.

    Returns:
        Names of metrics; none for a search by a single score.
    """
    if isinstance(refit, str):
        return (refit,)
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return ()
    return tuple(map(str, scoring))


def _mean(splits: list[Split], name: str | None) -> float:
    """The mean test score.

    Raises:
        InvalidSettings: There are several metrics, and none is named.
    """
    scores = [split["test_scores"] for split in splits]
    if isinstance(scores[0], dict):
        if name not in scores[0]:
            raise InvalidSettings(
                f"scoring returns {', '.join(scores[0])}, and refit names none of them.",
                "Name the one to search by: refit='...'.",
            )
        scores = [score[name] for score in scores]
    return float(sum(scores) / len(scores))


def _like(scores: Any, value: float) -> Any:
    """``value`` in the place of each score."""
    return dict.fromkeys(scores, value) if isinstance(scores, dict) else value


def _plain_split(split: Split) -> Split:
    """What is kept of a fit, as JSON can hold it; floats survive to the digit."""
    keys = ("test_scores", "train_scores", "fit_time", "score_time")
    return {key: _plain(split[key]) for key in keys if key in split}


def _plain(value: Any) -> Any:
    return {str(name): float(x) for name, x in value.items()} if isinstance(value, Mapping) else float(value)


def _last_line(text: str) -> str:
    """The last line that says something: in a traceback, the error itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else text
