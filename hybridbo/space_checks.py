"""What can be wrong with a space: one sentence for each problem, naming the parameter and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter, same_choice
from hybridbo.values import shown

_MOST_CONDITIONED = 1_000_000  # values of a parent


def problems(parameters: Mapping[str, Parameter]) -> list[str]:
    """Every problem of a space; empty when it can be searched."""
    rows: list[str] = []
    for name, parameter in parameters.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            rows.append(f"parameter {shown(name)}: a name is a non-empty text of printable characters")
        elif not isinstance(parameter, (Float, Int, Categorical)):
            rows.append(f"parameter {name!r}: {shown(parameter)} is neither Float, Int nor Categorical")
        else:
            rows += [f"parameter {name!r}: {problem}" for problem in parameter.problems()]
    if rows:
        return rows  # conditions cannot be judged on broken parents
    for name, parameter in parameters.items():
        rows += [f"parameter {name!r}: {problem}" for problem in _condition_problems(parameters, parameter.when)]
    return rows or _circles(parameters) or _contradictions(parameters)


def parents_first(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Names with every parent before its children, else as declared; those in or behind a circle are left out."""
    done: dict[str, None] = {}
    while True:
        ready = [n for n, p in parameters.items() if n not in done and all(q in done for q in p.when or {})]
        if not ready:
            return tuple(done)
        done.update(dict.fromkeys(ready))


def _condition_problems(parameters: Mapping[str, Parameter], when: Any) -> list[str]:
    if when is None:
        return []
    if not isinstance(when, Mapping):
        return [f"when={shown(when)} is not a dict of parent: [values]"]
    return [problem for parent, values in when.items() for problem in _parent_problems(parameters, parent, values)]


def _parent_problems(parameters: Mapping[str, Parameter], parent: Any, values: tuple[Choice, ...]) -> Iterator[str]:
    if parent not in parameters:
        yield f"its condition names the unknown parent {shown(parent)}; known: {', '.join(parameters)}"
        return
    holder = parameters[parent]
    if math.isinf(holder.n_values):
        yield f"its parent {parent!r} is continuous and hits no single value; give the parent a step"
        return
    if holder.n_values > _MOST_CONDITIONED:
        yield f"its parent {parent!r} has {holder.n_values} values and hits no single one; give it a larger step"
        return
    if not values:
        yield f"its condition on {parent!r} lists no value; allowed there: {holder.describe()}"
    for value in values:
        if why := holder.problem_of(value):
            yield f"its condition on {parent!r} can never hold: {why}"


def _circles(parameters: Mapping[str, Parameter]) -> list[str]:
    ordered = set(parents_first(parameters))
    circle = {name: parameter for name, parameter in parameters.items() if name not in ordered}
    while ends := [name for name in circle if not any(name in (p.when or {}) for p in circle.values())]:
        for name in ends:  # behind the circle, not in it
            del circle[name]
    return [f"parameter {n!r}: its conditions go round in a circle; cut one of {', '.join(circle)}" for n in circle]


def _contradictions(parameters: Mapping[str, Parameter]) -> list[str]:
    """Parameters that no configuration makes active: their own conditions and their parents' leave no value over."""
    rows: list[str] = []
    needs: dict[str, dict[str, tuple[Choice, ...]]] = {}
    for name in parents_first(parameters):
        need: dict[str, tuple[Choice, ...]] = {}
        for parent, values in (parameters[name].when or {}).items():
            for ancestor, allowed in [*needs[parent].items(), (parent, tuple(values))]:
                need[ancestor] = tuple(v for v in allowed if _among(v, need.get(ancestor, allowed)))
        needs[name] = need
        for ancestor, allowed in need.items():
            if not allowed:
                rows.append(
                    f"parameter {name!r}: its conditions can never hold together: they leave {ancestor!r} no value; "
                    "correct one of them"
                )
    return rows


def _among(value: Choice, values: tuple[Choice, ...]) -> bool:
    return any(same_choice(value, other) for other in values)
