"""Reading a chat completion, trusting nothing in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hybridbo.backends.dialect import clean
from hybridbo.backends.openai_faults import Reporter
from hybridbo.errors import BackendBadReply
from hybridbo.ports import ChatReply

_LARGEST = 2**53  # what a store and every reader of JSON can hold


def read_reply(body: bytes, model: str, reporter: Reporter) -> ChatReply:
    """The reply in the body of a response of status 200.

    Args:
        body: The body, as it came.
        model: The model that was asked, for servers that do not say.
        reporter: Writes the errors.

    Raises:
        BackendBadReply: It is no chat completion, or one without text.
    """
    data = read_json(body, reporter)
    usage, named = _mapping(data.get("usage")), data.get("model")
    told = {
        "prompt_tokens": _tokens(usage.get("prompt_tokens")),
        "completion_tokens": _tokens(usage.get("completion_tokens")),
        "cost": _amount(usage.get("cost")),  # some gateways tell what they charge
    }
    if isinstance(named, str) and named.strip():
        model = reporter.redactor.message(clean(named))
    try:
        choice = _choice(data, reporter)
        message = choice.get("message")
        if not isinstance(message, Mapping):
            raise reporter.bad_reply(f"a choice whose message is {_kind(message)}")
        finish = choice.get("finish_reason")
        text = _text(message, finish, reporter)
    except BackendBadReply as error:  # of no use, and charged all the same
        vars(error).update(told, model=model)
        raise
    return ChatReply(
        text=reporter.redactor.text(clean(text)),  # a server that echoes the key must not write it into the store
        model=model,
        note="the reply was cut off at the longest length" if finish == "length" else "",
        **told,  # type: ignore[arg-type]
    )


def first_model(body: bytes, reporter: Reporter) -> str:
    """The first model that ``GET /models`` lists.

    Raises:
        BackendBadReply: It lists none.
    """
    listed = read_json(body, reporter).get("data")
    for entry in listed if isinstance(listed, list) else []:
        name = entry.get("id") if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name.strip():
            return clean(name)
    raise reporter.bad_reply("a list of models without a model", 'Name the model: llm="openai:MODEL".')


def read_json(body: bytes, reporter: Reporter) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        BackendBadReply: It is something else; the message says what.
    """
    start = body.lstrip()[:1]
    if start == b"<":
        raise reporter.bad_reply("an HTML page instead of JSON")
    if not start:
        raise reporter.bad_reply("an empty body")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise reporter.bad_reply("something that is no JSON") from None
    if not isinstance(data, Mapping):
        raise reporter.bad_reply(f"JSON that is {_kind(data)} and no object")
    return data


def _choice(data: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    if fault := data.get("error"):  # some gateways report a fault of the model behind them with status 200
        told = fault.get("message") if isinstance(fault, Mapping) else fault
        raise reporter.bad_reply(f"an error: {told if isinstance(told, str) else 'without a message'}")
    raise reporter.bad_reply("no choices")


def _text(message: Mapping[str, Any], finish: Any, reporter: Reporter) -> str:
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal.strip():
        raise reporter.bad_reply(f"a refusal: {refusal}", "Reword the task, or use another model.")
    if finish == "content_filter":
        raise reporter.bad_reply("a reply that its content filter withheld", "Reword the task, or use another model.")
    content = message.get("content")
    if isinstance(content, list):  # some servers send a list of parts
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    if isinstance(content, str) and content.strip():
        return content
    if finish == "length":
        hint = "It spent all of them before it wrote: raise settings.llm.max_tokens, or use a model that reasons less."
        raise reporter.bad_reply("no text within the tokens it was given", hint)
    if content is None or isinstance(content, str):
        raise reporter.bad_reply("an empty text", "Try again, or use another model.")
    raise reporter.bad_reply(f"a content that is {_kind(content)} and no text")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tokens(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < _LARGEST and value == int(value) else None


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _LARGEST else None


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")
