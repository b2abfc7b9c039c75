import numpy as np
import pytest

from hybridbo.gp.front import Front, Paths, scaled
from hybridbo.gp.process import Process
from hybridbo.observe import Observations
from hybridbo.space import Float, Space

LINE = Space({"x": Float(0, 1)})
PLACES = np.array([0.0, 0.15, 0.4, 0.8, 1.0])
LOSSES = np.stack([(PLACES - 0.3) ** 2, (PLACES - 0.7) ** 2], axis=1)  # the front is [0.3, 0.7]


def learned(losses=LOSSES, places=PLACES, feasible=None, chance=0.0, seed=0, **more):
    feasible = np.ones(len(places), dtype=bool) if feasible is None else np.array(feasible)
    seen = Observations([{"x": x} for x in places], np.array(losses, dtype=float), feasible, **more)
    return Front.fit(LINE, seen, lambda x: np.full(len(x), chance), np.random.default_rng(seed), 1)


def at(*places):
    return np.array(places)[:, None]


def test_the_score_is_highest_where_the_front_has_a_gap():
    scores = learned().score(at(0.55, 0.02, 0.98, 0.4))
    assert np.isfinite(scores).all()
    assert scores.argmax() == 0


def test_a_pending_trial_leaves_less_to_be_gained_beside_it():
    free, busy = learned(), learned(pending=[{"x": 0.55}])
    assert busy.score(at(0.56)) < free.score(at(0.56)) - 1.0


def test_a_pending_trial_that_will_break_the_constraints_is_no_part_of_the_front():
    hopeful, hopeless = (learned(pending=[{"x": 0.55}], chance=chance) for chance in (0.0, -50.0))
    assert hopeless.score(at(0.5)) > hopeful.score(at(0.5))


def test_what_breaks_the_constraints_is_no_part_of_the_front():
    front = learned(feasible=[True, True, False, True, True])
    assert 0.4 not in front.leaders
    assert front.score(at(0.42)) > learned().score(at(0.42))


def test_leaders_are_the_front():
    assert {0.4, 0.8} == {round(float(x), 6) for x in learned().leaders[:, 0]}


@pytest.mark.parametrize("m", [2, 3, 4])
def test_it_is_repeatable_and_takes_up_to_four_objectives(m):
    losses = np.random.default_rng(1).random((5, m))
    first, again = (learned(losses).score(at(0.1, 0.5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, learned(losses, seed=1).score(at(0.1, 0.5)))


TROUBLE = {
    "one trial": (PLACES[:1], LOSSES[:1]),
    "a constant objective": (PLACES, LOSSES * [1, 0]),
    "huge values": (PLACES, LOSSES * 1e308 * [1, -1]),
    "tiny values": (PLACES, LOSSES * 1e-300),
    "an outlier": (PLACES, np.where(PLACES[:, None] == 0.0, 1e300, LOSSES)),
    "the same place": ([0.5] * 5, LOSSES),
    "nearly one place": (0.5 + 1e-7 * np.arange(5), LOSSES),
}


@pytest.mark.parametrize(("places", "losses"), list(TROUBLE.values()), ids=list(TROUBLE))
def test_trouble_gives_finite_scores(places, losses):
    with np.errstate(all="ignore"):
        assert np.isfinite(learned(losses, places, pending=[{"x": 0.9}]).score(at(0.0, 0.33, 0.5, 1.0))).all()


def test_targets_keep_the_distances_and_cut_off_outliers():
    losses = np.array([1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(scaled(losses), -(losses - losses.mean()) / losses.std())
    assert np.diff(scaled(np.array([4.0, 3.0, 2.0, 1.0, 1e300]))[:4]).min() > 0.1
    assert not scaled(np.full(3, 7.0)).any()
    assert np.isfinite(scaled(np.array([1.7e308, -1.7e308, 0.0]))).all()


def test_samples_hold_at_the_trials_and_spread_as_the_posterior_does():
    theta = np.array([-1.0, -3.0, 0.0])
    process, base = Process.of(PLACES[:, None], np.sin(6 * PLACES), np.array([0]), theta), at(*PLACES, 0.6)
    paths = Paths.draw(process, base, np.random.default_rng(0).standard_normal((4000, 6)))
    means, sds = paths.given(base)
    np.testing.assert_allclose(means, paths.values.T, atol=1e-3)
    assert sds.max() < 0.01
    mean, covariance = process.joint(base)
    np.testing.assert_allclose(paths.values.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(paths.values.T), covariance, atol=0.03)
