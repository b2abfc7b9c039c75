"""Families of training logs whose truth is known: shapes by formula, noise of several kinds, any scale and length."""

import numpy as np

NOISES = ("white", "lasting", "outliers")


def noise(rng, n, sd, kind):
    """White; lasting over several points (autoregressive, 0.7); or white with an outlier of ten sd in fifty points."""
    e = rng.normal(0, sd, n)
    if kind == "lasting":
        for i in range(1, n):
            e[i] = 0.7 * e[i - 1] + np.sqrt(1 - 0.49) * e[i]
    if kind == "outliers":
        e += np.where(rng.random(n) < 0.02, 10 * sd * np.sign(rng.normal(size=n)), 0)
    return e


def decay(t, constants):
    """An exponential approach from 1 to 0 that has come past so many time constants at the end."""
    return np.exp(-constants * t)


def shapes(rng, t, family):
    """Training and validation curve of a family, each on a scale of 1, and what has to be and may be found."""
    floor = rng.uniform(0.02, 0.4)
    good = floor + (1 - floor) * decay(t, rng.uniform(7, 12))
    gained, turn = 1 - floor, rng.uniform(0.25, 0.55)
    late = np.clip(t - turn, 0, None) / (1 - turn)
    return {
        "good fit": lambda: (good, good + rng.uniform(0, 0.1) * gained, set(), {"plateau"}),
        "overfitting": lambda: (
            floor * (1 - 0.8 * t) + gained * decay(t, 6),
            good + rng.uniform(0.2, 1.0) * gained * late ** rng.uniform(1, 2),
            {"overfitting"},
            set(),
        ),
        "gap": lambda: (
            0.55 * (1 - t) + 0.45 * decay(t, 9),
            0.7 + 0.3 * decay(t, 9),
            {"overfitting"},
            {"under-training"},
        ),
        "underfitting": lambda: (
            *[1 - rng.uniform(0.0, 0.06) * (1 - decay(t, 9)) + extra for extra in (0, 0.01)],
            {"underfitting"},
            {"plateau"},
        ),
        "under-training": lambda: (
            *[0.1 + 0.9 * decay(t, rng.uniform(0.5, 2)) + extra for extra in (0, 0.02)],
            {"under-training"},
            set(),
        ),
        "divergence": lambda: (
            good + rng.uniform(0.6, 5) * gained * late,
            good + rng.uniform(0.6, 5) * gained * late,
            {"divergence"},
            set(),
        ),
        "plateau": lambda: (good, good + 0.05 * gained, {"plateau"}, set()),
    }[family]()


FAMILIES = ("good fit", "overfitting", "gap", "underfitting", "under-training", "divergence", "plateau")


def a_log(rng, family, *, n=None, sd=None, kind="white", with_val=True, scale=None):
    """A log of a family, what has to be found in it, and what may be.

    The noise of a point has a standard deviation of ``sd`` times the gain of the curve; of noise itself, half of it.
    """
    n = int(rng.choice([12, 30, 100, 500])) if n is None else n
    sd = rng.choice([0.0, 0.005, 0.02]) if sd is None else sd
    scale = 10 ** rng.uniform(-4, 4) if scale is None else scale
    t = np.arange(n) / (n - 1)
    if family == "noise":
        train, val, must, may = shapes(rng, t, "good fit")
        must, may, sd = {"noise"}, {"plateau"}, rng.uniform(0.6, 1.5)
    else:
        train, val, must, may = shapes(rng, t, family)
    gain = 0.05 if family == "underfitting" else np.ptp(train)
    curves = {"train_loss": train, "val_loss": val} if with_val else {"loss": train}
    log = {name: scale * (curve + noise(rng, n, sd * gain, kind)) for name, curve in curves.items()}
    return {name: list(zip(range(n), values.tolist(), strict=True)) for name, values in log.items()}, must, may
