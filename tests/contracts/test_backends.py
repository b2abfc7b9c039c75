"""Every backend of ours keeps the contract of a ChatBackend."""

from typing import ClassVar

import pytest

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
    def broken(self):
        with ChatServer([self.fault]) as server:
            yield OpenAIChat("m", server.base_url.replace("//", f"//user:{KEY}@"), KEY)


class TestOpenAIChat(OnLoopback):
    pass


class TestOpenAIChatWithAnotherFault(OnLoopback):
    fault = "503"
