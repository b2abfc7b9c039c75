"""KerasTuner's hyperparameters as a Space, and values both ways.

A hyperparameter of KerasTuner is known by its name and its conditions: one name may be declared several times, under
different conditions and with different ranges. Each becomes a parameter of its own; the second of a name is called
after its innermost condition (``model=cnn/units``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.engine.hyperparameters import HyperParameter

from hybridbo import space_checks
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter, Params, is_number
from hybridbo.space import Space

_MOST_STEPS = 1000  # of a multiplicative grid that is listed; a finer one is as good as none
_FEWEST_ORDERED = 3
_ROUNDING = 1e-8


@dataclass(frozen=True)
class Entry:
    """One hyperparameter as both sides know it.

    Attributes:
        hp: KerasTuner's.
        key: Its name in the Space.
        parameter: hybridbo's, with its conditions; None for one that has a single value.
    """

    hp: HyperParameter
    key: str
    parameter: Parameter | None


@dataclass(frozen=True)
class KerasSpace:
    """What is searched of the hyperparameters that are known so far.

    Attributes:
        hps: KerasTuner's, parents before their children.
        entries: Those that can become active.
        space: What is searched; None if there is nothing.
    """

    hps: Sequence[HyperParameter]
    entries: Sequence[Entry]
    space: Space | None

    @classmethod
    def of(cls, hps: Sequence[HyperParameter]) -> Self:
        """The space of ``HyperParameters.space``."""
        entries: list[Entry] = []
        for hp in hps:
            when = _condition(hp, entries)
            if when is not None:
                parameter = _parameter(hp)
                key = _key(hp, {entry.key for entry in entries})
                entries.append(Entry(hp, key, parameter and replace(parameter, when=when or None)))
        searched = {entry.key: entry.parameter for entry in entries if entry.parameter is not None}
        return cls(list(hps), entries, Space(searched) if searched else None)

    def to_values(self, params: Params) -> dict[str, Any]:
        """The values of every active hyperparameter, by KerasTuner's names."""
        keys = {id(entry.hp): entry.key for entry in self.entries}
        out = HyperParameters()
        for hp in self.hps:
            out.merge([hp])  # gives an active one its default
            key = keys.get(id(hp))
            if key in params:
                out.values[hp.name] = params[key]
        return dict(out.values)

    def to_params(self, values: Mapping[str, Any]) -> Params:
        """The configuration that the values of a trial are.

        What it was run without, because it was declared later, has KerasTuner's default.

        Raises:
            InvalidParams: A value is not one of the choices.
        """
        assert self.space is not None  # noqa: S101  # for mypy: whoever has params has a space
        given = {
            entry.key: _fitted(entry.parameter, values.get(entry.hp.name, entry.hp.default))
            for entry in self.entries
            if entry.parameter is not None and all(condition.is_active(values) for condition in entry.hp.conditions)
        }
        defaults = {
            entry.key: _fitted(entry.parameter, entry.hp.default)
            for entry in self.entries
            if entry.parameter is not None
        }
        return self.space.complete(given, defaults)


def differences(old: Sequence[HyperParameter], new: Sequence[HyperParameter]) -> list[str]:
    """The hyperparameters that both declare, and not alike: one sentence for each."""
    rows = []
    for mine in new:
        for theirs in old:
            same = mine.name == theirs.name and mine.conditions == theirs.conditions
            if same and mine.get_config() != theirs.get_config():
                rows.append(f"hyperparameter {mine.name!r} was {theirs!r}, now {mine!r}")
    return rows


def _key(hp: HyperParameter, taken: set[str]) -> str:
    key, number = str(hp.name), 2
    if key in taken and hp.conditions:
        last = hp.conditions[-1]
        key = f"{last.name}={','.join(map(str, last.values))}/{hp.name}"
    while key in taken:
        key, number = f"{number}/{hp.name}", number + 1
    return key


# Conditions -------------------------------------------------------------------------------------------------------


def _condition(hp: HyperParameter, entries: Sequence[Entry]) -> dict[str, tuple[Choice, ...]] | None:
    """The condition of a hyperparameter; None if it can never hold."""
    when: dict[str, tuple[Choice, ...]] = {}
    for condition in hp.conditions:
        parent = _parent(condition.name, hp, entries)
        if parent is None:
            return None
        if parent.parameter is None:
            if parent.hp.default not in condition.values:
                return None
            continue
        allowed = _allowed(parent.parameter, condition.values)
        allowed = tuple(value for value in allowed if value in when.get(parent.key, allowed))
        if not allowed:
            return None
        when[parent.key] = allowed
    return when


