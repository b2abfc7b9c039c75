"""Every backend of ours keeps the contract of a ChatBackend."""

import os
import sys
from typing import ClassVar

import fake_llama
import pytest
from smollm_file import model_file

from hybridbo.backends.local import LocalModel
from hybridbo.backends.openai_chat import OpenAIChat
from hybridbo.backends.replay import Recorder, Replay
from hybridbo.errors import BackendTimeout
from hybridbo.ports import ChatRequest
from hybridbo.testing import BackendContract, ChatServer, ScriptedBackend
from hybridbo.testing.chat_server import answer

KEY = "canary-8d11fe03b7"


class TestScripted(BackendContract):
    @pytest.fixture
    def backend(self):
        return ScriptedBackend(["{}"] * 8)

    @pytest.fixture
    def broken(self):
        return ScriptedBackend([BackendTimeout("no reply.", "Wait.")])


class TestRecorder(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path):
        return Recorder(ScriptedBackend(["{}"] * 8), tmp_path / "r.jsonl")

    @pytest.fixture
    def broken(self, tmp_path):
        return Recorder(ScriptedBackend(), tmp_path / "r.jsonl")


class TestReplay(BackendContract):
    recorded = True

    @pytest.fixture
    def backend(self, tmp_path, chat_request):
        Recorder(ScriptedBackend(["{}"]), tmp_path / "r.jsonl").complete(chat_request)
        return Replay(tmp_path / "r.jsonl")

    @pytest.fixture
    def broken(self, tmp_path):
        Recorder(ScriptedBackend(["{}"]), tmp_path / "o.jsonl").complete(ChatRequest("seeds", "other", {}, "", ""))
        return Replay(tmp_path / "o.jsonl")


class OnLoopback(BackendContract):
    secret = KEY
    fault: ClassVar[str] = "401"

    @pytest.fixture
    def backend(self):
        with ChatServer([answer('{"lr": 0.1}')]) as server:
            yield OpenAIChat("m", server.base_url, KEY)

    @pytest.fixture
    def slow(self):
        with ChatServer(["hang"]) as server:
            yield OpenAIChat("m", server.base_url, KEY)

    @pytest.fixture
    def broken(self):
        with ChatServer([self.fault]) as server:
            yield OpenAIChat("m", server.base_url.replace("//", f"//user:{KEY}@"), KEY)


class TestOpenAIChat(OnLoopback):
    keeps_schema = counts_tokens = True


class TestOpenAIChatWithAnotherFault(OnLoopback):
    fault = "503"


class TestLocalModel(BackendContract):
    counts_tokens = True

    @pytest.fixture
    def backend(self, tmp_path, monkeypatch):
        return self.made(tmp_path, monkeypatch, "GGUF")

    @pytest.fixture
    def broken(self, tmp_path, monkeypatch):
        return self.made(tmp_path, monkeypatch, "GGUF fails")

    @pytest.fixture
    def slow(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe")
        return self.made(tmp_path, monkeypatch, f"GGUF waits {tmp_path / 'pipe'}")

    def made(self, folder, monkeypatch, content):
        (folder / "xllamacpp.py").write_text(fake_llama.SOURCE)
        (folder / "m.gguf").write_text(content)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
        return LocalModel(folder / "m.gguf")


@pytest.mark.llamacpp
class TestLocalModelWithARealOne(BackendContract):
    counts_tokens = True
    keeps_schema = True

    @pytest.fixture
    def backend(self):
        model = LocalModel(model_file(), n_threads=1)
        yield model
        model.close()

    @pytest.fixture
    def broken(self, tmp_path):
        (tmp_path / "half.gguf").write_bytes(model_file().read_bytes()[:100_000])
        return LocalModel(tmp_path / "half.gguf")

    @pytest.fixture
    def slow(self, backend, chat_request):
        backend.complete(chat_request)  # it is loaded: what is slow is the answer
        return backend


class TestAwaited(BackendContract):
    @pytest.fixture
    def backend(self):
        class Awaited(ScriptedBackend):
            async def complete_async(self, request):
                return self.complete(request)

        return Awaited(["{}"] * 8)
