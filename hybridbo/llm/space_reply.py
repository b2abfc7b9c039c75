"""From the text of a reply to a space: parameters that can be searched, and a reason for each that is not taken.

As in :mod:`hybridbo.llm.parse`, nothing raises, what has one reading is mended and counted, and what would need a guess
is rejected: bounds the wrong way round are not swapped, and a default out of range is left out rather than moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybridbo.belief import Rejection
from hybridbo.errors import InvalidSpace
from hybridbo.llm.reading import MOST_ITEMS, read_object
from hybridbo.llm.words import Unusable, label, label_of, line, number_of
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter
from hybridbo.space import Space
from hybridbo.values import shown

_LIST = ("parameters", "space")
_LONGEST_NAME, _LONGEST_CHOICE, _LONGEST_REASON = 80, 100, 300
_TYPES = {
    **dict.fromkeys(("float", "real", "double", "number", "continuous"), "float"),
    **dict.fromkeys(("int", "integer"), "int"),
    **dict.fromkeys(("categorical", "category", "choice", "enum", "string", "ordinal"), "categorical"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
}
_DIRECTIONS = {"minimize": "minimize", "min": "minimize", "maximize": "maximize", "max": "maximize"}


@dataclass(frozen=True)
class SpaceAdvice:
    """What a reply to :func:`~hybridbo.llm.space_request.space_request` comes down to.

    Attributes:
        space: The parameters that can be searched; None if there is none.
        reasons: Why each has its range, one sentence; empty where nothing was said.
        direction: ``"minimize"`` or ``"maximize"``; None if the reply says neither.
        metric: What is measured; empty if the reply does not say.
        rationale: One sentence on the whole.
        repairs: What was mended, one sentence each.
        rejections: What was not used, and why.
    """

    space: Space | None = None
    reasons: Mapping[str, str] = field(default_factory=dict, hash=False)
    direction: str | None = None
    metric: str = ""
    rationale: str = ""
    repairs: tuple[str, ...] = ()
    rejections: tuple[Rejection, ...] = ()


def parse_space(text: str, most: int = MOST_ITEMS) -> SpaceAdvice:
    """Read a reply, whatever it is; parameters beyond the first ``most`` are not taken."""
    repairs: list[str] = []
    rejections: list[Rejection] = []
    try:
        data = read_object(text, _LIST, _LIST, repairs)
    except Unusable as why:
        return SpaceAdvice(rejections=(Rejection("reply", str(why)),))
    parameters, reasons = _parameters(data, most, repairs, rejections)
    space = _searchable(parameters, rejections)
    direction = _DIRECTIONS.get(_text(data.get("direction"), 20).lower())
    return SpaceAdvice(
        space=space,
        reasons={name: reasons[name] for name in space or ()},
        direction=direction,
        metric=_text(data.get("metric"), 100),
        rationale=_text(data.get("rationale"), 1000),
        repairs=tuple(repairs),
        rejections=tuple(rejections),
    )


def _parameters(
    data: Mapping[str, Any], most: int, repairs: list[str], rejections: list[Rejection]
) -> tuple[dict[str, Parameter], dict[str, str]]:
    raws = [data[key] for key in _LIST if key in data]
    if len(raws) != 1 or not isinstance(raws[0], list) or not raws[0]:
        rejections.append(Rejection("parameters", "no list, an empty one, or two"))
        return {}, {}
    if len(raws[0]) > most:
        rejections.append(Rejection("parameters", f"{len(raws[0]) - most} beyond the first {most}"))
    parameters: dict[str, Parameter] = {}
    reasons: dict[str, str] = {}
    for i, given in enumerate(raws[0][:most]):
        mended: list[str] = []
        part = f"parameters[{i}]"
        try:
            name = _name(given, parameters)
            part = f"parameters[{i}] {name}"
            parameters[name] = _parameter(given, mended)
        except Unusable as why:
            rejections.append(Rejection(part, str(why)))
            continue
        reasons[name] = _text(given.get("reason"), _LONGEST_REASON)
        if not reasons[name]:
            mended.append("no reason was given")
        repairs += [f"{part}: {repair}" for repair in mended]
    return parameters, reasons


def _name(given: Any, taken: Mapping[str, Parameter]) -> str:
    if not isinstance(given, dict):
        raise Unusable("not an object")
    name = given.get("name")
    if not isinstance(name, str) or not name.strip() or not name.strip().isprintable() or len(name) > _LONGEST_NAME:
        raise Unusable(f"name={shown(name)} is no printable text of 1 to {_LONGEST_NAME} characters")
    if name.strip() in taken:
        raise Unusable("a parameter of that name stands before it")
    return name.strip()


def _parameter(given: Mapping[str, Any], mended: list[str]) -> Parameter:
    kind = _TYPES.get(_text(given.get("type"), 20).lower())
    if kind is None:
        raise Unusable(f"type={shown(given.get('type'))} is none of float, int, categorical")
    when = _conditions(given.get("when"))
    parameter: Parameter = (
        _numeric(kind, given, when, mended) if kind in {"float", "int"} else _listed(kind, given, when)
    )
    if problems := parameter.problems():
        raise Unusable(line("; ".join(problems), 300))
    return _with_default(parameter, given.get("default"), mended)


def _numeric(kind: str, given: Mapping[str, Any], when: Any, mended: list[str]) -> Float | Int:
    bounds = {key: number_of(given.get(key)) for key in ("low", "high")}
    if unread := [f"{key}={shown(given.get(key))}" for key, value in bounds.items() if value is None]:
        raise Unusable(f"{', '.join(unread)} is no number")
    mended += [f"{key}: the text {given[key]!r:.50} read as a number" for key in bounds if isinstance(given[key], str)]
    step, log = number_of(given.get("step")), _is_log(given, mended)
    if given.get("step") is not None and (step is None or step <= 0):
        mended.append(f"step={shown(given['step'])} left out")
        step = None
    if kind == "float":
        return Float(bounds["low"], bounds["high"], log=log, step=step, when=when)  # type: ignore[arg-type]  # numbers
    whole = {key: int(value) if value == int(value) else value for key, value in bounds.items()}  # type: ignore[arg-type]
    return Int(whole["low"], whole["high"], log=log, step=_whole(step, mended), when=when)  # type: ignore[arg-type]  # checked by problems()


def _whole(step: float | None, mended: list[str]) -> int:
    if step is None or step == int(step):
        return int(step or 1)
    mended.append(f"step={step!r} of an int left out")
    return 1


def _is_log(given: Mapping[str, Any], mended: list[str]) -> bool:
    scale = given.get("scale", "log" if given.get("log") is True else None)
    words = _text(scale, 20).lower()
    if words not in {"", "linear", "log", "log10", "logarithmic"}:
        mended.append(f"scale={shown(scale)} read as linear")
    return words.startswith("log")


def _listed(kind: str, given: Mapping[str, Any], when: Any) -> Categorical:
    choices = given.get("choices")
    if kind == "bool" and not choices:
        choices = [True, False]
    if not isinstance(choices, list) or len(choices) < 2:
        raise Unusable(f"choices={shown(choices)} is no list of two or more")
    if len(choices) > MOST_ITEMS or any(isinstance(c, str) and len(c) > _LONGEST_CHOICE for c in choices):
        raise Unusable(f"more than {MOST_ITEMS} choices, or one of more than {_LONGEST_CHOICE} characters")
    return Categorical(choices, ordered=given.get("ordered") is True, when=when)


def _with_default(parameter: Parameter, default: Any, mended: list[str]) -> Parameter:
    if default is None:
        return parameter
    value = _choice(parameter, default) if isinstance(parameter, Categorical) else parameter.near(number_of(default))
    if value is None:
        mended.append(f"default={shown(default)} left out; allowed: {line(parameter.describe(), 200)}")
        return parameter
    if value != default:
        mended.append(f"default={shown(default)} read as {shown(value)}")
    return replace(parameter, default=value)  # type: ignore[arg-type]  # of the parameter's own type


def _conditions(raw: Any) -> dict[str, list[Any]] | None:
    """``when`` in either form, ``[{"parameter": ..., "values": [...]}]`` or ``{parent: [...]}``."""
    if raw is None or raw in ([], {}):
        return None
    if isinstance(raw, list) and all(isinstance(one, dict) and isinstance(one.get("parameter"), str) for one in raw):
        pairs = [(one["parameter"], one.get("values")) for one in raw]
    elif isinstance(raw, dict):
        pairs = list(raw.items())
    else:
        raise Unusable(f"when={shown(raw)} is no condition")
    out = {parent.strip(): values if isinstance(values, list) else [values] for parent, values in pairs}
    if len(out) < len(pairs):
        raise Unusable("its conditions name a parameter twice")
    return out


def _choice(parameter: Parameter, value: Any) -> Choice:
    """The value that is meant, in the type of the parameter's own; None where that is none, or more than one."""
    if isinstance(parameter, Categorical) and isinstance(value, (str, int, float)) and parameter.problem_of(value):
        same = [choice for choice in parameter.choices if label(choice) == label_of(value)]
        return same[0] if len(same) == 1 else None
    return value if parameter.problem_of(value) is None else None


