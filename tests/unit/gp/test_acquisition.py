import math
from dataclasses import replace

import numpy as np

from hybridbo.gp import ladder, subset
from hybridbo.gp.acquisition import Acquisition, _lean
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.features import Features
from hybridbo.gp.surrogate import Surrogate
from hybridbo.observe import Observations
from hybridbo.space import Float, Space

LINE = Space({"x": Float(0, 1)})
PLACES = np.linspace(0, 1, 7)
PARAMS = [{"x": x} for x in PLACES]
HUMPS = np.cos(4 * math.pi * PLACES)  # lowest, and the same, at 0.25 and 0.75


def learned(losses=HUMPS, violations=None, cost_power=0.0, **more):
    table = np.empty((7, 0)) if violations is None else np.array(violations, dtype=float).reshape(7, -1)
    seen = Observations(PARAMS, np.array(losses), (table <= 0).all(axis=1), violations=table, **more)
    return Acquisition.fit(LINE, seen, cost_power, np.random.default_rng(0), 1)


def at(*places):
    return np.array(places)[:, None]


def test_one_objective_alone_is_the_surrogate():
    found = learned()
    assert isinstance(found.improvement, Surrogate)
    np.testing.assert_array_equal(found.score(at(0.1, 0.9)), found.improvement.score(at(0.1, 0.9)))
    assert found.predict(at(0.5))[1] > 0


def test_a_constraint_takes_what_breaks_it():
    free, bound = learned(), learned(violations=PLACES - 0.6)
    assert abs(np.diff(free.score(at(0.25, 0.75)))[0]) < 1.0
    assert np.diff(bound.score(at(0.25, 0.75)))[0] < -1.0
    assert bound.leaders[:4].max() <= 0.6  # all that keep it, before any that does not


def test_while_nothing_is_feasible_the_chance_of_it_is_all_that_counts():
    found = learned(losses=PLACES * 100, violations=1.05 - PLACES)  # the loss is best where the bound is farthest
    assert found.improvement is None
    assert found.score(at(0.1, 0.5, 1.0)).argmax() == 2
    assert found.leaders[0] == 1.0
    assert all(math.isnan(figure) for figure in found.predict(at(0.5)))


def test_of_two_equal_places_the_cheaper_is_preferred_as_far_as_cost_counts():
    timed = {"timed": PARAMS, "seconds": 10 ** (3 * PLACES)}
    plain, half, whole = (learned(cost_power=p, **timed).score(at(0.25, 0.75)) for p in (0.0, 0.5, 1.0))
    lead = [float(s[0] - s[1]) for s in (plain, half, whole)]
    assert lead[1] - lead[0] > 1.0
    assert lead[2] - lead[1] > 1.0


def test_cost_counts_with_several_objectives_too():
    losses, timed = np.stack([HUMPS, -HUMPS], axis=1), {"timed": PARAMS, "seconds": 10 ** (3 * PLACES)}
    plain, whole = (learned(losses, cost_power=p, **timed).score(at(0.25, 0.75)) for p in (0.0, 1.0))
    assert (whole[0] - whole[1]) - (plain[0] - plain[1]) > 2.0


def test_failures_lower_the_score_with_several_objectives():
    losses = np.stack([PLACES, 1 - PLACES], axis=1)
    failing = learned(losses, failed=[{"x": x} for x in (0.88, 0.92, 0.95)])
    assert failing.score(at(0.9)) < learned(losses).score(at(0.9)) - 0.3


def many(n, feasible=True):
    """A history along a line of two objectives whose front is its left end, as far as it keeps the constraint."""
    places = np.linspace(0, 1, n)
    violations = np.where(places < 0.5, 1.0, -1.0)[:, None] if feasible is None else np.empty((0, 0))
    kept = places >= 0.5 if feasible is None else np.ones(n, dtype=bool)
    return Observations([{"x": x} for x in places], np.stack([places, places], axis=1), kept, violations=violations)


def test_a_long_history_is_learned_from_in_part_by_every_model_under_one_deadline(monkeypatch):
    monkeypatch.setattr(subset, "MOST_SAMPLED", 12)
    sizes, deadline = {}, Deadline.of(1000.0)
    real = ladder.climb

    def climb(task, condition):
        sizes[len(sizes)] = len(task.x)
        assert task.deadline is deadline
        return real(task, condition)

    monkeypatch.setattr(ladder, "climb", climb)
    timed = {"timed": many(90).params, "seconds": np.linspace(1, 9, 90)}
    found = Acquisition.fit(LINE, replace(many(90, None), **timed), 1.0, np.random.default_rng(0), 1, deadline)
    assert list(sizes.values()) == [12] * 4  # a constraint, two objectives, the durations
    assert np.isfinite(found.score(at(0.1, 0.9))).all()


def test_what_is_left_of_a_long_history_is_its_best_and_the_rest_spread_wide(monkeypatch):
    monkeypatch.setattr(subset, "MOST_SAMPLED", 10)
    left = np.array([p["x"] for p in _lean(Features.of(LINE), many(100)).params])
    assert (left < 0.06).sum() >= 5
    assert left.max() == 1.0
    bound = _lean(Features.of(LINE), many(100, None))
    places = np.array([p["x"] for p in bound.params])
    assert ((places >= 0.5) & (places < 0.56)).sum() >= 5  # the best of those that keep the constraint
    assert places.min() == 0.0
    assert (bound.feasible == (places >= 0.5)).all()
    assert (bound.violations[:, 0] <= 0).tolist() == bound.feasible.tolist()
    whole = many(10)
    assert _lean(Features.of(LINE), whole) is whole
