"""Finding a secret in a text however it is spelt there: as it is, escaped for a URL or for JSON, or as base64."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from functools import lru_cache

HIDDEN = "[key]"
"""What stands where a secret stood."""

_SHORTEST = 6  # a shorter "key", such as "none" or "EMPTY", is a placeholder, and may be a word of a good reply
_SHORTEST_NAMED = 8  # a shorter value of an environment variable named *_KEY is a word, not a secret
_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


def redacted(text: str, secrets: Iterable[str], hidden: str = HIDDEN) -> str:
    """``text`` without the secrets, in none of their spellings.

    Args:
        text: Any text.
        secrets: Those that are shorter than six characters are no secrets, and stay.
        hidden: What stands in their place.
    """
    for secret in sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True):
        text = _spellings(secret).sub(hidden, text)
    return text


def environment_secrets() -> tuple[str, ...]:
    """The values of the environment variables that hold keys, tokens and passwords."""
    named = (value for name, value in os.environ.items() if name.upper().endswith(_NAMES))
    return tuple(value.strip() for value in named if len(value.strip()) >= _SHORTEST_NAMED)


def without_secrets(text: str) -> str:
    """``text`` with the values of environment variables that hold keys and tokens blotted out, however spelt."""
    return redacted(text, environment_secrets(), "[secret]")


@lru_cache(maxsize=64)
def _spellings(secret: str) -> re.Pattern[str]:
    """Matches a secret: each character as it is or escaped, or the whole within base64 or hexadecimal digits."""
    data = secret.encode("utf-8", "surrogatepass")
    ways = [_escaped(secret), f"(?i:{data.hex()})", *map(re.escape, _in_base64(data))]
    return re.compile("|".join(ways))


def _escaped(secret: str) -> str:
    return "".join(_character(c) for c in secret)


def _character(c: str) -> str:
    """A character as it is, percent-encoded, or escaped as in JSON and in HTML."""
    encoded = "".join(f"%{byte:02x}" for byte in c.encode("utf-8", "surrogatepass"))
    ways = [re.escape(c), rf"(?i:{encoded})", rf"(?i:\\u{ord(c):04x})", rf"&\#{ord(c)};"]
    if not c.isalnum():
        ways.append(re.escape(f"\\{c}"))
    return f"(?:{'|'.join(ways)})"


def _in_base64(data: bytes) -> set[str]:
    """What is certain of the base64 of any text that holds ``data``, wherever it stands in it.

    Three bytes make four characters, so that there are three ways to begin; the characters at both ends that depend on
    what stands beside are left out.
    """
    found = set()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + data)
        first = (offset * 8 + 5) // 6  # characters that hold a bit of what stands before
        last = (offset + len(data)) * 8 // 6  # characters that hold bits of the secret alone
        core = whole[first:last].decode()
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return {core for core in found if len(core) >= _SHORTEST}
