"""From the text of a reply to advice: valid configurations and beliefs, or a reason for each part that is not used.

Nothing here raises, whatever the text. What can be mended without guessing (a code fence, prose around the object, a
number written as text, a value beside the step grid) is mended and counted; what would need a guess (a number cut off,
``"1e-3 to 1e-2"``, two objects in a row, a key given twice, a value out of range) is rejected with its reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridbo.belief import Advice, Belief, ChoiceBelief, NumericBelief, Rejection
from hybridbo.errors import InvalidParams
from hybridbo.llm.prompts import choice_label
from hybridbo.parameters import Categorical, Choice, Parameter, Params, is_number
from hybridbo.space import Space
from hybridbo.values import shown

_LONGEST = 200_000  # characters; ten configurations are under 10,000
_MOST_STARTS = 8  # opening brackets tried before a text counts as prose
_MOST_POINTS = 50
_MOST_LISTED = 5
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_CONFIG_KEYS = ("configs", "configurations")
_BELIEF_KEYS = ("beliefs", "prior")
_KEYS = {*_CONFIG_KEYS, *_BELIEF_KEYS}
_NEXT_ITEM = re.compile(r"\s*(?:,\s*)?(?=\{)")
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


class _Unusable(ValueError):
    """The text holds no object that can be read without guessing."""


def parse_advice(text: str, space: Space, defaults: Mapping[str, Choice] | None = None) -> Advice:
    """Read a reply to :func:`~hybridbo.llm.prompts.seed_request`.

    Args:
        text: The reply, whatever it is.
        space: The space that every point has to be valid in.
        defaults: Values for parameters that a point leaves out, counted as repairs.
    """
    repairs: list[str] = []
    try:
        data = _read_object(text, repairs)
    except _Unusable as why:
        return Advice(rejections=(Rejection("reply", str(why)),))
    rejections: list[Rejection] = []
    points = _points(data, space, defaults or {}, repairs, rejections)
    beliefs = _beliefs(data, space, repairs, rejections)
    rationale = data.get("rationale")
    return Advice(
        points=tuple(points),
        beliefs=beliefs,
        rationale=_line(rationale, 1000) if isinstance(rationale, str) else "",
        repairs=tuple(repairs),
        rejections=tuple(rejections),
    )


def _line(text: str, longest: int) -> str:
    """A model's words as one printable line: they are shown on terminals and kept in files."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:longest]).split())


# Text to object --------------------------------------------------------------------------------------------------


def _read_object(text: str, repairs: list[str]) -> dict[str, Any]:
    if not text.strip():
        raise _Unusable("the reply is empty")
    if len(text) > _LONGEST:
        raise _Unusable(f"the reply has {len(text)} characters, more than {_LONGEST}")
    thought = _THOUGHT.sub("", text)
    if thought != text:
        text = thought
        repairs.append("the model's thinking was left out")
    objects = [(data, start, end) for data, start, end in _objects(text) if _KEYS & data.keys()]
    if len(objects) > 1:
        raise _Unusable("the reply holds several JSON objects and does not say which one counts")
    if not objects:
        return _salvage(text, repairs)
    data, start, end = objects[0]
    if next(_objects(text[end:]), None) is not None:
        raise _Unusable("another JSON object follows the first, and nothing says which one counts")
    if (text[:start] + text[end:]).strip():
        repairs.append("text around the JSON object was left out")
    return data


