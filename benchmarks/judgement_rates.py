"""To judge: learning rates and what goes with them, in small training loops that diverge where they really would."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.judgement_task import Task
from hybridbo.parameters import Array, Categorical, Float, Int, Params
from hybridbo.space import Space

# A network on spirals, stochastic descent with a schedule ----------------------------------------------------------

SPIRALS = Space({
    "lr": Float(1e-4, 10.0, log=True),
    "momentum": Float(0.0, 0.99),
    "weight_decay": Float(1e-7, 0.1, log=True),
    "batch_size": Categorical([8, 16, 32, 64, 128, 300], ordered=True),
    "hidden": Int(3, 64, log=True),
    "init_gain": Float(0.03, 10.0, log=True),
    "schedule": Categorical(["constant", "cosine", "steps"]),
    "warmup": Float(0.0, 0.3, when={"schedule": ["cosine"]}),
    "drops": Int(1, 4, when={"schedule": ["steps"]}),
    "drop_factor": Float(0.01, 0.9, log=True, when={"schedule": ["steps"]}),
})  # fmt: skip
_EPOCHS = 24


@cache
def _arms() -> tuple[Array, Any, Array, Any]:
    """Three spiral arms with blurred edges: training rows and validation rows, each with their kinds."""
    rng = np.random.default_rng(60_103)
    kind, way = rng.integers(0, 3, 700), np.sqrt(rng.random(700))
    angle = 2 * np.pi * kind / 3 + 4.2 * way + 0.25 * rng.normal(size=700)
    x = 2 * way[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return x[:300], kind[:300], x[300:], kind[300:]


def spirals(params: Params, seed: int) -> float:
    """Cross-entropy on validation rows after 24 epochs of descent with momentum."""
    p: dict[str, Any] = params
    x, y, x_valid, y_valid = _arms()
    rng, batch = np.random.default_rng(seed), int(p["batch_size"])
    sizes = [(2, p["hidden"]), (p["hidden"], 3)]
    weights = [p["init_gain"] * rng.normal(size=s) / math.sqrt(s[0]) for s in sizes] + [np.zeros(s[1]) for s in sizes]
    speed = [np.zeros_like(w) for w in weights]
    goal, steps = np.eye(3)[y], _EPOCHS * -(-len(x) // batch)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(_EPOCHS + 1)])
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        rate = p["lr"] * _rate(params, step / steps)
        gradients = _gradients(weights, x[rows], goal[rows])
        for i, w in enumerate(weights):
            speed[i] = p["momentum"] * speed[i] - rate * (gradients[i] + p["weight_decay"] * w)
            weights[i] = w + speed[i]
    return _cross_entropy(_logits(weights, x_valid)[1], y_valid)


def _rate(params: Params, done: float) -> float:
    """The factor on the rate after a share of the steps."""
    p: dict[str, Any] = params
    if p["schedule"] == "constant":
        return 1.0
    if p["schedule"] == "steps":
        return float(p["drop_factor"] ** int(done * (p["drops"] + 1)))
    rising = min(1.0, (done + 1e-3) / p["warmup"]) if p["warmup"] > 0 else 1.0
    return rising * 0.5 * (1 + math.cos(math.pi * done))


def _logits(weights: list[Array], x: Array) -> tuple[Array, Array]:
    hidden = np.tanh(x @ weights[0] + weights[2])
    return hidden, hidden @ weights[1] + weights[3]


def _gradients(weights: list[Array], x: Array, goal: Array) -> list[Array]:
    hidden, logits = _logits(weights, x)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    off = (share / share.sum(axis=1, keepdims=True) - goal) / len(x)
    back = (off @ weights[1].T) * (1 - hidden**2)
    return [x.T @ back, hidden.T @ off, back.sum(axis=0), off.sum(axis=0)]


def _cross_entropy(logits: Array, y: Array) -> float:
    logits = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]))


# A deep narrow network, Adam with all its constants ----------------------------------------------------------------

ADAM = Space({
    "lr": Float(1e-5, 0.1, log=True),
    "one_minus_beta1": Float(0.01, 1.0, log=True),
    "one_minus_beta2": Float(1e-4, 0.5, log=True),
    "epsilon": Float(1e-10, 0.1, log=True),
    "clip": Float(1e-3, 100.0, log=True),
    "init_gain": Float(0.1, 3.0, log=True),
    "weight_decay": Float(1e-4, 10.0, log=True),
})  # fmt: skip
_LAYERS, _WIDTH, _STEPS = 5, 14, 90


@cache
def _patients() -> tuple[Array, Array, Array, Array]:
    """Scikit-learn's diabetes, standardised: training and validation rows."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(23_909).permutation(len(x))
    x, y = (x / x.std(axis=0))[order], ((y - y.mean()) / y.std())[order]
    return x[:240], y[:240], x[240:], y[240:]


