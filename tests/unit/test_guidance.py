import json

import numpy as np
import pytest

from hybridbo import policy
from hybridbo.belief import Advice, ChoiceBelief, NumericBelief
from hybridbo.guidance import Voice, asked, guide, learned, report
from hybridbo.objective import Objective
from hybridbo.observe import Observations, observe
from hybridbo.parameters import Categorical, Float
from hybridbo.space import Space
from hybridbo.trial import History, Origin, Trial, TrialState

SPACE = Space({"x": Float(0, 1), "kind": Categorical(["a", "b"])})
KNOWN = Space({"learning_rate": Float(1e-6, 1.0, log=True)})
HIGH = {"x": NumericBelief(0.9, 0.8, 1.0)}
OPEN, LOST = policy.Standing(), policy.Standing("lost", "It has lost.")
GP, SOBOL = policy.Decision("gp", "."), policy.Decision("sobol", ".")


def history(xs, values, space=SPACE, **more):
    def params(x):
        return {"x": x, "kind": "a"} if space is SPACE else {"learning_rate": x}

    trials = [
        Trial(
            i,
            params(x),
            TrialState.FAILED if value is None else TrialState.COMPLETE,
            Origin("sobol", "."),
            None,
            values={} if value is None else {"value": value} | {k: v[i] for k, v in more.items()},
        )
        for i, (x, value) in enumerate(zip(xs, values, strict=True))
    ]
    return History.of(trials)


def seen(past, objective=None):
    return observe(past, objective or Objective())


def said(past, voice, decision=GP, space=SPACE, objective=None, silent=""):
    return report(space, objective or Objective(), past, voice, decision, silent)


RISING = history(np.linspace(0, 1, 6), range(6))  # the best is where the belief is thin
FALLING = history(np.linspace(0, 1, 6), range(6, 0, -1))


def test_the_llms_beliefs_come_first_and_published_ones_where_they_weigh_nothing():
    rates = [1e-6, 1e-5, 1e-3, 3e-3, 1e-1, 1.0]
    past = history(rates, [5.0, 4.0, 1.0, 1.1, 4.0, 5.0], KNOWN)  # as published: best around 1e-3
    wrong = Voice(Advice(beliefs={"learning_rate": NumericBelief(1.0, 0.3, 1.0)}), LOST)
    llm, published = asked(KNOWN, seen(past), wrong)
    assert (llm.source, llm.weight, llm.reason) == ("llm", 0.0, "It has lost.")
    assert (published.source, published.weight) == ("published", 1.0)
    right = Voice(Advice(beliefs={"learning_rate": NumericBelief(1e-3, 1e-4, 1e-2)}), OPEN)
    assert [each.source for each in asked(KNOWN, seen(past), right)] == ["llm"]


def test_the_guide_of_the_proposal_and_the_report_tell_the_same():
    for past in (RISING, FALLING):
        voice = Voice(Advice(points=({"x": 0.5, "kind": "a"},), beliefs=HIGH), OPEN)
        steers, words = guide(SPACE, seen(past), voice, set())
        told = said(past, voice)
        assert told.weight == steers.weight
        assert [str(each) for each in told.sources] == words
        assert bool(steers.points) == bool(steers.weight)  # its points go with its beliefs


def test_the_exponent_is_what_the_acquisition_uses():
    told = said(FALLING, Voice(Advice(beliefs=HIGH), OPEN))
    assert (told.weight, told.source, told.exponent) == (1.0, "llm", 3 / 6)
    assert told.use == "After 6 values the acquisition is multiplied by their density to the power of 0.5."
    early = said(history([0.1, 0.9], [2.0, 1.0]), Voice(Advice(beliefs=HIGH), OPEN))
    assert early.exponent == pytest.approx(0.6)


