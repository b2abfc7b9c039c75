"""A real, small model in a file: run by the real llama.cpp in our child process."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from smollm_file import model_file

from hybridbo import Categorical, Float, Optimizer
from hybridbo.backends.local import LocalModel
from hybridbo.errors import BackendRefused, BackendTimeout
from hybridbo.ports import ChatReply, ChatRequest

pytestmark = pytest.mark.llamacpp

SCHEMA = {
    "type": "object",
    "properties": {"lr": {"type": "number"}, "opt": {"enum": ["adam", "sgd"]}},
    "required": ["lr", "opt"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def file():
    return model_file()


@pytest.fixture
def model(file):
    made = LocalModel(file, n_threads=1)
    yield made
    made.close()


def request(user="Name a learning rate and an optimizer, as one JSON object.", **changes):
    given = {"schema": SCHEMA, "max_tokens": 60, "timeout_s": 100.0, "retries": 0} | changes
    return ChatRequest("seeds", "Tune a network.", {}, "You tune neural networks.", user, **given)


def test_a_schema_is_kept_and_tokens_are_counted(model, file):
    reply = model.complete(request())
    assert json.loads(reply.text)["opt"] in ("adam", "sgd")
    assert reply.prompt_tokens > 20
    assert 0 < reply.completion_tokens <= 60
    assert reply.model == file.stem


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_request_has_the_same_answer_in_another_child_too(model, temperature):
    asked = request(temperature=temperature, schema=None, max_tokens=24)
    first = model.complete(asked).text
    model.complete(request("Something else.", max_tokens=8))
    assert model.complete(asked).text == first
    model.close()
    assert model.complete(asked).text == first


def test_a_prompt_beyond_its_context_is_refused(file):
    model = LocalModel(file, n_ctx=256, n_threads=1)
    with pytest.raises(BackendRefused, match="context") as caught:
        model.complete(request(user="lr 0.01 " * 400))
    assert "n_ctx" in caught.value.hint
    model.close()


def test_a_deadline_stops_it_in_the_middle_of_a_reply(model):
    model.complete(request())
    with pytest.raises(BackendTimeout, match="waited for the answer"):
        model.complete(request(schema=None, max_tokens=4000, timeout_s=0.2))
    assert model.complete(request()).text


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_listens_on_no_port(model):
    model.complete(request(max_tokens=4))
    pid = model._child().pid
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]  # noqa: PTH115
    mine = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6", "udp")]
    rows = [line.split() for table in tables for line in table]
    assert not [row for row in rows if row[9] in mine]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches processes as Linux does")
def test_killed_in_the_middle_of_a_reply_it_takes_its_child_along(file):
    program = """
import sys, threading
from hybridbo.backends.local import LocalModel
from hybridbo.ports import ChatRequest
model = LocalModel(sys.argv[1], n_threads=1)
model.complete(ChatRequest("seeds", "t", {}, "", "Hello", max_tokens=4, timeout_s=100.0))
print(model._child().pid, flush=True)
model.complete(ChatRequest("seeds", "t", {}, "", "Tell me all.", max_tokens=4000, timeout_s=1000.0))
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-c", program, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}, text=True) as parent:
        child = os.pidfd_open(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        try:
            assert select.select([child], [], [], 60)[0]
        finally:
            os.close(child)


@pytest.mark.timeout(400)
def test_a_search_is_resumed_with_it_and_asks_once(file, tmp_path):
    space = {"lr": Float(1e-5, 1e-1, log=True), "opt": Categorical(["adam", "sgd"])}
    settings = {"llm": {"points": 2, "max_tokens": 300, "timeout_s": 150, "retries": 0}}
    given = {"task": "Tune a small network.", "store": tmp_path / "a.db", "study": "s", "seed": 0}
    with Optimizer(space, llm=f"local:{file}", settings=settings, **given) as opt:
        for _ in range(2):
            opt.tell(opt.ask(), 0.5)
    with Optimizer.load(tmp_path / "a.db", "s") as opt:
        opt.tell(opt.ask(), 0.4)
        assert opt.llm.startswith("local:")
        (call,) = opt.store.get_calls("s")
        assert isinstance(call.result, ChatReply)
        assert opt.llm_usage.completion_tokens == call.result.completion_tokens > 0
