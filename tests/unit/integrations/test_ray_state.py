"""The saved state of a search: written, read, and held against what goes on from it."""

import pickle

import pytest

pytest.importorskip("ray.tune")

from ray import tune

from hybridbo.errors import InvalidSettings, StoreCorrupt, StudyMismatch
from hybridbo.integrations.ray_ledger import Ledger
from hybridbo.integrations.ray_results import Goal
from hybridbo.integrations.ray_space import RaySpace
from hybridbo.integrations.ray_state import State, absolute, check_pickled
from hybridbo.storage.memory import MemoryStore

SPACE = RaySpace.of({"x": tune.uniform(0, 1), "f": tune.choice([lambda: 1, lambda: 2])}, whole=False)
GOAL = Goal.of("loss", "min")


def state(**changes):
    ledger = Ledger()
    ledger.begin("a", 0)
    return State(**{"space": SPACE, "goal": GOAL, "ledger": ledger, "study": "s", "memory": None, **changes})


def test_it_is_read_as_it_was_written_functions_among_the_choices_included(tmp_path):
    state().write(tmp_path / "state.pkl")
    again = State.read(tmp_path / "state.pkl")
    assert (again.goal, again.ledger, again.study) == (GOAL, state().ledger, "s")
    assert again.space.space == SPACE.space
    chosen = [again.space.to_config({"x": 0.5, "f": choice})["f"]() for choice in SPACE.space["f"].choices]
    assert chosen == [1, 2]


@pytest.mark.parametrize("content", [None, b"", b"rubbish", pickle.dumps({"space": 1})])
def test_anything_else_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "state.pkl").write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"state\.pkl.*Restore from the folder of an experiment"):
        State.read(tmp_path / "state.pkl")


def test_what_is_not_given_is_taken_and_what_is_given_has_to_agree():
    state().check(None, None, "s", ":memory:")
    state().check(SPACE, GOAL, "s", ":memory:")
    state(memory=MemoryStore()).check(None, None, "s", MemoryStore())
    state(space=None, goal=None).check(SPACE, GOAL, "s", ":memory:")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, Goal.of("loss", "max"), "s", ":memory:"), "it was to min loss, now max loss"),
        ((RaySpace.of({"x": tune.uniform(0, 1)}), None, "s", ":memory:"), "parameter 'f' is missing"),
        ((None, None, "t", ":memory:"), "its study was 's', now 't'"),
        ((None, None, "s", "/tmp/a.db"), "was in memory, now in '/tmp/a.db'"),
    ],
)
def test_another_search_is_refused(given, message):
    with pytest.raises(StudyMismatch, match=message):
        state(memory=MemoryStore()).check(*given)


def test_paths_are_made_absolute_and_nothing_else_is_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = MemoryStore()
    assert absolute("a/../b.db") == str(tmp_path / "b.db")
    assert absolute(":memory:") == ":memory:"
    assert absolute(store) is store


def test_what_cannot_be_pickled_is_told_with_the_remedy():
    check_pickled("llm", lambda: 1, "Give another.")
    with pytest.raises(InvalidSettings, match=r"llm=.* cannot be pickled.*Give another"):
        check_pickled("llm", (i for i in range(3)), "Give another.")
