"""Text from outside on its way into a prompt: encoded as JSON and capped, so that it stays data.

Task texts, trial notes, error texts and tracebacks come from users, libraries and files. None of it may end the JSON
string that holds it, pass for a message of its own, or crowd the rest out. Whatever goes into a prompt goes through
:func:`encoded`; whatever may be long through :func:`capped` before.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

_SURROGATE = re.compile("[\ud800-\udfff]")
# "<|im_start|>", "<s>", "</think>", "<｜User｜>", "[INST]": servers that build the prompt from a template read such
# marks in a message as their own. As JSON escapes they are the same text and no mark. "<= 16" stays legible.
_MARKS = re.compile(r"<(?=[^\s=\d])|\[(?=/?[A-Z_]+\])")


def capped(text: str, longest: int, *, keep: Literal["start", "end"] = "start") -> str:
    """``text``, or one end of it and how much is left out.

    Args:
        text: Any text.
        longest: How many of its characters are kept.
        keep: Which end says most: the start of a description, the end of a traceback.
    """
    left_out = len(text) - longest
    if left_out <= 0:
        return text
    mark = f"[{left_out} characters left out]"
    return f"{text[:longest]} {mark}" if keep == "start" else f"{mark} {text[left_out:]}"


def encoded(data: Any) -> str:
    """JSON in one line of printable characters, compact, from which ``json.loads`` reads the same data.

    Lone surrogates, which no request can carry, become U+FFFD.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in _SURROGATE.sub("\ufffd", text))
    return _MARKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(c: str) -> str:
    return json.dumps(c)[1:-1]
