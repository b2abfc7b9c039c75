"""From the text of a reply to advice: valid configurations and beliefs, or a reason for each part that is not used.

Nothing here raises, whatever the text. What can be mended without guessing (a code fence, prose around the object, a
number written as text, a value beside the step grid) is mended and counted; what would need a guess (a number cut off,
``"1e-3 to 1e-2"``, two objects in a row, a key given twice, a value out of range) is rejected with its reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hybridbo.belief import Advice, Rejection
from hybridbo.errors import InvalidParams
from hybridbo.llm.beliefs import read_beliefs
from hybridbo.llm.words import Unusable, label, label_of, line, listed
from hybridbo.parameters import Categorical, Choice, Parameter, Params, is_number
from hybridbo.space import Space
from hybridbo.values import shown

_LONGEST = 200_000  # characters; ten configurations are under 10,000
_MOST_STARTS = 8  # opening brackets tried before a text counts as prose
_MOST_POINTS = 50
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_CONFIG_KEYS = ("configs", "configurations")
_BELIEF_KEYS = ("beliefs", "prior")
_KEYS = {*_CONFIG_KEYS, *_BELIEF_KEYS}
_NEXT_ITEM = re.compile(r"\s*(?:,\s*)?(?=\{)")
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


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
    except Unusable as why:
        return Advice(rejections=(Rejection("reply", str(why)),))
    rejections: list[Rejection] = []
    points = _points(data, space, defaults or {}, repairs, rejections)
    beliefs = read_beliefs(data, space, repairs, rejections)
    rationale = data.get("rationale")
    return Advice(
        points=tuple(points),
        beliefs=beliefs,
        rationale=line(rationale, 1000) if isinstance(rationale, str) else "",
        repairs=tuple(repairs),
        rejections=tuple(rejections),
    )


def _read_object(text: str, repairs: list[str]) -> dict[str, Any]:
    if not text.strip():
        raise Unusable("the reply is empty")
    if len(text) > _LONGEST:
        raise Unusable(f"the reply has {len(text)} characters, more than {_LONGEST}")
    thought = _THOUGHT.sub("", text)
    if thought != text:
        text = thought
        repairs.append("the model's thinking was left out")
    objects = [(data, start, end) for data, start, end in _objects(text) if _KEYS & data.keys()]
    if len(objects) > 1:
        raise Unusable("the reply holds several JSON objects and does not say which one counts")
    if not objects:
        return _salvage(text, repairs)
    data, start, end = objects[0]
    if next(_objects(text[end:]), None) is not None:
        raise Unusable("another JSON object follows the first, and nothing says which one counts")
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
            if isinstance(error, Unusable):
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
        raise Unusable("an object of the reply gives a key twice")
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
        raise Unusable("the reply holds no complete JSON object")
    repairs.append(f"the reply is cut off or broken; its first {len(configs)} complete configurations were kept")
    return {"configs": configs}


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
        except Unusable as why:
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
        raise Unusable("not an object")
    given = {name: _value(name, space[name], value, mended) for name, value in config.items() if name in space}
    if unknown := [name for name in config if name not in space]:
        mended.append(f"unknown parameter {listed(unknown)} left out")
    if not given:
        raise Unusable("it names no parameter of the space")
    try:
        params = space.round(space.complete(given, defaults))
    except InvalidParams as error:
        raise Unusable(error.message) from None
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
        same = [c for c in parameter.choices if isinstance(value, (str, int, float)) and label_of(value) == label(c)]
        if len(same) == 1:
            mended.append(f"{name}: {shown(value)} read as {same[0]!r}")
            return same[0]
        if not isinstance(value, str) and (near := parameter.near(value)) is not None:
            mended.append(f"{name} moved onto the grid")
            return near
    elif isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        if (near := parameter.near(number)) is not None:
            mended.append(f"{name}: the text {value!r} read as a number")
            return near
    elif (near := parameter.near(value)) is not None:
        mended.append(f"{name} moved onto the grid")
        return near
    raise Unusable(f"{name}={parameter.problem_of(value)}")
