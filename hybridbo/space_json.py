"""A space as plain data, and back: what ``Space.to_json`` writes and ``Space.from_json`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hybridbo.errors import InvalidSpace
from hybridbo.parameters import Categorical, Float, Int, Parameter, is_number
from hybridbo.values import shown

_EXAMPLE = 'Write, for example, {"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": true}}.'
_TYPES: dict[str, type[Parameter]] = {"float": Float, "int": Int, "categorical": Categorical}
_KEYS = {
    "float": ("low", "high", "log", "step", "default", "when"),
    "int": ("low", "high", "log", "step", "default", "when"),
    "categorical": ("choices", "ordered", "default", "when"),
}


def to_data(parameter: Parameter) -> dict[str, Any]:
    """A parameter as plain data, without what is at its default."""
    out: dict[str, Any] = {"type": parameter.kind}
    if isinstance(parameter, Categorical):
        out["choices"] = list(parameter.choices)
        if parameter.ordered:
            out["ordered"] = True
    else:
        number = int if isinstance(parameter, Int) else float
        out |= {"low": number(parameter.low), "high": number(parameter.high)}
        if parameter.log:
            out["log"] = True
        if parameter.step is not None and (isinstance(parameter, Float) or parameter.step != 1):
            out["step"] = number(parameter.step)
    if parameter.default is not None:
        out["default"] = parameter.declared(parameter.default)
    if parameter.when:
        out["when"] = {parent: list(values) for parent, values in parameter.when.items()}
    return out


def read(data: str | bytes | Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of a JSON text, or of the data it holds; the Space still has to check them.

    Raises:
        InvalidSpace: Not JSON, a name given twice, an unknown type or key.
    """
    if isinstance(data, (str, bytes)):
        try:
            data = json.loads(data, object_pairs_hook=_unique)
        except InvalidSpace:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidSpace(f"the space is not JSON: {error}.", _EXAMPLE) from None
    if not isinstance(data, Mapping):
        raise InvalidSpace(f"a space in JSON is an object of parameters, not {shown(data)}.", _EXAMPLE)
    return {name: _from_data(name, spec) for name, spec in data.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise InvalidSpace(f"{shown(key)} is given twice in the space.", "Remove or rename one of them.")
        data[key] = value
    return data


def _from_data(name: str, spec: Any) -> Parameter:
    kind = spec.get("type") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise InvalidSpace(f"parameter {name!r}: type {shown(kind)} is none of {', '.join(_TYPES)}.", _EXAMPLE)
    given = {key: value for key, value in spec.items() if key != "type"}
    if unknown := [key for key in given if key not in _KEYS[kind]]:
        known = f"Known: {', '.join(_KEYS[kind])}."
        raise InvalidSpace(f"parameter {name!r}: unknown key {shown(unknown[0])}.", known)
    if missing := [key for key in ("low", "high", "choices") if key in _KEYS[kind] and key not in given]:
        raise InvalidSpace(f"parameter {name!r}: {missing[0]!r} is missing.", _EXAMPLE)
    return _TYPES[kind](**(_as_integers(given) if kind == "int" else given))


def _as_integers(given: dict[str, Any]) -> dict[str, Any]:
    """The keys of an Int, where JSON may write 16 as 16.0 and no step as null."""
    whole = {k: int(v) if is_number(v) and v == int(v) else v for k, v in given.items() if k in ("low", "high", "step")}
    return {key: value for key, value in (given | whole).items() if (key, value) != ("step", None)}
