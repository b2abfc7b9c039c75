"""Intervals of means and of paired differences."""

import math

import numpy as np
import pytest

from benchmarks import intervals, plots

RNG = np.random.default_rng(4)


def test_the_interval_of_a_mean_has_the_width_that_theory_gives_and_does_not_see_the_problems_spread():
    levels = np.array([[0.0], [50.0], [100.0]])
    low, high = intervals.of_mean(levels + RNG.normal(0, 1, (3, 40)))
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(120), rel=0.2)
    assert low < 50.0 + 0.3
    assert high > 50.0 - 0.3


def test_a_mean_weighs_every_row_alike_and_holes_are_left_out():
    regret = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, math.nan, math.nan], [math.nan] * 4])
    assert intervals.of_mean(regret) == (pytest.approx(10 / 6), pytest.approx(10 / 6))


@pytest.mark.parametrize(
    "regret", [np.ones((2, 1)), np.array([[1.0, 2.0], [1.0, math.nan]]), np.full((2, 2), math.nan)]
)
def test_one_row_of_a_problem_tells_of_no_spread(regret):
    assert all(math.isnan(end) for end in intervals.of_mean(regret))


def test_a_band_is_the_interval_at_every_trial():
    curves = RNG.random((3, 5, 7))
    mean, low, high = plots.band(curves)
    assert mean == pytest.approx(curves.mean(axis=(0, 1)))
    assert (low < mean).all()
    assert (high > mean).all()
    assert high[4] == pytest.approx(intervals.of_mean(curves[:, :, 4])[1], abs=0.02)


def test_a_difference_is_paired():
    level = RNG.normal(0, 10, (4, 10))
    mean, low, high = intervals.of_difference(level - 1 + RNG.normal(0, 0.1, (4, 10)), level)
    assert low < mean < high
    assert mean == pytest.approx(-1, abs=0.05)
    assert high - low < 0.1


def test_a_difference_counts_pairs_that_both_have():
    a, b = np.array([[1.0, 2.0, math.nan]]), np.array([[0.0, 0.0, 0.0]])
    assert intervals.of_difference(a, b)[0] == 1.5
    mean, low, _ = intervals.of_difference(a[:, :1], b[:, :1])
    assert mean == 1.0
    assert math.isnan(low)
