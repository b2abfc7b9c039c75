"""Regret against trials with a confidence band, one picture per suite, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import analyse, intervals
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
    for suite in dict.fromkeys(row["problem"].split("/")[0] for row in rows):
        table = analyse.tabulate([row for row in rows if row["problem"].split("/")[0] == suite])
        files += _draw(suite, table, folder)
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


def _draw(suite: str, table: Table, folder: Path) -> list[Path]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    trials = np.arange(1, table.budget + 1)
    for method in table.methods:
        mean, low, high = band(table.regret[method])
        (line,) = axes.plot(trials, np.maximum(mean, _FLOOR), label=method, linewidth=1.6)
        axes.fill_between(trials, np.maximum(low, _FLOOR), np.maximum(high, _FLOOR), color=line.get_color(), alpha=0.15)
    axes.set(xlabel="trials", ylabel="normalised regret", yscale="log", title=_title(suite, table))
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
