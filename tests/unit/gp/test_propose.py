import math
import subprocess
import sys

import numpy as np
import pytest

from hybridbo.belief import NumericBelief
from hybridbo.errors import SpaceExhausted, SurrogateError
from hybridbo.gp import acquire
from hybridbo.gp.process import Process
from hybridbo.gp.propose import Guide, Observations, propose
from hybridbo.settings import GPSettings
from hybridbo.space import Categorical, Float, Int, Space

QUICK = GPSettings(candidates=64, restarts=1)
LINE = Space({"x": Float(0, 1)})
MIXED = Space(
    {
        "x": Float(0, 1),
        "kind": Categorical(["a", "b"]),
        "n": Int(1, 64, log=True, when={"kind": ["b"]}),
    }
)
WIDE = Space({f"x{i}": Float(0, 1) for i in range(60)})


def points(space, n, seed=0):
    return [space.decode(u) for u in np.random.default_rng(seed).random((n, len(space)))]


def suggest(space, params, losses, *, feasible=None, pending=(), failed=(), beliefs=None, weight=0.0, taken=None):
    losses = np.array(losses, dtype=float)
    ok = np.ones(len(losses), dtype=bool) if feasible is None else np.array(feasible)
    everything = {space.key(p) for p in [*params, *pending, *failed]} if taken is None else taken
    seen = Observations(params, losses, ok, pending, failed)
    found = propose(space, seen, Guide(everything, beliefs or {}, weight), np.random.default_rng(0), QUICK)
    assert space.validate(found.params) == found.params
    assert space.key(found.params) not in everything
    return found


def test_it_goes_where_the_losses_fall():
    found = suggest(LINE, [{"x": x} for x in (0.0, 0.2, 0.4, 0.6, 0.8)], [5, 4, 3, 2, 1])
    assert found.params["x"] > 0.8
    assert found.notes == ()


def test_a_prediction_is_in_the_units_of_the_losses():
    places = [0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0]
    found = suggest(LINE, [{"x": x} for x in places], [1000 + 100 * (x - 0.6) ** 2 for x in places])
    assert 1000 <= found.loss_mean < 1010
    assert 0 <= found.loss_sd < 20


TEN = points(MIXED, 10)
TROUBLE = {
    "a constant objective": (MIXED, TEN, [1.0] * 10),
    "huge values": (MIXED, TEN, [1e300 * (i + 1) for i in range(10)]),
    "huge values of both signs": (MIXED, TEN, [1.7e308 * (-1) ** i for i in range(10)]),
    "tiny values": (MIXED, TEN, [1e-300 * (i + 1) for i in range(10)]),
    "denormal values": (MIXED, TEN, [5e-324 * i for i in range(10)]),
    "an outlier": (MIXED, TEN, [1e30, *range(9)]),
    "an outlier on the good side": (MIXED, TEN, [-1e30, *range(9)]),
    "one point": (MIXED, TEN[:1], [1.0]),
    "two points": (MIXED, TEN[:2], [1.0, 2.0]),
    "all in one place": (MIXED, TEN[:1] * 8, range(8)),
    "duplicates with different values": (MIXED, TEN[:3] * 3, [1, 2, 3, 30, 20, 10, 5, 5, 5]),
    "nearly one place": (LINE, [{"x": 0.5 + i * 1e-6} for i in range(8)], [1, -1] * 4),
    "sixty parameters": (WIDE, points(WIDE, 10), range(10)),
}


@pytest.mark.parametrize(("space", "params", "losses"), list(TROUBLE.values()), ids=list(TROUBLE))
def test_numerical_trouble_still_gives_a_sensible_proposal(space, params, losses):
    found = suggest(space, params, losses, pending=points(space, 1, seed=9), failed=points(space, 1, seed=8))
    assert all("merged" in note for note in found.notes)
    assert bool(found.notes) == (len({space.key(p) for p in params}) < len(params))
    assert math.isfinite(found.loss_mean)
    assert found.loss_sd >= 0
    assert min(losses) <= found.loss_mean <= max(losses)


def test_many_failures_leave_the_good_corner():
    failed = [p for p in points(MIXED, 60, seed=4) if p["x"] > 0.3]
    good = [{"x": x, "kind": "a"} for x in (0.05, 0.1, 0.2, 0.25)]
    assert suggest(MIXED, good, [4, 3, 2, 1], failed=failed).params["x"] < 0.45


def test_a_search_without_a_feasible_point_goes_on():
    suggest(LINE, [{"x": x} for x in (0.0, 0.1, 0.2, 0.3)], [1, 2, 3, 4], feasible=[False] * 4)


def test_what_breaks_a_constraint_is_kept_away_from():
    places = [i / 10 for i in range(11)]
    feasible = [x > 0.55 for x in places]
    found = suggest(LINE, [{"x": x} for x in places], places, feasible=feasible)  # the lowest losses break it
    assert 0.45 < found.params["x"] < 0.7


def test_pending_points_are_not_crowded():
    params, losses = [{"x": x} for x in (0.0, 0.25, 0.5, 0.75, 1.0)], [1.0, 0.3, 0.0, 0.3, 1.0]
    first = suggest(LINE, params, losses).params
    second = suggest(LINE, params, losses, pending=[first]).params
    assert abs(first["x"] - second["x"]) > 0.01


def test_a_belief_draws_the_search_as_far_as_it_is_trusted():
    params, losses = [{"x": x} for x in (0.2, 0.5, 0.8)], [1.0, 1.0, 1.0]
    belief = {"x": NumericBelief(0.95, 0.9, 1.0)}
    assert suggest(LINE, params, losses, beliefs=belief, weight=1.0).params["x"] > 0.88
    trusted_not_at_all = suggest(LINE, params, losses, beliefs=belief, weight=0.0)
    assert trusted_not_at_all == suggest(LINE, params, losses)


