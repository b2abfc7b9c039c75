"""What a server that calls itself OpenAI-compatible takes: found out from what it refuses, one field at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybridbo.ports import ChatRequest

FORMATS = ("json_schema", "json_object", "text")
LIMITS = ("max_tokens", "max_completion_tokens", "none")

_ABOUT_FORMAT = re.compile(r"response.?format|json.?(object|mode)|schema|grammar|structured|guided", re.IGNORECASE)
_ABOUT_LIMIT = re.compile(r"max_(completion_)?tokens", re.IGNORECASE)
_ABOUT_SYSTEM = re.compile(r"system.{0,3} (role|message|prompt)", re.IGNORECASE)
_WRONG_FIELD = frozenset({400, 415, 422})
_PERHAPS = frozenset({404, 405, 500, 501})  # llama.cpp and others fail so on a schema that they cannot compile


@dataclass(frozen=True)
class Complaint:
    """A refusal by a server.

    Attributes:
        status: The HTTP status.
        words: Its message, without the parts that quote the request.
        param: The field it objects to, if it says so.
    """

    status: int
    words: str
    param: str = ""


@dataclass(frozen=True)
class Dialect:
    """The fields that a server takes.

    Attributes:
        format: ``"json_schema"``, ``"json_object"`` or ``"text"``: the most that it understands.
        limit: The name of the field for the longest reply; ``"none"`` to send none.
        temperature: Whether it takes a temperature (models that reason do not).
        system: Whether it takes a system message (the templates of some models do not).
    """

    format: str = "json_schema"
    limit: str = "max_tokens"
    temperature: bool = True
    system: bool = True

    def fields(self, request: ChatRequest) -> dict[str, Any]:
        """The request in this dialect, as arguments of a chat completion."""
        fields: dict[str, Any] = {"messages": self._messages(request)}
        if request.schema is not None and self.format == "json_schema":
            schema = {"name": _identifier(request.purpose), "schema": request.schema, "strict": _strict(request.schema)}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif request.schema is not None and self.format == "json_object":
            fields["response_format"] = {"type": "json_object"}
        if self.limit != "none":
            fields[self.limit] = request.max_tokens
        if self.temperature and request.temperature is not None:
            fields["temperature"] = request.temperature
        return fields

    def after(self, complaint: Complaint, request: ChatRequest) -> tuple[Dialect, str] | None:
        """The dialect to try next and a note that says what was given up; None if there is nothing to give up.

        Every step gives up something for good, so that there are six of them at most.
        """
        about = f"{complaint.param} {complaint.words}"
        if complaint.status not in _WRONG_FIELD:
            if complaint.status in _PERHAPS and _ABOUT_FORMAT.search(about):
                return self._plainer(request)
            return None
        if complaint.param != "response_format":
            if self.temperature and request.temperature is not None and "temperature" in about.lower():
                return replace(self, temperature=False), "temperature refused"
            if self.limit != "none" and _ABOUT_LIMIT.search(about):
                return self._other_limit()
            if self.system and _ABOUT_SYSTEM.search(about):
                return replace(self, system=False), "system message refused"
        return self._plainer(request)

    def _plainer(self, request: ChatRequest) -> tuple[Dialect, str] | None:
        if request.schema is None or self.format == "text":
            return None
        lower = FORMATS[FORMATS.index(self.format) + 1]
        return replace(self, format=lower), f"{self.format} refused"

    def _other_limit(self) -> tuple[Dialect, str]:
        return replace(self, limit=LIMITS[LIMITS.index(self.limit) + 1]), f"{self.limit} refused"

    def _messages(self, request: ChatRequest) -> list[dict[str, str]]:
        system, user = clean(request.system), clean(request.user)
        if not system:
            return [{"role": "user", "content": user}]
        if not self.system:
            return [{"role": "user", "content": f"{system}\n\n{user}"}]
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def clean(text: str) -> str:
    """The text without what UTF-8 cannot carry (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _identifier(purpose: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", purpose)[:64] or "reply"


def _strict(schema: Any) -> bool:
    """Whether every object in it is closed and requires all it names, as OpenAI's strict mode demands."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if schema.get("type") == "object" or isinstance(properties, Mapping):
            closed = schema.get("additionalProperties") is False
            if not closed or set(schema.get("required", ())) != set(properties or ()):
                return False
        return all(_strict(part) for part in schema.values())
    return all(_strict(part) for part in schema) if isinstance(schema, (list, tuple)) else True
