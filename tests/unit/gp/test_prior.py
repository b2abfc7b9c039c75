import numpy as np
import pytest
from hypothesis import given, settings
from strategies import spaces_and_points

from hybridbo import knowledge
from hybridbo.belief import ChoiceBelief, NumericBelief
from hybridbo.gp.prior import log_density, power, sample, warp
from hybridbo.space import Categorical, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "n": Int(1, 4),
        "kind": Categorical(["a", "b"]),
        "m": Float(0, 1, when={"kind": ["b"]}),
    }
)
BELIEFS = {
    "lr": NumericBelief(1e-3, 1e-4, 1e-2),
    "kind": ChoiceBelief((("a", 0.8), ("b", 0.2))),
    "m": NumericBelief(0.9, 0.8, 1.0),
}


def density(beliefs, **params):
    return float(np.exp(log_density(SPACE, beliefs, SPACE.encode(params)[None]))[0])


def test_no_belief_is_the_uniform_density():
    assert density({}, lr=1e-3, n=2, kind="a") == 1


def test_each_belief_is_a_density_on_its_scale():
    u = (np.arange(2000) + 0.5) / 2000
    values = np.exp(along("lr", u))
    assert values.mean() == pytest.approx(1, rel=1e-3)
    assert values.min() >= 0.1  # no place is ever excluded
    share = values[(u > 0.25) & (u < 0.75)].sum() / values.sum()
    assert share == pytest.approx(0.9 * 0.8 + 0.1 * 0.5, abs=0.03)  # 80 %, and the floor's part


def test_a_conditional_belief_makes_its_branch_no_likelier():
    values = np.exp(along("m", (np.arange(2001)) / 2000))
    assert values.max() == pytest.approx(1, abs=1e-4)  # at its peak as likely as a branch nobody speaks of
    assert 0.01 < values.min() < 0.5


def along(name, u):
    """Log density of the belief about one parameter along its axis, where all are active."""
    points = np.full((len(u), 4), 0.75)  # kind b: m is active
    points[:, list(SPACE).index(name)] = u
    return log_density(SPACE, {name: BELIEFS[name]}, points)


def test_choices_have_their_probability():
    assert density({"kind": BELIEFS["kind"]}, lr=1e-3, n=2, kind="a") == pytest.approx(0.9 * 1.6 + 0.1)
    assert density({"kind": BELIEFS["kind"]}, lr=1e-3, n=2, kind="b", m=0.5) == pytest.approx(0.9 * 0.4 + 0.1)


def test_an_inactive_parameter_counts_nothing():
    assert density({"m": BELIEFS["m"]}, lr=1e-3, n=2, kind="a") == 1


def test_an_interval_too_narrow_to_be_known_is_widened():
    sharp = {"lr": NumericBelief(1e-3, 0.999e-3, 1.001e-3)}
    assert density(sharp, lr=1e-3, n=1, kind="a") < 10


def test_samples_follow_the_beliefs_and_are_uniform_elsewhere():
    u = sample(SPACE, BELIEFS, 4000, np.random.default_rng(0))
    assert u.shape == (4000, 4)
    assert ((u >= 0) & (u <= 1)).all()
    assert np.median(u[:, 0]) == pytest.approx(0.5, abs=0.02)
    assert np.mean((u[:, 0] > 0.25) & (u[:, 0] < 0.75)) == pytest.approx(0.8, abs=0.03)
    assert np.mean(u[:, 2] < 0.5) == pytest.approx(0.8, abs=0.03)
    assert np.mean(u[:, 1] < 0.25) == pytest.approx(0.25, abs=0.03)
    assert sample(SPACE, BELIEFS, 0, np.random.default_rng(0)).shape == (0, 4)


@settings(max_examples=60)
@given(spaces_and_points(rows=4))
def test_any_space_has_finite_densities(space_and_points):
    space, points = space_and_points
    beliefs = dict(knowledge.beliefs(space))
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):
            k = len(parameter.choices)
            beliefs[name] = ChoiceBelief(tuple((c, float(i == 0)) for i, c in enumerate(parameter.choices)))
            assert k == len(beliefs[name].weights)
        else:
            beliefs[name] = NumericBelief(float(parameter.low), float(parameter.low), float(parameter.top))
    assert np.isfinite(log_density(space, beliefs, points)).all()
    assert np.isfinite(sample(space, beliefs, 5, np.random.default_rng(0))).all()


def test_evenly_spread_points_become_draws_from_the_beliefs():
    u = np.repeat((np.arange(4000)[:, None] + 0.5) / 4000, 4, axis=1)
    moved = warp(SPACE, {"lr": BELIEFS["lr"], "kind": BELIEFS["kind"]}, u)
    assert (moved[:, 1] == u[:, 1]).all()  # nobody speaks of it
    assert ((moved[:, 0] > 0.25) & (moved[:, 0] < 0.75)).mean() == pytest.approx(0.9 * 0.8 + 0.1 * 0.5, abs=0.03)
    assert (np.diff(moved[:, 0]) > 0).all()  # spread stays spread
    assert (moved[:, 2] == SPACE["kind"].to_unit("a")).mean() == pytest.approx(0.9 * 0.8 + 0.1 * 0.5, abs=1e-3)
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_beliefs_cool_like_one_over_n_and_later_like_one_over_n_squared():
    assert [power(0.5, n) for n in (5, 8, 16, 32)] == pytest.approx([3 / 10, 3 / 16, 3 / 64, 3 / 256])


def test_beliefs_that_could_not_be_tested_weigh_no_more_than_at_their_first_test():
    assert [power(1.0, n) for n in (1, 2, 3, 4, 5)] == pytest.approx([0.6] * 5)
    assert power(1.0, 3, 5) == 1.0  # two trials have failed: that is a test too
    assert power(1.0, 0) == 0.0
