"""The space of a scikit-learn search: hybridbo's parameters, or the lists and distributions of RandomizedSearchCV.

A list or a distribution is taken where it has an exact counterpart:

=============================  =========================================================
list of numbers                ``Int`` where it is evenly spaced, else an ordered ``Categorical``
list of other values           ``Categorical``; tuples, estimators and functions go by a name of their own
list of one value              a constant
``scipy.stats.uniform``        ``Float``
``scipy.stats.loguniform``     ``Float(..., log=True)``
``scipy.stats.randint``        ``Int``
=============================  =========================================================

No other distribution is taken: a normal one has no ends, and its shape is a belief rather than a range.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hybridbo.errors import InvalidSpace
from hybridbo.parameters import Categorical, Float, Int, Parameter, Params, is_number, plain, same_choice
from hybridbo.space import Space
from hybridbo.values import shown

_LONGEST_LABEL = 80
_REMEDY = 'Give, for example, {"C": Float(1e-3, 1e3, log=True), "kernel": ["linear", "rbf"]}.'


class EstimatorSpace:
    """A Space, and the way from its configurations to an estimator's parameters.

    Args:
        given: A Space, or a dict from parameter names to hybridbo's parameters, lists or SciPy distributions.

    Raises:
        InvalidSpace: Naming every parameter that cannot be searched, and the remedy.
    """

    def __init__(self, given: Any) -> None:
        if isinstance(given, (list, tuple)):
            raise InvalidSpace(
                "the space is a list.", "Join its dicts into one; when={...} tells which belong together."
            )
        if not isinstance(given, Mapping):
            raise InvalidSpace(f"space={shown(given)} is no dict of parameters.", _REMEDY)
        self._labels: dict[str, dict[str, Any]] = {}
        self._constants: dict[str, Any] = {}
        if isinstance(given, Space):
            self.space = given
            return
        parameters, problems = {}, []
        for name, value in given.items():
            try:
                parameter = self._parameter(name, value)
            except InvalidSpace as error:
                problems.append(error.message)
                continue
            if parameter is not None:
                parameters[name] = parameter
        if problems:
            raise InvalidSpace("; ".join(problems) + ".", _REMEDY)
        if given and not parameters:
            raise InvalidSpace("every parameter of the space has a single value.", "Set them on the estimator itself.")
        self.space = Space(parameters)

    def decode(self, params: Params) -> dict[str, Any]:
        """The estimator's parameters of a configuration: the active ones and the constants, labels resolved."""
        named = {name: self._labels[name][str(v)] if name in self._labels else v for name, v in params.items()}
        return named | self._constants

    def check(self, estimator: Any) -> None:
        """Refuse parameters that the estimator does not have.

        Raises:
            InvalidSpace: Naming them, and the names that come near.
        """
        known = list(estimator.get_params(deep=True))
        names = [*self.space, *self._constants]
        strange = [name for name in names if name not in known and not _is_inside(name, names)]
        if strange:
            near = sorted({match for name in strange for match in difflib.get_close_matches(name, known, n=3)})
            raise InvalidSpace(
                f"{type(estimator).__name__} has no parameter {', '.join(map(repr, strange))}.",
                f"{'Perhaps ' + ', '.join(map(repr, near)) + '. ' if near else ''}See estimator.get_params().",
            )

    def _parameter(self, name: str, value: Any) -> Parameter | None:
        """One parameter; None for a constant, which is kept apart."""
        if isinstance(value, (Float, Int, Categorical)):
            return value
        if hasattr(value, "rvs"):
            return _of_distribution(name, value)
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise InvalidSpace(f"{name!r}: {shown(value)} is neither a list, a distribution nor a parameter")
        choices = _different(value)
        if not choices:
            raise InvalidSpace(f"{name!r}: the list is empty")
        if len(choices) == 1:
            self._constants[name] = choices[0]
            return None
        if not all(_is_scalar(choice) for choice in choices):
            self._labels[name] = _labelled(choices)
            return Categorical(list(self._labels[name]))
        return _of_scalars(choices)


def _of_scalars(choices: list[Any]) -> Parameter:
    """Choices that a store can hold."""
    if not all(is_number(choice) for choice in choices):
        return Categorical(choices)
    numbers = sorted(choices)
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(numbers) > 2 and len(steps) == 1 and all(isinstance(number, int) for number in numbers):
        return Int(numbers[0], numbers[-1], step=steps.pop())
    return Categorical(numbers, ordered=True)


def _of_distribution(name: str, frozen: Any) -> Parameter:
    """The counterpart of a frozen SciPy distribution.

    Raises:
        InvalidSpace: It has none.
    """
    family = getattr(getattr(frozen, "dist", None), "name", type(frozen).__name__)
    if family in {"uniform", "randint", "loguniform", "reciprocal"}:
        low, high = (plain(end) for end in frozen.support())
        if family == "randint":
            return Int(int(low), int(high))  # the support ends with the last value drawn
        if family == "uniform":
            return Float(float(low), float(high))
        _, loc, _ = frozen.dist._parse_args(*frozen.args, **frozen.kwds)  # noqa: SLF001  # there is no public way
        if loc == 0:
            return Float(float(low), float(high), log=True)
        family = "loguniform with loc"
    raise InvalidSpace(f"{name!r}: the distribution {family} has no exact counterpart; give Float or Int with a range")


def _different(values: Iterable[Any]) -> list[Any]:
    """The values without repetition, NumPy's scalars as Python's."""
    out: list[Any] = []
    for given in values:
        value = given.item() if isinstance(given, np.generic) else given
        if not any(value is other or (_is_scalar(value) and same_choice(other, value)) for other in out):
            out.append(value)
    return out


def _is_scalar(value: Any) -> bool:
    """Whether a store can hold it."""
    return value is None or isinstance(value, (str, bool)) or (is_number(value) and math.isfinite(value))


def _labelled(choices: list[Any]) -> dict[str, Any]:
    """A name for each choice: the same in every process, so that a study is found again."""
    out: dict[str, Any] = {}
    for i, choice in enumerate(choices):
        label = " ".join(str(getattr(choice, "__qualname__", None) or _text(choice)).split())
        if len(label) > _LONGEST_LABEL or " at 0x" in label or label in out:
            label = f"{label.split(' at 0x')[0][: _LONGEST_LABEL // 2]} #{i}"
        out[label] = choice
    return out


def _text(choice: Any) -> str:
    return choice if isinstance(choice, str) else repr(choice)


def _is_inside(name: str, names: list[str]) -> bool:
    """Whether the space itself chooses the estimator that this parameter belongs to."""
    parts = name.split("__")
    return any("__".join(parts[:i]) in names for i in range(1, len(parts)))