def test_next_door_to_a_known_point_is_no_news():
    found = suggest(LINE, [{"x": 0.0}, {"x": 0.5}, {"x": 1.0}], [0.0, 1.0, 2.0])
    assert found.params["x"] >= 0.005


def test_when_everything_found_is_taken_it_says_so():
    space = Space({"a": Categorical(["p", "q"])})
    with pytest.raises(SpaceExhausted):
        suggest(space, [{"a": "p"}, {"a": "q"}], [1, 2])


def test_it_is_repeatable():
    assert suggest(MIXED, TEN, range(10)) == suggest(MIXED, TEN, range(10))


@pytest.mark.parametrize("part", ["process.Process.of", "acquire.maximise"])
def test_numbers_that_break_down_are_one_kind_of_error(part, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("overflow")

    monkeypatch.setattr(f"hybridbo.gp.{part}", fail)
    with pytest.raises(SurrogateError, match="FloatingPointError: overflow"):
        suggest(MIXED, TEN, range(10))


def test_a_defect_is_not_taken_for_numerical_trouble(monkeypatch):
    def fail(*_):
        raise TypeError("a defect")

    monkeypatch.setattr(Process, "of", fail)
    with pytest.raises(TypeError, match="a defect"):
        suggest(MIXED, TEN, range(10))


def test_past_the_deadline_nothing_more_is_scored():
    losses = np.arange(10.0)
    seen = Observations(TEN, losses, np.ones(10, dtype=bool))
    hurried = GPSettings(candidates=64, restarts=1, deadline_s=1e-9)
    with pytest.raises(SurrogateError, match="100% of the 1e-09 s"):
        propose(MIXED, seen, Guide(set(), {}, 0.0), np.random.default_rng(0), hurried)


UNLOADED = """
import sys
from hybridbo import Float, Optimizer
opt = Optimizer({"x": Float(0, 1)}, llm=None, seed=0, settings={"gp": {"candidates": 32, "restarts": 1}})
for number in range(7):
    trial = opt.ask()
    opt.fail(trial, "no luck") if number == 3 else opt.tell(trial, trial.params["x"])
sys.exit(trial.origin.source != "gp" or "torch" in sys.modules)
"""


def test_a_proposal_for_one_objective_loads_no_torch():
    assert subprocess.run([sys.executable, "-c", UNLOADED], check=False).returncode == 0


def test_a_configuration_that_somebody_thinks_well_of_is_a_candidate(monkeypatch):
    real, drawn = acquire.maximise, []

    def maximise(*args, **options):
        drawn.append(options["drawn"].tolist())
        return real(*args, **options)

    monkeypatch.setattr(acquire, "maximise", maximise)
    seen, point = Observations(TEN, np.arange(10.0), np.ones(10, dtype=bool)), TEN[3]
    propose(MIXED, seen, Guide(set(), {}, 0.0, points=[point]), np.random.default_rng(0), QUICK)
    assert drawn == [[MIXED.encode(point).tolist()]]


def test_the_acquisition_is_weighed_with_the_power_that_the_prior_tells(monkeypatch):
    told = []
    monkeypatch.setattr("hybridbo.gp.prior.power", lambda *given: told.append(given) or 0.0)
    beliefs = {"x": NumericBelief(0.5, 0.4, 0.6)}
    seen = Observations(TEN[:4], np.arange(4.0), np.ones(4, dtype=bool), failed=TEN[4:7])
    propose(MIXED, seen, Guide(set(), beliefs, 0.5), np.random.default_rng(0), QUICK)
    propose(MIXED, seen, Guide(set(), {}, 0.0), np.random.default_rng(0), QUICK)
    assert told == [(0.5, 4, 7)]  # values and ended trials; nobody is asked where there is no belief


# Rivals


def contest(rivals, slack, params=None, **options):
    """What is proposed on a line whose losses fall to the right, where somebody else has points to offer."""
    params = params or [{"x": x} for x in (0.0, 0.2, 0.4, 0.6, 0.8)]
    losses = np.array([5.0, 4.0, 3.0, 2.0, 1.0])[: len(params)]
    seen = Observations(params, losses, np.ones(len(params), dtype=bool), **options)
    guide = Guide({LINE.key(p) for p in params}, {}, 0.0, rivals=rivals, slack=slack)
    return propose(LINE, seen, guide, np.random.default_rng(0), QUICK)


def test_a_rival_far_below_the_best_is_refused_and_changes_nothing():
    alone = contest((), 1.0)
    found = contest([{"x": 0.1}], 1.0)
    assert (found.params, found.rival) == (alone.params, None)
    assert found.lead < -1.0
    assert (alone.rival, alone.lead) == (None, None)


def test_a_rival_within_the_slack_is_proposed():
    own = contest((), 0.0)
    near = {"x": own.params["x"] - 0.02}
    lead = contest([near], 0.0).lead
    assert lead < 0
    assert contest([near], -lead - 1e-9).rival is None
    found = contest([{"x": 0.1}, near], -lead + 1e-9)
    assert (found.params, found.rival, found.lead) == (near, 1, pytest.approx(lead))
    assert found.loss_mean == pytest.approx(own.loss_mean, abs=0.3)


def test_a_rival_that_is_known_or_next_door_is_none():
    assert contest([{"x": 0.8}, {"x": 0.8001}], 1e9).lead is None
    found = contest([{"x": 0.3}], 1e9, pending=({"x": 0.31},))
    assert (found.rival, found.lead) == (None, None)
