import pickle

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridbo.errors import InvalidSettings
from hybridbo.settings import GPSettings, LLMSettings, Settings

generated = st.builds(
    Settings,
    seed_trials=st.integers(1, 100),
    budget=st.none() | st.integers(1, 1000),
    llm=st.builds(
        LLMSettings,
        points=st.integers(1, 50),
        timeout_s=st.floats(0.001, 1e6),
        temperature=st.none() | st.floats(0, 2),
    ),
    gp=st.builds(GPSettings, candidates=st.integers(16, 10**6)),
)


@given(generated)
def test_settings_are_values(settings):
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert Settings.of(settings.model_dump()) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert hash(settings) == hash(settings.model_copy())
    assert Settings.of(settings) is settings


def test_defaults():
    assert Settings.of(None) == Settings.of({}) == Settings()
    assert Settings().seed_trials == 5
    assert Settings().llm.timeout_s == 60
    assert Settings().llm.retries == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"seeds": 3}, "settings.seeds=3: "),
        ({"llm": {"points": 3, "modell": "x"}}, "settings.llm.modell='x': "),
        ({"seed_trials": 0}, "settings.seed_trials=0: "),
        ({"llm": {"points": 51}}, "settings.llm.points=51: "),
        ({"llm": {"timeout_s": 0}}, "settings.llm.timeout_s=0: "),
        ({"llm": {"timeout_s": float("nan")}}, "settings.llm.timeout_s=nan: "),
        ({"llm": {"timeout_s": float("inf")}}, "settings.llm.timeout_s=inf: "),
        ({"llm": {"temperature": 3}}, "settings.llm.temperature=3: "),
        ({"gp": {"candidates": "many"}}, "settings.gp.candidates='many': "),
        (5, "settings=5 is no dict"),
        ("", "settings='' is no dict"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_named(given, problem):
    with pytest.raises(InvalidSettings) as caught:
        Settings.of(given)
    assert problem in caught.value.message
    assert caught.value.hint


def test_settings_are_frozen():
    with pytest.raises(pydantic.ValidationError):
        Settings().seed_trials = 3


def test_made_by_hand_they_refuse_in_our_own_words():
    with pytest.raises(InvalidSettings, match=r"settings\.bad=1"):
        Settings(bad=1)
    with pytest.raises(InvalidSettings, match=r"LLMSettings\.points=0"):
        LLMSettings(points=0)
    with pytest.raises(InvalidSettings, match=r"settings\.llm\.points=0"):
        Settings(llm={"points": 0})
    with pytest.raises(InvalidSettings, match=r"settings\.llm"):
        Settings.of({"llm": 3})


def test_a_limit_of_the_cost_needs_prices():
    with pytest.raises(InvalidSettings, match="a limit of the cost needs prices"):
        Settings.of({"llm": {"max_cost": 1.0}})
    prices = {"m": {"prompt": 0.15, "completion": 0.6}}
    settings = Settings.of({"llm": {"max_cost": 1.0, "prices": prices}})
    assert settings.llm.prices["m"].completion == 0.6
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert hash(settings) == hash(Settings.of({"llm": {"max_cost": 1.0, "prices": prices}}))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"max_calls": -1}, "settings.llm.max_calls=-1: "),
        ({"max_total_tokens": 1.5}, "settings.llm.max_total_tokens=1.5: "),
        ({"prices": {"m": {"prompt": -1, "completion": 1}}}, "settings.llm.prices.m.prompt=-1: "),
        ({"prices": {"m": {"prompt": 1}}}, "settings.llm.prices.m.completion="),
        ({"max_ask_s": 0}, "settings.llm.max_ask_s=0: "),
        ({"breaker_failures": 0}, "settings.llm.breaker_failures=0: "),
    ],
)
def test_limits_that_make_no_sense_are_named(given, problem):
    with pytest.raises(InvalidSettings) as caught:
        Settings.of({"llm": given})
    assert problem in caught.value.message


@pytest.mark.parametrize("rule", ["always", 0, -3, 2.5, True, [3], None, "5", float("nan")])
def test_a_rule_of_consultations_that_is_none_is_refused_in_one_sentence(rule):
    with pytest.raises(InvalidSettings) as caught:
        Settings.of({"llm": {"consult": rule}})
    assert caught.value.message == (
        f"settings.llm.consult={rule!r}: "
        'allowed are "never", "stagnation" and a number of trials, an integer of 1 or more.'
    )


@pytest.mark.parametrize("rule", ["never", "stagnation", 1, 5])
def test_the_rules_of_consultations(rule):
    settings = Settings.of({"llm": {"consult": rule}})
    assert settings.llm.consult == rule
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
