import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import spaces_and_points

from hybridbo.gp.features import Features, encode, targets, to_loss
from hybridbo.space import Categorical, Float, Int, Space

SPACE = Space(
    {
        "x": Float(0, 1),
        "kind": Categorical(["a", "b", "c"]),
        "size": Categorical(["s", "m", "l"], ordered=True),
        "n": Int(1, 4, when={"kind": ["b"]}),
        "way": Categorical(["u", "v"], when={"kind": ["b"]}),
    }
)
finite = st.floats(allow_nan=False, allow_infinity=False)


def columns(space, *configurations):
    return Features.of(space).columns(np.array([space.encode(params) for params in configurations]))


def test_each_column_belongs_to_a_parameter():
    assert Features.of(SPACE).groups.tolist() == [0, 1, 1, 1, 2, 3, 4, 4]


def test_choices_are_one_hot_and_one_apart_and_what_is_inactive_is_at_one_place():
    rows = columns(
        SPACE,
        {"x": 0.25, "kind": "a", "size": "s"},
        {"x": 0.25, "kind": "c", "size": "s"},
        {"x": 0.25, "kind": "b", "size": "l", "n": 4, "way": "v"},
    )
    hot = 1 / np.sqrt(2)
    np.testing.assert_allclose(rows[0], [0.25, hot, 0, 0, 1 / 6, 0.5, 0, 0])
    np.testing.assert_allclose(rows[2], [0.25, 0, hot, 0, 5 / 6, 7 / 8, 0, hot])
    assert np.linalg.norm(rows[0] - rows[1]) == pytest.approx(1)


@settings(max_examples=100)
@given(spaces_and_points(rows=2))
def test_what_is_inactive_makes_no_difference_to_the_model(space_and_points):
    space, [u, other] = space_and_points
    changed = np.where([name in space.decode(u) for name in space], u, other)
    features = Features.of(space)
    rows = features.columns(np.array([u, changed]))
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows.shape == (2, len(features.groups))
    assert np.isfinite(rows).all()


@settings(max_examples=200)
@given(st.lists(finite, min_size=1, max_size=12).map(np.array))
def test_targets_keep_the_order_with_unit_variance(losses):
    y = targets(losses)
    assert np.isfinite(y).all()
    assert np.abs(y.mean()) < 1e-9
    assert y.std() == pytest.approx(1) or (y == 0).all()
    better = losses[:, None] < losses[None, :]
    assert (y[:, None] >= y[None, :] - 1e-12)[better].all()
    same = losses[:, None] == losses[None, :]
    assert (y[:, None] == y[None, :])[same].all()


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=12, unique=True), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_targets_do_not_depend_on_units(losses, scale, shift):
    losses = np.array(losses, dtype=float)
    np.testing.assert_allclose(targets(losses * scale + shift), targets(losses), atol=1e-6)


@pytest.mark.parametrize("outlier", [1e30, 1e300, np.finfo(float).max])
def test_an_outlier_does_not_bend_the_rest(outlier):
    usual = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    bent = np.append(usual, outlier)
    plain = np.append(usual, 9.0)
    np.testing.assert_array_equal(targets(bent), targets(plain))
    best = targets(np.append(usual, -outlier))
    assert best[-1] < 3
    assert np.corrcoef(best[:4], -usual[:4])[0, 1] > 0.99


def test_neighbours_of_the_best_stay_neighbours():
    losses = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 1.001, 1.002, 1.003])
    y = targets(losses)
    assert y[4] - y[7] < 0.1 * (y[7] - y[3])
    assert targets(stats.rankdata(losses))[4] - targets(stats.rankdata(losses))[7] > 0.5  # ranks would not do


def test_equal_losses_say_nothing():
    assert targets(np.ones(5)).tolist() == [0] * 5
    assert targets(np.array([3.0])).tolist() == [0]


def test_a_target_stands_for_the_loss_that_it_came_from():
    losses = np.array([3.0, 1.0, 2.0, 10.0])
    y = targets(losses)
    assert [to_loss(t, y, losses) for t in y] == losses.tolist()
    assert 1 < to_loss((y[1] + y[2]) / 2, y, losses) < 2
    assert to_loss(99, y, losses) == 1
    assert to_loss(-99, y, losses) == 10


@given(st.lists(finite, min_size=1, max_size=9).map(np.array), st.floats(-3, 3))
def test_any_target_stands_for_a_loss_within_those_known(losses, target):
    loss = to_loss(target, targets(losses), losses)
    assert losses.min() <= loss <= losses.max()


def test_nothing_encodes_as_no_rows():
    assert encode(Space({"x": Float(0, 1)}), []).shape == (0, 1)


def test_each_configuration_is_a_row():
    assert encode(Space({"x": Float(0, 1)}), [{"x": 0.25}, {"x": 1.0}]).tolist() == [[0.25], [1.0]]
