"""SmolLM2's replies are paid for once, and the method needs no model where they are recorded."""

import pytest

from benchmarks import methods, smollm
from hybridbo.chat import ChatRequest
from hybridbo.testing import ScriptedBackend


def request(task="t"):
    return ChatRequest("seeds", task, {"x": {"type": "float", "low": 0.0, "high": 1.0}}, "", "", max_tokens=4096)


def test_a_reply_is_asked_for_once_and_shorter(tmp_path):
    model = ScriptedBackend(["{}"])
    for _ in range(2):
        backend = smollm.SmolLM2(model, tmp_path / "none.jsonl", tmp_path / "cache" / "r.jsonl")
        assert backend.complete(request()).text == "{}"
    assert [asked.max_tokens for asked in model.requests] == [smollm.MAX_TOKENS]


def test_what_comes_with_the_checkout_is_looked_at_first(tmp_path):
    smollm.SmolLM2(ScriptedBackend(["theirs"]), tmp_path / "none", tmp_path / "a.jsonl").complete(request())
    backend = smollm.SmolLM2(ScriptedBackend(), tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert backend.complete(request()).text == "theirs"


def test_without_the_model_the_method_is_left_out_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm, "find_spec", lambda name: None)
    smollm.local_model.cache_clear()
    monkeypatch.setattr(smollm.SmolLM2.__init__, "__defaults__", (None, tmp_path / "none.jsonl", None))
    from benchmarks import suites

    with pytest.raises(methods.NotApplicable, match="pip install"):
        methods.make("hybridbo-smollm", suites.problem("functions/branin"), 0)


def test_the_method_searches_with_its_replies(tmp_path, monkeypatch):
    from benchmarks import suites

    model = ScriptedBackend(['{"configs": [{"x1": 0.5, "x2": 0.25}]}'])
    monkeypatch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm, "local_model", lambda: model)
    monkeypatch.setattr(smollm.SmolLM2.__init__, "__defaults__", (None, tmp_path / "none.jsonl", None))
    search = methods.make("hybridbo-smollm", suites.problem("functions/branin"), 0)
    search.ask()
    search.tell(1.0)
    search.ask()
    assert len(model.requests) == 1


@pytest.mark.parametrize("name", ["functions/branin", "fresh/svc_kernels"])
def test_the_recording_of_the_checkout_is_found_by_its_problems(name, tmp_path):
    from benchmarks import suites
    from hybridbo.llm.prompts import seed_request
    from hybridbo.objective import Objective
    from hybridbo.settings import Settings

    problem = suites.problem(name)
    asked = seed_request(problem.space, Objective.of(problem.direction), problem.task, Settings())
    reply = smollm.SmolLM2(ScriptedBackend(), added=tmp_path / "none.jsonl").complete(asked)
    assert reply.recorded
    assert reply.model.startswith("SmolLM2-135M")
