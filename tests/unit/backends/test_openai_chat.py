"""OpenAIChat against a real server on loopback that fails in every way."""

import asyncio
import logging
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest

from hybridbo.backends.openai_chat import DEFAULT_MODEL, OpenAIChat
from hybridbo.errors import (
    BackendBadReply,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    InvalidSettings,
)
from hybridbo.ports import ChatRequest
from hybridbo.testing.chat_server import FAULTS, ChatServer, answer, completion, message, refuse, respond

KEY = "canary-5f2c7e19d4"  # no pattern gives it away: only knowing it helps
SCHEMA = {"type": "object", "properties": {"lr": {"type": "number"}}, "required": ["lr"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def request(**changes):
    given = {"schema": SCHEMA, "timeout_s": 5.0, "retries": 0, "max_tokens": 64} | changes
    return ChatRequest("seeds", "a task", {"lr": {"type": "float", "low": 0, "high": 1}}, "sys", "user, JSON", **given)


def failure(server, backend=None, **changes):
    backend = backend or OpenAIChat("m", server.base_url, KEY)
    with pytest.raises(BackendError) as caught:
        backend.complete(request(**changes))
    return caught.value


def shown(error):
    """Everything that a log, a screen or a debugger could show of an error, what hangs on it included."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
        assert error.__cause__ is None
        error = error.__context__
    return "\n".join(texts)


def test_an_answer():
    with ChatServer([answer('{"lr": 0.1}')]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request())
        assert (reply.text, reply.model, reply.prompt_tokens, reply.completion_tokens) == (
            '{"lr": 0.1}', "loopback", 11, 7,
        )  # fmt: skip
        assert reply.note == ""
        assert reply.recorded is False
        assert 0 < reply.latency_s < 5
        (body,) = server.requests
        assert body["model"] == "m"
        assert body["messages"] == [{"role": "system", "content": "sys"}, {"role": "user", "content": "user, JSON"}]
        assert body["temperature"] == 0
        assert body["max_tokens"] == 64
        assert body["response_format"] == {
            "type": "json_schema", "json_schema": {"name": "seeds", "schema": SCHEMA, "strict": True},
        }  # fmt: skip
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"


KINDS = {
    "401": BackendRefused, "403": BackendRefused, "404": BackendRefused, "429 quota": BackendRefused,
    "429": BackendUnavailable, "500": BackendUnavailable, "503": BackendUnavailable, "html 502": BackendUnavailable,
    "cut off": BackendUnavailable, "reset": BackendUnavailable, "endless error": BackendUnavailable,
    "hang": BackendTimeout, "drip": BackendTimeout, "drip headers": BackendTimeout, "drip error": BackendTimeout,
    "html": BackendBadReply, "no json": BackendBadReply, "no utf-8": BackendBadReply, "empty body": BackendBadReply,
    "empty choices": BackendBadReply, "no choices": BackendBadReply, "null content": BackendBadReply,
    "empty content": BackendBadReply, "refusal": BackendBadReply, "content filter": BackendBadReply,
    "wrong types": BackendBadReply, "content of a wrong type": BackendBadReply,
    "message of a wrong type": BackendBadReply, "a list": BackendBadReply, "deep": BackendBadReply,
    "endless": BackendBadReply,
}  # fmt: skip


def test_every_fault_has_a_kind():
    assert KINDS.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", KINDS)
def test_a_fault_is_told_by_its_kind_with_model_host_and_remedy_but_without_the_key(fault):
    with ChatServer([fault]) as server:
        error = failure(server, timeout_s=0.3 if KINDS[fault] is BackendTimeout else 5.0)
        assert type(error) is KINDS[fault]
        assert "model 'm' at 127.0.0.1:" in error.message
        assert error.hint
        assert len(str(error)) < 450
        assert "\n" not in str(error)
        assert KEY not in shown(error)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("html", "HTML"), ("refusal", "cannot help"), ("no choices", "upstream failed"), ("401", "Incorrect"),
     ("null content", "empty"), ("wrong types", "no choices"), ("hang", "0.3 s"), ("404", "404"), ("429", "429")],
)  # fmt: skip
def test_a_message_says_what_happened(fault, words):
    with ChatServer([fault]) as server:
        assert words in failure(server, timeout_s=0.3 if fault == "hang" else 5.0).message


@pytest.mark.parametrize("fault", ["hang", "drip", "drip headers", "drip error"])
def test_the_deadline_holds(fault):
    with ChatServer([fault]) as server:
        backend = OpenAIChat("m", server.base_url, KEY)
        started = time.monotonic()
        failure(server, backend, timeout_s=0.3)
        assert time.monotonic() - started < 1.5


def test_an_abandoned_attempt_leaves_no_thread_and_no_socket():
    with ChatServer(["drip headers"]) as server:
        failure(server, timeout_s=0.3)
        left = [thread for thread in threading.enumerate() if thread.name == "hybridbo-llm"]
        for thread in left:
            thread.join(5)
            assert not thread.is_alive()


def test_a_refused_connection():
    with socket.socket() as held:  # bound and not listening: nobody else can take the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(BackendUnavailable, match=r"cannot be reached.*refused") as caught:
            OpenAIChat("m", url, KEY).complete(request())
        assert KEY not in shown(caught.value)


def test_an_unknown_host():
    with pytest.raises(BackendUnavailable, match=r"nowhere\.invalid"):
        OpenAIChat("m", "http://nowhere.invalid/v1", KEY).complete(request())


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut off", "reset", "hang"])
def test_a_passing_fault_is_tried_again(fault):
    with ChatServer([fault, answer()]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request(retries=1, timeout_s=0.5))
        assert reply.text == "ok"
        assert reply.note == "answered at attempt 2"
        assert len(server.requests) == 2


@pytest.mark.parametrize("fault", ["401", "429 quota", "refusal", "no json", "404"])
def test_a_lasting_fault_is_not_tried_again(fault):
    with ChatServer([fault, answer()]) as server:
        failure(server, retries=3)
        assert len(server.requests) == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_there_are_as_many_attempts_as_asked_for(retries):
    with ChatServer(["500"]) as server:
        failure(server, retries=retries)
        assert len(server.requests) == retries + 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("2", 2.0),
        ("3600", 5.0),
        ("-1", 0.2),
        ("nan", 0.2),
        ("inf", 0.2),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.2),
        ("", 0.2),
    ],
)
def test_retry_after_is_respected_within_reason(monkeypatch, header, wait):
    pauses = []
    monkeypatch.setattr("hybridbo.backends.openai_chat.time.sleep", pauses.append)
    with ChatServer([refuse(503, "busy", headers={"Retry-After": header}), answer()]) as server:
        OpenAIChat("m", server.base_url, KEY).complete(request(retries=1))
    assert pauses == [wait]


def _kind(field):
    name, value = field
    if name == "response_format":
        return value["type"]
    return value[0]["role"] if name == "messages" else name


def refusing(*fields):
    """A server that takes none of these fields."""

    def act(exchange):
        refused = [kind for kind in map(_kind, exchange.body.items()) if kind in fields]
        if refused:
            said = "System role not supported" if refused[0] == "system" else f"Unsupported value: {refused[0]!r}"
            return exchange.send(400, {"error": {"message": said, "code": "unsupported_value"}})
        return exchange.send(200, completion())

    return act


@pytest.mark.parametrize(
    ("fields", "attempts", "note"),
    [
        (["json_schema"], 2, "json_schema refused"),
        (["json_schema", "json_object"], 3, "json_schema refused; json_object refused"),
        (["temperature"], 2, "temperature refused"),
        (["max_tokens"], 2, "max_tokens refused"),
        (["max_tokens", "max_completion_tokens"], 3, "max_tokens refused; max_completion_tokens refused"),
        (["system"], 2, "system message refused"),
        (["json_schema", "json_object", "temperature", "max_tokens", "max_completion_tokens", "system"], 7, None),
    ],
)
def test_what_a_server_refuses_is_given_up_and_remembered(fields, attempts, note):
    with ChatServer([refusing(*fields)]) as server:
        backend = OpenAIChat("m", server.base_url, KEY)
        first = backend.complete(request())
        assert first.text == "ok"
        assert note is None or first.note == note
        assert len(server.requests) == attempts
        assert backend.complete(request()).note == ""
        assert len(server.requests) == attempts + 1, "the second request starts where the first one ended"
        sent = server.requests[-1]
        assert not set(fields) & {*sent, sent.get("response_format", {}).get("type")}
        assert "sys" in str(sent["messages"])


def test_fields_that_a_server_takes_are_kept():
    with ChatServer([refusing("temperature", "max_tokens")]) as server:
        OpenAIChat("m", server.base_url, KEY).complete(request())
        assert server.requests[-1]["response_format"]["type"] == "json_schema"
        assert server.requests[-1]["max_completion_tokens"] == 64


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Unsupported at this temperature", "param": "response_format"}}),
        (400, {"error": "guided decoding is off"}),
        (400, "bad request"),
        (422, {"detail": [{"loc": ["body", "response_format"], "msg": "no", "input": {"temperature": 0}}]}),
        (500, {"error": {"message": "failed to parse grammar"}}),
        (501, {"message": "json_schema is not implemented"}),
    ],
)  # fmt: skip
def test_a_schema_is_refused_in_many_words(status, body):
    with ChatServer([respond(status, body), answer()]) as server:
        assert OpenAIChat("m", server.base_url, KEY).complete(request()).note == "json_schema refused"
        assert server.requests[1]["response_format"] == {"type": "json_object"}
        assert "temperature" in server.requests[1]


def test_a_request_that_fails_however_plain_is_refused_and_teaches_nothing():
    too_long = refuse(400, "the prompt exceeds the context of the model")
    with ChatServer([too_long, too_long, too_long, answer()]) as server:
        backend = OpenAIChat("m", server.base_url, KEY)
        error = failure(server, backend)
        assert type(error) is BackendRefused
        assert "exceeds the context" in error.message
        assert backend.complete(request()).text == "ok"
        assert server.requests[-1]["response_format"]["type"] == "json_schema"


def test_adapting_stays_within_the_deadline_of_the_attempt():
    with ChatServer([refuse(400, "no schema"), "hang"]) as server:
        started = time.monotonic()
        assert type(failure(server, timeout_s=0.4)) is BackendTimeout
        assert time.monotonic() - started < 1.5


def test_free_text_sends_no_format_and_no_temperature():
    with ChatServer([answer()]) as server:
        OpenAIChat("m", server.base_url, KEY).complete(request(schema=None, temperature=None))
        assert not {"response_format", "temperature"} & server.requests[0].keys()


def test_a_schema_with_optional_parts_is_not_sent_as_strict():
    with ChatServer([answer()]) as server:
        OpenAIChat("m", server.base_url, KEY).complete(request(schema={"type": "object", "properties": {"a": {}}}))
        assert server.requests[0]["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("usage", "counts"),
    [({"prompt_tokens": 3, "completion_tokens": 4.0}, (3, 4)),
     ({"prompt_tokens": "3", "completion_tokens": True}, (None, None)),
     ({"prompt_tokens": -1, "completion_tokens": 1e400}, (None, None)), (None, (None, None)), ([1], (None, None))],
)  # fmt: skip
def test_tokens_are_as_reported_or_none(usage, counts):
    body = completion(usage=usage)
    with ChatServer([respond(200, body)]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request())
        assert (reply.prompt_tokens, reply.completion_tokens) == counts


def test_missing_fields_are_tolerated():
    with ChatServer([respond(200, {"choices": [{"message": {"content": "ok"}}]})]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request())
        assert (reply.text, reply.model, reply.prompt_tokens) == ("ok", "m", None)


def test_a_reply_cut_off_is_a_reply_with_a_note():
    cut = answer(choices=[{"message": {"content": '{"lr": 0.'}, "finish_reason": "length"}])
    with ChatServer([cut]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request())
        assert reply.text == '{"lr": 0.'
        assert "cut off" in reply.note


def test_reasoning_that_used_up_the_tokens_names_the_remedy():
    spent = answer(choices=[{"message": {"content": None, "reasoning": "hm"}, "finish_reason": "length"}])
    with ChatServer([spent]) as server:
        error = failure(server)
        assert type(error) is BackendBadReply
        assert "max_tokens" in error.hint


def test_a_content_of_parts_is_joined():
    with ChatServer([message(content=[{"type": "text", "text": "o"}, {"type": "text", "text": "k"}, 7])]) as server:
        assert OpenAIChat("m", server.base_url, KEY).complete(request()).text == "ok"


def test_a_megabyte_of_text_is_a_reply():
    with ChatServer([answer("{" * 2**20)]) as server:
        assert len(OpenAIChat("m", server.base_url, KEY).complete(request()).text) == 2**20


def test_the_key_is_taken_out_of_replies_and_lone_surrogates_too():
    with ChatServer([answer(f"your key is {KEY} \ud800", model=KEY)]) as server:
        reply = OpenAIChat("m", server.base_url, KEY).complete(request())
        assert KEY not in repr(reply)
        assert reply.text.startswith("your key is [key] ")
        reply.text.encode()


def test_nothing_that_hangs_on_an_error_quotes_the_body():
    with ChatServer([respond(200, f'{{"key": {KEY}')]) as server:
        assert KEY not in shown(failure(server))


def test_no_log_holds_the_key(caplog):
    caplog.set_level(logging.DEBUG)
    for fault in ("401", "500", "html", "reset"):
        with ChatServer([fault]) as server:
            failure(
                server,
                OpenAIChat("m", server.base_url.replace("//", f"//user:{KEY}@"), "sk-other-key-123456"),
                retries=1,
            )
    assert "attempt 1 failed" in caplog.text
    assert KEY not in caplog.text
    assert "sk-other-key-123456" not in caplog.text


def test_credentials_in_the_address_are_sent_and_not_shown():
    with ChatServer([answer(), "401"]) as server:
        backend = OpenAIChat("m", server.base_url.replace("//", "//user:s%40cret-word@"))
        backend.complete(request())
        assert server.headers[0]["authorization"] == "Basic dXNlcjpzQGNyZXQtd29yZA=="
        text = shown(failure(server, backend)) + backend.name + repr(backend)
        assert not any(word in text for word in ("cret-word", "dXNlcjpzQGNyZXQtd29yZA", "user:"))


@pytest.mark.parametrize("key", ["short", "none", "x"])
def test_a_placeholder_key_does_not_eat_words_of_a_reply(key):
    with ChatServer([answer("none of the short x")]) as server:
        assert OpenAIChat("m", server.base_url, key).complete(request()).text == "none of the short x"


@pytest.mark.parametrize("key", ["canary-\u2026-5f2c7e", "canary\n5f2c7e19"])
def test_a_key_that_no_header_can_carry_is_refused_unsent(key):
    with ChatServer([answer()]) as server:
        error = failure(server, OpenAIChat("m", server.base_url, key))
        assert type(error) is BackendRefused
        assert "5f2c7e" not in shown(error)
        assert server.requests == []


def test_a_server_of_ones_own_needs_no_key_and_names_the_model(monkeypatch):
    with ChatServer([answer()], models=["served", "other"]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        backend = OpenAIChat()
        assert backend.name == "openai"
        assert backend.complete(request()).text == "ok"
        assert server.requests[0]["model"] == "served"
        assert backend.name == "openai", "the name is in the store: it may not change"


def test_a_server_without_a_model_says_how_to_name_one():
    with ChatServer([answer()], models=[]) as server:
        error = failure(server, OpenAIChat(None, server.base_url))
        assert type(error) is BackendBadReply
        assert "openai:MODEL" in error.hint


def test_the_hosted_service_wants_a_key_and_has_a_default_model():
    backend = OpenAIChat()
    assert backend.name == f"openai:{DEFAULT_MODEL}"
    with pytest.raises(BackendRefused, match="OPENAI_API_KEY is not set"):
        backend.complete(request())


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://host/v1", "http://", "http://host:99999/v1", "http://h/v1?api=1"]
)
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(InvalidSettings, match="base_url"):
        OpenAIChat("m", url)


def test_a_wrong_address_is_shown_without_its_password():
    with pytest.raises(InvalidSettings) as caught:
        OpenAIChat("m", f"ftp://user:{KEY}@host/v1")
    assert KEY not in str(caught.value)


def test_it_answers_within_an_event_loop_and_from_threads():
    async def ask():
        return backend.complete(request())

    with ChatServer([answer()]) as server:
        backend = OpenAIChat("m", server.base_url, KEY)
        assert asyncio.run(ask()).text == "ok"


def test_ctrl_c_passes_through(monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    with ChatServer([answer()]) as server:
        backend = OpenAIChat("m", server.base_url, KEY)
        monkeypatch.setattr("hybridbo.deadline.threading.Event.wait", pressed)
        with pytest.raises(KeyboardInterrupt):
            backend.complete(request())
        monkeypatch.undo()


def test_importing_and_constructing_load_no_sdk():
    code = (
        "import sys, hybridbo.backends, hybridbo.backends.openai_chat as o; o.OpenAIChat('m', 'http://h/v1', 'k');"
        "sys.exit(any(name.partition('.')[0] in ('openai', 'httpx', 'httpx2') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