def test_beliefs_that_wait_have_a_weight_and_no_exponent():
    told = said(FALLING, Voice(Advice(beliefs=HIGH), OPEN), SOBOL)
    assert (told.weight, told.exponent) == (1.0, 0.0)
    assert told.use == "Not used for the next trial: a Sobol point comes first."
    equal = said(history([0.1, 0.5, 0.9], [1.0] * 3), Voice(Advice(beliefs=HIGH), OPEN))
    assert (equal.weight, equal.exponent) == (1.0, 0.0)
    assert "All 3 values are equal" in equal.use


def test_refuted_beliefs_weigh_nothing_and_the_reason_says_so():
    told = said(RISING, Voice(Advice(beliefs=HIGH), OPEN))
    assert (told.weight, told.source, told.exponent) == (0.0, None, 0.0)
    assert told.reason == "The results contradict the belief (rank correlation +0.97)."
    assert told.use == "No belief steers the search."


def test_nobody_believes_anything():
    told = said(RISING, Voice(Advice(), OPEN))
    assert (told.weight, told.reason, told.sources) == (0.0, "Nobody holds a belief about these parameters.", ())


def test_a_silent_llm_says_why():
    told = said(RISING, Voice(Advice(), OPEN), silent="The LLM gave no advice.")
    assert [(each.source, each.weight, each.reason) for each in told.sources] == [
        ("llm", 0.0, "The LLM gave no advice.")
    ]
    assert str(told).splitlines()[0] == "The LLM's beliefs weigh 0: The LLM gave no advice."


def test_several_objectives_share_the_weight():
    objective = Objective.of(objectives={"value": "minimize", "b": "minimize"})
    past = history(np.linspace(0, 1, 6), range(6, 0, -1), b=range(6, 0, -1))
    told = said(past, Voice(Advice(beliefs=HIGH), OPEN), objective=objective)
    assert (told.weight, told.exponent) == (0.5, 0.25)


@pytest.mark.parametrize("objective", [Objective(), Objective.of(objectives={"value": "minimize", "b": "minimize"})])
@pytest.mark.parametrize("past", [History(), history([0.1, 0.9], [None, None])])
def test_without_a_value_the_beliefs_are_as_they_were_stated(objective, past):
    told = said(past, Voice(Advice(beliefs=HIGH), OPEN), objective=objective)
    assert told.weight == 1 / len(objective.directions)
    assert told.exponent == 0.0
    assert "there is nothing to model" in told.use


def test_failures_count_as_results():
    past = history([0.1, 0.2, 0.3, 0.8, 0.9], [1.0, 1.1, 1.2, None, None])
    told = said(past, Voice(Advice(beliefs=HIGH), OPEN))
    assert told.weight == 0.0
    assert "contradict" in told.reason


def test_what_the_space_cannot_hold_is_left_out():
    past = history([0.1, 0.5, 0.9, 7.0], [3.0, 2.0, 1.0, 0.0])
    found, left_out, nothing = learned(SPACE, Objective(), past)
    assert (len(found.params), len(left_out), nothing) == (3, 1, "")
    assert said(past, Voice(Advice(beliefs=HIGH), OPEN)).exponent == pytest.approx(0.6)
    outside = said(history([7.0], [1.0]), Voice(Advice(beliefs=HIGH), OPEN))
    assert (outside.weight, outside.exponent) == (1.0, 0.0)
    assert "none of 1 values is finite and of a configuration of the space" in outside.use


def test_it_is_json_data():
    beliefs = {**HIGH, "kind": ChoiceBelief((("a", 0.2), ("b", 0.8)))}
    data = json.loads(json.dumps(said(FALLING, Voice(Advice(beliefs=beliefs), LOST)).to_dict(), allow_nan=False))
    assert data["standing"] == {"verdict": "lost", "reason": "It has lost."}
    assert data["sources"] == [{"source": "llm", "weight": 0.0, "reason": "It has lost."}]


def test_observations_of_nothing_are_no_trouble():
    nothing = Observations([], np.empty(0), np.empty(0, dtype=bool))
    (only,) = asked(SPACE, nothing, Voice(Advice(beliefs=HIGH), OPEN))
    assert only.weight == 1.0
