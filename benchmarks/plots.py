"""Regret, or the share of the front's hypervolume, against trials with a confidence band; PNG and SVG per suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import analyse, intervals, pareto
from benchmarks.analyse import Row, Table
from hybridbo.parameters import Array

_FLOOR = 1e-5  # below it a logarithmic axis shows nothing of interest


def save(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw every suite; returns the files, none without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("matplotlib is not installed: no plots")
        return []
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for part, draw in zip(pareto.split(rows), (_regret, _share), strict=True):
        for suite in dict.fromkeys(row["problem"].split("/")[0] for row in part):
            table = analyse.tabulate([row for row in part if row["problem"].split("/")[0] == suite])
            files += _draw(suite, table, folder, draw)
    return files


def band(curves: Array) -> tuple[Array, Array, Array]:
    """Mean over problems and seeds, and its 95 % interval.

    Args:
        curves: Regret, shape (problems, seeds, budget); NaN where there is no row.

    Returns:
        Mean, lower and upper end, shape (budget,) each; the ends are NaN where a problem has one seed only.
    """
    there = curves[~np.isnan(curves).any(axis=2)]
    mean: Array = there.mean(axis=0) if len(there) else np.full(curves.shape[2], np.nan)
    return mean, *intervals.of_mean(curves)


def _regret(axes: Any) -> Callable[[Array], Array]:
    """Labels the axes; returns what is drawn of a regret."""
    axes.set(ylabel="normalised regret", yscale="log")
    return lambda regret: np.maximum(regret, _FLOOR)


def _share(axes: Any) -> Callable[[Array], Array]:
    """The same for several objectives."""
    axes.set(ylabel="share of the front's hypervolume", ylim=(0, 1))
    return lambda missing: 1 - missing


def _draw(suite: str, table: Table, folder: Path, what: Callable[[Any], Callable[[Array], Array]]) -> list[Path]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    trials, drawn = np.arange(1, table.budget + 1), what(axes)
    for method in table.methods:
        mean, low, high = map(drawn, band(table.regret[method]))
        (line,) = axes.plot(trials, mean, label=method, linewidth=1.6)
        axes.fill_between(trials, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="trials", title=_title(suite, table))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    files = [folder / f"{suite}.{kind}" for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    plt.close(figure)
    return files


def _title(suite: str, table: Table) -> str:
    known = ", memorised" if any(row["memorised"] for row in table.rows.values()) else ""
    return f"{suite}{known}: mean of {len(table.problems)} problems, {len(table.seeds)} seeds (band: 95 %)"
