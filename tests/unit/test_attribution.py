"""Who brought what: counted, ranked and judged, on figures that can be checked by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from hybridbo.attribution import Attribution, Counterfactual, Place, counterfactual, judge, records, seeds_of_llm
from hybridbo.objective import Objective
from hybridbo.observe import merits
from hybridbo.trial import History, Origin, Trial, TrialState

AT = datetime(2026, 1, 1, tzinfo=UTC)


def trial(number, source, value=None, **values):
    """FAILED where the value is None, RUNNING where it is "running"."""
    values = {"value": value} if isinstance(value, float) else values
    state = TrialState.COMPLETE if values else TrialState.FAILED if value is None else TrialState.RUNNING
    told = value if isinstance(value, float) else None
    return Trial(number, {"x": number}, state, Origin(source, "."), AT, told, values)


def told(*trials, objective=None):
    objective = objective or Objective()
    found = records(trials, objective, merits(History.of(trials), objective))
    return {one.source: one for one in found}


SEARCH = [
    trial(0, "default", 5.0),
    trial(1, "llm", 3.0),
    trial(2, "llm"),
    trial(3, "sobol", 9.0),
    trial(4, "gp", 2.5),
    trial(5, "gp", 4.0),
    trial(6, "gp", "running"),
]


def test_each_source_is_counted():
    found = told(*SEARCH)
    assert list(found) == ["default", "llm", "sobol", "gp"]
    counts = {source: (one.trials, one.finished, one.failed, one.best) for source, one in found.items()}
    assert counts == {
        "default": (1, 1, 0, 5.0),
        "llm": (2, 2, 1, 3.0),
        "sobol": (1, 1, 0, 9.0),
        "gp": (3, 2, 0, 2.5),
    }
    ranks = {source: one.mean_rank for source, one in found.items()}
    assert ranks == {"default": 4.0, "llm": (2 + 6) / 2, "sobol": 5.0, "gp": (1 + 3) / 2}
    gains = {source: (one.improvements, one.gain) for source, one in found.items()}
    assert gains == {"default": (0, 0.0), "llm": (1, 2.0), "sobol": (0, 0.0), "gp": (1, 0.5)}


def test_a_maximised_value_gains_upwards():
    found = told(trial(0, "default", 0.5), trial(1, "llm", 0.75), objective=Objective.of("maximize"))
    assert (found["llm"].best, found["llm"].gain, found["llm"].mean_rank) == (0.75, 0.25, 1.0)


def test_equal_values_share_a_rank_and_improve_on_nothing():
    found = told(trial(0, "default", 1.0), trial(1, "llm", 1.0), trial(2, "sobol", 2.0))
    assert (found["llm"].mean_rank, found["llm"].improvements) == (1.5, 0)


def test_what_breaks_a_constraint_is_neither_best_nor_an_improvement():
    objective = Objective.of(constraints={"gb": "<= 16"})
    found = told(
        replace(trial(0, "default"), **_both(5.0, 8.0)),
        replace(trial(1, "llm"), **_both(1.0, 20.0)),
        objective=objective,
    )
    assert (found["llm"].best, found["llm"].improvements, found["llm"].mean_rank) == (None, 0, 2.0)


def _both(value, gb):
    return {"state": TrialState.COMPLETE, "value": value, "values": {"value": value, "gb": gb}}


def test_with_several_objectives_a_trial_improves_that_nothing_dominates():
    objective = Objective.of(objectives={"a": "minimize", "b": "minimize"})
    found = told(
        trial(0, "default", a=2.0, b=2.0),
        trial(1, "llm", a=1.0, b=3.0),  # another compromise
        trial(2, "llm", a=3.0, b=3.0),
        trial(3, "gp", a=1.0, b=3.0),  # known already
        objective=objective,
    )
    assert [(s, one.improvements, one.best, one.gain) for s, one in found.items()] == [
        ("default", 0, None, None),
        ("llm", 1, None, None),
        ("gp", 0, None, None),
    ]


def test_gains_beyond_a_double_are_not_told():
    assert told(trial(0, "default", 1.7e308), trial(1, "llm", -1.7e308))["llm"].gain is None


def test_the_seeds_are_what_the_llm_named_before_the_gp_took_over():
    late = [trial(7, "llm", 1.0), trial(8, "llm", "running")]
    assert [t.number for t in seeds_of_llm([*SEARCH, *late])] == [1, 2]
    assert [t.number for t in seeds_of_llm([trial(1, "llm", "running"), trial(0, "llm", 1.0)])] == [0]
    assert seeds_of_llm([]) == []


def found(p=0.05, beats=0.95, k=2):
    places = tuple(Place(i, p, 0.0, 1.0) for i in range(k))
    return Counterfactual(places, p, beats, None if beats is None else 0.3, 12)


@pytest.mark.parametrize(
    ("p", "beats", "verdict"),
    [
        (0.05, 0.95, "helped"),
        (0.05, None, "helped"),
        (0.05, 0.5, "cannot tell yet"),  # random configurations are worse, the default may not be
        (0.3, 0.95, "cannot tell yet"),
        (0.3, None, "cannot tell yet"),
        (0.05, 0.05, "did not help"),  # the default was there anyway
        (0.6, 0.95, "cannot tell yet"),
        (0.8, 0.95, "did not help"),
    ],
)
def test_the_verdict(p, beats, verdict):
    said, reason = judge(found(p, beats))
    assert said == verdict
    assert f"with probability {p:.2g}" in reason
    assert "12 results" in reason


def test_the_reason_names_the_number_of_random_configurations():
    assert "a random configuration would" in judge(found(k=1))[1]
    assert "2 random configurations would" in judge(found())[1]


def test_shares_become_the_chance_of_as_many_random_configurations():
    as_good = np.array([[0.1, 0.5], [0.3, 0.2]])
    out = counterfactual([1, 2], as_good, np.array([0.5, 0.5]), np.array([True, False]), 9)
    assert out.chance_as_good == pytest.approx((1 - 0.9**2 + 1 - 0.8**2) / 2)
    assert (out.beats_default, out.random_beats_default, out.results) == (0.5, 0.75, 9)
    assert [(place.trial, place.as_good) for place in out.places] == [(1, pytest.approx(0.2)), (2, pytest.approx(0.35))]


def test_without_a_default_nothing_is_said_of_it():
    out = counterfactual([1], np.array([[0.1]]), None, None, 9)
    assert (out.beats_default, out.random_beats_default) == (None, None)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_advice_that_is_noise_has_a_uniform_chance(k):
    """With the landscape known, the share of each random seed is uniform, and so is the chance of the best of k."""
    shares = np.random.default_rng(k).random((600, k))
    chances = np.array([counterfactual(range(k), row[None], None, None, 9).chance_as_good for row in shares])
    assert abs(np.mean(chances <= 0.1) - 0.1) < 0.04


def test_it_is_json_data_and_prints():
    out = Attribution("helped", "Because.", tuple(told(*SEARCH).values()), found())
    data = json.loads(json.dumps(out.to_dict(), allow_nan=False))
    assert data["sources"][1]["source"] == "llm"
    assert data["counterfactual"]["chance_as_good"] == 0.05
    assert str(out).splitlines()[0] == "The LLM's configurations: helped. Because."
    assert "llm: 2 of 2 finished, 1 failed, best 3, mean rank 4.0, 1 improvements by 2" in str(out)
