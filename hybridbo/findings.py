"""What the curves of a training log show: overfitting, underfitting, divergence, plateau, noise, under-training.

Each claim needs two things: it must be significant, beyond what the noise of the curve's own levels explains, and it
must matter, measured against what the training has gained. A curve too short or too noisy to tell gives no finding.
The thresholds stand below with their reasons; ``tests/unit/test_findings.py`` measures how often each claim is missed
or made wrongly on families of curves whose truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from hybridbo.curves import Curve, curves_of
from hybridbo.traininglog import Point

Kind: TypeAlias = Literal["divergence", "overfitting", "underfitting", "under-training", "plateau", "noise"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SIGMAS = 3.0  # of a difference of two levels: one claim in 700 is chance
_RISE_OF_LOSS = 0.5  # of what training had gained is lost again: divergence, and not a bump
_RISE_OF_VALIDATION = 0.1  # of what was gained is lost: worth stopping earlier
_LEAST_RISE = 0.02  # of the level itself, where nothing was gained before
_GAP = 0.5  # of the gain of the training data does not reach the validation data
_STILL_FALLS = 0.05  # of the gain came in the last third: an exponential approach is past four time constants else
_RESTS = 0.05  # of the gain at most can have come in the last third, noise included
_LITTLE = 0.1  # of the first level is all that was gained
_NOISY = 0.3  # of the gain is the noise of a single point: the last value says little about the level
_FEWEST_FOR_NOISE = 8
_NOTHING = 1e-9  # of the largest value: rounding


@dataclass(frozen=True)
class Finding:
    """Something that a training log shows.

    Attributes:
        kind: ``"divergence"``, ``"overfitting"``, ``"underfitting"``, ``"under-training"``, ``"plateau"`` or
            ``"noise"``.
        metric: The metric that shows it.
        evidence: One sentence with the numbers and steps that it rests on.
        step: Where it begins, or shows first.
        figures: The numbers of the sentence, by name, in the units that were logged.
    """

    kind: Kind
    metric: str
    evidence: str
    step: float
    figures: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.kind} ({self.metric}): {self.evidence}"


def analyse(log: Mapping[str, Sequence[Point]]) -> tuple[Finding, ...]:
    """Judge a training log.

    Args:
        log: Points (step, value) by metric. Names tell what falls and what rises (``loss``, ``accuracy``), and which
            curves are of training or of validation data (``train_loss``, ``val_loss``); see
            :class:`hybridbo.curves.Metric`. Of other metrics only values that are not finite are told.

    Returns:
        At most one finding of each kind, in the order of :data:`KINDS`; curves of a loss speak before those of a score.
    """
    found: dict[str, Finding] = {}
    with np.errstate(under="ignore"):  # beside 1e308, 1 is nothing
        for finding in _findings(curves_of(log)):
            found.setdefault(finding.kind, finding)
    return tuple(found[kind] for kind in KINDS if kind in found)


def _findings(curves: Sequence[Curve]) -> Iterator[Finding]:
    for curve in curves:
        yield from _not_finite(curve)
    judged = [curve for curve in curves if curve.can_be_judged]
    for base in dict.fromkeys(curve.metric.base for curve in judged):
        same = [curve for curve in judged if curve.metric.base == base]
        train = next((curve for curve in same if curve.metric.role == "train"), None)
        val = next((curve for curve in same if curve.metric.role == "val"), None)
        yield from _of_pair(train, val, has_ended_badly=any(curve.odd for curve in same))


def _of_pair(train: Curve | None, val: Curve | None, *, has_ended_badly: bool) -> Iterator[Finding]:
    """The findings of the curves of one metric, of which there is at least one."""
    only = val or train
    if only is None:
        return
    blown_up = list(_blown_up(train)) if train else list(_blown_up(val, beyond_start=True)) if val else []
    yield from blown_up
    if blown_up or has_ended_badly:
        return  # what came before a divergence is of no interest
    over = list(_overfitting(train, val)) if val else []
    yield from over
    if not over:
        yield from _rest(train, only)
    for curve in filter(None, (val, train)):
        yield from _noise(curve)


def _rest(train: Curve | None, judged: Curve) -> Iterator[Finding]:
    """Whether it has come to an end: of the validation curve if there is one, and of training."""
    learner = train or judged
    if (weak := _underfitting(learner)) is not None:
        yield weak
    falling = [found for curve in (judged, learner) for found in _still_falling(curve)]
    yield from falling[:1] if len(falling) == 2 else ()  # both curves, or the only one twice
    yield from _plateau(judged)


# Divergence ------------------------------------------------------------------------------------------------------


def _not_finite(curve: Curve) -> Iterator[Finding]:
    if curve.odd is None:
        return
    step, value = curve.odd
    more = f", and {curve.n_odd - 1} later values are not finite" if curve.n_odd > 1 else ""
    text = f"{value} at step {step:g}{more}."
    yield Finding("divergence", curve.metric.name, text, step, {"step": step, "n": float(curve.n_odd)})


def _blown_up(curve: Curve, *, beyond_start: bool = False) -> Iterator[Finding]:
    """A training loss that rises for good. Validation alone may rise by overfitting: it has to pass its start."""
    lowest, end = float(curve.levels[curve.best]), curve.end
    gained, lost = curve.start - lowest, end - lowest
    if beyond_start and end - curve.start <= _margin(curve):
        return
    if lost > _margin(curve, of_best=True) and lost >= max(_RISE_OF_LOSS * gained, 5 * _LEAST_RISE * abs(lowest)):
        step = curve.step_of(curve.best)
        text = (
            f"after {curve.shown(lowest)} near step {step:g} it rose to {curve.shown(end)} at the end; "
            f"it began with {curve.shown(curve.start)}."
        )
        yield _finding("divergence", curve, text, step, best=lowest, end=end, start=curve.start)


# Overfitting -----------------------------------------------------------------------------------------------------


def _overfitting(train: Curve | None, val: Curve) -> Iterator[Finding]:
    lowest, end = float(val.levels[val.best]), val.end
    gained, lost = max(val.start - lowest, 0.0), end - lowest
    step = val.step_of(val.best)
    rises = lost > _margin(val, of_best=True) and lost >= max(_RISE_OF_VALIDATION * gained, _LEAST_RISE * abs(lowest))
    if rises:
        meanwhile = "no curve of the training data tells whether it is that or a divergence"
        if train is not None:
            then = train.level_near(step)
            if train.end > then + _margin(train):
                return  # both have become worse: no overfitting
            meanwhile = f"{train.metric.name} went from {train.shown(then)} to {train.shown(train.end)} meanwhile"
        text = f"best ({val.shown(lowest)}) near step {step:g}, {val.shown(end)} at the end; {meanwhile}."
        yield _finding("overfitting", val, text, step, best=lowest, end=end)
    elif train is not None:
        yield from _gap(train, val)


def _gap(train: Curve, val: Curve) -> Iterator[Finding]:
    """A validation curve that rests far above that of the training data, which falls on."""
    ratio = val.scale / train.scale  # each is in units of its own scale
    gap, gained = val.end * ratio - train.end, train.start - train.end
    noise = _SIGMAS * math.hypot(val.error * ratio, train.error)
    then = train.level_near(val.step_of(2 * len(val.levels) // 3))
    goes_on = then - train.end > max(_margin(train), _STILL_FALLS / 2 * gained)
    rests = val.levels[2 * len(val.levels) // 3] - val.end <= max(
        _margin(val), _RESTS * abs(val.start - val.end), _RESTS * gained / ratio
    )
    if goes_on and rests and gained > 0 and gap > max(noise, _GAP * gained):
        step = train.step_of(2 * len(train.levels) // 3)
        text = (
            f"at the end it is {val.shown(val.end)} and {train.metric.name} {train.shown(train.end)}, which fell on "
            f"since step {step:g} while it did not."
        )
        yield _finding("overfitting", val, text, step, end=val.end)


# Learning that has ended, or has not --------------------------------------------------------------------------------


def _underfitting(curve: Curve) -> Finding | None:
    """Training data that the model does not come to fit, and does not come closer to."""
    gained = curve.start - curve.end
    if curve.start <= 0 or gained >= _LITTLE * curve.start or list(_still_falling(curve)):
        return None
    if 2 * curve.error > _LITTLE * curve.start:
        return None  # too noisy to tell that little was gained
    text = f"from {curve.shown(curve.start)} to {curve.shown(curve.end)}, and no longer falling."
    if curve.metric.sign < 0:
        text = text.replace("falling", "rising")
    step = curve.step_of(0)
    return _finding("underfitting", curve, text, step, start=curve.start, end=curve.end)


def _still_falling(curve: Curve) -> Iterator[Finding]:
    third = 2 * len(curve.levels) // 3 - 1
    then, gained = float(curve.levels[third]), curve.start - curve.end
    late = then - curve.end
    if late <= max(_margin(curve), _STILL_FALLS * gained) or gained <= 0:
        return
    if curve.end > curve.levels[curve.best] + curve.error:
        return
    step = curve.step_of(third)
    text = (
        f"{late / gained:.0%} of the gain came after step {step:g} ({curve.shown(then)} to {curve.shown(curve.end)}): "
        "it had not come to rest."
    )
    yield _finding("under-training", curve, text, step, then=then, end=curve.end)


def _plateau(curve: Curve) -> Iterator[Finding]:
    """A curve that has come to rest before its last third; one that never moved rests from the start."""
    third, gained = 2 * len(curve.levels) // 3 - 1, curve.start - curve.end
    tail = curve.levels[third:]
    half = len(tail) // 2
    drift = abs(float(tail[:half].mean() - tail[-half:].mean())) + 2.0 * math.sqrt(2.0 / half) * curve.error
    room = max(_RESTS * gained, _LEAST_RISE / 2 * abs(curve.end) if gained <= _margin(curve) else 0.0)
    if drift > max(room, _NOTHING):
        return
    block, rest = third, float(tail.mean())
    while block and abs(curve.levels[block - 1] - rest) <= room:
        block -= 1
    step, last = curve.step_of(block), float(curve.steps[-1])
    text = f"within {room * curve.scale:.2g} of {curve.shown(rest)} from step {step:g} to the last one, {last:g}."
    yield _finding("plateau", curve, text, step, end=curve.end)


def _noise(curve: Curve) -> Iterator[Finding]:
    if len(curve.steps) < _FEWEST_FOR_NOISE:
        return
    gained = float(max(curve.start, curve.levels.max()) - curve.levels.min())
    is_moving = gained > _margin(curve)
    if curve.noise <= (_NOISY * gained if is_moving else _LITTLE * abs(curve.end)):
        return
    sd = curve.noise * curve.scale
    text = (
        f"single values scatter by {sd:.2g} (standard deviation) around a curve from {curve.shown(curve.start)} to "
        f"{curve.shown(curve.end)}: the last one alone says little."
    )
    step = float(curve.steps[0])
    yield Finding("noise", curve.metric.name, text, step, {"sd": sd, "gain": gained * curve.scale})


# Helpers -----------------------------------------------------------------------------------------------------------


def _margin(curve: Curve, *, of_best: bool = False) -> float:
    """What noise makes of the difference of two levels; more where one of them is the lowest of all.

    The least of k normal figures lies about sqrt(2 ln k) standard deviations below their mean.
    """
    more = math.sqrt(math.log(len(curve.levels))) if of_best else 0.0
    return (_SIGMAS + more) * math.sqrt(2.0) * curve.error


def _finding(kind: Kind, curve: Curve, text: str, step: float, **levels: float) -> Finding:
    figures = {name: float(curve.shown(level)) for name, level in levels.items()}
    return Finding(kind, curve.metric.name, text, step, {"step": step, **figures})
