import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridbo.errors import InvalidValue
from hybridbo.traininglog import KEPT, LOSSLESS, checked_step, checked_values, merged, thinned


class Tensor:
    """What a tensor of one element is to us."""

    def __float__(self):
        return 0.25


class Tensors:
    def __float__(self):
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


def test_numbers_of_all_kinds_are_values():
    given = {"a": 1, "b": np.float32(0.5), "c": Tensor(), "val/loss ☃": math.inf, "d": np.array(2.0)}
    assert checked_values(given) == {"a": 1.0, "b": 0.5, "c": 0.25, "val/loss ☃": math.inf, "d": 2.0}
    assert math.isnan(checked_values({"a": math.nan})["a"])


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"a": "0.5"},
        {"a": True},
        {"a": None},
        {"a": 10**400},
        {"a": Tensors()},
        {"a": np.True_},
        {"a": [1, 2]},
        {"": 1.0},
        {"x" * 201: 1.0},
        {f"m{i}": 1.0 for i in range(101)},
    ],
)
def test_what_is_no_value_is_refused_by_name(metrics):
    with pytest.raises(InvalidValue) as error:
        checked_values(metrics)
    assert error.value.hint


@pytest.mark.parametrize("step", [-1, math.nan, math.inf, True, "3", None])
def test_what_is_no_step_is_refused(step):
    with pytest.raises(InvalidValue, match="step="):
        checked_step(step)


def test_steps_keep_their_kind():
    assert repr([checked_step(step) for step in (3, np.int64(3), 0.5, 2**60)]) == f"[3, 3, 0.5, {float(2**60)!r}]"


def test_parts_are_merged_by_step():
    assert merged([{"a": [(2, 1.0), (0, 2.0)]}, {"a": [(2, 3.0)], "b": [(1, 0.0)]}]) == {
        "a": [(0, 2.0), (2, 3.0)],
        "b": [(1, 0.0)],
    }


def test_short_log_is_not_thinned():
    log = {"a": [(i, float(i)) for i in range(LOSSLESS)]}
    assert thinned(log) == log


def test_thinned_log_is_even_over_the_steps_whatever_the_steps():
    steps = [*range(5000), 10**12]  # one far out
    log = thinned({"a": [(step, 0.0) for step in steps]})["a"]
    gaps = np.diff([step for step, _ in log[:-1]])
    assert KEPT * 0.8 < len(log) <= KEPT
    assert log[-1][0] == 10**12
    assert gaps[1:-1].max() <= 2 * np.median(gaps)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-6, 1e6), st.dictionaries(st.integers(0, 1199), st.floats(), max_size=5))
def test_thinning_keeps_ends_extremes_and_the_first_odd_value(seed, gap, odd_ones):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rng.integers(LOSSLESS + 1, 1200)).tolist()
    for i, value in odd_ones.items():
        values[i % len(values)] = value
    points = [(i * gap, value) for i, value in enumerate(values)]
    kept = thinned({"a": points})["a"]
    assert len(kept) <= KEPT
    assert {id(point) for point in kept} <= {id(point) for point in points}
    assert kept == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    finite = [value for value in values if math.isfinite(value)]
    there = [value for _, value in kept if math.isfinite(value)]
    if finite:
        assert (min(finite), max(finite)) == (min(there), max(there))
    odd = next((point for point in points if not math.isfinite(point[1])), None)
    assert odd is None or odd[0] in {step for step, _ in kept}


def test_thinning_again_and_again_keeps_the_shape():
    log = {"a": []}
    for start in range(0, 20_000, 500):
        log = thinned({"a": [*log["a"], *((i, math.exp(-i / 4000)) for i in range(start, start + 500))]})
    steps, values = (np.array(column) for column in zip(*log["a"], strict=True))
    assert np.abs(np.interp(np.arange(20_000), steps, values) - np.exp(-np.arange(20_000) / 4000)).max() < 1e-3
