"""A search with a real, small and bad model behind a real llama.cpp server."""

import math

import pytest

from hybridbo import Categorical, Float, Int, Optimizer
from hybridbo.ports import ChatReply

pytestmark = pytest.mark.llamacpp

SPACE = {
    "lr": Float(1e-5, 1e-1, log=True),
    "width": Int(16, 256, log=True),
    "opt": Categorical(["adam", "sgd"]),
    "momentum": Float(0.0, 0.99, when={"opt": ["sgd"]}),
}


@pytest.mark.timeout(400)
def test_ten_trials(llama_server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", llama_server.base_url)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = {"budget": 10, "llm": {"points": 3, "max_tokens": 400, "timeout_s": 150, "retries": 0}}
    with Optimizer(
        SPACE,
        task="Tune a small neural network; metric: validation error",
        llm=f"openai:{llama_server.model}",
        store=tmp_path / "search.db",
        seed=0,
        settings=settings,
    ) as opt:
        opt.run(lambda p: abs(math.log10(p["lr"]) + 3) + 1 / p["width"], 10, progress=False)
        assert [trial.number for trial in opt.trials] == list(range(10))
        assert all(trial.state == "COMPLETE" for trial in opt.trials)
        calls = opt.store.get_calls(opt.study)
        assert calls
        assert isinstance(calls[-1].result, ChatReply)
        assert calls[-1].result.completion_tokens > 0
        assert opt.llm_usage.completion_tokens == sum(call.result.completion_tokens or 0 for call in calls)
        told = {trial.origin.source for trial in opt.trials[1:5]}
        assert told <= {"llm", "sobol"}
