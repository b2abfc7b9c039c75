r"""Text, times and JSON as a store keeps them: pure functions.

- Parameters are JSON: integers of any size, ``True`` and ``1`` and ``1.0`` stay apart, NaN and infinity are refused.
- Text keeps every character, NUL included. UTF-8 cannot hold lone surrogates, which names of files and tracebacks may
  have. Inside JSON they are ``\udXXX``, its own notation; a text that has some, or begins like one, is written
  ``escaped: ...``. Both read back exactly. Two that stand together have no notation in JSON, and are refused there.
- Times are UTC, ISO 8601 with microseconds: ``2026-01-31T12:00:00.000000Z``; their order is that of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hybridbo.errors import InvalidParams
from hybridbo.parameters import Params, plain
from hybridbo.values import writable

clean = writable  # for keys and names, and for JSON, where it is exact


def encode_text(text: str) -> str:
    r"""``text`` as a column can hold it: :func:`decode_text` reads it back exactly."""
    if text.isascii():
        if not text.startswith(_ESCAPED):
            return text
    elif not (text.startswith(_ESCAPED) or _SURROGATE.search(text)):
        return text
    return _ESCAPED + _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\\", "\\\\"))


def decode_text(text: str) -> str:
    """The text that :func:`encode_text` wrote."""
    if not text.startswith(_ESCAPED):
        return text
    return _ESCAPE.sub(lambda m: "\\" if m[0] == "\\\\" else chr(int(m[1], 16)), text[len(_ESCAPED) :])


def now() -> datetime:
    """The time of the store."""
    return datetime.now(UTC)


def encode_time(at: datetime) -> str:
    """ISO 8601 in UTC; a time without a zone is taken for UTC."""
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def decode_time(text: str) -> datetime:
    """The time that :func:`encode_time` wrote."""
    return datetime.fromisoformat(text)


def to_json(data: Any) -> str:
    """JSON text that UTF-8 can hold and that reads back exactly; TypeError or ValueError where there is none."""
    text = _JSON.encode(data)
    if text.isascii():
        return text
    if _PAIR.search(text):
        raise ValueError("two surrogates that stand together are one character to JSON")
    return clean(text)


def encode_params(params: Mapping[str, Any]) -> str:
    """JSON text of a configuration.

    Raises:
        InvalidParams: Naming the parameter whose value is no str, bool, None or finite number.
    """
    try:
        return to_json(dict(params))
    except (TypeError, ValueError):
        bad = [f"{name!r}={_quoted(value)}" for name, value in params.items() if not is_storable(value)]
        hint = "Parameters are str, bool, None or finite numbers."
        raise InvalidParams(f"{', '.join(bad) or params!r} cannot be stored.", hint) from None


def decode_params(text: str) -> Params:
    """The configuration that :func:`encode_params` wrote."""
    params: Params = json.loads(text)
    return params


def _scalar(value: Any) -> Any:
    scalar = plain(value)
    if scalar is value:
        raise TypeError
    return scalar


def is_storable(value: Any) -> bool:
    """Whether JSON can hold a value so that it reads back exactly."""
    try:
        to_json(value)
    except (TypeError, ValueError):
        return False
    return True


def _quoted(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"({type(value).__name__}, too long to write)"


_ESCAPED = "escaped: "
_ESCAPE = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_scalar)
