"""A curve of a training log, ready to be judged: what it measures, its noise, its levels. Pure, NumPy only.

Levels are medians of blocks of points, so that an outlier moves none of them. The noise of single points comes from
second differences, which a trend that is nearly straight over three points does not reach (Gasser, Sroka and
Jennen-Steinmetz 1986, Residual variance and residual pattern in nonlinear regression, eq. 2.1). Noise that lasts
longer than a point shows in the levels, whose own second differences are looked at for that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from hybridbo.traininglog import Point
from hybridbo.values import Array

Role: TypeAlias = Literal["train", "val"]

FEWEST = 5  # finite points below which no shape is claimed
_MOST_BLOCKS = 12
_SD_OF_MEDIAN = 1.2533  # of a normal sample, times sd / sqrt(n)
_SD_OF_MAD = 1.4826  # of a normal sample, times the median of the absolute values
_SECOND_DIFFERENCE = math.sqrt(6.0)  # sd of x0 - 2 x1 + x2 for x of sd 1

_TRAIN = {"train", "training", "trn"}
_VAL = {"val", "valid", "validation", "eval", "evaluation", "dev", "test", "holdout"}
_LOSSES = {
    *("loss", "error", "err", "mse", "rmse", "mae", "mape", "nll", "ce", "bce", "entropy", "crossentropy", "logloss"),
    *("perplexity", "ppl", "wer", "cer", "deviance", "misclassification", "cost", "regret"),
}
_SCORES = {
    *("acc", "accuracy", "auc", "auroc", "auprc", "f1", "r2", "precision", "recall", "score", "bleu", "rouge", "iou"),
    *("miou", "map", "dice", "reward", "return", "mcc", "kappa", "top1", "top5", "psnr", "ssim", "ndcg", "likelihood"),
}


@dataclass(frozen=True)
class Metric:
    """What the name of a metric says.

    Attributes:
        name: As logged.
        base: Without the word for the part of the data: curves of one base belong together.
        role: Which part of the data: ``"train"`` or ``"val"``.
        sign: 1 where smaller is better, -1 where larger is; 0 where the name does not tell.
    """

    name: str
    base: str
    role: Role
    sign: int

    @classmethod
    def of(cls, name: str) -> Metric:
        """Read a name such as ``val_loss``, ``accuracy/train``, ``trainLoss``; plain ``loss`` is that of training."""
        words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
        rest = [word for word in words if word not in _TRAIN | _VAL]
        role: Role = "val" if _VAL.intersection(words) else "train"
        is_split = len(rest) < len(words)
        score, loss = _SCORES.intersection(rest), _LOSSES.intersection(rest)
        # "train" and "val" alone are curves of a loss; "lr" is a curve of nothing that is to fall
        sign = 1 if loss else -1 if score else 1 if is_split and not rest else 0
        return cls(name, "_".join(rest), role, sign)


@dataclass(frozen=True, eq=False)
class Curve:
    """The points of one metric.

    Attributes:
        metric: What it measures.
        steps: Steps with a finite value, ascending, shape (n,).
        values: The values there, shape (n,).
        odd: The first point whose value is not finite; None if there is none.
        n_odd: How many there are.
    """

    metric: Metric
    steps: Array
    values: Array
    odd: Point | None
    n_odd: int

    @classmethod
    def of(cls, metric: Metric, points: Sequence[Point]) -> Curve:
        """Take the points of a log, in any order."""
        table = np.array(sorted(points, key=lambda point: point[0]), dtype=float).reshape(-1, 2)
        finite = np.isfinite(table[:, 1])
        odd = table[~finite]
        first = (float(odd[0, 0]), float(odd[0, 1])) if len(odd) else None
        return cls(metric, table[finite, 0], table[finite, 1], first, len(odd))

    @cached_property
    def losses(self) -> Array:
        """The values so that smaller is better, divided by the largest of them: no scale is too large to square.

        A share of what is right, between 0 and 1, becomes the share of what is wrong.
        """
        v = self.values
        if self.metric.sign < 0:
            v = 1.0 - v if len(v) and v.min() >= 0.0 and v.max() <= 1.0 else -v
        return np.asarray(v / self.scale, dtype=float)

    @cached_property
    def scale(self) -> float:
        """The largest value."""
        return float(np.abs(self.values).max(initial=0.0)) or 1.0

    @property
    def can_be_judged(self) -> bool:
        """Whether there are enough points to speak of a shape, of something that ought to fall or rise."""
        return len(self.steps) >= FEWEST and self.metric.sign != 0

    @cached_property
    def blocks(self) -> list[Array]:
        """Indices of the points of each block, at least five blocks."""
        n = len(self.steps)
        return [np.asarray(part) for part in np.array_split(np.arange(n), min(_MOST_BLOCKS, max(FEWEST, n // 2)))]

    @cached_property
    def levels(self) -> Array:
        """The median of each block of :attr:`losses`, shape (k,)."""
        return np.array([np.median(self.losses[part]) for part in self.blocks])

    @cached_property
    def noise(self) -> float:
        """Standard deviation of single points around the trend, in the units of :attr:`losses`."""
        return _noise(self.losses)

    @cached_property
    def error(self) -> float:
        """Standard deviation of a level."""
        b = len(self.steps) / len(self.blocks)
        white = self.noise * (_SD_OF_MEDIAN if b > 2 else 1.0) / math.sqrt(b)
        # of fewer levels, the fall itself makes up most of their second differences
        return max(white, _noise(self.levels) if len(self.levels) == _MOST_BLOCKS else 0.0, 1e-12)

    @cached_property
    def start(self) -> float:
        """The level at the start: the first block may have seen the steepest part of the fall."""
        return max(float(np.median(self.losses[:3])), float(self.levels[0]))

    @property
    def end(self) -> float:
        """The level at the end."""
        return float(self.levels[-1])

    @cached_property
    def best(self) -> int:
        """The block with the lowest level."""
        return int(self.levels.argmin())

    def step_of(self, block: int) -> float:
        """The step in the middle of a block."""
        part = self.blocks[block]
        return float(self.steps[part[len(part) // 2]])

    def level_near(self, step: float) -> float:
        """The level of the block that a step falls into."""
        ends = [self.steps[part[-1]] for part in self.blocks]
        return float(self.levels[min(int(np.searchsorted(ends, step)), len(ends) - 1)])

    def shown(self, level: float) -> str:
        """A level in the units that were logged, for a sentence."""
        v = level * self.scale
        if self.metric.sign < 0:
            v = 1.0 - v if self.values.min() >= 0.0 and self.values.max() <= 1.0 else -v
        return f"{v:.4g}"


def curves_of(log: Mapping[str, Sequence[Point]]) -> list[Curve]:
    """The curves of a log, those of a loss before those of a score, in the order of their names otherwise."""
    found = [Curve.of(Metric.of(name), points) for name, points in log.items() if points]
    return sorted(found, key=lambda curve: (-curve.metric.sign, curve.metric.base, curve.metric.name))


def _noise(values: Array) -> float:
    """The standard deviation around a smooth trend, shape (n,); 0 for fewer than three values."""
    if len(values) < 3:
        return 0.0
    second = values[:-2] - 2.0 * values[1:-1] + values[2:]
    return float(_SD_OF_MAD * np.median(np.abs(second)) / _SECOND_DIFFERENCE)
