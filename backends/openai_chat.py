"""Any server that speaks OpenAI's chat completions, hosted or your own."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from hybridbo.backends.dialect import Dialect
from hybridbo.backends.log_guard import guard
from hybridbo.backends.openai_faults import Fault, Reporter, ServerRefusal, TooLarge, complaint_of, refusal_in
from hybridbo.backends.openai_reply import first_model, read_reply
from hybridbo.backends.redact import Redactor
from hybridbo.deadline import DeadlineExceeded, within
from hybridbo.errors import BackendRefused, InvalidSettings
from hybridbo.ports import ChatReply, ChatRequest

DEFAULT_MODEL = "gpt-5-mini"
"""The model that ``llm="openai"`` or ``"auto"`` asks at the hosted service."""

_HOSTED = "https://api.openai.com/v1"
_NO_KEY = "none"  # the SDK wants a key; servers of one's own mostly do not
_LONGEST_REPLY = 4 * 2**20  # bytes
_LONGEST_REFUSAL = 64 * 2**10
_LONGEST_PAUSE_S = 5.0
_FIRST_PAUSE_S = 0.2
_LONG_USER = 12

_log = logging.getLogger("hybridbo.backends.openai_chat")


class OpenAIChat:
    """An OpenAI-compatible chat model.

    It asks for structured output and gives up, one refusal after the other, what the server does not take; what it
    found out it keeps for the next request. Threads may share it.

    Args:
        model: The model; None takes the first that a server of your own lists, or :data:`DEFAULT_MODEL` at the hosted
            service.
        base_url: The address of the API; None for ``OPENAI_BASE_URL``, or else the hosted service.
        api_key: None for ``OPENAI_API_KEY``; a server of your own may need none.

    Raises:
        InvalidSettings: ``base_url`` is no http address.
    """

    def __init__(self, model: str | None = None, base_url: str | None = None, api_key: str | None = None) -> None:
        address = (base_url or os.environ.get("OPENAI_BASE_URL", "")).strip() or _HOSTED
        self._key = (api_key or os.environ.get("OPENAI_API_KEY", "")).strip()
        parts = _parsed(address)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._redactor = Redactor(self._secrets())
        self._host = parts.netloc.rpartition("@")[2]
        self._url = f"{parts.scheme}://{self._host}{parts.path}"
        hosted = parts.hostname == urlsplit(_HOSTED).hostname
        self._model = model or (DEFAULT_MODEL if hosted else None)
        self._needs_key = hosted
        self._dialect = Dialect(limit="max_completion_tokens" if hosted else "max_tokens")
        self._name = f"openai:{self._model}" if self._model else "openai"

    @property
    def name(self) -> str:
        """``"openai:MODEL"``, or ``"openai"`` where the server is to choose."""
        return self._name

    @property
    def identity(self) -> str:
        """The name, the host, and a mark that changes with address and key: four digits, which tell nothing of them."""
        secret = f"{self._url}\n{self._key}\n{self._user}\n{self._password}"
        return f"{self._name} at {self._host}, mark {hashlib.sha256(secret.encode()).hexdigest()[:4]}"

    def __repr__(self) -> str:
        return f"<OpenAIChat {self._name} at {self._host}>"

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer a request.

        Each attempt has ``request.timeout_s``, however the server dawdles, and all of them with the short pauses
        between them ``request.total_s``. An error tells the tokens that the server has counted all the same.

        Raises:
            BackendError: Of the class that says whether to retry, fall back or give up.
        """
        started = time.monotonic()
        outcome: ChatReply | Fault = self._unusable_key() or self._attempt(_within(request, request.total_s))
        attempts = 1
        while isinstance(outcome, Fault) and outcome.error.advice == "retry" and attempts <= request.retries:
            pause_s = _pause(attempts, outcome)
            left_s = None if request.total_s is None else request.total_s - pause_s - (time.monotonic() - started)
            if left_s is not None and left_s <= 0:
                break
            _log.info("attempt %d failed: %s", attempts, outcome.error.message)
            time.sleep(pause_s)
            outcome = self._attempt(_within(request, left_s))
            attempts += 1
        if isinstance(outcome, Fault):
            raise outcome.error  # made where nothing else was being handled: no context that could show the key
        note = _joined([outcome.note, f"answered at attempt {attempts}" if attempts > 1 else ""])
        return replace(outcome, latency_s=time.monotonic() - started, note=note)

    def _attempt(self, request: ChatRequest) -> ChatReply | Fault:
        """One attempt within its deadline; what goes wrong is returned, with the server's own exception left behind."""
        try:
            client = self._client(request.timeout_s)
        except Exception as error:  # noqa: BLE001  # a broken proxy or certificate setting, in whatever class
            return self._reporter().fault(error, request.timeout_s)
        try:
            return within(request.timeout_s, lambda: self._converse(client, request), lambda: _close(client))
        except DeadlineExceeded:
            return Fault(self._reporter().timeout(request.timeout_s))

    def _converse(self, client: Any, request: ChatRequest) -> ChatReply | Fault:
        """Ask until the server has no more to object to. Runs in the thread of the attempt and closes the client."""
        notes: list[str] = []
        dialect = self._dialect
        try:
            model = self._model or self._served_model(client)
            while True:
                try:
                    body = _post(client, model, dialect, request)
                except Exception as error:
                    refusal = refusal_in(error)
                    step = dialect.after(complaint_of(refusal), request) if refusal else None
                    if step is None:
                        raise
                    dialect = step[0]
                    notes.append(step[1])
                else:
                    self._dialect = dialect  # it was taken: where the next request starts
                    reply = read_reply(body, model, self._reporter())
                    return replace(reply, note=_joined([*notes, reply.note]))
        except Exception as error:  # noqa: BLE001  # of the SDK, of its HTTP library (httpx or httpx2), or of ours
            return self._reporter().fault(error, request.timeout_s)
        finally:
            _close(client)

    def _served_model(self, client: Any) -> str:
        with client.models.with_streaming_response.list() as response:
            self._model = first_model(_read(response.iter_bytes()), self._reporter())
        return self._model

    def _client(self, timeout_s: float) -> Any:
        """A client for one attempt, so that closing it on a deadline disturbs no other thread."""
        import openai

        guard(self._redactor)
        headers = {"Accept-Encoding": "identity"}  # what is small on the wire is small in memory
        if self._user or self._password:  # not in the address, which the HTTP library writes into its log
            pair = f"{self._user}:{self._password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        http = openai.DefaultHttpxClient(
            timeout=timeout_s, event_hooks={"response": [_stop_at_refusal]}, follow_redirects=False
        )
        return openai.OpenAI(
            api_key=self._key or _NO_KEY, base_url=self._url, max_retries=0, timeout=timeout_s,
            default_headers=headers, http_client=http,
        )  # fmt: skip

    def _unusable_key(self) -> Fault | None:
        if not self._key and self._needs_key:
            hint = "Set it, or OPENAI_BASE_URL to a server of your own, or use llm=None."
            return Fault(BackendRefused(f"{self._who()}: OPENAI_API_KEY is not set.", hint))
        if not (self._key.isascii() and self._key.isprintable()):
            return Fault(BackendRefused(f"{self._who()}: the API key holds characters no key has.", "Copy it anew."))
        return None

    def _who(self) -> str:
        return f"model {self._model!r} at {self._host}" if self._model else f"the server at {self._host}"

    def _reporter(self) -> Reporter:
        return Reporter(self._who(), self._redactor)

    def _secrets(self) -> tuple[str, ...]:
        """All that must not be seen; a user name as well where it stands alone, or is long enough to be a key."""
        pair = base64.b64encode(f"{self._user}:{self._password}".encode()).decode() if self._password else ""
        user = self._user if not self._password or len(self._user) >= _LONG_USER else ""
        return self._key, self._password, pair, user


