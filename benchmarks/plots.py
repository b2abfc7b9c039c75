"""Regret against trials with a confidence band, one picture per suite, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import analyse
from benchmarks.analyse import Row, Table
from hybridbo.parameters import Array

_BOOTSTRAPS = 500
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
    """Mean over problems and seeds, and a 90 % interval of it from resampled seeds.

    Args:
        curves: Regret, shape (problems, seeds, budget); NaN where there is no row.

    Returns:
        Mean, lower and upper end, shape (budget,) each.
    """
    per_seed = np.nanmean(curves, axis=0)  # the problems are what they are; only seeds are drawn
    per_seed = per_seed[~np.isnan(per_seed).any(axis=1)]
    rng = np.random.default_rng(0)
    means = [per_seed[rng.integers(len(per_seed), size=len(per_seed))].mean(axis=0) for _ in range(_BOOTSTRAPS)]
    low, high = np.quantile(means, [0.05, 0.95], axis=0)
    return per_seed.mean(axis=0), low, high


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
    return f"{suite}: mean of {len(table.problems)} problems, {len(table.seeds)} seeds (band: 90 %)"
