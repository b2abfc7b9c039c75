import json
from dataclasses import FrozenInstanceError

import pytest

from hybridbo import Categorical, Float, Int, Optimizer, Space, SpaceProposal, describe, errors, propose_space
from hybridbo.backends.replay import Recorder
from hybridbo.testing import ScriptedBackend

TASK = "A small network on a table; metric: accuracy."
LR = {"name": "lr", "type": "float", "low": 1e-5, "high": 0.1, "scale": "log", "default": 0.001, "reason": "Adam."}
OPT = {"name": "opt", "type": "categorical", "choices": ["adam", "sgd"], "reason": "Usual."}
BAD = {"name": "depth", "type": "int", "low": 8, "high": 1, "reason": "?"}
GOOD = json.dumps({"parameters": [LR, OPT, BAD], "direction": "maximize", "metric": "accuracy", "rationale": "So."})
USELESS = json.dumps({"parameters": [BAD]})
SPACE = Space({"lr": Float(1e-5, 0.1, log=True, default=0.001), "opt": Categorical(["adam", "sgd"])})


def propose(*replies, **options):
    backend = ScriptedBackend(replies)
    return propose_space(TASK, backend, **options), backend


def test_a_proposal_holds_space_reasons_and_what_was_not_used():
    proposal, backend = propose(GOOD)
    assert proposal.space == SPACE
    assert proposal.reasons == {"lr": "Adam.", "opt": "Usual."}
    assert (proposal.direction, proposal.metric, proposal.rationale) == ("maximize", "accuracy", "So.")
    assert [part.part for part in proposal.rejections] == ["parameters[2] depth"]
    assert (proposal.model, proposal.task, len(backend.requests)) == ("scripted", TASK, 1)
    with pytest.raises(FrozenInstanceError):
        proposal.metric = "loss"


def test_it_prints_as_a_table():
    proposal, _ = propose(GOOD)
    head, lr, opt, *rest = str(proposal).splitlines()
    assert head.split() == ["parameter", "range", "default", "only", "if", "why"]
    assert lr.split() == ["lr", "float", "in", "[1e-05,", "0.1],", "log", "0.001", "Adam."]
    assert "one of 'adam', 'sgd'" in opt
    assert rest[:2] == ["So.", "maximize accuracy"]
    assert rest[2].startswith("rejected: parameters[2] depth: ")


def test_a_useless_reply_is_answered_once_with_what_is_wrong():
    proposal, backend = propose(USELESS, GOOD)
    assert proposal.space == SPACE
    first, second = backend.requests
    assert "errors_in_your_last_answer" not in json.loads(first.user)
    [error] = json.loads(second.user)["errors_in_your_last_answer"]
    assert "low=8 is not below high=1" in error
    assert len(proposal.calls) == 2


def test_two_useless_replies_are_an_error_that_says_why():
    backend = ScriptedBackend([USELESS, "Sorry.", GOOD])
    with pytest.raises(
        errors.BackendBadReply,
        match=r"2 attempts with scripted \(attempt 1: .*low=8 .*attempt 2: reply: .*\)\. Describe",
    ):
        propose_space(TASK, backend)
    assert len(backend.requests) == 2


def test_a_failed_attempt_is_repeated_and_kept_in_the_study(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "canary-1234567")
    failed = errors.BackendBadReply("HTML with canary-1234567.")
    failed.prompt_tokens, failed.completion_tokens = 7, 5
    prices = {"llm": {"prices": {"scripted": {"prompt": 1e6, "completion": 1e6}}}}
    proposal, backend = propose(failed, GOOD, settings=prices)
    first, second = backend.requests
    assert first == second  # no answer, so none of its errors
    assert proposal.space == SPACE
    with Optimizer(proposal, llm=None) as opt:
        usage = opt.llm_usage
        assert (usage.calls, usage.failures) == (2, 1)
        failure = opt.store.get_calls(opt.study)[0].result
        assert (failure.error, failure.message) == ("BackendBadReply", "HTML with [secret].")
        assert (failure.prompt_tokens, failure.completion_tokens, failure.cost) == (7, 5, 12.0)
        [event] = [event for event in opt.events if event.kind == "llm_failed"]
        assert event.message == "BackendBadReply: HTML with [secret]."