def adam(params: Params, seed: int) -> float:
    """Mean square error on validation rows after 90 steps over all training rows (Kingma and Ba 2015, algorithm 1)."""
    p: Mapping[str, Any] = params
    x, y, x_valid, y_valid = _patients()
    rng, sizes = np.random.default_rng(seed), [x.shape[1], *[_WIDTH] * _LAYERS, 1]
    weights = [p["init_gain"] * rng.normal(size=(n + 1, m)) / math.sqrt(n) for n, m in pairwise(sizes)]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    beta1, beta2 = 1 - p["one_minus_beta1"], 1 - p["one_minus_beta2"]
    for step in range(1, _STEPS + 1):
        slopes = _slopes(weights, x, y)
        shorter = min(1.0, p["clip"] / (math.sqrt(sum(float((g**2).sum()) for g in slopes)) + 1e-12))
        for i, slope in enumerate(slopes):
            g = shorter * slope
            first[i] = first[i] + (1 - beta1) * (g - first[i])
            second[i] = second[i] + (1 - beta2) * (g**2 - second[i])
            spread = np.sqrt(second[i] / (1 - beta2**step)) + p["epsilon"]
            kept = weights[i] - p["lr"] * p["weight_decay"] * weights[i]
            weights[i] = kept - p["lr"] * (first[i] / (1 - beta1**step)) / spread
    return float(np.mean((_layers(weights, x_valid)[-1][:, 0] - y_valid) ** 2))


def _layers(weights: list[Array], x: Array) -> list[Array]:
    """What comes out of each layer, the input first."""
    out = [x]
    for i, w in enumerate(weights):
        z = out[-1] @ w[:-1] + w[-1]
        out.append(z if i == len(weights) - 1 else np.maximum(z, 0.02 * z))
    return out


def _slopes(weights: list[Array], x: Array, y: Array) -> list[Array]:
    out = _layers(weights, x)
    off, slopes = 2 * (out[-1] - y[:, None]) / len(y), []
    for w, before in zip(reversed(weights), reversed(out[:-1]), strict=True):
        slopes.append(np.vstack([before.T @ off, off.sum(axis=0)]))
        off = (off @ w[:-1].T) * np.where(before > 0, 1.0, 0.02)
    return slopes[::-1]


# Ratings, validated on few rows: noisy ------------------------------------------------------------------------------

RATINGS = Space({
    "rank": Int(1, 24, log=True),
    "lr": Float(1e-3, 3.0, log=True),
    "lr_decay": Float(0.5, 1.0),
    "passes": Int(1, 30, log=True),
    "penalty": Float(1e-5, 1.0, log=True),
    "bias_penalty": Float(1e-5, 1.0, log=True),
    "init_sd": Float(1e-3, 2.0, log=True),
})  # fmt: skip
_USERS, _ITEMS, _VALIDATED, _CHUNK = 70, 60, 120, 50


@cache
def _table() -> tuple[Array, Array, Array]:
    """Users, items and ratings from 1 to 5: three tastes, habits, and noise."""
    rng = np.random.default_rng(38_557)
    taste, trait = rng.normal(size=(_USERS, 3)), rng.normal(size=(_ITEMS, 3))
    users, items = np.divmod(rng.permutation(_USERS * _ITEMS)[:1500], _ITEMS)
    rating = 3.3 + 0.5 * rng.normal(size=_USERS)[users] + 0.4 * rng.normal(size=_ITEMS)[items]
    rating += 0.45 * (taste[users] * trait[items]).sum(axis=1) + 0.4 * rng.normal(size=len(users))
    return users, items, np.clip(np.round(2 * rating) / 2, 1, 5)


def ratings(params: Params, seed: int) -> float:
    """Root mean square error of a factorisation on 120 ratings, which each configuration draws anew: noisy."""
    p: dict[str, Any] = params
    users, items, rating = _table()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rating))
    valid, train = order[:_VALIDATED], order[_VALIDATED:]
    mean = rating[train].mean()
    u, v = (p["init_sd"] * rng.normal(size=(n, p["rank"])) for n in (_USERS, _ITEMS))
    bu, bv, rate = np.zeros(_USERS), np.zeros(_ITEMS), p["lr"]
    for _ in range(p["passes"]):
        for rows in np.array_split(rng.permutation(train), len(train) // _CHUNK):
            i, j = users[rows], items[rows]
            off = rating[rows] - mean - bu[i] - bv[j] - (u[i] * v[j]).sum(axis=1)
            du, dv = off[:, None] * v[j] - p["penalty"] * u[i], off[:, None] * u[i] - p["penalty"] * v[j]
            np.add.at(u, i, rate * du)
            np.add.at(v, j, rate * dv)
            np.add.at(bu, i, rate * (off - p["bias_penalty"] * bu[i]))
            np.add.at(bv, j, rate * (off - p["bias_penalty"] * bv[j]))
        rate *= p["lr_decay"]
    i, j = users[valid], items[valid]
    return float(np.sqrt(np.mean((mean + bu[i] + bv[j] + (u[i] * v[j]).sum(axis=1) - rating[valid]) ** 2)))


TASKS = {
    "judgement/spirals": Task(SPIRALS, (
        "Tune stochastic gradient descent with momentum for a network with one hidden tanh layer on a generated table: "
        "300 rows, 2 features, 3 classes, 24 epochs. Metric: cross-entropy on 400 validation rows, minimise."
    ), "minimize", spirals),
    "judgement/adam": Task(ADAM, (
        "Tune Adam with decoupled weight decay for a network of 5 hidden layers of 14 units, 90 steps over all rows, "
        "on scikit-learn's diabetes data: 240 rows, 10 features, everything standardised. Metric: mean square error on "
        "202 validation rows, minimise."
    ), "minimize", adam),
    "judgement/ratings": Task(RATINGS, (
        "Tune a matrix factorisation with biases, by stochastic gradient descent, on 1,500 ratings from 1 to 5 of 70 "
        "users and 60 items. Metric: root mean square error on 120 ratings, drawn anew in each run and hence noisy, "
        "minimise."
    ), "minimize", ratings),
}  # fmt: skip
