"""What a user writes as ``llm=``, and which backend that is."""

import socket
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hybridbo.backends import GROUP, get_backend
from hybridbo.backends.openai_chat import DEFAULT_MODEL, OpenAIChat
from hybridbo.backends.replay import Replay
from hybridbo.errors import InvalidSettings, UnknownBackend
from hybridbo.ports import ChatRequest
from hybridbo.testing import ScriptedBackend

LINE = '{"purpose": "seeds", "task": "t", "space": {}, "text": "%s"}\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HYBRIDBO_LLM", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def unplugged(*_):
        raise AssertionError("naming a backend went to the network")

    monkeypatch.setattr(socket.socket, "connect", unplugged)


@pytest.mark.parametrize("spec", [None, "none", " None ", "auto", "AUTO"])
def test_none(spec):
    assert get_backend(spec) is None


def test_an_object_is_returned_as_it_is():
    backend = ScriptedBackend()
    assert get_backend(backend) is backend


@pytest.mark.parametrize("spec", [ScriptedBackend, 3, object(), ["openai:m"], b"none"])
def test_what_is_no_backend_is_refused(spec):
    with pytest.raises(UnknownBackend, match="no ChatBackend"):
        get_backend(spec)


@pytest.mark.parametrize(
    ("spec", "name"), [("openai:gpt-x", "openai:gpt-x"), ("OpenAI: org/model:8b ", "openai:org/model:8b")]
)
def test_openai_with_a_model(spec, name):
    backend = get_backend(spec)
    assert isinstance(backend, OpenAIChat)
    assert backend.name == name


def test_openai_alone_is_the_default_model_when_hosted_and_the_servers_choice_else(monkeypatch):
    assert get_backend("openai").name == f"openai:{DEFAULT_MODEL}"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert get_backend("openai").name == "openai"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"OPENAI_API_KEY": "k"}, f"openai:{DEFAULT_MODEL}"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "openai"),
        ({"OPENAI_API_KEY": " ", "OPENAI_BASE_URL": ""}, None),
        ({"HYBRIDBO_LLM": "openai:x"}, "openai:x"),
        ({"HYBRIDBO_LLM": "none", "OPENAI_API_KEY": "k"}, None),
        ({"HYBRIDBO_LLM": "auto", "OPENAI_API_KEY": "k"}, f"openai:{DEFAULT_MODEL}"),
        ({"HYBRIDBO_LLM": ""}, None),
    ],
)
def test_auto_looks_into_the_environment(monkeypatch, variables, name):
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    backend = get_backend("auto")
    assert (backend.name if backend else None) == name


def test_the_environment_does_not_override_what_is_written(monkeypatch):
    monkeypatch.setenv("HYBRIDBO_LLM", "openai:x")
    assert get_backend(None) is None
    assert get_backend("none") is None
    assert get_backend("openai:y").name == "openai:y"


def test_a_wrong_address_in_the_environment_is_told_at_once(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8080")
    with pytest.raises(InvalidSettings, match=r"base_url 'localhost:8080' is"):
        get_backend("auto")


def test_replay_with_and_without_a_sample(tmp_path):
    path, odd = tmp_path / "r.jsonl", tmp_path / "r.jsonl#1"
    path.write_text(LINE % "first" + LINE % "second")
    asked = ChatRequest("seeds", "t", {}, "", "")
    assert isinstance(get_backend(f"replay:{path}"), Replay)
    assert get_backend(f"replay:{path}").complete(asked).text == "first"
    assert get_backend(f"replay:{path}#1").complete(asked).text == "second"
    odd.write_text(LINE % "a file of that very name")
    assert get_backend(f"replay:{path}#1").complete(asked).text == "a file of that very name"


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(InvalidSettings, match=r"nowhere\.json"):
        get_backend(f"replay:{tmp_path / 'nowhere.json'}")


@pytest.mark.parametrize("spec", ["", "gpt-5", "claude", "none:x", "auto:y", "replay", "replay:", ":", "azure:m"])
def test_an_unknown_one_is_told_what_is_known_and_how_to_write_it(spec):
    with pytest.raises(UnknownBackend, match="known: none, auto, openai, local, replay") as caught:
        get_backend(spec)
    assert '"openai:MODEL"' in caught.value.hint


def test_an_empty_model_is_refused():
    with pytest.raises(UnknownBackend, match="names no model"):
        get_backend("openai:")


@pytest.mark.parametrize(
    "spec", ["openai:sk-proj-0123456789abcdefghij", "sk-proj-0123456789abcdefghij", "x:sk-proj-0123456789abcdefghij"]
)
def test_a_key_in_the_wrong_place_is_not_repeated(spec):
    with pytest.raises(UnknownBackend) as caught:
        get_backend(spec)
    assert "0123456789" not in repr(caught.value)


# Third parties ---------------------------------------------------------------------------------------------------


def make(rest):
    if rest == "bad":
        raise RuntimeError("no such device")
    return ScriptedBackend(name=f"mine:{rest}") if rest else None


@pytest.fixture
def plugin(monkeypatch):
    entries = [
        EntryPoint("mine", "plugin_of_this_test:make", GROUP),
        EntryPoint("gone", "no_such_module_anywhere:make", GROUP),
    ]
    monkeypatch.setattr("hybridbo.backends.entry_points", lambda *, group: entries if group == GROUP else [])
    monkeypatch.setitem(sys.modules, "plugin_of_this_test", sys.modules[__name__])


@pytest.mark.usefixtures("plugin")
def test_a_registered_backend_is_made_from_the_rest():
    assert get_backend("mine:a:b").name == "mine:a:b"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("spec", "words"), [("mine", "NoneType"), ("mine:bad", "no such device"), ("gone:x", "no_such_module")]
)
def test_a_broken_one_is_named(spec, words):
    with pytest.raises(UnknownBackend, match=words):
        get_backend(spec)


@pytest.mark.usefixtures("plugin")
def test_registered_ones_are_listed():
    with pytest.raises(UnknownBackend, match="replay, gone, mine"):
        get_backend("other:x")


# The package -----------------------------------------------------------------------------------------------------


@pytest.mark.checkout
def test_the_folder_at_the_root_is_not_importable_by_its_own_name():
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", "import backends"], cwd=root, check=False, capture_output=True, text=True
    )
    assert "ImportError: import hybridbo.backends, not backends" in done.stderr
