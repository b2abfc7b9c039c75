"""The five fresh tasks: real training with scikit-learn on generated data and the 8x8 digits, cached on disk.

Each is defined in ``data/fresh_tasks.json``; no published result exists that a language model could remember.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.cache import evaluation
from benchmarks.problem import DATA, EvaluationFailed, Problem, known_range
from hybridbo.demo.digits import pipeline
from hybridbo.parameters import Params
from hybridbo.space import Space

Spec = Mapping[str, Any]


@cache
def specs() -> dict[str, dict[str, Any]]:
    """The definitions, by name."""
    return dict(json.loads((DATA / "fresh_tasks.json").read_text()))


def all_fresh() -> dict[str, Callable[[], Problem]]:
    """Makers of all fresh problems, by name."""
    return {f"fresh/{name}": partial(fresh, name) for name in specs()}


def fresh(task: str) -> Problem:
    """The problem of that name.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    import sklearn

    spec, name = specs()[task], f"fresh/{task}"
    version = f"scikit-learn {sklearn.__version__} {hashlib.sha256(json.dumps(spec).encode()).hexdigest()[:12]}"

    def function(params: Params) -> float:
        return evaluation(name, version, params, lambda: score(task, params))

    best, worst = known_range(name, spec["direction"])
    return Problem(
        name, space_of(spec), spec["direction"], spec["task"], function, best, worst, recording=name, trains=True
    )  # fmt: skip


def space_of(spec: Spec) -> Space:
    """The space of a definition, without the remarks that hybridbo does not know."""
    return Space.from_json(
        {name: {key: value for key, value in part.items() if key != "maps_to"} for name, part in spec["space"].items()}
    )


def score(task: str, params: Params) -> float:
    """Train and score a configuration.

    Raises:
        EvaluationFailed: An exception of the fit, or a score that is not finite.
    """
    from sklearn.model_selection import cross_val_score

    spec = specs()[task]
    x, y = _data(task)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), _one_thread():
            warnings.simplefilter("ignore")
            model = _model(task, spec, params)
            scores = cross_val_score(model, x, y, cv=_folds(spec["cv"]), scoring=spec["scoring"], error_score="raise")
    except Exception as error:
        raise EvaluationFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
    value = float(np.mean(scores))
    if not np.isfinite(value):
        raise EvaluationFailed(f"the score is {value}")
    return -value if spec["direction"] == "minimize" else value  # scikit-learn negates losses


@cache
def _data(task: str) -> tuple[Any, Any]:
    data = specs()[task]["data"]
    maker = _by_name(data["maker"])
    x, y = maker(return_X_y=True) if data["maker"].endswith("load_digits") else maker(**data["kwargs"])
    return x, (y - y.mean()) / y.std() if specs()[task].get("scale_target") else y


def _model(task: str, spec: Spec, params: Params) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task == "pipe_digits":
        return pipeline(params)
    given = dict(params)
    if task == "mlp_friedman":
        given["hidden_layer_sizes"] = (given.pop("width"),) * int(given.pop("n_layers"))  # type: ignore[arg-type]
    model = _by_name(spec["model"]["cls"])(**spec["model"]["fixed"], **given)
    return make_pipeline(StandardScaler(), model) if spec.get("scale") else model


def _folds(text: str) -> Any:
    """The splitter of, for example, ``KFold(3, shuffle=True, random_state=0)``."""
    name, _, rest = text.partition("(")
    return _by_name(f"sklearn.model_selection.{name}")(int(rest.split(",")[0]), shuffle=True, random_state=0)


def _by_name(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _one_thread() -> Any:
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
