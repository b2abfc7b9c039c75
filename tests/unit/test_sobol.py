from datetime import UTC, datetime

import numpy as np
import pytest

from hybridbo import Categorical, Float, Int, Space
from hybridbo.errors import SpaceExhausted
from hybridbo.sobol import next_point
from hybridbo.trial import Origin, Trial, TrialState

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
    """``n`` points of the sequence after the configurations of another source."""
    found = list(before)
    for _ in range(n):
        trials = [*trials_of(before, "llm"), *trials_of(found[len(before) :])]
        found.append(next_point(space, seed, trials, {space.key(p) for p in found}, lambda u: u))
    return found[len(before) :]


@pytest.mark.parametrize("seed", range(20))
def test_the_branches_that_nothing_has_tried_come_first(seed):
    advised = [{"booster": "gbtree", "eta": 0.1, "depth": 3}, {"booster": "dart", "eta": 0.1, "depth": 3}]
    assert points(BOOSTERS, seed, 1, advised)[0]["booster"] == "gblinear"
    assert {p["booster"] for p in points(BOOSTERS, seed, 3)} == {"gbtree", "dart", "gblinear"}


def test_every_choice_of_several_parameters_is_tried():
    space = Space({name: Categorical(list("abcd")) for name in "xyz"} | {"lr": Float(0, 1)})
    for seed in range(20):
        found = points(space, seed, 5)
        assert all({p[name] for p in found} == set("abcd") for name in "xyz")


def test_where_there_is_nothing_to_try_the_sequence_keeps_its_order():
    space = Space(
        {"a": Float(0, 1), "size": Categorical([1, 2, 4], ordered=True), "many": Categorical(list("abcdefg"))}
    )
    found = [space.encode(p) for p in points(space, 3, 8)]
    quarters = sorted(np.floor(np.array(found)[:, 0] * 8))
    assert quarters == list(range(8))  # the first eight points of one sequence: one in each eighth


def test_choices_that_python_holds_equal_are_told_apart():
    space = Space({"x": Categorical([1, True, None, "1"]), "lr": Float(0, 1)})
    found = points(space, 0, 4)
    assert {(type(p["x"]), p["x"]) for p in found} == {(int, 1), (bool, True), (type(None), None), (str, "1")}


def test_a_store_made_elsewhere_may_hold_what_the_space_cannot_read():
    trials = trials_of([{"booster": "no such", "gone": 1}])
    assert next_point(BOOSTERS, 0, trials, set(), lambda u: u)["booster"] in ("gbtree", "dart", "gblinear")


def test_a_finite_space_is_used_up_to_its_last_configuration():
    space = Space({"a": Categorical([True, False]), "b": Int(1, 3)})
    found = points(space, 1, 6)
    assert len({space.key(p) for p in found}) == 6
    with pytest.raises(SpaceExhausted):
        next_point(space, 1, trials_of(found), {space.key(p) for p in found}, lambda u: u)


def test_what_is_fixed_is_kept():
    space = Space({"x": Float(0, 1), "k": Categorical(["a", "b"])})
    found = next_point(space, 0, [], set(), lambda points: points, {"x": 0.5})
    assert found["x"] == 0.5
    taken = {space.key({"x": 0.5, "k": k}) for k in "ab"}
    with pytest.raises(SpaceExhausted):
        next_point(space, 0, [], taken, lambda points: points, {"x": 0.5})
