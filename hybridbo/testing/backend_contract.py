"""What every ChatBackend must do, as tests to subclass."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import math
import pickle
import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from hybridbo.errors import BackendError, BackendTimeout
from hybridbo.ports import ChatBackend, ChatReply, ChatRequest

_SPACE = {"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True}}
_SCHEMA = {
    "type": "object",
    "properties": {"lr": {"type": "number"}},
    "required": ["lr"],
    "additionalProperties": False,
}


class BackendContract:
    """The contract of a ChatBackend.

    Subclass it in a test module under a name that begins with ``Test`` and override the fixtures ``backend`` and, if
    the backend can fail, ``broken`` and ``slow``; also ``chat_request``, if it answers particular requests only::

        class TestMine(BackendContract):
            secret = "not-a-real-key"
            keeps_schema = True  # it has structured output

            @pytest.fixture
            def backend(self):
                return Mine("small", key=self.secret)

            @pytest.fixture
            def broken(self):
                return Mine("no-such-model", key=self.secret)

            @pytest.fixture
            def slow(self):
                with ChatServer(["hang"]) as server:  # of hybridbo.testing: fails in every way that servers do
                    yield Mine("small", key=self.secret, url=server.base_url)

    Attributes:
        recorded: Whether its replies come from a recording, so that it asks no model.
        secret: The key that it was given, which must appear nowhere.
        keeps_schema: Whether a reply to a request with a schema is JSON of that schema, for certain.
        counts_tokens: Whether it tells how many tokens were used.
        timeout_s: A deadline that ``slow`` misses.
    """

    recorded: ClassVar[bool] = False
    secret: ClassVar[str] = ""
    keeps_schema: ClassVar[bool] = False
    counts_tokens: ClassVar[bool] = False
    timeout_s: ClassVar[float] = 0.2

    @pytest.fixture
    def backend(self) -> ChatBackend:
        """A backend that answers ``chat_request`` at least eight times."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def broken(self) -> ChatBackend | None:
        """A backend that cannot answer ``chat_request``; None if there is no such thing."""
        return None

    @pytest.fixture
    def slow(self) -> ChatBackend | None:
        """A backend that does not answer within ``timeout_s``; None if there is no such thing."""
        return None

    @pytest.fixture
    def chat_request(self) -> ChatRequest:
        """What is asked."""
        return ChatRequest(
            "seeds", "Tune a perceptron.", _SPACE, "You tune.", "Name an lr as JSON.", _SCHEMA,
            max_tokens=64, timeout_s=60.0, retries=0,
        )  # fmt: skip

    def test_it_is_a_chat_backend(self, backend: ChatBackend) -> None:
        """It has a name and completes."""
        assert isinstance(backend, ChatBackend)

    def test_its_name_is_one_short_line_without_the_secret(self, backend: ChatBackend) -> None:
        """The name goes into the store and onto the screen."""
        name = backend.name
        assert isinstance(name, str)
        assert name.strip()
        assert name.isprintable()
        assert len(name) <= 300
        assert backend.name == name
        self._assert_no_secret(name, repr(backend), str(backend))

    def test_it_answers_with_text(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """A reply that the store can keep."""
        reply = backend.complete(chat_request)
        assert isinstance(reply, ChatReply)
        assert isinstance(reply.text, str)
        assert reply.text.strip()
        reply.text.encode()  # a lone surrogate could not be stored
        assert isinstance(reply.model, str)
        assert reply.model
        assert reply.recorded is self.recorded
        assert math.isfinite(reply.latency_s)
        assert reply.latency_s >= 0
        self._assert_no_secret(repr(reply))

    def test_it_counts_tokens_or_says_that_it_cannot(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """A count is a whole number or None, never a guess of another type; a cost is finite or None."""
        reply = backend.complete(chat_request)
        for count in (reply.prompt_tokens, reply.completion_tokens):
            assert count is None or (type(count) is int and count >= 0)
        assert reply.cost is None or (math.isfinite(reply.cost) and reply.cost >= 0)
        if self.counts_tokens:
            assert reply.prompt_tokens
            assert reply.completion_tokens
        if reply.completion_tokens is not None and not self.recorded:
            assert reply.completion_tokens <= chat_request.max_tokens, "settings.llm.max_tokens is a bound on the bill"

    def test_it_keeps_a_schema(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """Structured output, where it is promised."""
        if not self.keeps_schema:
            pytest.skip("promises no structured output")
        schema = chat_request.schema or {}
        told = json.loads(backend.complete(chat_request).text)
        assert set(schema["required"]) <= set(told) <= set(schema["properties"])

    def test_it_leaves_the_request_alone(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """Its hash is a key in the store."""
        before, hashed = copy.deepcopy(chat_request), chat_request.content_hash
        backend.complete(chat_request)
        assert chat_request == before
        assert chat_request.content_hash == hashed

    def test_it_takes_free_text_and_any_language(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """No schema, no temperature, and text that is no ASCII: an answer, or an error of ours."""
        odd = replace(chat_request, user="调参 \N{ROCKET} \ud800 \x00 {'", schema=None, temperature=None)
        with contextlib.suppress(BackendError):
            assert backend.complete(odd).text

    def test_threads_may_share_it(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """Four at once, each with an answer."""
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(backend.complete, [chat_request] * 4))
        assert all(reply.text for reply in replies)

    def test_it_answers_inside_an_event_loop(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """As in a notebook."""

        async def ask() -> ChatReply:
            return backend.complete(chat_request)

        assert asyncio.run(ask()).text

    def test_it_may_be_awaited_if_it_says_so(self, backend: ChatBackend, chat_request: ChatRequest) -> None:
        """``complete_async``, which ``await opt.ask_async()`` prefers, is a coroutine with the same answers."""
        if not hasattr(backend, "complete_async"):
            pytest.skip("has no complete_async")
        reply = asyncio.run(backend.complete_async(chat_request))
        assert isinstance(reply, ChatReply)
        assert reply.text

    def test_it_prints_nothing(
        self, backend: ChatBackend, chat_request: ChatRequest, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Standard output belongs to the program."""
        backend.complete(chat_request)
        assert capfd.readouterr().out == ""

    def test_a_recording_needs_no_network(
        self, backend: ChatBackend, chat_request: ChatRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A replay on a machine without any."""
        if not self.recorded:
            pytest.skip("asks a live model")

        def unplugged(*_: Any) -> None:
            raise AssertionError("a recording was played with a connection")

        monkeypatch.setattr(socket.socket, "connect", unplugged)
        assert backend.complete(chat_request).text

    def test_it_fails_with_an_error_of_ours(self, broken: ChatBackend | None, chat_request: ChatRequest) -> None:
        """An error that says what to do about it, crosses processes, and keeps the secret."""
        if broken is None:
            pytest.skip("cannot fail")
        with pytest.raises(BackendError) as caught:
            broken.complete(chat_request)
        error = caught.value
        assert type(error) is not BackendError, "name the kind: timeout, unavailable, refused, or a bad reply"
        assert error.message
        assert error.hint, "say the remedy"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # our own bytes
        self._assert_no_secret(str(error), repr(error), "".join(traceback.format_exception(error)))

    def test_it_fails_again_rather_than_hang_or_change(
        self, broken: ChatBackend | None, chat_request: ChatRequest
    ) -> None:
        """A failure leaves it in order."""
        if broken is None:
            pytest.skip("cannot fail")
        for _ in range(2):
            with pytest.raises(BackendError):
                broken.complete(chat_request)

    def test_it_keeps_to_the_deadline(self, slow: ChatBackend | None, chat_request: ChatRequest) -> None:
        """It stops waiting, says so in a way that can be tried again, and answers no later than a moment after."""
        if slow is None:
            pytest.skip("cannot be slow")
        started = time.monotonic()
        with pytest.raises(BackendTimeout) as caught:
            slow.complete(replace(chat_request, timeout_s=self.timeout_s, retries=0))
        assert time.monotonic() - started < self.timeout_s + 5
        assert caught.value.hint, "say the remedy"
        self._assert_no_secret(str(caught.value), "".join(traceback.format_exception(caught.value)))

    def _assert_no_secret(self, *texts: str) -> None:
        if self.secret:
            for text in texts:
                assert self.secret not in text
                assert self.secret not in json.dumps(text)
