"""A conditional space, as hybridbo and as Optuna declare it, and its objective."""

import math

from hybridbo import Categorical, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "width": Int(16, 256, log=True),
        "optimizer": Categorical(["adam", "sgd"]),
        "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
        "dropout": Float(0.0, 0.6, step=0.1),
    }
)
ADVICE = """{"configs": [{"lr": 0.003, "width": 64, "optimizer": "adam", "dropout": 0.1},
{"lr": 0.02, "width": 128, "optimizer": "sgd", "momentum": 0.9, "dropout": 0.0}],
"beliefs": {"lr": {"center": 0.003, "low": 0.001, "high": 0.01}}, "rationale": "Small networks like Adam."}"""


def loss(params):
    """Smallest, 0, for adam near lr=1e-3 with dropout 0."""
    off = (math.log10(params["lr"]) + 3) ** 2 + params["width"] / 256 + params["dropout"]
    return off + (0.3 - params["momentum"]) ** 2 if "momentum" in params else off + 0.1


def suggest(trial):
    """The same space, define-by-run."""
    params = {
        "lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True),
        "width": trial.suggest_int("width", 16, 256, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd"]),
    }
    if params["optimizer"] == "sgd":
        params["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    params["dropout"] = trial.suggest_float("dropout", 0.0, 0.6, step=0.1)
    return params


def objective(trial):
    """What ``study.optimize`` is given."""
    return loss(suggest(trial))
