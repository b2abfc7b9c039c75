"""From the text of a reply to advice: valid configurations and beliefs, or a reason for each part that is not used.

Nothing here raises, whatever the text. What can be mended without guessing (a code fence, prose around the object, a
number written as text, a value beside the step grid) is mended and counted; what would need a guess (a number cut off,
``"1e-3 to 1e-2"``, two objects in a row, a key given twice, a value out of range) is rejected with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybridbo.belief import Advice, Rejection
from hybridbo.errors import InvalidParams
from hybridbo.llm.beliefs import read_beliefs
from hybridbo.llm.reading import MOST_ITEMS, read_object
from hybridbo.llm.words import Unusable, label, label_of, line, listed, number_of
from hybridbo.parameters import Categorical, Choice, Parameter, Params, is_number
from hybridbo.space import Space
from hybridbo.values import shown

_LONGEST_REASON = 300  # characters; a sentence
_CONFIG_KEYS = ("configs", "configurations")
_BELIEF_KEYS = ("beliefs", "prior")
_KEYS = {*_CONFIG_KEYS, *_BELIEF_KEYS}


def parse_advice(text: str, space: Space, defaults: Mapping[str, Choice] | None = None) -> Advice:
    """Read a reply to :func:`~hybridbo.llm.prompts.seed_request`.

    Args:
        text: The reply, whatever it is.
        space: The space that every point has to be valid in.
        defaults: Values for parameters that a point leaves out, counted as repairs.
    """
    repairs: list[str] = []
    try:
        data = read_object(text, _KEYS, _CONFIG_KEYS, repairs)
    except Unusable as why:
        return Advice(rejections=(Rejection("reply", str(why)),))
    rejections: list[Rejection] = []
    points, reasons = _points(data, space, defaults or {}, repairs, rejections)
    beliefs = read_beliefs(data, space, repairs, rejections)
    rationale = data.get("rationale")
    return Advice(
        points=tuple(points),
        reasons=tuple(reasons),
        beliefs=beliefs,
        rationale=line(rationale, 1000) if isinstance(rationale, str) else "",
        repairs=tuple(repairs),
        rejections=tuple(rejections),
    )


def _points(
    data: Mapping[str, Any],
    space: Space,
    defaults: Mapping[str, Choice],
    repairs: list[str],
    rejections: list[Rejection],
) -> tuple[list[Params], list[str]]:
    """The valid configurations, each once, and what the reply says of each; empty where it says nothing."""
    raws = [data[key] for key in _CONFIG_KEYS if key in data]
    raw = raws[0] if len(raws) == 1 else None
    if not isinstance(raw, list):
        rejections.append(Rejection("configs", "given twice" if raws[1:] else "missing, or not a list"))
        return [], []
    if not raw:
        rejections.append(Rejection("configs", "an empty list"))
    if len(raw) > MOST_ITEMS:
        rejections.append(Rejection("configs", f"{len(raw) - MOST_ITEMS} beyond the first {MOST_ITEMS}"))
    said = _reasons(data.get("reasons"), len(raw), repairs)
    points: dict[str, tuple[Params, str]] = {}
    for i, config in enumerate(raw[:MOST_ITEMS]):
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
        points[key] = point, said[i]
    return [point for point, _ in points.values()], [reason for _, reason in points.values()]


def _reasons(raw: Any, n: int, repairs: list[str]) -> list[str]:
    """A sentence for each of ``n`` configurations; empty ones where they are not as many, so that none is misplaced."""
    if isinstance(raw, list) and len(raw) == n:
        return [line(reason, _LONGEST_REASON) if isinstance(reason, str) else "" for reason in raw]
    if isinstance(raw, list) and raw:
        repairs.append(f"reasons: {len(raw)} for {n} configurations, left out")
    return [""] * n


def _may_be_null(space: Space, name: str) -> bool:
    return name in space and bool(space[name].when) and space[name].problem_of(None) is not None


def _point(config: Any, space: Space, defaults: Mapping[str, Choice], mended: list[str]) -> Params:
    if not isinstance(config, dict):
        raise Unusable("not an object")
    # null where a parameter is inactive is what the schema asks for
    config = {name: value for name, value in config.items() if value is not None or not _may_be_null(space, name)}
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
    if dropped := [name for name in given if name not in params and given[name] is not None]:
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
    elif isinstance(value, str):
        number = number_of(value)
        if (near := parameter.near(number)) is not None:
            mended.append(f"{name}: the text {value!r} read as a number")
            return near
    elif (near := parameter.near(value)) is not None:
        mended.append(f"{name} moved onto the grid")
        return near
    raise Unusable(f"{name}={parameter.problem_of(value)}")
