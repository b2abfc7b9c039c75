"""Spaces in the coordinates of the peers."""

import json

import numpy as np
import pytest

from benchmarks import suites
from benchmarks.outside.axes import active, axes, filled, to_params, to_point
from hybridbo import Categorical, Float, Int, Space

SPACE = Space({
    "below": Int(2, 10, step=4, when={"grid": [0.3], "mixed": [True, "b"]}),
    "grid": Float(0.1, 0.7, step=0.2, when={"mixed": [True, 1, "b"]}),
    "mixed": Categorical([1, True, "b", None]),
    "order": Categorical([1, 10, 100], ordered=True),
    "rate": Float(1e-4, 1.0, log=True),
    "count": Int(1, 100, log=True),
    "coarse": Float(0.5, 64.0, step=0.5, log=True),
})  # fmt: skip
AXES = axes(json.loads(SPACE.to_json()))


def test_parents_come_first_and_conditions_hold_on_coordinates():
    assert list(AXES) == ["mixed", "order", "rate", "count", "coarse", "grid", "below"]
    assert AXES["grid"].when == {"mixed": [1, 0, 2]}
    assert AXES["below"].when == {"grid": [1], "mixed": [1, 2]}


@pytest.mark.parametrize(
    ("name", "kind", "ends", "log"),
    [("mixed", "choice", (0, 3), False), ("order", "int", (0, 2), False), ("grid", "int", (0, 3), False),
     ("below", "int", (0, 2), False), ("rate", "float", (1e-4, 1.0), True), ("count", "int", (1, 100), True),
     ("coarse", "float", (0.5, 64.0), True)],
)  # fmt: skip
def test_kinds_ranges_and_scales(name, kind, ends, log):
    axis = AXES[name]
    assert (axis.kind, (axis.low, axis.high), axis.log) == (kind, ends, log)
    assert axis.low <= axis.middle() <= axis.high


def test_a_value_beyond_the_range_by_the_rounding_of_a_logarithm_is_moved_into_it():
    assert AXES["rate"].value(1.0000000001) == 1.0
    assert AXES["count"].value(100.4) == 100


def test_inactive_parameters_are_left_out_or_in_the_middle():
    point = dict.fromkeys(AXES, 1.0) | {"mixed": 3}  # None: no grid, hence nothing below it
    assert set(active(AXES, point)) == set(SPACE) - {"grid", "below"}
    assert filled(AXES, point) == point | {"grid": AXES["grid"].middle(), "below": AXES["below"].middle()}
    assert to_params(AXES, point)["mixed"] is None
    assert "below" not in to_params(AXES, point | {"mixed": 0})  # 1 is not True


@pytest.mark.parametrize(
    "space", [SPACE, *(suites.problem(n).space for n in suites.select("functions,crash,boosters"))]
)
def test_there_and_back(space):
    along = axes(json.loads(space.to_json()))
    rng = np.random.default_rng(0)
    for _ in range(50):
        params = space.decode(rng.random(len(space)))
        back = space.validate(space.round(to_params(along, filled(along, to_point(along, params)))))
        assert back == params
        assert [type(value) for value in back.values()] == [type(value) for value in params.values()]
