"""The one JSON object of a reply, found without guessing: in a code fence, behind a model's thinking, or cut off.

Two objects, a key given twice, an object that is not closed: each leaves open what was meant, and is refused.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from hybridbo.llm.words import Unusable

MOST_ITEMS = 50

_LONGEST = 200_000  # characters; ten configurations are under 10,000
_MOST_STARTS = 64  # opening brackets tried before a text counts as prose
_MOST_READ = 400_000  # characters read in trying them: a hundredth of a second
_OPENED = re.compile(r'\{\s*"')  # an object begins; "{:-)" is a smile
_NEXT_ITEM = re.compile(r"\s*(?:,\s*)?(?=\{)")
_NEXT_MEMBER = re.compile(r'\s*\]\s*,\s*"(\w{1,40})"\s*:\s*(?=\{)')
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


def read_object(text: str, keys: Collection[str], lists: Collection[str], repairs: list[str]) -> dict[str, Any]:
    """The object of a reply.

    Args:
        text: The reply, whatever it is.
        keys: It has one of these.
        lists: Those of the keys that hold a list of objects: of a reply that was cut off, its complete items are kept.
        repairs: What was mended is added here.

    Raises:
        Unusable: There is none, or more than one.
    """
    if not text.strip():
        raise Unusable("the reply is empty")
    if len(text) > _LONGEST:
        raise Unusable(f"the reply has {len(text)} characters, more than {_LONGEST}")
    thought = _THOUGHT.sub("", text)
    if thought != text:
        text = thought
        repairs.append("the model's thinking was left out")
    found = list(_objects(text))
    objects = [(data, start, end) for data, start, end in found if not data.keys().isdisjoint(keys)]
    if len(objects) > 1:
        raise Unusable("the reply holds several JSON objects and does not say which one counts")
    list_of = re.compile(rf'"({"|".join(lists)})"\s*:\s*\[')
    if not objects:
        return _salvage(text, list_of, repairs)
    data, start, end = objects[0]
    if len(found) > 1 or list_of.search(text[:start]) or _OPENED.search(text, end) or list_of.search(text, end):
        raise Unusable("another JSON object stands beside the first, and nothing says which one counts")
    if (text[:start] + text[end:]).strip():
        repairs.append("text around the JSON object was left out")
    return data


def _objects(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """The JSON objects in a text that lie in no other one, with where they start and end; all but the hopeless are."""
    at, read = 0, 0
    for _ in range(_MOST_STARTS):
        start = text.find("{", at)
        if start < 0 or read > _MOST_READ:
            return
        try:
            data, at = _decode(text, start)
        except (ValueError, RecursionError) as error:
            if isinstance(error, Unusable):
                raise
            at = start + 1
            read += _read_until(error, text) - start
        else:
            yield data, start, at


def _read_until(error: Exception, text: str) -> int:
    """Where reading a text as JSON has ended in an error."""
    is_known = isinstance(error, json.JSONDecodeError) and not error.msg.startswith("Unterminated")
    return error.pos if is_known else len(text)  # type: ignore[attr-defined]  # as just asked


def _decode(text: str, start: int) -> tuple[dict[str, Any], int]:
    data, end = json.JSONDecoder(object_pairs_hook=_unique).raw_decode(text, start)
    return data, end


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise Unusable("an object of the reply gives a key twice")
    return data


def _salvage(text: str, list_of: re.Pattern[str], repairs: list[str]) -> dict[str, Any]:
    """The complete items of a reply that was cut off: an object that is closed has no number cut off."""
    starts = list(itertools.islice(list_of.finditer(text), 2))
    if len(starts) > 1:
        raise Unusable("the reply is broken and lists configurations more than once")
    items: list[Any] = []
    at = starts[0].end() if starts else len(text)
    while opening := _NEXT_ITEM.match(text, at):
        try:
            item, at = _decode(text, opening.end())
        except (ValueError, RecursionError):
            break
        items.append(item)
        if len(items) >= MOST_ITEMS:
            break
    if not items:
        raise Unusable("the reply holds no complete JSON object")
    repairs.append(f"the reply is cut off or broken; its first {len(items)} complete items were kept")
    return {starts[0][1]: items, **_next_member(text, at)}


def _next_member(text: str, at: int) -> dict[str, Any]:
    """The object that follows the list under a name of its own, if both are complete."""
    match = _NEXT_MEMBER.match(text, at)
    try:
        return {match[1]: _decode(text, match.end())[0]} if match else {}
    except (ValueError, RecursionError):
        return {}
