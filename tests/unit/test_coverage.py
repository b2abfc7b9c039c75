from datetime import UTC, datetime

import numpy as np
import pytest

from hybridbo import Categorical, Float, Int, Space
from hybridbo.coverage import best_of
from hybridbo.sobol import SobolPoints
from hybridbo.trial import History, Origin, Trial, TrialState

BOOSTERS = Space(
    {
        "booster": Categorical(["gbtree", "dart", "gblinear"]),
        "eta": Float(1e-3, 1, log=True),
        "depth": Int(1, 14, when={"booster": ["gbtree", "dart"]}),
        "selector": Categorical(["cyclic", "shuffle", "greedy"], when={"booster": ["gblinear"]}),
    }
)


def trials_of(configurations, source="sobol"):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [Trial(i, p, TrialState.COMPLETE, Origin(source, "."), at) for i, p in enumerate(configurations)]


def points(space, seed, n, before=()):
    """``n`` points of a sequence after the configurations of another source."""
    sequence, found = SobolPoints(len(space), seed), list(before)
    for _ in range(n):
        used = len(found) - len(before)
        free = (space.decode(sequence[i]) for i in range(used, used + 64))
        history = History.of([*trials_of(before, "llm"), *trials_of(found[len(before) :])])
        found.append(best_of(space, history, free))
    return found[len(before) :]


@pytest.mark.parametrize("seed", range(20))
def test_the_branches_that_nothing_has_tried_come_first(seed):
    advised = [{"booster": "gbtree", "eta": 0.1, "depth": 3}, {"booster": "dart", "eta": 0.1, "depth": 3}]
    assert points(BOOSTERS, seed, 1, advised)[0]["booster"] == "gblinear"
    assert {p["booster"] for p in points(BOOSTERS, seed, 3)} == {"gbtree", "dart", "gblinear"}


def test_where_there_is_nothing_to_try_the_sequence_keeps_its_order():
    space = Space(
        {"a": Float(0, 1), "size": Categorical([1, 2, 4], ordered=True), "many": Categorical(list("abcdefg"))}
    )
    found = [space.encode(p) for p in points(space, 3, 8)]
    quarters = sorted(np.floor(np.array(found)[:, 0] * 8))
    assert quarters == list(range(8))  # the first eight points of one sequence: one in each eighth


def test_choices_that_python_holds_equal_are_told_apart():
    below = {f"y{i}": Float(0, 1, when={"x": [choice]}) for i, choice in enumerate([1, True, None, "1"])}
    space = Space({"x": Categorical([1, True, None, "1"]), "lr": Float(0, 1), **below})
    found = points(space, 0, 4)
    assert {(type(p["x"]), p["x"]) for p in found} == {(int, 1), (bool, True), (type(None), None), (str, "1")}


def test_a_store_made_elsewhere_may_hold_what_the_space_cannot_read():
    history = History.of(trials_of([{"booster": "no such", "gone": 1}]))
    found = best_of(BOOSTERS, history, iter([{"booster": "gbtree", "eta": 0.1, "depth": 3}] * 2))
    assert found["booster"] == "gbtree"


def test_a_long_search_takes_the_next_point_and_looks_no_further():
    history = History.of(trials_of([{"booster": "gbtree", "eta": 0.1, "depth": 3}] * 50))
    free = iter([{"booster": "gbtree", "eta": 0.2, "depth": 3}, {"booster": "dart", "eta": 0.2, "depth": 3}])
    assert best_of(BOOSTERS, history, free)["booster"] == "gbtree"
    assert next(free)["booster"] == "dart"


def test_nothing_free_is_nothing():
    assert best_of(BOOSTERS, History(), iter([])) is None
