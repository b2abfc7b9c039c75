r"""Text, times and JSON as a store keeps them: pure functions.

- Parameters are JSON: integers of any size, ``True`` and ``1`` and ``1.0`` stay apart, NaN and infinity are refused.
- Text keeps every character, NUL included. Lone surrogates, which UTF-8 cannot hold, are kept exactly inside JSON and
  written ``\udXXX`` elsewhere, so that the traceback of a failed trial can always be stored.
- Times are UTC, ISO 8601 with microseconds: ``2026-01-31T12:00:00.000000Z``; their order is that of the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hybridbo.errors import InvalidParams
from hybridbo.parameters import Params, plain


def clean(text: str) -> str:
    r"""``text`` as UTF-8 can hold it: lone surrogates become ``\udXXX``, which in JSON text is their exact notation."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
    return clean(_JSON.encode(data))


def encode_params(params: Mapping[str, Any]) -> str:
    """JSON text of a configuration.

    Raises:
        InvalidParams: Naming the parameter whose value is no str, bool, None or finite number.
    """
    try:
        return to_json(dict(params))
    except (TypeError, ValueError):
        bad = [f"{name!r}={_quoted(value)}" for name, value in params.items() if not _is_storable(value)]
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


def _is_storable(value: Any) -> bool:
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


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_scalar)
