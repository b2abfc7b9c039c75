"""Optuna's distributions as hybridbo's parameters and back, value by value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hybridbo import space_checks
from hybridbo.errors import InvalidSpace
from hybridbo.parameters import Categorical, Choice, Condition, Float, Int, Parameter, plain, same_choice
from hybridbo.space import Space
from hybridbo.values import is_number, shown

_SCALE = 3  # numbers in order are a scale from that many on: 16, 32, 64, but not 0, 1

Columns: TypeAlias = "dict[str, Column]"


@dataclass(frozen=True)
class Column:
    """One parameter as both sides know it.

    Attributes:
        distribution: Optuna's.
        parameter: hybridbo's. Choices that JSON does not know (tuples, NaN, equal ones) are named by a text.
    """

    distribution: BaseDistribution
    parameter: Parameter

    def inside(self, value: Any) -> tuple[Choice] | None:
        """What hybridbo calls one of Optuna's values, in a tuple, since it may be None; None if it is not allowed."""
        if isinstance(self.distribution, CategoricalDistribution):
            index = index_of(self.distribution.choices, value)
            return None if index is None else (self._choices[index],)
        return (self.parameter.declared(value),) if self.parameter.problem_of(value) is None else None

    def outside(self, value: Choice) -> Any:
        """Optuna's value of one of hybridbo's."""
        if isinstance(self.distribution, CategoricalDistribution):
            return self.distribution.choices[next(i for i, c in enumerate(self._choices) if same_choice(c, value))]
        return value

    @property
    def _choices(self) -> Sequence[Choice]:
        assert isinstance(self.parameter, Categorical)  # noqa: S101  # for mypy: a column is made of one kind
        return self.parameter.choices


def column_of(name: str, distribution: BaseDistribution) -> Column | None:
    """The column of a distribution; None if there is nothing to search, or nothing that hybridbo could search."""
    if distribution.single():
        return None
    column = Column(distribution, _parameter_of(distribution))
    return None if space_checks.problems({name: column.parameter}) else column


def given_columns(search_space: Any) -> Columns:
    """The columns of ``search_space=``: a Space, or a dict of Optuna's distributions or hybridbo's parameters.

    Distributions with a single value are left out: Optuna fills them in itself.

    Raises:
        InvalidSpace: None of these, or a parameter that cannot be searched.
    """
    if not isinstance(search_space, Mapping) or not search_space:
        what = f"search_space={shown(search_space)} is no search space."
        raise InvalidSpace(what, "Give a Space, or a dict of Optuna's distributions by name.")
    parameters: dict[str, Parameter] = {}
    for name, given in search_space.items():
        if isinstance(given, BaseDistribution):
            if not given.single():
                parameters[name] = _parameter_of(given)
        elif isinstance(given, (Float, Int, Categorical)):
            parameters[name] = given
        else:
            what = f"search_space: {shown(name)} is {shown(given)}."
            raise InvalidSpace(what, "Give one of Optuna's distributions, or a Float, Int or Categorical.")
    if parameters:
        Space(parameters)  # checked before Optuna sees it, which would tell of one problem at a time
    return {name: Column(_own(search_space[name]), parameter) for name, parameter in parameters.items()}


def _own(given: BaseDistribution | Parameter) -> BaseDistribution:
    return given if isinstance(given, BaseDistribution) else distribution_of(given)


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Optuna's distribution of a parameter.

    Optuna has no grid on a logarithmic scale, no order of choices, no default and no condition: these are lost.
    """
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Int):
        step = 1 if parameter.log else int(parameter.step)
        return IntDistribution(int(parameter.low), int(parameter.top), log=parameter.log, step=step)
    grid = None if parameter.log else parameter.step
    return FloatDistribution(float(parameter.low), float(parameter.top), log=parameter.log, step=grid)


def space_of(columns: Mapping[str, Column], conditions: Mapping[str, Condition] | None = None) -> Space:
    """The space of columns, in their order, with conditions in addition to their own.

    Raises:
        InvalidSpace: A parameter that cannot be searched, or conditions that never hold together.
    """
    found = conditions or {}
    return Space(
        {
            name: replace(column.parameter, when=found[name]) if name in found else column.parameter
            for name, column in columns.items()
        }
    )


def inside(columns: Mapping[str, Column], params: Mapping[str, Any]) -> dict[str, Choice]:
    """hybridbo's values of Optuna's parameters; without those that are unknown, or outside their column."""
    pairs = ((name, columns[name].inside(value)) for name, value in params.items() if name in columns)
    return {name: found[0] for name, found in pairs if found is not None}


def outside(columns: Mapping[str, Column], params: Mapping[str, Choice]) -> dict[str, Any]:
    """Optuna's values of hybridbo's parameters."""
    return {name: columns[name].outside(value) for name, value in params.items() if name in columns}


def is_compatible(old: BaseDistribution, new: BaseDistribution) -> bool:
    """Whether Optuna lets a parameter change from one to the other: another range only, or another step."""
    if type(old) is not type(new):
        return False
    if isinstance(old, CategoricalDistribution):
        return old == new
    return bool(getattr(old, "log", False) == getattr(new, "log", False))


def index_of(choices: Sequence[Any], value: Any) -> int | None:
    """Where a value stands among choices: the same type first, so that True is not taken for 1; NaN is NaN."""
    for alike in (_is_same, _is_equal):
        for index, choice in enumerate(choices):
            if alike(choice, value):
                return index
    return None


def _is_same(choice: Any, value: Any) -> bool:
    return type(choice) is type(value) and _is_equal(choice, value)


def _is_equal(choice: Any, value: Any) -> bool:
    if isinstance(choice, float) and isinstance(value, float) and math.isnan(choice):
        return math.isnan(value)
    try:
        return bool(choice == value)
    except Exception:  # noqa: BLE001  # an array compares element by element
        return choice is value


def _parameter_of(distribution: BaseDistribution) -> Parameter:
    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, IntDistribution):
        return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(_labels(distribution.choices), ordered=_is_scale(distribution.choices))
    raise InvalidSpace(f"{distribution!r} is none of Optuna's three distributions.", "Suggest a float, int or choice.")


def _labels(choices: Sequence[Any]) -> list[Choice]:
    """The choices themselves where hybridbo can hold them, else a text for each."""
    if not Categorical(choices).problems():
        return [plain(choice) for choice in choices]
    texts: list[Choice] = []
    for choice in choices:
        text = "".join(c for c in repr(choice) if c.isprintable()) or type(choice).__name__
        texts.append(_unused(text, texts))
    return texts


def _unused(text: str, taken: Iterable[Choice]) -> str:
    names, number = set(taken), 2
    if text not in names:
        return text
    while f"{text} ({number})" in names:
        number += 1
    return f"{text} ({number})"


def _is_scale(choices: Sequence[Any]) -> bool:
    """Whether the choices are numbers in order, such as batch sizes."""
    if len(choices) < _SCALE or not all(is_number(choice) for choice in choices):
        return False
    steps = [b - a for a, b in itertools.pairwise(choices)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
