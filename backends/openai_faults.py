"""From what goes wrong between us and a server to one of our errors: which kind it is, and what to say about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridbo.backends.dialect import Complaint
from hybridbo.backends.redact import Redactor
from hybridbo.errors import BackendBadReply, BackendError, BackendRefused, BackendTimeout, BackendUnavailable

_QUOTA = ("insufficient_quota", "quota", "billing", "balance", "credit")
_AGAIN_LATER = frozenset({408, 409, 425, 429})


class ServerRefusal(Exception):
    """A response of status 300 or above, its body read no further than is good for us."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class TooLarge(Exception):
    """A response longer than any reply can be."""


@dataclass(frozen=True)
class Fault:
    """Why an attempt failed.

    Attributes:
        error: What the caller is to be told.
        wait_s: How long the server asks to be left alone; None if it does not say.
    """

    error: BackendError
    wait_s: float | None = None


@dataclass(frozen=True)
class Reporter:
    """Writes the errors of one backend.

    Attributes:
        who: The model and the host, for messages.
        redactor: Takes the key out of what a server says.
    """

    who: str
    redactor: Redactor

    def fault(self, error: BaseException, timeout_s: float) -> Fault:
        """The fault behind an exception of the SDK, of its HTTP library, or of ours."""
        if refusal := refusal_in(error):
            return self._refused(refusal)
        if isinstance(error, BackendError):
            error.__context__ = error.__cause__ = None  # what was being handled may quote the key
            return Fault(error.with_traceback(None))
        if isinstance(error, TooLarge):
            return Fault(self.bad_reply("a reply longer than any configuration list"))
        return Fault(self._broken(error, timeout_s))

    def timeout(self, timeout_s: float) -> BackendTimeout:
        """The error for a deadline that has passed."""
        return BackendTimeout(
            f"{self.who} gave no whole reply within {timeout_s:g} s.",
            "Raise settings.llm.timeout_s, or use a faster model.",
        )

    def bad_reply(self, what: str, hint: str = "") -> BackendBadReply:
        """The error for an answer that is no usable chat completion."""
        hint = hint or "Check that base_url is the API of a chat model (it often ends in /v1), and the model."
        return BackendBadReply(f"{self.who} answered with {self.redactor.message(what)}.", hint)

    def _refused(self, refusal: ServerRefusal) -> Fault:
        status, complaint = refusal.status, complaint_of(refusal)
        words = self.redactor.message(complaint.words)
        said = f"{self.who}: HTTP {status}: {words or 'no reason given'}".rstrip(".") + "."
        if status in (401, 403):
            return Fault(BackendRefused(said, "Check OPENAI_API_KEY, and that it may use this model."))
        if status == 402 or (status == 429 and _is_quota(refusal)):
            return Fault(BackendRefused(said, "The account's quota is used up: top it up, or use another key."))
        if status == 404:
            return Fault(BackendRefused(said, "Check the model's name, and base_url (it often ends in /v1)."))
        if status < 400:
            return Fault(BackendRefused(f"{self.who}: HTTP {status}, a redirection.", "Give base_url as it is now."))
        if status >= 500 or status in _AGAIN_LATER:
            hint = "It asks for fewer requests; try later." if status == 429 else "The server failed; try later."
            return Fault(BackendUnavailable(said, hint), _retry_after(refusal.headers))
        return Fault(BackendRefused(said, "The server does not take this request; try another model or server."))

    def _broken(self, error: BaseException, timeout_s: float) -> BackendError:
        chain = [error, *([error.__cause__] if error.__cause__ else [])]
        names = {kind.__name__ for link in chain for kind in type(link).__mro__}
        if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
            return self.timeout(timeout_s)
        cause = self.redactor.message(f"{type(chain[-1]).__name__}: {chain[-1]}")
        if names & {"LocalProtocolError", "UnsupportedProtocol", "InvalidURL"}:
            return BackendRefused(f"{self.who} cannot be asked: {cause}.", "Check base_url and OPENAI_API_KEY.")
        if names & {"TransportError", "APIConnectionError", "OSError"} and "DecodingError" not in names:
            return BackendUnavailable(f"{self.who} cannot be reached: {cause}.", "Is it up, and base_url right?")
        return self.bad_reply(f"something that cannot be read ({cause})")


def refusal_in(error: BaseException) -> ServerRefusal | None:
    """The refusal that an exception is or wraps."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, ServerRefusal):
        link = link.__cause__
    return link


def complaint_of(refusal: ServerRefusal) -> Complaint:
    """What a server objects to, in its own words, without what it quotes from the request."""
    text = refusal.body.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        page = text.lstrip().startswith("<")
        return Complaint(refusal.status, "an HTML page" if page else text)
    words, param = _words(body)
    return Complaint(refusal.status, words, param)


def _words(body: Any) -> tuple[str, str]:
    """Message and field of the shapes in use: OpenAI's, FastAPI's, a bare string."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail", "msg", "errors"):
            if body.get(key):
                words, param = _words(body[key])
                named = body.get("param")
                return words, named if isinstance(named, str) else param
        return "", ""
    if isinstance(body, list):  # FastAPI: [{"loc": ["body", "response_format"], "msg": "...", "input": ...}]
        rows = [row for row in body[:5] if isinstance(row, Mapping)]
        fields = [str(part) for row in rows for part in _sequence(row.get("loc"))]
        told = [f"{'.'.join(map(str, _sequence(row.get('loc'))))}: {_words(row)[0]}" for row in rows]
        return "; ".join(told), next((f for f in reversed(fields) if f == "response_format"), "")
    return body if isinstance(body, str) else "", ""


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_quota(refusal: ServerRefusal) -> bool:
    """Whether a 429 means that the money is gone, and not that requests come too fast."""
    text = refusal.body.decode("utf-8", "replace").lower()
    return _QUOTA[0] in text or ("rate" not in text and any(word in text for word in _QUOTA))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
