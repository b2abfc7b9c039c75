"""Whatever the language model or its provider does, the search goes on, the store says why, no file holds a key."""

import json
import random

import pytest

from hybridbo import Categorical, Float, Int, Optimizer, Space
from hybridbo.backends.openai_chat import OpenAIChat
from hybridbo.ports import ChatFailure
from hybridbo.testing import ScriptedBackend
from hybridbo.testing.chat_server import FAULTS, ChatServer, message

CANARY = "sk-canary-0123456789abcdef"
SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "width": Int(16, 1024, log=True),
        "flag": Categorical([True, False]),
        "opt": Categorical(["adam", "sgd"]),
        "momentum": Float(0.0, 0.99, when={"opt": ["sgd"]}),
    }
)
GOOD = {
    "configs": [
        {"lr": 0.001, "width": 128, "flag": True, "opt": "adam"},
        {"lr": 0.02, "width": 64, "flag": False, "opt": "sgd", "momentum": 0.9},
    ],
    "beliefs": {"lr": {"center": 0.001, "low": 0.0003, "high": 0.01}, "opt": {"adam": 0.8, "sgd": 0.2}},
    "rationale": "Adam likes 1e-3.",
}
TEXT = json.dumps(GOOD)


def _value(params):
    return params["lr"] + params["width"] / 1e4


def _malformed():
    """Two hundred replies that are not what was asked for."""
    fixed = {
        "empty": "",
        "blank": " \n\t ",
        "prose": "I would start with a learning rate of about 0.001 and a width of 128.",
        "other language": "Ich würde mit einer Lernrate von 0,001 beginnen. 学习率设为千分之一。",
        "fence": f"Sure!\n```json\n{TEXT}\n```\nGood luck!",
        "two objects": TEXT + TEXT,
        "two objects in prose": f"Either {TEXT} or {TEXT}.",
        "list": json.dumps(GOOD["configs"]),
        "null": "null",
        "number": "0.001",
        "braces": "{" * 1_000_000,
        "brackets": "[" * 1_000_000,
        "nested": '{"configs":' * 20_000,
        "long": TEXT + " " * 1_000_000 + "x",
        "nul": TEXT.replace("adam", "ad\x00am"),
        "surrogate": "\ud800" + TEXT,
        "duplicate keys": TEXT.replace('"lr": 0.001', '"lr": 0.1, "lr": 0.001'),
        "configs as text": json.dumps({"configs": "lr=0.001"}),
        "configs of texts": json.dumps({"configs": ["lr=0.001", 3, None, []]}),
        "thousand configs": json.dumps({"configs": GOOD["configs"] * 500}),
        "beliefs as list": json.dumps({**GOOD, "beliefs": []}),
        "html": "<html><body>502 Bad Gateway</body></html>",
        "single quotes": str(GOOD),
        "comments": TEXT.replace("{", "{ // here\n", 1),
        "trailing comma": TEXT[:-1] + ",}",
    }
    words = [
        "NaN",
        "Infinity",
        "1e400",
        "-1e400",
        "true",
        "null",
        '"0.001"',
        '"1e-3 to 1e-2"',
        '"10**-3"',
        '"about 0.1"',
        "5",
    ]
    words += [
        "[0.001]",
        "{}",
        '""',
        "1e-9",
        "-0.001",
        "1e308",
        '"0,001"',
        '"1e-3"',
        "0.001.1",
        "0x1",
        '"\\ud800"',
        "9" * 5000,
    ]
    for key, old in (("lr", "0.001"), ("width", "128"), ("flag", "true"), ("opt", '"adam"')):
        for word in words:
            fixed[f"{key}={word[:12]}"] = TEXT.replace(f'"{key}": {old}', f'"{key}": {word}', 1)
    for name in ("lr", "width", "opt"):
        fixed[f"{name} missing"] = json.dumps({"configs": [{k: v for k, v in GOOD["configs"][0].items() if k != name}]})
        fixed[f"{name} misspelt"] = TEXT.replace(f'"{name}"', f'"{name}s"')
    chance = random.Random(0)
    while len(fixed) < 200:
        cut = chance.randrange(1, len(TEXT))
        fixed[f"cut at {cut}"] = TEXT[:cut]
    return fixed


def _search(llm, trials=3, **changes):
    """Ask and tell: the default, the seeds, and what they are checked for."""
    opt = Optimizer(SPACE, task="Tune a network.", llm=llm, seed=0, **changes)
    for _ in range(trials):
        trial = opt.ask()
        assert opt.space.validate(trial.params) == trial.params
        opt.tell(trial, _value(trial.params))
    return opt


def test_there_are_200_malformed_replies():
    assert len(_malformed()) >= 200


@pytest.mark.parametrize("name", _malformed())
def test_malformed_reply(name):
    text = _malformed()[name]
    opt = _search(ScriptedBackend([text]))
    (call,) = opt.store.get_calls(opt.study)
    usage = opt.llm_usage
    fallbacks = [event.message for event in opt.events if event.kind == "fallback"]
    assert len(fallbacks) == len(set(fallbacks))  # one for the reply, not one for every trial
    assert call.result.text == text or "\ud800" in text  # a lone surrogate is kept escaped
    for trial in opt.trials[1:]:
        if trial.origin.source == "sobol":
            assert "LLM" in trial.origin.reason
            assert any(message in trial.origin.reason for message in fallbacks)
        else:
            assert trial.origin.source == "llm"
    if usage.rejected or usage.repaired:
        assert any(event.kind == "llm_reply" for event in opt.events)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_of_the_provider(name, tmp_path, caplog, capfd):
    caplog.set_level("DEBUG")
    with ChatServer([name]) as server:
        backend = OpenAIChat("m", server.base_url, CANARY)
        settings = {"llm": {"timeout_s": 0.4, "retries": 1}}
        opt = _search(backend, trials=6, store=tmp_path / "search.db", settings=settings)
    assert [trial.origin.source for trial in opt.trials] == ["default"] + ["sobol"] * 4 + ["gp"]
    calls = opt.store.get_calls(opt.study)
    assert 1 <= len(calls) <= 3
    assert all(isinstance(call.result, ChatFailure) and call.result.message for call in calls)
    assert calls[0].result.error in opt.trials[1].origin.reason
    assert [event.kind for event in opt.events if event.kind == "llm_failed"] == ["llm_failed"] * len(calls)
    opt.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    seen = caplog.text + "".join(capfd.readouterr())
    assert CANARY.encode() not in written
    assert CANARY not in seen


def test_refused_connection(tmp_path):
    with ChatServer(["500"]) as server:
        address = server.base_url
    opt = _search(OpenAIChat("m", address, CANARY), store=tmp_path / "search.db", settings={"llm": {"retries": 0}})
    assert opt.store.get_calls(opt.study)[0].result.error == "BackendUnavailable"
    assert opt.trials[1].origin.source == "sobol"


def test_a_server_that_recovers_is_used(tmp_path):
    with ChatServer(["html", message(content=TEXT)]) as server:
        opt = _search(OpenAIChat("m", server.base_url, CANARY), trials=4, store=tmp_path / "search.db")
    assert [trial.origin.source for trial in opt.trials] == ["default", "sobol", "llm", "llm"]
    assert opt.llm_usage.calls == 2
