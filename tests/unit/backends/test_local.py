"""A model in a file: our own child process and program, with a library that does what it is told."""

import json
import os
import pickle
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import fake_llama
import pytest

from hybridbo.backends import get_backend, local
from hybridbo.backends.local import LocalModel
from hybridbo.errors import (
    BackendBadReply,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    InvalidSettings,
    UnknownBackend,
)
from hybridbo.ports import ChatRequest

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches processes as Linux does")

SCHEMA = {"type": "object", "properties": {"lr": {"type": "number"}}}


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "xllamacpp.py").write_text(fake_llama.SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    return folder


@pytest.fixture
def file(tmp_path, library):
    path = tmp_path / "small.gguf"
    path.write_text("GGUF")
    return path


@pytest.fixture
def model(file):
    made = LocalModel(file)
    yield made
    made.close()


def asked(user="hello", **given):
    rest = {"schema": SCHEMA, "max_tokens": 64, "timeout_s": 60.0, "retries": 0} | given
    return ChatRequest("seeds", "t", {}, "You tune.", user, **rest)


def pid(model):
    return model._child().pid


@contextmanager
def watched(number):
    """A process as a file that is ready to be read once it has ended."""
    process = os.pidfd_open(number)
    try:
        yield process
    finally:
        os.close(process)


def wait_for_the_end(process):
    """Until a process has ended; a hang is the test's time-out."""
    assert select.select([process], [], [], 60)[0]


# Naming one ------------------------------------------------------------------------------------------------------


def test_a_specification_makes_one(file):
    backend = get_backend(f"local:{file}")
    assert isinstance(backend, LocalModel)
    assert get_backend(backend.name).name == backend.name == f"local:{file}"


def test_the_environment_may_name_it(file, monkeypatch):
    monkeypatch.setenv("HYBRIDBO_LLM", f"local:{file}")
    assert isinstance(get_backend("auto"), LocalModel)


def test_the_name_leaves_out_where_home_is_and_is_found_again(file, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    backend = get_backend("local:small.gguf")
    assert backend.name == "local:~/small.gguf"
    monkeypatch.chdir("/")
    assert get_backend(backend.name).name == backend.name


def test_nothing_is_started_by_naming_it(model):
    assert pid(model) is None


@pytest.mark.parametrize(("name", "why"), [("nowhere.gguf", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, library, name, why):
    with pytest.raises(InvalidSettings, match=why) as caught:
        get_backend(f"local:{tmp_path / name}")
    assert "path" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04 a zip"])
def test_a_file_of_another_kind_is_refused(tmp_path, library, content):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(InvalidSettings, match="no GGUF file"):
        LocalModel(tmp_path / "m.gguf")


def test_without_the_package_the_remedy_is_told(file, monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(UnknownBackend, match="xllamacpp") as caught:
        LocalModel(file)
    assert "hybridbo[local]" in caught.value.hint


@pytest.mark.parametrize("given", [{"n_ctx": 0}, {"n_ctx": 1.5}, {"n_threads": -1}, {"n_threads": True}])
def test_limits_that_are_none_are_refused(file, given):
    with pytest.raises(InvalidSettings, match=next(iter(given))):
        LocalModel(file, **given)


# Answering -------------------------------------------------------------------------------------------------------


def test_the_request_reaches_the_library_and_its_figures_come_back(model):
    reply = model.complete(asked(temperature=0.0))
    said = json.loads(reply.text)["request"]
    assert said["max_tokens"] == 64
    assert said["temperature"] == 0.0
    assert said["seed"] == 0
    assert said["cache_prompt"] is False
    assert said["response_format"]["json_schema"]["schema"] == SCHEMA
    assert [message["content"] for message in said["messages"]] == ["You tune.", "hello"]
    assert (reply.prompt_tokens, reply.completion_tokens, reply.model) == (7, 5, "small")
    assert reply.recorded is False


def test_the_child_has_what_it_was_given(file):
    model = LocalModel(file, n_ctx=512, n_threads=3)
    said = json.loads(model.complete(asked()).text)
    assert (said["params"]["n_ctx"], said["params"]["n_parallel"], said["threads"]) == (512, 1, 3)
    model.close()


def test_no_port_is_opened_and_no_file_is_left(model):
    said = json.loads(model.complete(asked()).text)
    assert all(host.endswith(".sock") for host in said["hosts"])
    assert said["private"] == "0o700"
    assert said["left"] == [False]


def test_keys_do_not_reach_the_child(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("HF_TOKEN", "canary")
    environment = json.loads(model.complete(asked()).text)["environment"]
    assert "PATH" in environment
    assert not {"OPENAI_API_KEY", "HF_TOKEN"} & set(environment)


def test_ctrl_c_does_not_reach_the_child(model):
    assert json.loads(model.complete(asked()).text)["group"] != os.getpgid(0)


def test_the_child_stays(model):
    model.complete(asked())
    first = pid(model)
    model.complete(asked())
    assert pid(model) == first


def test_a_schema_that_the_grammar_does_not_take_is_given_up(model):
    reply = model.complete(asked("no schema"))
    assert reply.note.startswith("json_schema refused")


# Failing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "kind", "words"),
    [
        ("crash", BackendUnavailable, "signal 11"),
        ("raise", BackendRefused, "no such sampler"),
        ("long", BackendRefused, "context"),
        ("nothing", BackendBadReply, "empty text"),
    ],
)
def test_each_failure_is_of_its_kind_and_the_next_request_is_answered(model, user, kind, words):
    with pytest.raises(kind, match=words) as caught:
        model.complete(asked(user))
    assert caught.value.hint
    assert model.complete(asked()).text


def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason(file):
    file.write_text("GGUF fails")
    with pytest.raises(BackendRefused, match="unknown architecture"):
        LocalModel(file).complete(asked(retries=3))


def test_a_child_that_dies_of_its_model_is_unavailable_with_its_last_words(file):
    file.write_text("GGUF dies")
    with pytest.raises(BackendUnavailable, match="signal 9: out of memory"):
        LocalModel(file).complete(asked())


def test_a_crash_is_tried_again(model):
    reply = model.complete(asked("crash once", retries=1))
    assert reply.note == "answered at attempt 2"


@pytest.mark.parametrize("user", ["hang", "stop"])
def test_a_deadline_ends_the_computation_and_the_child(model, user):
    model.complete(asked())
    with watched(pid(model)) as process:
        with pytest.raises(BackendTimeout, match=r"0\.2 s"):
            model.complete(asked(user, timeout_s=0.2))
        wait_for_the_end(process)
    assert model.complete(asked()).text


def test_a_deadline_holds_for_a_child_that_does_not_read_a_long_prompt(model):
    model.complete(asked())
    os.kill(pid(model), signal.SIGSTOP)
    with pytest.raises(BackendTimeout):
        model.complete(asked("x" * 2_000_000, timeout_s=0.2))


def test_waiting_for_ones_turn_counts_and_leaves_the_other_alone(model):
    model.complete(asked())
    child = model._child()
    before = child.pid
    with child._turn, pytest.raises(BackendTimeout, match="its turn"):
        model.complete(asked(timeout_s=0.05))
    assert child.pid == before


def test_a_model_that_is_still_loading_goes_on_loading(file, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file.write_text(f"GGUF waits {pipe}")
    model = LocalModel(file)
    with pytest.raises(BackendTimeout, match="waited for the model"):
        model.complete(asked(timeout_s=0.2))
    loading = pid(model)
    pipe.write_text("go on")
    assert model.complete(asked()).text
    assert pid(model) == loading
    model.close()


def test_an_interrupted_request_ends_the_child(model, monkeypatch):
    model.complete(asked())
    running = model._child()._running

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "hear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.complete(asked())
    assert running.process.returncode == -signal.SIGKILL
    assert model.complete(asked()).text


# Threads and processes -------------------------------------------------------------------------------------------


def test_threads_take_turns_and_get_their_own_answers(model):
    users = [f"number {i}" for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda user: model.complete(asked(user)), users))
    assert [json.loads(r.text)["request"]["messages"][-1]["content"] for r in replies] == users


def test_copies_have_children_of_their_own(model):
    model.complete(asked())
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copy.name == model.name
        copy.complete(asked())
        assert pid(copy) != pid(model)
        copy.close()


def test_the_child_ends_with_its_model(file):
    model = LocalModel(file)
    model.complete(asked())
    with watched(pid(model)) as process:
        del model
        wait_for_the_end(process)


PROGRAM = """
import os, sys, threading
from hybridbo.backends.local import LocalModel
from hybridbo.ports import ChatRequest

def request(user):
    return ChatRequest("seeds", "t", {}, "", user, timeout_s=60.0, retries=0)

model = LocalModel(sys.argv[1])
model.complete(request("hello"))
"""


def run(text, file, library):
    # -c puts the working folder first; the library and hybridbo are found where this process finds them
    path = os.pathsep.join([str(library), *(entry for entry in sys.path if entry)])
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-W", "error", "-c", PROGRAM + text, str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("doing", ["", "threading.Thread(target=model.complete, args=(request('hang'),)).start()"])
def test_a_parent_that_is_killed_takes_the_child_along(file, library, doing):
    parent = run(f"{doing}\nprint(model._child().pid, flush=True)\nthreading.Event().wait()", file, library)
    with parent, watched(int(parent.stdout.readline())) as process:
        parent.kill()
        wait_for_the_end(process)


def test_a_program_that_ends_takes_the_child_along_and_says_nothing(file, library):
    with run("print(model._child().pid, flush=True)\nsys.stdin.readline()", file, library) as parent:
        _, errors = parent.communicate()
    assert (parent.returncode, errors) == (0, "")


def test_a_fork_has_a_child_of_its_own_and_leaves_the_parents_alone(file, library):
    text = """
import gc
mine = model._child().pid
if os.fork() == 0:
    model.complete(request("hello"))
    print(model._child().pid != mine, flush=True)
    model.close()
    os._exit(0)
os.wait()
model.complete(request("hello"))
print(model._child().pid == mine, flush=True)
"""
    with run(text, file, library) as parent:
        told, errors = parent.communicate()
    assert (told.split(), errors) == (["True", "True"], "")


def test_a_fork_that_lives_on_does_not_keep_the_child_of_a_killed_parent(file, library):
    text = """
here, there = os.pipe()
if os.fork() == 0:
    os.close(there)
    os.read(here, 1)  # until the test's end: holds the child's standard input open
    os._exit(0)
print(model._child().pid, flush=True)
threading.Event().wait()
"""
    with run(text, file, library) as parent, watched(int(parent.stdout.readline())) as process:
        parent.kill()
        wait_for_the_end(process)


def test_the_program_of_the_child_imports_nothing_of_ours():
    assert "hybridbo." not in Path(local.PROGRAM).read_text().replace("hybridbo.backends.local`", "")
