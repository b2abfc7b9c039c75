"""The beliefs of a reply: an interval per numeric parameter, a probability per choice of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybridbo.belief import Belief, ChoiceBelief, NumericBelief, Rejection, over_choices
from hybridbo.llm.words import Unusable, label, listed, quoted
from hybridbo.parameters import Categorical, Parameter, is_number
from hybridbo.space import Space
from hybridbo.values import shown

_KEYS = ("beliefs", "prior")


def read_beliefs(
    data: Mapping[str, Any], space: Space, repairs: list[str], rejections: list[Rejection]
) -> dict[str, Belief]:
    """The beliefs of a reply's object, by parameter; what was mended or not used is added to the two lists."""
    raws = [data[key] for key in _KEYS if key in data]
    raw: Any = raws[0] if raws else {}
    if not isinstance(raw, dict) or len(raws) > 1:
        rejections.append(Rejection("beliefs", "given twice" if raws[1:] else "not an object"))
        return {}
    if unknown := [name for name in raw if name not in space]:
        rejections.append(Rejection("beliefs", f"{listed(unknown)} is no parameter of the space"))
    out: dict[str, Belief] = {}
    for name, given in raw.items():
        part = f"beliefs.{name}"
        if name not in space:
            continue
        try:
            out[name] = _belief(space[name], given, part, repairs)
        except Unusable as why:
            rejections.append(Rejection(part, str(why)))
    return out


def _belief(parameter: Parameter, given: Any, part: str, repairs: list[str]) -> Belief:
    if not isinstance(given, dict):
        raise Unusable("not an object")
    figures = [given.get(key) for key in ("center", "low", "high")]
    has_figures = all(is_number(figure) for figure in figures)
    if isinstance(parameter, Categorical):
        # a list of numbers in order is a grid: an interval over it is as good as probabilities
        return _grid_belief(parameter, figures) if has_figures and parameter.numbers else _choices(parameter, given)
    if not has_figures:
        raise Unusable("center, low and high are not three finite numbers")
    inside = [min(max(float(figure), parameter.low), parameter.top) for figure in figures]  # type: ignore[arg-type]
    center, low, high = inside
    if not low <= center <= high or low == high:
        raise Unusable(f"no interval of the range: center, low, high = {shown(figures)}")
    if inside != figures:
        repairs.append(f"{part}: cut to the range")
    return NumericBelief(center, low, high)


def _grid_belief(parameter: Categorical, figures: list[Any]) -> ChoiceBelief:
    center, low, high = (float(figure) for figure in figures)
    belief = over_choices(parameter.numbers, low, high) if low <= center <= high else None
    if belief is None:
        raise Unusable(f"no interval among the choices: center, low, high = {shown(figures)}")
    return belief


def _choices(parameter: Categorical, given: Mapping[str, Any]) -> ChoiceBelief:
    choices = {label(choice): choice for choice in parameter.choices}
    weights: dict[str, float] = dict.fromkeys(choices, 0.0)
    for key, weight in given.items():
        name = key.strip().lower()
        if name not in choices:
            raise Unusable(f"{quoted(key)} is none of the choices")
        if not is_number(weight) or weight < 0:
            raise Unusable(f"the weight of {quoted(key)} is not a number of 0 or more")
        weights[name] += float(weight)
    total = sum(weights.values())
    if not 0 < total < math.inf or len(choices) < len(parameter.choices):
        raise Unusable("the weights do not add up to anything")
    return ChoiceBelief(tuple((choice, weights[name] / total) for name, choice in choices.items()))
