"""A chat server on loopback that answers, and fails, as the servers of this world do."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Act = Callable[["Exchange"], None]
"""What the server does with one request."""


class ChatServer:
    """An OpenAI-compatible server in a thread, for tests: ``with ChatServer(["503", answer("{}")]) as server``.

    Args:
        acts: What it does with the requests one after the other, the last for all further ones: names of
            :data:`FAULTS`, or functions that are given the :class:`Exchange`.
        models: What ``GET /models`` lists.

    Attributes:
        requests: The bodies of the chat completions asked for, as parsed JSON.
        headers: Their headers, names in lower case.
        closing: Set when the server goes down: what a hanging answer waits for.
    """

    def __init__(self, acts: Sequence[str | Act], models: Sequence[str] = ("loopback-model",)) -> None:
        self._acts: list[Act] = [FAULTS[act] if isinstance(act, str) else act for act in acts]
        self._lock = threading.Lock()
        self.models = list(models)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._http = _Server(("127.0.0.1", 0), Exchange)
        self._http.chat = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def act(self, body: dict[str, Any], headers: Mapping[str, str]) -> Act:
        """Note a request and choose what to do with it."""
        with self._lock:
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            return self._acts[min(len(self.requests), len(self._acts)) - 1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    chat: ChatServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""


class Exchange(BaseHTTPRequestHandler):
    """One request on its way to an answer.

    Attributes:
        chat: The server.
        body: The request, parsed.
    """

    server: _Server
    body: dict[str, Any]

    @property
    def chat(self) -> ChatServer:
        """The server."""
        return self.server.chat

    def do_GET(self) -> None:  # a name of the standard library
        """List the models."""
        self.send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.chat.models]})

    def do_POST(self) -> None:  # a name of the standard library
        """Do what the test wants done."""
        self.body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.chat.act(self.body, dict(self.headers.items()))(self)

    def send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response; a body that is neither bytes nor text goes as JSON."""
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def reset(self) -> None:
        """Cut the connection, the rude way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the standard library
        """Nothing on standard error."""


def completion(text: Any = "ok", **changes: Any) -> dict[str, Any]:
    """The body of a chat completion with that content; ``changes`` replace fields of it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return {"id": "1", "object": "chat.completion", "model": "loopback", "choices": [choice], "usage": usage, **changes}


def answer(text: Any = "ok", **changes: Any) -> Act:
    """Answer with a chat completion."""
    return respond(200, completion(text, **changes))


def respond(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Act:
    """Answer with any status and body."""
    return lambda exchange: exchange.send(status, body, headers)


def refuse(status: int, message: str, code: str = "error", headers: Mapping[str, str] | None = None) -> Act:
    """Answer with an error in OpenAI's shape, its message followed by an echo of the Authorization header."""

    def act(exchange: Exchange) -> None:
        echo = exchange.headers.get("Authorization", "").removeprefix("Bearer ")
        error = {"message": f"{message} (you sent {echo})", "type": "error", "param": None, "code": code}
        exchange.send(status, {"error": error}, headers)

    return act


def message(**fields: Any) -> Act:
    """Answer with a chat completion whose message has these fields."""
    return answer(choices=[{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}])


def _hang(exchange: Exchange) -> None:
    exchange.chat.closing.wait(60)


def _drip(exchange: Exchange) -> None:
    """A sound answer at twenty bytes a second: each byte is in time, the whole never is."""
    data = json.dumps(completion("x" * 1000)).encode()
    exchange.send_response(200)
    exchange.send_header("Content-Length", str(len(data)))
    exchange.end_headers()
    _slowly(exchange, data)


def _drip_headers(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _slowly(exchange, b"x" * 1000)


def _drip_error(exchange: Exchange) -> None:
    exchange.send_response(500)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    _slowly(exchange, b"x" * 1000)


def _slowly(exchange: Exchange, data: bytes) -> None:
    for i in range(len(data)):
        if exchange.chat.closing.wait(0.05):
            return
        exchange.wfile.write(data[i : i + 1])


def _cut(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"choices": [')


def _reset(exchange: Exchange) -> None:
    _cut(exchange)
    exchange.wfile.flush()
    exchange.reset()


def _endless(status: int) -> Act:
    def act(exchange: Exchange) -> None:
        exchange.send_response(status)
        exchange.end_headers()
        while not exchange.chat.closing.is_set():
            exchange.wfile.write(b"[" * 65536)

    return act


_HTML = "<!DOCTYPE html><html><body>Sign in to continue</body></html>"

FAULTS: dict[str, Act] = {
    "401": refuse(401, "Incorrect API key provided", "invalid_api_key"),
    "403": refuse(403, "This key may not use that model"),
    "404": refuse(404, "The model does not exist", "model_not_found"),
    "429": refuse(429, "Rate limit reached", "rate_limit_exceeded"),
    "429 quota": refuse(429, "You exceeded your current quota", "insufficient_quota"),
    "500": refuse(500, "The server had an error"),
    "503": refuse(503, "Loading model", headers={"Retry-After": "0"}),
    "hang": _hang,
    "drip": _drip,
    "drip headers": _drip_headers,
    "drip error": _drip_error,
    "html": respond(200, _HTML, {"Content-Type": "text/html"}),
    "html 502": respond(502, _HTML, {"Content-Type": "text/html"}),
    "no json": respond(200, '{"choices": [{"mess'),
    "no utf-8": respond(200, b'{"choices": "\xff\xfe"}'),
    "empty body": respond(200, ""),
    "empty choices": answer(choices=[]),
    "no choices": respond(200, {"error": {"message": "upstream failed"}}),
    "null content": message(content=None),
    "empty content": message(content=" \n"),
    "refusal": message(content=None, refusal="I cannot help with that."),
    "content filter": answer(choices=[{"message": {"content": "x"}, "finish_reason": "content_filter"}]),
    "wrong types": respond(200, {"choices": {"0": "text"}, "usage": "many"}),
    "content of a wrong type": message(content={"lr": 1}),
    "message of a wrong type": answer(choices=[{"message": "text"}]),
    "a list": respond(200, []),
    "deep": respond(200, "[" * 100_000),
    "endless": _endless(200),
    "endless error": _endless(500),
    "cut off": _cut,
    "reset": _reset,
}
"""Ways to fail, by name."""
