"""The closing tables of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, TextIO

from hybridbo.progress import number
from hybridbo.tables import console_of, show_table, usage_rows
from hybridbo.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from hybridbo.optimizer import Optimizer


def show_summary(stream: TextIO, opt: Optimizer, scores: Mapping[str, float]) -> None:
    """Tell how the search went: the winner, who proposed what, the language model, the test scores.

    Args:
        stream: Where to print.
        opt: The finished search.
        scores: Test accuracies of ``"winner"`` and ``"default"``; empty if nothing could be scored.
    """
    console = console_of(stream)
    console.print()
    _show_best(console, opt.best)
    columns = ["proposed by", "trials", "failed", "best", "median", "best trial"]
    show_table(console, "Who proposed what (accuracy in cross-validation)", columns, source_rows(opt.trials))
    show_table(console, "Language model", ["", ""], usage_rows(opt.llm, opt.llm_usage))
    if scores and opt.best is not None:
        first = opt.trials[0]
        rows = [
            [f"winner (trial {opt.best.number})", number(opt.best.value), number(scores["winner"])],
            [f"default (trial {first.number})", number(first.value), number(scores["default"])],
        ]
        show_table(console, "Test split, held out from the search", ["", "cross-validation", "test"], rows)


def source_rows(trials: Sequence[Trial]) -> list[list[str]]:
    """One row per source, in the order of their first trial: trials, failed, best, median, number of the best."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.origin.source, []).append(trial)
    return [_source_row(source, group) for source, group in groups.items()]


def _source_row(source: str, group: Sequence[Trial]) -> list[str]:
    values = {trial.number: trial.value for trial in group if trial.value is not None}
    failed = sum(trial.state.is_finished for trial in group) - len(values)
    best = max(values, key=lambda n: (values[n], -n), default=None)
    told = [number(values[best]), number(median(values.values())), str(best)] if best is not None else ["-"] * 3
    return [source, str(len(group)), str(failed), *told]


def _show_best(console: Console, best: Trial | None) -> None:
    if best is None:
        console.print("No trial succeeded, so there is no best configuration.", end="\n\n")
        return
    rows = [[name, str(value)] for name, value in best.params.items()]
    title = f"Best configuration: trial {best.number}, by {best.origin.source}, accuracy {number(best.value)}"
    show_table(console, title, ["", ""], rows)
