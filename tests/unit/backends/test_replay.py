"""Recordings: written whole by many, found by topic, and honest about what they do not hold."""

import json
import logging
import subprocess
import sys
from importlib import resources

import pytest

from hybridbo.backends.replay import Recorder, Replay
from hybridbo.errors import BackendBadReply, BackendUnavailable, InvalidSettings
from hybridbo.ports import ChatReply, ChatRequest
from hybridbo.space import Space
from hybridbo.testing import ScriptedBackend

SPACE = {"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True}, "n": {"type": "int", "low": 1, "high": 9}}
DIGITS = resources.files("hybridbo.data") / "pipe_digits.json"


def request(task="a task", space=SPACE, **changes):
    given = {"purpose": "seeds", "system": "s", "user": "u"} | changes
    return ChatRequest(task=task, space=space, **given)


def record(path, *pairs):
    for asked, reply in pairs:
        Recorder(ScriptedBackend([reply]), path).complete(asked)


def test_what_is_recorded_is_played(tmp_path):
    path = tmp_path / "r.jsonl"
    spoken = ChatReply('{"lr": 0.1}', "gpt-x", 12, 34, latency_s=2.0)
    inner = ScriptedBackend([spoken], name="openai:gpt-x")
    recorder = Recorder(inner, path)
    assert recorder.name == "openai:gpt-x"
    assert recorder.complete(request()) == spoken
    reply = Replay(path).complete(request())
    assert (reply.text, reply.model, reply.prompt_tokens, reply.completion_tokens) == ('{"lr": 0.1}', "gpt-x", 12, 34)
    assert reply.recorded is True
    assert reply.note == "replayed from r.jsonl"
    entry = json.loads(path.read_text())
    assert list(entry) == [
        "topic", "purpose", "task", "space", "content", "model", "text", "prompt_tokens", "completion_tokens",
        "recorded_at",
    ]  # fmt: skip
    assert (entry["topic"], entry["content"]) == (request().topic_hash, request().content_hash)


@pytest.mark.parametrize(
    "reworded",
    [
        request(user="another prompt", system="", temperature=1.0, max_tokens=5, schema={"type": "object"}),
        request(task="  a\n task "),
        request(space=dict(reversed(SPACE.items()))),
    ],
)
def test_a_reworded_prompt_finds_its_recording(tmp_path, reworded):
    record(tmp_path / "r.jsonl", (request(), "hello"))
    assert Replay(tmp_path / "r.jsonl").complete(reworded).text == "hello"


@pytest.mark.parametrize(
    "other",
    [
        request(task="b task"),
        request(purpose="space"),
        request(space={**SPACE, "n": {"type": "int", "low": 1, "high": 8}}),
    ],
)
def test_another_topic_is_a_miss_that_names_task_file_and_remedy(tmp_path, other):
    path = tmp_path / "r.jsonl"
    record(path, (request(), "hello"))
    with pytest.raises(BackendBadReply, match=f"{path}.* no reply .*{other.task}.*record") as caught:
        Replay(path).complete(other)
    assert caught.value.hint


def test_the_very_same_request_goes_before_its_topic(tmp_path):
    path = tmp_path / "r.jsonl"
    record(path, (request(user="one"), "first"), (request(user="two"), "second"))
    assert Replay(path).complete(request(user="two")).text == "second"
    assert Replay(path).complete(request(user="three")).text == "first"


def test_samples_are_counted_from_zero(tmp_path):
    path = tmp_path / "r.jsonl"
    record(path, (request(), "first"), (request(), "second"), (request(task="b"), "only"))
    assert Replay(path).name == f"replay:{path}"
    second = Replay(path, 1)
    assert second.name == f"replay:{path}#1"
    assert second.complete(request()).text == "second"
    with pytest.raises(BackendBadReply, match="only 1 sample"):
        second.complete(request(task="b"))
    with pytest.raises(InvalidSettings, match="no sample 2"):
        Replay(path, 2)


def test_a_space_is_found_as_it_was_recorded(tmp_path):
    space = Space.from_json({
        "lr": {"type": "float", "low": 1e-5, "high": 1},
        "opt": {"type": "categorical", "choices": ["adam", True, None, 3, 0.1]},
        "m": {"type": "float", "low": 0, "high": 0.99, "when": {"opt": ["adam"]}},
    })  # fmt: skip
    record(tmp_path / "r.jsonl", (request(space=space.to_dict()), "hello"))
    assert Replay(tmp_path / "r.jsonl").complete(request(space=space.to_dict())).text == "hello"


def test_text_comes_back_exactly(tmp_path):
    text = '调参\n\r\u2028\x00 {"a": 1e400} \\ "'
    record(tmp_path / "r.jsonl", (request(task="tâche"), text))
    assert Replay(tmp_path / "r.jsonl").complete(request(task="tâche")).text == text


def test_a_truncated_last_line_is_skipped_aloud_and_does_not_spoil_what_follows(tmp_path, caplog):
    path = tmp_path / "r.jsonl"
    record(path, (request(task="a"), "one"), (request(task="b"), "two"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # the writer was killed
    with caplog.at_level(logging.WARNING):
        assert Replay(path).complete(request(task="a")).text == "one"
    assert "line 2" in caplog.text
    assert caplog.records[0].name.startswith("hybridbo.")
    record(path, (request(task="c"), "three"))
    replay = Replay(path)
    assert [replay.complete(request(task=task)).text for task in "ac"] == ["one", "three"]
    with pytest.raises(BackendBadReply):
        replay.complete(request(task="b"))


WRITER = """
import sys
from hybridbo.backends.replay import Recorder
from hybridbo.ports import ChatRequest
from hybridbo.testing import ScriptedBackend
_, path, writer = sys.argv
for i in range(10):
    asked = ChatRequest("seeds", f"{writer}-{i}", {}, "", "")
    Recorder(ScriptedBackend([f"{writer}-{i} " + "x" * 20_000]), path).complete(asked)
"""


def test_processes_append_whole_lines_to_one_file(tmp_path):
    path = tmp_path / "r.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    replay = Replay(path)
    for task in (f"{writer}-{i}" for writer in range(4) for i in range(10)):
        assert replay.complete(request(task=task, space={})).text.startswith(task + " ")


def test_a_failure_is_not_recorded(tmp_path):
    with pytest.raises(BackendUnavailable):
        record(tmp_path / "r.jsonl", (request(), BackendUnavailable("down")))
    assert not (tmp_path / "r.jsonl").exists()


def test_a_reply_that_cannot_be_written_is_not_lost(tmp_path, monkeypatch, caplog):
    path = tmp_path / "r.jsonl"
    record(path, (request(task="a"), "one"))
    recorder = Recorder(ScriptedBackend(["two"]), path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hybridbo.backends.replay.os.fsync", full)
    reply = recorder.complete(request(task="b"))
    assert reply.text == "two"
    assert reply.note == "not recorded: No space left on device"
    assert "No space left" in caplog.text
    assert len(path.read_text().splitlines()) == 1, "no half-written line stays behind"


def test_a_recorder_needs_a_place(tmp_path):
    for path in (tmp_path / "missing" / "r.jsonl", tmp_path):
        with pytest.raises(InvalidSettings, match="cannot be recorded"):
            Recorder(ScriptedBackend(), path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("", "holds no reply"),
        ("<html>", "holds no reply"),
        ("\x00\xff", "holds no reply"),
        ('{"tasks": {}}', "holds no reply"),
        ('{"tasks": []}', "damaged"),
        ('{"tasks": {"a": {"task": "t", "samples": [{"configs": [1]}]}}}', "damaged"),
        ('{"tasks": {"a": {"task": "t", "samples": {}}}}', "damaged"),
        ('{"task": "t"}', "holds no reply"),
        ('{"task": "t", "purpose": "seeds", "space": {}, "text": 3}', "holds no reply"),
        ("[" * 100_000, "holds no reply"),
    ],
)
def test_a_file_that_cannot_be_played_says_so_at_once(tmp_path, content, words):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidSettings, match=words) as caught:
        Replay(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


# The second format -----------------------------------------------------------------------------------------------


@pytest.fixture
def digits():
    recorded = json.loads(DIGITS.read_text())["tasks"]["fresh/pipe_digits"]
    names = {name: {"type": "int", "low": 1, "high": 2} for name in recorded["samples"][0]["prior"]}
    return recorded, names


@pytest.mark.parametrize("sample", [0, 1])
def test_the_shipped_recording_is_played(digits, sample):
    recorded, names = digits
    with resources.as_file(DIGITS) as path:
        reply = Replay(path, sample).complete(request(task=recorded["task"], space=names))
    assert json.loads(reply.text) == recorded["samples"][sample]
    assert len(json.loads(reply.text)["configs"]) == 10
    assert reply.model == f"recorded (pipe_digits.json, sample {sample})"
    assert reply.recorded is True


@pytest.mark.parametrize("task", [lambda t: t, lambda t: "  " + t.replace(" ", "\n "), lambda t: "fresh/pipe_digits"])
def test_a_task_is_found_by_its_words_or_its_key(digits, task):
    recorded, names = digits
    with resources.as_file(DIGITS) as path:
        assert "configs" in Replay(path).complete(request(task=task(recorded["task"]), space=names)).text


@pytest.mark.parametrize("change", ["less", "more", "other task", "other purpose", "no task"])
def test_another_space_or_task_is_a_miss(digits, change):
    recorded, names = digits
    space = {
        "less": dict(list(names.items())[1:]),
        "more": {**names, "extra": {"type": "int", "low": 1, "high": 2}},
    }.get(change, names)
    task = {"other task": recorded["task"] + " Now.", "no task": ""}.get(change, recorded["task"])
    purpose = "space" if change == "other purpose" else "seeds"
    with resources.as_file(DIGITS) as path, pytest.raises(BackendBadReply, match="no reply"):
        Replay(path).complete(request(task=task, space=space, purpose=purpose))


def test_the_shipped_recording_keeps_its_origin():
    assert "memorised" in json.loads(DIGITS.read_text())["about"]
    assert len(DIGITS.read_bytes()) < 10_000
