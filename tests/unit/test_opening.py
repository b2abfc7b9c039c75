import pytest

from hybridbo import Float, errors
from hybridbo.objective import Objective
from hybridbo.opening import backend_name, checked_seed, new_record, objective_of, open_study
from hybridbo.storage import open_store
from hybridbo.testing import ScriptedBackend

SPACE = {"x": Float(0.0, 1.0)}


def record(**changes):
    given = {"study": "s", "task": "", "llm": "none", "seed": 1, "settings": None} | changes
    return new_record(given.pop("space", SPACE), given.pop("objective", Objective.of()), **given)


def test_a_study_is_made_once_and_found_again():
    store = open_store(":memory:")
    made = open_study(store, record(seed=1, task="t"))
    assert open_study(store, record(seed=2, task="u")) == made
    assert (made.seed, made.task) == (1, "t")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"space": {"x": Float(0.0, 2.0)}}, "'x' was"),
        ({"space": {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}}, "'y' is new"),
        ({"space": {"y": Float(0.0, 1.0)}}, "'x' is missing"),
        ({"objective": Objective.of("maximize")}, "maximize"),
        ({"objective": Objective.of(constraints={"m": "<= 3"})}, "constraints"),
    ],
)
def test_another_study_of_that_name_is_refused_with_the_differences(changes, difference):
    store = open_store(":memory:")
    open_study(store, record())
    with pytest.raises(errors.StudyMismatch, match=difference):
        open_study(store, record(**changes))


def test_without_a_seed_one_is_drawn():
    assert len({record(seed=None).seed for _ in range(5)}) == 5


def test_seeds():
    assert checked_seed(None) is None
    assert checked_seed(2**63 - 1) == 2**63 - 1
    for seed in (-1, 2**63, 1.0, True, "1"):
        with pytest.raises(errors.InvalidSettings, match="seed="):
            checked_seed(seed)


def test_arguments_that_are_no_dicts_are_named():
    with pytest.raises(errors.InvalidSettings, match="constraints="):
        objective_of(None, None, "m <= 3")


def test_names_of_backends():
    assert backend_name(None) == "none"
    assert backend_name(ScriptedBackend(["x"], name="mine")) == "mine"