def _parsed(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        shown = Redactor().message(address.partition("?")[0], 80)
        raise InvalidSettings(f"base_url {shown!r} is no address of an API.", 'Write "http://HOST:PORT/v1".')
    return parts


def _post(client: Any, model: str, dialect: Dialect, request: ChatRequest) -> bytes:
    completions = client.chat.completions.with_streaming_response
    with completions.create(model=model, **dialect.fields(request)) as response:
        return _read(response.iter_bytes())


def _read(chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > _LONGEST_REPLY:
            raise TooLarge
    return bytes(body)


def _stop_at_refusal(response: Any) -> None:
    """Read the beginning of the body of a refusal and leave: the SDK would read all of it, however long.

    A redirection is one as well: nobody but the address that was given gets the key.
    """
    if response.status_code < 300:
        return
    body = bytearray()
    with suppress(Exception):  # cut off in the middle: what came is enough
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _LONGEST_REFUSAL:
                break
    raise ServerRefusal(response.status_code, dict(response.headers), bytes(body[:_LONGEST_REFUSAL]))


def _close(client: Any) -> None:
    with suppress(Exception):  # it may be closed from two threads at once
        client.close()


def _within(request: ChatRequest, left_s: float | None) -> ChatRequest:
    """The request for an attempt that has no longer than ``left_s``."""
    return request if left_s is None else replace(request, timeout_s=min(request.timeout_s, left_s))


def _pause(attempts: int, fault: Fault) -> float:
    wanted = _FIRST_PAUSE_S * 2 ** (attempts - 1)
    return float(min(max(wanted, fault.wait_s or 0.0), _LONGEST_PAUSE_S))


def _joined(notes: list[str]) -> str:
    return "; ".join(note for note in notes if note)
