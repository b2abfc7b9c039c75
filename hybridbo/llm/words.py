"""Words of a reply: choices as keys, a model's text as one line, and the reason why a part is not used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hybridbo.llm.prompts import choice_label
from hybridbo.parameters import Choice, is_number

# "0." is no number here: it looks like one that has been cut off
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_MOST_LISTED = 5
_LONGEST_NUMBER = 40  # characters


class Unusable(ValueError):
    """A part of a reply that cannot be read without guessing; the text says why."""


def line(text: str, longest: int) -> str:
    """A model's words as one printable line: they are shown on terminals and kept in files."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:longest]).split())


def label(choice: Choice) -> str:
    """A choice as a key, whatever its case."""
    return choice_label(choice).strip().lower()


def label_of(value: Any) -> str:
    """What a reply wrote for a choice, as :func:`label` writes it."""
    return value.strip().lower() if isinstance(value, str) else label(value)


def number_of(value: Any) -> float | None:
    """A finite number, or the one that a text is and nothing else; None for ``"1e-3 to 1e-2"`` or ``"10**-3"``."""
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER and NUMBER.fullmatch(value.strip()):
        value = float(value)
    return value if is_number(value) else None


def quoted(text: str) -> str:
    """A model's word in quotation marks, cut short."""
    return repr(line(text, 60))


def listed(texts: Sequence[str]) -> str:
    """The first of many, which a model may have made up by the thousand."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(quoted(text) for text in texts[:_MOST_LISTED]) + more
