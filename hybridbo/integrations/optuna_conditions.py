"""Which parameter is active under which choice, learned from the trials of a define-by-run study.

An objective that suggests ``momentum`` only after ``optimizer`` was ``"sgd"`` tells nobody why. What the trials show is
taken for a condition where it is safe: the parent was always suggested before, and none of its values is seen both
with the parameter and without it. A wrong guess costs little: what a proposal lacks, Optuna samples independently, and
the trial that does so mends the guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridbo.parameters import Categorical, Choice, Condition, Parameter, same_choice

_MOST_VALUES = 64  # of a parent: with more, every trial has a value of its own, which tells nothing

Row = Mapping[str, Choice]


def infer(rows: Sequence[Row], parameters: Mapping[str, Parameter]) -> tuple[dict[str, Condition], list[str]]:
    """Conditions that explain why some parameters are missing from some trials.

    Args:
        rows: The parameters of finished trials, each in the order in which they were suggested.
        parameters: What each may be.

    Returns:
        A condition for each parameter that has one, and the names of those whose absence nothing explains.
    """
    conditions: dict[str, Condition] = {}
    loose: list[str] = []
    for name in parameters:
        if all(name in row for row in rows):
            continue
        found = _condition(name, rows, parameters)
        if found is None:
            loose.append(name)
        else:
            conditions[name] = found
    return conditions, loose


def _condition(name: str, rows: Sequence[Row], parameters: Mapping[str, Parameter]) -> Condition | None:
    """The condition on the parent with the fewest values, the nearest before it of equals; None if there is none."""
    best: tuple[tuple[float, int], Condition] | None = None
    for parent, distance in _always_before(name, rows).items():
        parameter = parameters.get(parent)
        if parameter is None or parameter.n_values > _MOST_VALUES:
            continue
        values = _separating(name, parent, rows, parameter)
        rank = (parameter.n_values, distance)
        if values and (best is None or rank < best[0]):
            best = rank, {parent: values}
    return best[1] if best else None


def _always_before(name: str, rows: Sequence[Row]) -> dict[str, int]:
    """What every trial with the parameter has suggested before it, and how far before in the last of them."""
    before: dict[str, int] | None = None
    for row in rows:
        if name in row:
            names = list(row)
            place = names.index(name)
            here = {other: place - i for i, other in enumerate(names[:place])}
            before = here if before is None else {other: here[other] for other in before if other in here}
    return before or {}


def _separating(name: str, parent: str, rows: Sequence[Row], parameter: Parameter) -> list[Choice]:
    """The parent's values that go with the parameter; empty where they do not tell with from without."""
    present = {_index(parameter, row[parent]) for row in rows if name in row}
    absent = {_index(parameter, row[parent]) for row in rows if name not in row and parent in row}
    if not present or not absent or present & absent:
        return []
    n = int(parameter.n_values)
    if not isinstance(parameter, Categorical):  # the second layer's width is there from two layers on
        if max(absent) < min(present):
            present = set(range(min(present), n))
        elif max(present) < min(absent):
            present = set(range(max(present) + 1))
    return [_value(parameter, index) for index in sorted(present)]


def _index(parameter: Parameter, value: Choice) -> int:
    """The number of a value among those of its parameter."""
    if isinstance(parameter, Categorical):
        return next(i for i, choice in enumerate(parameter.choices) if same_choice(choice, value))
    return round((float(value) - parameter.low) / (parameter.step or 1))  # type: ignore[arg-type]  # a number


def _value(parameter: Parameter, index: int) -> Choice:
    return parameter.choices[index] if isinstance(parameter, Categorical) else parameter.grid_value(index)
