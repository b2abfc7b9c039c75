"""OpenAIChat with a real model behind a real llama.cpp server."""

import json
import re

import pytest

from hybridbo.backends.dialect import Dialect
from hybridbo.backends.openai_chat import OpenAIChat
from hybridbo.errors import BackendRefused, BackendTimeout
from hybridbo.ports import ChatRequest

pytestmark = pytest.mark.llamacpp

SPACE = {"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True}}
SCHEMA = {
    "type": "object",
    "properties": {"lr": {"type": "number"}, "opt": {"enum": ["adam", "sgd"]}},
    "required": ["lr", "opt"],
    "additionalProperties": False,
}


def request(**changes):
    given = {"schema": SCHEMA, "max_tokens": 80, "timeout_s": 60.0, "retries": 0} | changes
    text = "Name a learning rate and an optimizer for a small neural network, as one JSON object."
    return ChatRequest("seeds", "Tune a network.", SPACE, "You tune neural networks.", given.pop("user", text), **given)


@pytest.mark.parametrize("form", ["json_schema", "json_object", "text"])
def test_a_real_model_answers(llama_server, monkeypatch, form):
    backend = OpenAIChat(llama_server.model, llama_server.base_url)
    monkeypatch.setattr(backend, "_dialect", Dialect(format=form))
    reply = backend.complete(request())
    assert reply.text.strip()
    assert reply.model == llama_server.model
    assert reply.prompt_tokens > 20
    assert 0 < reply.completion_tokens <= 80
    assert reply.recorded is False
    assert "refused" not in reply.note


def test_a_schema_is_kept(llama_server):
    reply = OpenAIChat(llama_server.model, llama_server.base_url).complete(request())
    assert json.loads(reply.text)["opt"] in ("adam", "sgd")


def test_the_model_is_the_first_that_the_server_lists(llama_server):
    reply = OpenAIChat(None, llama_server.base_url).complete(request(schema=None))
    assert reply.model == llama_server.model


def test_a_schema_that_it_cannot_compile_is_given_up(llama_server):
    reply = OpenAIChat(llama_server.model, llama_server.base_url).complete(request(schema={"$ref": "#/$defs/missing"}))
    assert reply.text.strip()
    assert re.match("json_schema refused", reply.note)


def test_a_prompt_of_our_length_fits(llama_server):
    reply = OpenAIChat(llama_server.model, llama_server.base_url).complete(request(user="lr 0.01 " * 300))
    assert reply.prompt_tokens > 1500


def test_a_prompt_beyond_its_context_is_refused(llama_server):
    with pytest.raises(BackendRefused, match="context"):
        OpenAIChat(llama_server.model, llama_server.base_url).complete(request(user="lr 0.01 " * 4000))


def test_a_deadline_too_short_for_it_holds(llama_server):
    with pytest.raises(BackendTimeout):
        OpenAIChat(llama_server.model, llama_server.base_url).complete(request(timeout_s=0.05, schema=None))