def _searchable(parameters: dict[str, Parameter], rejections: list[Rejection]) -> Space | None:
    """The space of as many of the parameters as have sound conditions."""
    kept = {name: _with_meant_values(parameters, parameter) for name, parameter in parameters.items()}
    while kept:
        try:
            return Space(kept)
        except InvalidSpace as error:
            bad = [name for name in kept if f"parameter {name!r}: " in error.message]
            for name in bad or list(kept):
                why = re.escape(f"parameter {name!r}: ") + r"(.*?)(?=; parameter '|\.?$)"
                found = re.search(why, error.message, re.DOTALL)
                rejections.append(Rejection(f"parameter {name}", line(found[1] if found else error.message, 300)))
                del kept[name]
    return None


def _with_meant_values(parameters: Mapping[str, Parameter], parameter: Parameter) -> Parameter:
    """The parameter with the values of its conditions in the types of the parents' choices: ``"true"`` as True."""
    if not parameter.when:
        return parameter
    when: dict[str, list[Choice]] = {}
    for parent, values in parameter.when.items():
        holder = parameters.get(parent)
        meant = [value if holder is None else _choice(holder, value) for value in values]
        when[parent] = [value if one is None else one for value, one in zip(values, meant, strict=True)]
    return replace(parameter, when=when)


def _text(value: Any, longest: int) -> str:
    return line(value, longest) if isinstance(value, str) else ""