def _objects(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """The JSON objects in a text that lie in no other one, with where they start and end."""
    at = 0
    for _ in range(_MOST_STARTS):
        start = text.find("{", at)
        if start < 0:
            return
        try:
            data, at = _decode(text, start)
        except (ValueError, RecursionError) as error:
            if isinstance(error, _Unusable):
                raise
            at = start + 1
        else:
            yield data, start, at


def _decode(text: str, start: int) -> tuple[dict[str, Any], int]:
    data, end = json.JSONDecoder(object_pairs_hook=_unique).raw_decode(text, start)
    return data, end


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise _Unusable("an object of the reply gives a key twice")
    return data


def _salvage(text: str, repairs: list[str]) -> dict[str, Any]:
    """The complete configurations of a reply that was cut off: an object that is closed has no number cut off."""
    match = re.search(r'"(?:configs|configurations)"\s*:\s*\[', text)
    configs: list[Any] = []
    at = match.end() if match else len(text)
    while opening := _NEXT_ITEM.match(text, at):
        try:
            config, at = _decode(text, opening.end())
        except (ValueError, RecursionError):
            break
        configs.append(config)
        if len(configs) >= _MOST_POINTS:
            break
    if not configs:
        raise _Unusable("the reply holds no complete JSON object")
    repairs.append(f"the reply is cut off or broken; its first {len(configs)} complete configurations were kept")
    return {"configs": configs}


# Object to points ------------------------------------------------------------------------------------------------


def _points(
    data: Mapping[str, Any],
    space: Space,
    defaults: Mapping[str, Choice],
    repairs: list[str],
    rejections: list[Rejection],
) -> list[Params]:
    raw = next((data[key] for key in _CONFIG_KEYS if key in data), None)
    if not isinstance(raw, list):
        rejections.append(Rejection("configs", "missing, or not a list"))
        return []
    if not raw:
        rejections.append(Rejection("configs", "an empty list"))
    if len(raw) > _MOST_POINTS:
        rejections.append(Rejection("configs", f"{len(raw) - _MOST_POINTS} beyond the first {_MOST_POINTS}"))
    points: dict[str, Params] = {}
    for i, config in enumerate(raw[:_MOST_POINTS]):
        part = f"configs[{i}]"
        mended: list[str] = []
        try:
            point = _point(config, space, defaults, mended)
        except _Unusable as why:
            rejections.append(Rejection(part, str(why)))
            continue
        if (key := space.key(point)) in points:
            rejections.append(Rejection(part, "the same as an earlier one"))
            continue
        repairs += [f"{part}: {repair}" for repair in mended]
        points[key] = point
    return list(points.values())


def _point(config: Any, space: Space, defaults: Mapping[str, Choice], mended: list[str]) -> Params:
    if not isinstance(config, dict):
        raise _Unusable("not an object")
    given = {name: _value(name, space[name], value, mended) for name, value in config.items() if name in space}
    if unknown := [name for name in config if name not in space]:
        mended.append(f"unknown parameter {_listed(unknown)} left out")
    if not given:
        raise _Unusable("it names no parameter of the space")
    try:
        params = space.round(space.complete(given, defaults))
    except InvalidParams as error:
        raise _Unusable(error.message) from None
    if filled := [name for name in params if name not in given]:
        mended.append(f"{', '.join(filled)} missing, taken from the default configuration")
    if dropped := [name for name in given if name not in params]:
        mended.append(f"{', '.join(dropped)} inactive, left out")
    if off := [name for name in params if name in given and not _close(params[name], given[name])]:
        mended.append(f"{', '.join(off)} moved onto the grid")
    return params


def _close(a: Choice, b: Choice) -> bool:
    return math.isclose(a, b, rel_tol=1e-4) if is_number(a) and is_number(b) else True  # type: ignore[arg-type]


def _value(name: str, parameter: Parameter, value: Any, mended: list[str]) -> Choice:
    """The value as the parameter's type, mended only where there is one way to read it."""
    if parameter.problem_of(value) is None:
        return value  # type: ignore[no-any-return]  # just checked
    if isinstance(parameter, Categorical):
        same = [c for c in parameter.choices if isinstance(value, (str, int, float)) and _label_of(value) == _label(c)]
        if len(same) == 1:
            mended.append(f"{name}: {shown(value)} read as {same[0]!r}")
            return same[0]
    elif isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        if (near := parameter.near(number)) is not None:
            mended.append(f"{name}: the text {value!r} read as a number")
            return near
    elif (near := parameter.near(value)) is not None:
        mended.append(f"{name} moved onto the grid")
        return near
    raise _Unusable(f"{name}={parameter.problem_of(value)}")


def _label(choice: Choice) -> str:
    return choice_label(choice).strip().lower()


def _label_of(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else _label(value)


def _quoted(text: str) -> str:
    return repr(_line(text, 60))


def _listed(texts: Sequence[str]) -> str:
    """The first of many, which a model may have made up by the thousand."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(_quoted(text) for text in texts[:_MOST_LISTED]) + more


# Object to beliefs -----------------------------------------------------------------------------------------------


def _beliefs(
    data: Mapping[str, Any], space: Space, repairs: list[str], rejections: list[Rejection]
) -> dict[str, Belief]:
    raw: Any = next((data[key] for key in _BELIEF_KEYS if key in data), {})
    if not isinstance(raw, dict):
        rejections.append(Rejection("beliefs", "not an object"))
        return {}
    if unknown := [name for name in raw if name not in space]:
        rejections.append(Rejection("beliefs", f"{_listed(unknown)} is no parameter of the space"))
    out: dict[str, Belief] = {}
    for name, given in raw.items():
        part = f"beliefs.{name}"
        if name not in space:
            continue
        try:
            out[name] = _belief(space[name], given, part, repairs)
        except _Unusable as why:
            rejections.append(Rejection(part, str(why)))
    return out


def _belief(parameter: Parameter, given: Any, part: str, repairs: list[str]) -> Belief:
    if not isinstance(given, dict):
        raise _Unusable("not an object")
    if isinstance(parameter, Categorical):
        return _choice_belief(parameter, given)
    figures = [given.get(key) for key in ("center", "low", "high")]
    if not all(is_number(figure) for figure in figures):
        raise _Unusable("center, low and high are not three finite numbers")
    inside = [min(max(float(figure), parameter.low), parameter.top) for figure in figures]  # type: ignore[arg-type]
    center, low, high = inside
    if not low <= center <= high or low == high:
        raise _Unusable(f"no interval of the range: center, low, high = {shown(figures)}")
    if inside != figures:
        repairs.append(f"{part}: cut to the range")
    return NumericBelief(center, low, high)


def _choice_belief(parameter: Categorical, given: Mapping[str, Any]) -> ChoiceBelief:
    labels = {_label(choice): choice for choice in parameter.choices}
    weights: dict[str, float] = dict.fromkeys(labels, 0.0)
    for key, weight in given.items():
        label = key.strip().lower()
        if label not in labels:
            raise _Unusable(f"{_quoted(key)} is none of the choices")
        if not is_number(weight) or weight < 0:
            raise _Unusable(f"the weight of {_quoted(key)} is not a number of 0 or more")
        weights[label] += float(weight)
    total = sum(weights.values())
    if not 0 < total < math.inf or len(labels) < len(parameter.choices):
        raise _Unusable("the weights do not add up to anything")
    return ChoiceBelief(tuple((choice, weights[label] / total) for label, choice in labels.items()))


__all__: Sequence[str] = ["parse_advice"]
