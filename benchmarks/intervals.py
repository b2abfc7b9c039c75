"""95 % intervals by the percentile bootstrap (Efron, 1979, Annals of Statistics 7), the same at every call."""

from __future__ import annotations

import numpy as np

from hybridbo.parameters import Array

LEVEL = 0.95
_DRAWS = 2000


def of_mean(regret: Array) -> tuple[Array, Array]:
    """Interval of the mean over problems and seeds, on these problems: the seeds of each are drawn anew.

    Args:
        regret: Shape (problems, seeds, ...); NaN where there is no row.

    Returns:
        Lower and upper end, shape (...); NaN where a problem has one row only, which tells of no spread.
    """
    rng = np.random.default_rng(0)
    whole = regret.reshape(*regret.shape[:2], -1)
    rows = [problem[~np.isnan(problem).all(axis=1)] for problem in whole]
    rows = [problem for problem in rows if len(problem)]
    if not rows or min(map(len, rows)) < 2:
        nothing = np.full(regret.shape[2:], np.nan)
        return nothing, nothing
    # problems with more rows weigh more, as they do in the mean
    drawn = [len(r) * r[rng.integers(len(r), size=(_DRAWS, len(r)))].mean(axis=1) for r in rows]
    low, high = _ends(np.sum(drawn, axis=0) / sum(map(len, rows)))
    return low.reshape(regret.shape[2:]), high.reshape(regret.shape[2:])


def of_difference(a: Array, b: Array) -> tuple[float, float, float]:
    """Mean of ``a - b`` over the pairs that both have, and its interval: pairs are drawn anew, whatever their problem.

    So it holds for problems like these, as Wilcoxon's test over the same pairs does, and is wider than one for these.

    Args:
        a: Shape (problems, seeds); NaN where there is no row.
        b: Likewise.

    Returns:
        Mean, lower and upper end; NaN without two pairs.
    """
    pairs = (a - b)[~np.isnan(a - b)]
    if len(pairs) < 2:
        return float(pairs.mean()) if len(pairs) else float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(0)
    low, high = _ends(pairs[rng.integers(len(pairs), size=(_DRAWS, len(pairs)))].mean(axis=1))
    return float(pairs.mean()), float(low), float(high)


def _ends(means: Array) -> tuple[Array, Array]:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
