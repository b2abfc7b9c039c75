"""Where configurations stand among random ones: against a function that is known."""

import numpy as np
import pytest

from hybridbo.errors import SurrogateError
from hybridbo.gp.counterfactual import Arm, declustered, draw, shares
from hybridbo.observe import Observations
from hybridbo.space import Categorical, Float, Space

SPACE = Space({"x": Float(0, 1), "y": Float(0, 1)})
MIXED = Space({"x": Float(0, 1), "kind": Categorical(["a", "b", "c"])})


def loss(params):
    return (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2


def known(n, *more, failed=()):
    rng = np.random.default_rng(5)
    params = [*more, *({"x": float(a), "y": float(b)} for a, b in rng.random((n, 2)))]
    losses = np.array([loss(p) for p in params])
    return Observations(params, losses, np.ones(len(params), dtype=bool), failed=failed)


def at(x, y, *, gave_value=True):
    return Arm({"x": x, "y": y}, gave_value)


def drawn(seen, advised, default=None, seed=0, space=SPACE, **options):
    return draw(space, seen, advised, default, np.random.default_rng(seed), **options)


GOOD, BAD, MIDDLE = at(0.3, 0.62), at(0.98, 0.02), at(0.5, 0.5)


def test_the_share_is_that_of_the_function_once_it_is_known():
    arms = [GOOD, BAD, MIDDLE]
    out = drawn(known(30, *(arm.params for arm in arms)), arms)
    points = np.random.default_rng(1).random((4000, 2))
    losses = np.sum((points - [0.3, 0.6]) ** 2, axis=1)
    true = [np.mean(losses <= loss(arm.params)) for arm in arms]
    assert out.as_good.mean(axis=0) == pytest.approx(true, abs=0.06)
    assert out.beats_default is out.wins is None


def test_few_results_leave_it_open():
    few = drawn(known(3, GOOD.params), [GOOD])
    many = drawn(known(30, GOOD.params), [GOOD])
    assert few.as_good.std() > 3 * many.as_good.std()


def test_the_default_is_an_arm_of_its_own():
    out = drawn(known(20, GOOD.params, MIDDLE.params), [GOOD], MIDDLE)
    assert out.as_good.shape[1] == 1
    assert out.wins.mean() > 0.95
    assert out.beats_default.mean() == pytest.approx(0.17, abs=0.08)  # the area within 0.224 of the optimum
    assert drawn(known(20, BAD.params, MIDDLE.params), [BAD], MIDDLE).wins.mean() < 0.05


def test_what_failed_is_matched_by_everything():
    crashed = at(0.3, 0.62, gave_value=False)
    out = drawn(known(12, MIDDLE.params, failed=[crashed.params]), [crashed], MIDDLE)
    assert (out.as_good == 1.0).all()
    assert not out.wins.any()
    other = drawn(known(12, GOOD.params, failed=[MIDDLE.params]), [GOOD], at(0.5, 0.5, gave_value=False))
    assert other.wins.all()


def test_random_configurations_that_would_fail_are_no_rivals():
    wall = [{"x": float(x), "y": float(y)} for x in (0.6, 0.75, 0.9) for y in (0.1, 0.4, 0.7, 0.95)]
    seen = known(0, *({"x": float(x), "y": float(y)} for x in (0.05, 0.2, 0.4) for y in (0.1, 0.4, 0.7, 0.95)))
    failing = Observations(seen.params, seen.losses, seen.feasible, failed=wall)
    arm = Arm(seen.params[0], gave_value=True)
    assert drawn(failing, [arm]).as_good.mean() < drawn(seen, [arm]).as_good.mean() - 0.2


def test_constraints_that_random_configurations_break_count_too():
    seen = known(24, GOOD.params)
    beyond = np.array([[0.3 - p["y"]] for p in seen.params])  # y must be 0.3 or more
    held = Observations(seen.params, seen.losses, beyond[:, 0] <= 0, violations=beyond)
    arm = Arm(seen.params[int(np.argsort(seen.losses)[len(seen.losses) // 2])], gave_value=True)
    assert drawn(held, [arm]).as_good.mean() < drawn(seen, [arm]).as_good.mean()


def test_choices_and_equal_configurations_are_no_trouble():
    params = [{"x": x, "kind": kind} for x in (0.1, 0.5, 0.9) for kind in "abc"]
    losses = np.array([abs(p["x"] - 0.5) + (p["kind"] != "b") for p in params])
    seen = Observations([*params, params[0]], np.append(losses, losses[0]), np.ones(10, dtype=bool))
    best, worst = (Arm(params[i], gave_value=True) for i in (4, 0))
    shares = drawn(seen, [best, worst], space=MIXED).as_good.mean(axis=0)
    assert shares[0] < 0.2 < shares[1]


def test_it_is_repeatable_and_pending_trials_do_not_count():
    seen = known(8, GOOD.params)
    waiting = Observations(seen.params, seen.losses, seen.feasible, pending=[MIDDLE.params])
    assert (drawn(seen, [GOOD]).as_good == drawn(waiting, [GOOD]).as_good).all()


def test_numbers_that_break_down_are_told(monkeypatch):
    def broken(*_, **__):
        raise np.linalg.LinAlgError("no factor")

    monkeypatch.setattr("hybridbo.gp.counterfactual.Ensemble.of", broken)
    with pytest.raises(SurrogateError, match="no factor"):
        drawn(known(8, GOOD.params), [GOOD])


def test_each_result_counts_as_much_as_the_space_that_it_stands_for():
    line = np.linspace(0, 1, 1001)[:, None]
    crowded = np.array([[0.1], [0.9], [0.9], [0.905]])
    found = shares(crowded, line)
    assert found.sum() == pytest.approx(1.0)
    assert found == pytest.approx([0.5, 0.2, 0.2, 0.1], abs=0.002)


def test_scores_are_those_of_the_weighed_distribution():
    scores = declustered(np.array([3.0, 1.0, 2.0, 1.0]), np.array([0.5, 0.1, 0.3, 0.1]))
    assert scores == pytest.approx([-0.6745, 1.2816, 0.3853, 1.2816], abs=1e-3)  # at 75, 10 and 35 %
    assert np.isfinite(declustered(np.array([1e308, -1e308]), np.array([0.999, 0.001]))).all()


def test_a_search_that_has_exploited_a_corner_does_not_take_the_rest_for_as_good(monkeypatch):
    space = Space({name: Float(0, 1) for name in "abcdef"})
    rng = np.random.default_rng(2)
    points = np.concatenate([rng.random((5, 6)), 0.3 + rng.uniform(-0.12, 0.12, (24, 6)), np.full((1, 6), 0.42)])
    params = [dict(zip("abcdef", map(float, point), strict=True)) for point in points]
    losses = np.sum((points - 0.3) ** 2, axis=1)  # of the last, 0.086: one random point in 300 is as good
    seen = Observations(params, losses, np.ones(30, dtype=bool))
    advised = [Arm(params[-1], gave_value=True)]
    found = drawn(seen, advised, space=space).as_good.mean()
    monkeypatch.setattr("hybridbo.gp.counterfactual.shares", lambda x, _: np.full(len(x), 1 / len(x)))
    crowded = drawn(seen, advised, space=space).as_good.mean()
    assert found < 0.7 * crowded
