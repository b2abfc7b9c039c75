import numpy as np
import pytest

from hybridbo.gp import feasibility, subset
from hybridbo.gp.constraints import Constraints, log_success, slack
from hybridbo.gp.features import Features
from hybridbo.observe import Observations
from hybridbo.space import Float, Space

LINE = Space({"x": Float(0, 1)})
FEATURES = Features.of(LINE)
PLACES = np.linspace(0, 1, 8)


def seen(violations, **more):
    table = np.array(violations, dtype=float).reshape(len(PLACES), -1)
    return Observations([{"x": x} for x in PLACES], PLACES, (table <= 0).all(axis=1), violations=table, **more)


def probability(violations, at, **more):
    constraints = Constraints.fit(FEATURES, seen(violations, **more), np.random.default_rng(0), 1)
    return np.exp(constraints.log_probability(np.array(at, dtype=float)[:, None]))


@pytest.mark.parametrize(
    "values",
    [[-1, 0.5, 2, -3], [-1e300, 1e-300, 1e300, -1e-300], [1e308, -1e308, 1, -1], [0, 0, 1, 1], [5e-324, -5e-324, 1, 2]],
    ids=str,
)
def test_the_bound_stays_where_it_was(values):
    values = np.array(values, dtype=float)
    targets, bound = slack(values)
    assert np.isfinite(targets).all()
    assert ((targets - bound) * np.sign(values) >= -1e-9).all()  # 1e-300 beside 1e300 is the bound itself
    assert targets[values.argmax()] > bound + 0.1


def test_an_outlier_leaves_the_rest_apart():
    targets, bound = slack(np.array([-2.0, -1.0, 1.0, 2.0, 1e300]))
    assert np.diff(targets).min() > 0.1
    assert targets[1] < bound < targets[2]


@pytest.mark.parametrize("value", [0.0, -3.0, 1e300])
def test_constant_outcomes_have_targets(value):
    targets, bound = slack(np.full(5, value))
    assert np.isfinite(targets).all()
    assert np.sign(bound) == -np.sign(value)


def test_the_probability_falls_where_the_bound_is_crossed():
    p = probability(PLACES - 0.5, [0.1, 0.5, 0.9])
    assert p[0] > 0.95
    assert 0.2 < p[1] < 0.8
    assert p[2] < 0.05


def test_all_bounds_have_to_be_kept():
    both = np.stack([PLACES - 0.7, 0.3 - PLACES], axis=1)
    p = probability(both, [0.1, 0.5, 0.9])
    assert p[1] > 0.8
    assert max(p[0], p[2]) < 0.1


def test_a_pending_trial_makes_its_place_surer():
    free, busy = (probability(PLACES + 0.05, [0.07], pending=[{"x": x} for x in p]) for p in ((), (0.07,)))
    assert busy < free  # its mean breaks the bound, and only doubt spoke for it


def test_failures_are_learned_apart():
    assert log_success(FEATURES, seen(PLACES), np.random.default_rng(0)) is None
    log_p = log_success(FEATURES, seen(PLACES, failed=[{"x": 0.9}, {"x": 0.95}]), np.random.default_rng(0))
    assert np.diff(log_p(np.array([[0.1], [0.93]])))[0] < -0.1


def test_many_failures_are_learned_from_in_part(monkeypatch):
    monkeypatch.setattr(subset, "MOST_SAMPLED", 6)
    sizes = []
    monkeypatch.setattr(feasibility, "log_probability", lambda good, bad, *_: sizes.append((len(good), len(bad))))
    log_success(FEATURES, seen(PLACES, failed=[{"x": x} for x in np.linspace(0.5, 1, 9)]), np.random.default_rng(0))
    assert sizes == [(3, 3)]