def _parent(name: str, child: HyperParameter, entries: Sequence[Entry]) -> Entry | None:
    """The hyperparameter that a condition means: of several with that name, the one declared in the nearest scope."""
    named = [entry for entry in entries if entry.hp.name == name]
    around = [entry for entry in named if all(condition in child.conditions for condition in entry.hp.conditions)]
    return max(around or named, key=lambda entry: len(entry.hp.conditions), default=None)


def _allowed(parent: Parameter, values: Sequence[Choice]) -> tuple[Choice, ...]:
    """The parent's own values among those of a condition, compared as KerasTuner does: True is 1 there."""
    if isinstance(parent, Categorical):
        return tuple(choice for choice in parent.choices if choice in values)
    if parent.step is None:
        return ()  # a continuous parameter hits no single value
    return tuple(parent.round(value) for value in values if parent.problem_of(value) is None)


# One hyperparameter -----------------------------------------------------------------------------------------------


def _parameter(hp: HyperParameter) -> Parameter | None:
    """The parameter; None where there is a single value."""
    if isinstance(hp, kinds.Boolean):
        return Categorical([False, True], default=hp.default)
    if isinstance(hp, kinds.Choice):
        return _categorical(hp.values, hp.default, ordered=hp.ordered)
    if isinstance(hp, (kinds.Int, kinds.Float)):
        parameter = _numeric(hp)
        # KerasTuner allows ranges that no float can tell apart
        return None if parameter is None or space_checks.problems({hp.name: parameter}) else parameter
    return None


def _categorical(values: Sequence[Choice], default: Choice, *, ordered: bool) -> Categorical | None:
    choices = list(dict.fromkeys(values))
    if len(choices) == 1:
        return None
    ordered = ordered and len(choices) >= _FEWEST_ORDERED and choices in (sorted(choices), sorted(choices)[::-1])  # type: ignore[type-var]  # KerasTuner orders numbers only
    # the first is also what KerasTuner takes for a default that was not given
    return Categorical(choices, ordered=ordered, default=None if default == choices[0] else default)


def _numeric(hp: Any) -> Parameter | None:
    """A number: its grid if KerasTuner multiplies from step to step, else its range.

    A range that is finest near its upper end (``sampling="reverse_log"``) is searched on a linear scale.
    """
    if hp.min_value == hp.max_value:
        return None
    if hp.step is not None and hp.sampling != "linear":
        n = int(math.log(hp.max_value / hp.min_value, hp.step) + _ROUNDING) + 1
        if n <= _MOST_STEPS:
            grid = sorted({hp.prob_to_value((i + 0.5) / n) for i in range(n)})
            return _categorical(grid, _near(grid, hp.default), ordered=True)
    log = hp.sampling == "log"
    linear_step = hp.step if hp.sampling == "linear" else None
    if linear_step is not None and linear_step > hp.max_value - hp.min_value:
        return None
    made: Float | Int
    if isinstance(hp, kinds.Int):
        made = Int(hp.min_value, hp.max_value, log=log, step=linear_step or 1)
    else:
        made = Float(hp.min_value, hp.max_value, log=log, step=linear_step)
    # the minimum is also what KerasTuner takes for a default that was not given
    is_given = hp.default != hp.min_value and made.problem_of(hp.default) is None
    return replace(made, default=hp.default) if is_given else made


def _near(grid: Sequence[float], value: float) -> float:
    return min(grid, key=lambda x: abs(x - value))


def _fitted(parameter: Parameter, value: Any) -> Choice:
    """The nearest allowed value to one that KerasTuner used; a value that cannot be moved stays as it is."""
    if isinstance(parameter, Categorical):
        if parameter.numbers and is_number(value):
            return _near(parameter.numbers, value)
        return next((choice for choice in parameter.choices if choice == value), value)
    if not is_number(value):
        return value  # type: ignore[no-any-return]  # refused by the space
    return parameter.round(min(max(value, parameter.low), parameter.top))