def test_without_a_model_there_is_no_space(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("HYBRIDBO_LLM", raising=False)
    for llm in (None, "none", "auto"):
        with pytest.raises(errors.UnknownBackend, match="needs a language model"):
            propose_space(TASK, llm)


def test_what_goes_wrong_at_the_backend_is_an_error_of_the_tree(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "canary-1234567")
    with pytest.raises(errors.BackendRefused, match="no"):
        propose(errors.BackendRefused("no"))
    with pytest.raises(errors.BackendError, match=r"ZeroDivisionError: in \[secret\]"):
        propose(ZeroDivisionError("in canary-1234567"))

    class Mute:
        name = "mute"

        def complete(self, request):
            return "text"

    with pytest.raises(errors.BackendBadReply, match="mute returned str"):
        propose_space(TASK, Mute())


@pytest.mark.parametrize("options", [{"task": " "}, {"task": 3}, {"most": 0}, {"most": 51}, {"most": True}])
def test_bad_arguments_are_refused_before_anybody_is_asked(options):
    backend = ScriptedBackend([GOOD])
    with pytest.raises(errors.InvalidSettings):
        propose_space(**{"task": TASK, "llm": backend} | options)
    assert backend.requests == []


def test_facts_and_settings_go_into_the_request():
    facts = describe([[1.5], [2.5]], [0, 1])
    proposal, backend = propose(GOOD, data=facts, most=1, settings={"llm": {"max_tokens": 99}})
    assert json.loads(backend.requests[0].user)["dataset"]["rows"] == 2
    assert backend.requests[0].max_tokens == 99
    assert list(proposal.space) == ["lr"]


def test_a_recording_is_played_without_network(tmp_path):
    file = tmp_path / "space.jsonl"
    recorded = propose_space(TASK, Recorder(ScriptedBackend([USELESS, GOOD]), file))
    replayed = propose_space(TASK, f"replay:{file}")
    assert replayed == recorded
    assert all(call.result.recorded for call in replayed.calls)


def test_a_proposal_can_be_edited():
    proposal, _ = propose(GOOD)
    changed = proposal.edited({"lr": Float(1e-4, 1e-2, log=True), "opt": None, "depth": Int(1, 3)})
    assert changed.space == Space({"lr": Float(1e-4, 1e-2, log=True), "depth": Int(1, 3)})
    assert changed.reasons == {"lr": "Set by the user.", "depth": "Set by the user."}
    assert proposal.space == SPACE
    with pytest.raises(errors.InvalidSpace, match="'x' is no parameter"):
        proposal.edited({"x": None})
    with pytest.raises(errors.InvalidSpace):
        proposal.edited({"lr": Float(1, 0)})


def test_it_travels_as_json():
    proposal, _ = propose(GOOD)
    assert SpaceProposal.from_json(proposal.to_json()) == proposal
    assert Space.from_json(json.loads(proposal.to_json())["space"]) == proposal.space


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"space": 3}', '{"space": {}}', "[" * 9999, '{"space": null, "x": 1}']
)
def test_what_is_no_proposal_is_refused(text):
    with pytest.raises(errors.InvalidSpace):
        SpaceProposal.from_json(text)


def test_an_optimizer_of_it_keeps_what_was_asked_and_answered(tmp_path):
    proposal, _ = propose(USELESS, GOOD)
    proposal = proposal.edited({"width": Int(8, 64)})
    for _ in range(2):  # the second time the study is there already
        with proposal.optimizer(store=tmp_path / "s.db", llm=None, seed=0) as opt:
            assert (opt.space, opt.task) == (proposal.space, TASK)
            assert opt.objective.directions == (("value", "maximize"),)
    with Optimizer.load(tmp_path / "s.db") as opt:
        assert [call.result.text for call in opt.store.get_calls(opt.study)] == [USELESS, GOOD]
        [event] = opt.events
        assert event.kind == "space_proposed"
        assert event.message == (
            "3 parameters proposed by scripted, 0 parts of its reply repaired, 1 rejected; set by the user: width."
        )
        assert (opt.llm_usage.calls, opt.llm_usage.rejected) == (2, 0)
        assert opt.ask().number == 0


def test_it_is_taken_wherever_a_dict_of_parameters_is(tmp_path):
    proposal, _ = propose(GOOD)
    assert dict(proposal) == dict(SPACE)
    assert Space.of(proposal) == SPACE
    with Optimizer(proposal, store=tmp_path / "s.db", llm=None) as opt:
        assert (opt.space, opt.task) == (SPACE, TASK)
        assert opt.objective.directions == (("value", "maximize"),)  # not the default, which would search the worst
        assert [call.result.text for call in opt.store.get_calls(opt.study)] == [GOOD]
    with Optimizer(proposal, task="Mine.", store=tmp_path / "s.db", study="2", direction="minimize", llm=None) as opt:
        assert (opt.task, opt.objective.directions) == ("Mine.", (("value", "minimize"),))
    with Optimizer({**proposal}, llm=None) as opt:
        assert opt.events == []


def test_the_users_direction_and_objectives_go_before():
    proposal, _ = propose(GOOD)
    assert proposal.optimizer(llm=None, direction="minimize").objective.directions == (("value", "minimize"),)
    several = proposal.optimizer(llm=None, objectives={"a": "minimize", "b": "maximize"})
    assert several.objective.directions == (("a", "minimize"), ("b", "maximize"))
