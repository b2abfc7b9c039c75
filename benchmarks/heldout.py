"""Held-out problems: written while nobody tuned anything on them, and to be run only to judge, never to choose.

Whoever looks at a search of one of them while changing the optimizer turns it into a training problem; move it to
another suite then, and write a new one here. The boosters are in :mod:`benchmarks.heldout_boosters`, the trainings with
scikit-learn in :mod:`benchmarks.heldout_trained`; this file holds the learning rates and a function that fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks import heldout_boosters, heldout_trained
from benchmarks.problem import EvaluationFailed, Problem, known_range
from hybridbo.parameters import Float, Int, Params
from hybridbo.space import Space

Values = Mapping[str, float]
_OVERFLOW = 12.0  # decades of the loss beyond which a diverging run has overflowed


def all_heldout() -> dict[str, Callable[[], Problem]]:
    """Makers of all problems of the suite, by name."""
    own = {name: partial(_made, name) for name in _PROBLEMS}
    return {**heldout_boosters.all_boosters(), **own, **heldout_trained.all_trained()}


def _made(name: str) -> Problem:
    space, task, loss = _PROBLEMS[name]
    best, worst = known_range(name, "minimize")
    return Problem(name, space, "minimize", task, partial(_evaluate, loss), best, worst)


def _evaluate(loss: Callable[[Values], float], params: Params) -> float:
    return loss({name: float(value) for name, value in params.items()})  # type: ignore[arg-type]  # all are numbers


def _diverged(decades: float) -> float:
    """What a run adds to its loss when it is past the edge of stability by so many decades of growth.

    Raises:
        EvaluationFailed: The loss has overflowed.
    """
    if decades > _OVERFLOW:
        raise EvaluationFailed("loss is NaN: training diverged")
    return math.expm1(math.log(10) * decades) if decades > 0 else 0.0


# A valley between rate and batch -----------------------------------------------------------------------------------

VALLEY = Space({
    "lr": Float(1e-6, 1.0, log=True),
    "batch_size": Int(4, 4096, log=True),
    "one_minus_momentum": Float(1e-3, 1.0, log=True),
    "weight_decay": Float(1e-7, 1.0, log=True),
    "warmup_steps": Int(1, 10_000, log=True),
})  # fmt: skip
_VALLEY_TASK = (
    "Tune stochastic gradient descent with momentum for an image classifier of 25 million weights, 90 epochs. "
    "Metric: validation cross-entropy, minimise. Large rates diverge."
)


def valley(p: Values) -> float:
    """Cross-entropy: the noise lr / ((1 - momentum) batch) must be met within a third of a decade.

    The form is that of the noise scale of McCandlish et al. 2018: the rate grows with the batch up to a critical one,
    and with its root beyond. The walls are logarithmic, so that far away the slope hardly shows.
    """
    rate = math.log10(p["lr"]) - math.log10(p["one_minus_momentum"])
    batch, decay = math.log10(p["batch_size"]), math.log10(p["weight_decay"])
    off = rate + 2.6 - min(batch, 2.7) - 0.5 * max(0.0, batch - 2.7)
    loss = 0.82 + 0.33 * math.log1p((off / 0.3) ** 2)
    loss += 0.05 * math.pow(max(0.0, batch - 2.2), 1.5) + 0.04 * max(0.0, 1.4 - batch) ** 2
    loss += 0.1 * (1 - math.exp(-0.5 * ((rate + decay + 4.4) / 0.9) ** 2))  # what shrinks the weights is the product
    loss += 0.04 * (math.log10(p["one_minus_momentum"]) + 1.3) ** 2
    held = 0.25 * min(3.0, math.log10(p["warmup_steps"]))
    loss += 0.02 * max(0.0, math.log10(p["warmup_steps"]) - 3.0) ** 2
    return loss + _diverged(7 * (rate - 0.75 - held))


# The best rate at the edge of divergence ---------------------------------------------------------------------------

CLIFF = Space({
    "lr": Float(1e-5, 3e-2, log=True),
    "one_minus_beta2": Float(1e-4, 0.3, log=True),
    "epsilon": Float(1e-10, 1e-2, log=True),
    "weight_decay": Float(1e-4, 1.0, log=True),
    "warmup_fraction": Float(1e-3, 0.5, log=True),
    "clip_norm": Float(0.01, 100.0, log=True),
})  # fmt: skip
_CLIFF_TASK = (
    "Tune AdamW for a small language model, one epoch over 400 million tokens, cosine schedule. "
    "Metric: validation loss in nats a token, minimise. The loss explodes where training is unstable."
)


def cliff(p: Values) -> float:
    """Nats a token: falling in the rate until training explodes, at a rate that four other parameters decide."""
    second, warm = math.log10(p["one_minus_beta2"]), math.log10(p["warmup_fraction"])
    clip, decay = math.log10(p["clip_norm"]), math.log10(p["weight_decay"])
    # a large epsilon divides the step, a small clip shortens it
    step = math.log10(p["lr"]) - math.log10(1 + p["epsilon"] / 3e-6) - 0.3 * math.log1p(math.exp(-2.5 * (clip + 0.4)))
    edge = -2.35 + 0.22 * min(warm + 3, 1.9) - 0.3 * (second + 1.5) ** 2 / (1 + abs(second + 1.5))
    loss = 3.12 + 0.24 * math.pow(max(0.0, edge - step), 1.3)
    loss += 0.05 * max(0.0, warm + 1.1) ** 2 + 0.035 * max(0.0, -second - 2.0)
    loss += 0.09 * (1 - math.exp(-((decay + 1.1 + 0.4 * (step + 3)) ** 2)))
    loss += 0.012 * math.sin(4.1 * step + 2.3 * second + 1.7 * clip)
    over = step - edge
    return loss + (0.6 + _diverged(8 * over) if over > 0 else 0.0)


# A plateau -----------------------------------------------------------------------------------------------------------

PLATEAU = Space({
    "lr": Float(1e-6, 10.0, log=True),
    "momentum": Float(0.0, 0.99),
    "weight_decay": Float(1e-8, 1e-1, log=True),
    "batch_size": Int(16, 8192, log=True),
    "warmup_epochs": Float(0.01, 10.0, log=True),
    "lr_decay": Float(0.5, 1.0),
})  # fmt: skip
_PLATEAU_TASK = (
    "Tune stochastic gradient descent for a deep recurrent network that classifies 100 kinds of sound, 30 epochs. "
    "Metric: validation cross-entropy, minimise. Many settings learn nothing."
)
_CHANCE = math.log(100)


def plateau(p: Values) -> float:
    """Cross-entropy: that of guessing, to the last digit, where too little is learned; above it past the edge."""
    reach = 12 * math.log10(p["lr_decay"])  # how far the schedule has brought the rate down on average
    rate = math.log10(p["lr"]) - math.log10(1 - p["momentum"]) + 0.5 * reach
    batch, warm = math.log10(p["batch_size"]), math.log10(p["warmup_epochs"])
    over = rate - 0.1 - 0.25 * (warm + 2) + 0.3 * max(0.0, 2.4 - batch)
    if over > 0:
        return _CHANCE + 0.4 * over + _diverged(min(6.0, 1.2 * over)) / 10
    learned = rate - 0.4 * (batch - 2.0) + 4.6
    held = math.exp(-(p["weight_decay"] * 10**rate) / 5e-2)  # decay that undoes every step
    gain = math.tanh(0.55 * max(0.0, learned)) * held * (1 - 0.06 * max(0.0, -over - 0.4) ** 2)
    gain *= 1 - 0.05 * (math.log10(p["weight_decay"]) + rate + 5.2) ** 2 / 12 - 0.06 * max(0.0, warm - 0.3) ** 2
    gain -= 0.9 * (p["momentum"] - 0.8) ** 2 * (batch - 1) / 4 + 0.5 * (math.log10(p["lr_decay"]) + 0.06) ** 2
    return _CHANCE - 3.4 * max(0.0, gain - 0.05)


# Two thin bands that fail ------------------------------------------------------------------------------------------

BANDS = Space({f"x{i}": Float(-2.0, 2.0) for i in range(1, 6)})
_BANDS_TASK = "Minimise a deterministic function of 5 parameters. It cannot be computed everywhere."
_CENTRE = (0.55, -0.95, 1.3, -0.35, -1.2)


def bands(p: Values) -> float:
    """A tilted bowl with waves, its optimum in the wedge between a band that winds and one that is straight.

    Raises:
        EvaluationFailed: In one of the bands.
    """
    x = [p[name] for name in BANDS]
    if abs(x[1] + 0.3 - 0.8 * math.sin(1.9 * x[0])) < 0.2:  # winds through the plane of x1 and x2
        raise EvaluationFailed("the solver did not converge")
    if abs(x[0] + x[2] + 0.5 * x[4] - 0.75) < 0.25:
        raise EvaluationFailed("the solver did not converge")
    z = [a - c for a, c in zip(x, _CENTRE, strict=True)]
    tilted = 3 * (z[0] + 0.7 * z[1]) ** 2 + (z[1] - z[2]) ** 2 + 0.5 * (z[2] + z[3]) ** 2 + 0.8 * z[3] ** 2 + z[4] ** 2
    waves = 1.5 * (2 - math.cos(3 * z[0] - 2 * z[4]) - math.cos(2.5 * z[1] + z[3]))
    return tilted + waves - 4.0


_PROBLEMS: dict[str, tuple[Space, str, Callable[[Values], float]]] = {
    "heldout/lr-valley": (VALLEY, _VALLEY_TASK, valley),
    "heldout/lr-cliff": (CLIFF, _CLIFF_TASK, cliff),
    "heldout/lr-plateau": (PLATEAU, _PLATEAU_TASK, plateau),
    "heldout/bands": (BANDS, _BANDS_TASK, bands),
}
