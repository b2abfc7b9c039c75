import json

import pytest

from hybridbo import Categorical, Float, Space
from hybridbo.belief import NumericBelief
from hybridbo.llm.parse import parse_advice

SPACE = Space(
    {
        "lr": Float(1e-4, 1e-1, log=True),
        "batch": Categorical([8, 16, 32, 64], ordered=True),
        "opt": Categorical(["adam", "sgd"]),
        "rate": Categorical([0.0, 0.3, 0.6]),
    }
)


def read(**reply):
    return parse_advice(json.dumps(reply), SPACE)


def test_an_interval_over_ordered_numbers_weighs_the_choices():
    weights = dict(read(beliefs={"batch": {"center": 20, "low": 12, "high": 40}}).beliefs["batch"].weights)
    assert weights[16] == weights[32] == 4 * weights[8] == 4 * weights[64]
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("interval", [(20, 40, 12), (500, 400, 600), (20, 1, 100)])
def test_an_interval_that_tells_no_choice_from_another_is_rejected(interval):
    advice = read(beliefs={"batch": dict(zip(("center", "low", "high"), interval, strict=True))})
    assert not advice.beliefs
    assert advice.rejections[-1].part == "beliefs.batch"


def test_an_interval_over_unordered_choices_is_rejected():
    advice = read(beliefs={"rate": {"center": 0.3, "low": 0.2, "high": 0.4}, "opt": {"center": 1, "low": 0, "high": 2}})
    assert not advice.beliefs
    assert {rejection.part for rejection in advice.rejections} >= {"beliefs.rate", "beliefs.opt"}


def test_probabilities_are_scaled_to_one():
    advice = read(
        prior={"opt": {"Adam": 3, "sgd": 1}, "batch": {"8": 1, "16": 1}, "lr": {"center": 1, "low": 0, "high": 1}}
    )
    assert dict(advice.beliefs["opt"].weights) == {"adam": 0.75, "sgd": 0.25}
    assert dict(advice.beliefs["batch"].weights) == {8: 0.5, 16: 0.5, 32: 0.0, 64: 0.0}
    assert advice.beliefs["lr"] == NumericBelief(0.1, 1e-4, 0.1)  # cut to the range, and counted
    assert advice.repairs


def test_a_number_between_ordered_choices_is_moved_onto_the_nearest():
    config = {"lr": 0.01, "batch": 20, "opt": "adam", "rate": 0.3}
    advice = read(
        configs=[config, config | {"batch": 48, "rate": 0.2}, config | {"batch": 100}, config | {"batch": "20"}]
    )
    assert [point["batch"] for point in advice.points] == [16]
    assert advice.repairs == ("configs[0]: batch moved onto the grid",)
    assert len(advice.rejections) == 3
