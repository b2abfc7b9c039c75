import decimal
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import numerics, stepped

from hybridbo.numeric import Float, Int

places = st.floats(0, 1)


@settings(max_examples=300)
@given(numerics, places)
def test_the_round_trip_is_exact_on_the_grid(parameter, u):
    value = parameter.from_unit(u)
    assert parameter.from_unit(parameter.to_unit(value)) == value
    assert parameter.round(value) == value
    assert type(value) is (int if parameter.kind == "int" else float)


@settings(max_examples=200)
@given(numerics, places)
def test_every_place_holds_an_allowed_value(parameter, u):
    value = parameter.from_unit(u)
    assert parameter.problem_of(value) is None
    assert parameter.near(value) == value
    assert 0 <= parameter.to_unit(value) <= 1


@settings(max_examples=200)
@given(numerics, places, places)
def test_the_order_is_kept(parameter, u, v):
    assert (parameter.from_unit(u) <= parameter.from_unit(v)) or u > v


@settings(max_examples=200)
@given(numerics, st.integers(0, 2**32))
def test_snapping_arrays_agrees_with_single_values(parameter, seed):
    u = np.random.default_rng(seed).random(8)
    snapped = parameter.snap_unit(u)
    np.testing.assert_allclose(snapped, [parameter.to_unit(parameter.from_unit(x)) for x in u], rtol=0, atol=1e-5)
    if parameter.step is not None:
        values = [parameter.grid_value(int(cell)) for cell in parameter.cell_of(u)]
        assert values == [parameter.from_unit(x) for x in u]
        np.testing.assert_allclose(parameter.snap_unit(snapped), snapped, rtol=0, atol=1e-12)


@given(stepped())
def test_the_grid_starts_at_low_and_ends_below_high(parameter):
    n = int(parameter.n_values)
    assert parameter.grid_value(0) == parameter.low
    assert parameter.grid_value(n - 1) == parameter.top <= parameter.high
    assert parameter.high < parameter.top + parameter.step * (1 + 1e-9)


def test_a_grid_has_the_digits_of_its_declaration():
    dropout = Float(0.1, 0.6, step=0.1)
    assert [dropout.grid_value(i) for i in range(int(dropout.n_values))] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert dropout.problem_of(0.1 + 0.2) is None
    assert dropout.declared(0.1 + 0.2) == 0.3


def test_the_grid_does_not_depend_on_the_users_decimal_context():
    with decimal.localcontext() as context:
        context.prec = 2
        context.traps[decimal.Inexact] = True
        parameter = Float(1.234567, 9.0, step=0.001)
        assert parameter.n_values == 7766
        assert parameter.from_unit(0.5) == parameter.grid_value(3882) == 5.116567


def test_uniform_places_give_uniform_grid_values():
    parameter = Int(3, 7)
    values = [parameter.from_unit((i + 0.5) / 1000) for i in range(1000)]
    assert [values.count(v) for v in range(3, 8)] == [200] * 5


def test_a_log_scale_halves_at_the_geometric_mean():
    assert Float(1e-5, 1e-1, log=True).from_unit(0.5) == 1e-3
    assert Int(1, 10_000, log=True).from_unit(0.5) in range(60, 110)
    assert Float(1e-5, 1e-1, log=True).to_unit(1e-4) == pytest.approx(0.25)


@pytest.mark.parametrize("log", [False, True])
def test_a_continuous_parameter_maps_its_ends_exactly(log):
    parameter = Float(0.123456789012, 7.987654321098, log=log)
    assert (parameter.from_unit(0.0), parameter.from_unit(1.0)) == (0.123456789012, 7.987654321098)
    assert (parameter.to_unit(parameter.low), parameter.to_unit(parameter.high)) == (0.0, 1.0)


def test_continuous_values_are_rounded_to_a_millionth_of_the_range():
    assert Float(0, 1).round(0.12345678) == 0.123457
    assert Float(0, 1000).round(0.12345678) == 0.123
    assert Float(1e-6, 1, log=True).round(1.23456789e-5) == 1.23457e-05
    assert math.copysign(1, Float(-1, 1).round(-1e-12)) == 1  # 0.0, not -0.0


def test_top_is_the_last_point_of_the_grid():
    assert Float(0, 1, step=0.3).top == 0.9
    assert Int(1, 10, step=4).top == 9
    assert Float(0, 1).top == 1


@pytest.mark.parametrize(
    ("parameter", "value", "why"),
    [
        (Float(0, 1), 1.5, "out of range"),
        (Float(0, 1), -0.1, "out of range"),
        (Float(0, 1), "0.5", "not a finite number"),
        (Float(0, 1), True, "not a finite number"),
        (Float(0, 1), None, "not a finite number"),
        (Float(0, 1), math.nan, "not a finite number"),
        (Float(0, 1), math.inf, "not a finite number"),
        (Float(0, 1), 10**400, "not a finite number"),
        (Float(0, 1), np.array([0.5, 0.6]), "not a finite number"),
        (Float(0, 1, step=0.25), 0.3, "between two steps"),
        (Float(0, 1, step=0.3), 1.0, "between two steps"),
        (Int(0, 9), 2.5, "not an integer"),
        (Int(0, 9), 10, "out of range"),
        (Int(0, 9, step=3), 4, "between two steps"),
    ],
)
def test_a_value_that_is_not_allowed_says_why_and_what_is(parameter, value, why):
    problem = parameter.problem_of(value)
    assert why in problem
    assert f"{parameter.kind} in [0, " in problem


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), 1, np.int64(0)])
def test_numbers_of_any_make_are_allowed(value):
    assert Float(0, 1).problem_of(value) is None


def test_near_takes_the_nearest_step_and_nothing_out_of_range():
    assert Float(0, 1, step=0.25).near(0.3) == 0.25
    assert Int(0, 100, step=10).near(32.0) == 30
    assert Int(0, 100).near(32.5) is None
    assert Float(0, 1).near(1.1) is None
    assert Float(0, 1).near("0.5") is None


def test_descriptions_are_what_messages_need():
    assert Float(1e-5, 0.1, log=True).describe() == "float in [1e-05, 0.1], log"
    assert Int(1, 9).describe() == "int in [1, 9]"
    assert Int(1, 9, step=2).describe() == "int in [1, 9], step 2"


def test_numpy_scalars_become_plain():
    parameter = Int(np.int64(1), np.int64(9), default=np.int64(3), when={"a": [np.float64(0.5)]})
    assert repr(parameter) == "Int(low=1, high=9, log=False, step=1, default=3, when={'a': (0.5,)})"
