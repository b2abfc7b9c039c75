"""A space from words over real HTTP, searched and kept in a real store."""

import json

from hybridbo import Optimizer, propose_space
from hybridbo.testing.chat_server import ChatServer, answer

PARAMETERS = [
    {"name": "lr", "type": "float", "low": 1e-5, "high": 0.1, "scale": "log", "default": 0.001, "reason": "Usual."},
    {"name": "opt", "type": "categorical", "choices": ["adam", "sgd"], "reason": "Either."},
    {"name": "momentum", "type": "float", "low": 0.0, "high": 0.99, "reason": "For SGD.",
     "when": [{"parameter": "opt", "values": ["sgd"]}]},
]  # fmt: skip


def test_a_space_is_proposed_searched_and_kept(tmp_path, monkeypatch):
    seeds = {"configs": [{"lr": 0.01, "opt": "sgd", "momentum": 0.9}], "reasons": ["Fast."]}
    acts = ["503", answer("No idea."), answer(json.dumps({"parameters": PARAMETERS})), answer(json.dumps(seeds))]
    with ChatServer(acts) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        proposal = propose_space("A network on a table; metric: loss.", "openai:loopback-model")
        with proposal.optimizer(store=tmp_path / "s.db", direction="minimize", llm="openai:loopback-model") as opt:
            opt.run(lambda params: params["lr"], 3, progress=False)
        asked = server.requests
    assert [request["response_format"]["json_schema"]["strict"] for request in asked] == [True] * 4
    assert [request["temperature"] for request in asked] == [0.0] * 4
    with Optimizer.load(tmp_path / "s.db", llm=None) as opt:
        assert list(opt.space) == ["lr", "opt", "momentum"]
        calls = opt.store.get_calls(opt.study)
        assert [call.request.purpose for call in calls] == ["space", "space again", "seeds"]
        assert calls[0].result.note == "answered at attempt 2"
        assert opt.llm_usage.prompt_tokens == 33
        assert opt.trials[1].origin.reason.endswith("Number 1 of the LLM's advice. Fast.")
