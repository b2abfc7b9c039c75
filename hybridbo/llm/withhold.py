"""Keeping no text: what is stored of a request and of its reply where ``settings.llm.store_text`` is False.

Of the texts, hashes are kept. Of a reply, also what it comes down to, in numbers and in choices of the space: a search
that is resumed reads it as it would have read the reply. The process that has asked uses nothing else either, so that
it proposes the same, and no sentence of the reply gets into the reason of a trial.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hybridbo.belief import Advice, Belief, NumericBelief
from hybridbo.chat import ChatFailure, ChatReply, ChatRequest
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.prompts import choice_label
from hybridbo.space import Space

_KEY = "withheld"


def without_text(request: ChatRequest) -> ChatRequest:
    """The request with the hashes of its texts, of its space and of its schema in their place."""
    hashes = (request.content_hash, request.topic_hash)
    return replace(request, task="", space={}, system="", user="", schema=None, digests=hashes)


def numbers_of(reply: ChatReply, space: Space) -> ChatReply:
    """The reply with a JSON object in place of its text: its configurations, its beliefs, and the hash of the text."""
    advice = parse_advice(reply.text, space)
    counts = {"rejected": len(advice.rejections), "repaired": len(advice.repairs)}
    data = {
        "configs": [dict(point) for point in advice.points],
        "beliefs": {name: _belief(belief) for name, belief in advice.beliefs.items()},
        _KEY: {"sha256": _sha256(reply.text), **counts},
    }
    return replace(reply, text=json.dumps(data))


def failure_without_text(failure: ChatFailure) -> ChatFailure:
    """The failure without its message, which may quote what was sent or what came."""
    return replace(failure, message=f"the text is not kept (SHA-256 {_sha256(failure.message)[:16]}).")


def counts_of(text: str, advice: Advice) -> tuple[int, int]:
    """How many parts of a stored reply were rejected and how many repaired, when it came."""
    if _KEY in text:
        try:
            told: Mapping[str, Any] = json.loads(text)[_KEY]
            return int(told["rejected"]), int(told["repaired"])
        except (ValueError, TypeError, KeyError, RecursionError):
            pass  # a reply that happens to use the word
    return len(advice.rejections), len(advice.repairs)


def _belief(belief: Belief) -> dict[str, float]:
    if isinstance(belief, NumericBelief):
        return {"center": belief.center, "low": belief.low, "high": belief.high}
    return {choice_label(choice): weight for choice, weight in belief.weights}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
