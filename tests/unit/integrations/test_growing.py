"""A space that grows is asked about a few times, and what was said of it before still counts."""

import pytest

from hybridbo import Float, LLMSettings, Space
from hybridbo.consult import Consultant
from hybridbo.integrations.growing import answer_growing
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, StudyRecord
from hybridbo.storage import open_store
from hybridbo.testing.scripted import ScriptedBackend


def asked(backend, sizes, max_failures=3):
    """Ask about spaces of these sizes in turn."""
    kept, settings = open_store(":memory:"), LLMSettings(max_failures=max_failures)
    kept.create_study(StudyRecord("study", "{}", "{}"))
    for number, size in enumerate(sizes):
        space = Space({f"x{i}": Float(0, 1) for i in range(size)})
        request = ChatRequest("seeds", "task", space.to_dict(), "system", "user")
        consultant = Consultant(backend, kept, "study", space, settings)
        yield answer_growing(consultant, kept.get_calls("study"), request, number, settings)


@pytest.fixture
def backend():
    return ScriptedBackend([f"reply {i}" for i in range(9)])


def test_three_shapes_are_asked_about_and_the_last_reply_serves_the_others(backend):
    answers = [answer.text for answer in asked(backend, [1, 1, 2, 2, 3, 4, 5, 2])]
    assert answers == ["reply 0", "reply 0", "reply 1", "reply 1", "reply 2", "reply 2", "reply 2", "reply 1"]
    assert len(backend.requests) == 3


def test_failures_count_over_all_shapes():
    backend = ScriptedBackend([])
    answers = list(asked(backend, [1, 2, 3], max_failures=2))
    assert all(isinstance(answer, ChatFailure) for answer in answers)
    assert len(backend.requests) == 2
    assert "not asked again after 2 failures" in answers[-1].message


def test_seeds_are_no_answer_to_a_consultation_and_do_not_count_against_it():
    kept, settings, space = open_store(":memory:"), LLMSettings(max_calls=4), Space({"x": Float(0, 1)})
    kept.create_study(StudyRecord("study", "{}", "{}"))
    consultant = Consultant(ScriptedBackend([f"reply {i}" for i in range(9)]), kept, "study", space, settings)
    answers = []
    for purpose in ("seeds", "consult:5", "consult:10", "consult:15", "consult:20"):
        request = ChatRequest(purpose, "task", space.to_dict(), "system", "user")
        answers.append(answer_growing(consultant, kept.get_calls("study"), request, 5, settings))
    assert [answer.text for answer in answers[:4]] == [f"reply {i}" for i in range(4)]
    assert "max_calls is used up" in answers[4].message


def test_an_earlier_reply_serves_where_asking_fails():
    answers = list(asked(ScriptedBackend(["reply 0"]), [1, 2]))
    assert [answer.text for answer in answers] == ["reply 0", "reply 0"]
    assert isinstance(answers[1], ChatReply)
