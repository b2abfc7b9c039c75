import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hybridbo.budget import Spent, admit, cost_of, prompt_tokens, spent
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.settings import LLMSettings, Price

REQUEST = ChatRequest("seeds", "t", {}, "s" * 300, "u" * 600, max_tokens=1000)  # 300 tokens by the estimate
PRICES = {"m": {"prompt": 1.0, "completion": 4.0}, "dear": {"prompt": 10.0, "completion": 40.0}}


def call(result, request=REQUEST):
    return LLMCall(request, result, 0, datetime.now(UTC))


def limits(**given):
    return LLMSettings(prices=PRICES, **given)


def test_no_limit_lets_everything_pass():
    assert admit(REQUEST, [call(ChatReply("", "m", 10**9, 10**9))] * 99, LLMSettings(), "m") == REQUEST


def test_what_counts_as_spent():
    reply, recorded = ChatReply("", "m", 10, 5, 0.5), ChatReply("", "m", 7, 7, recorded=True)
    assert spent([call(reply), call(recorded)], limits()) == Spent(1, 15, 0.5)
    assert spent([call(ChatFailure("BackendRefused", ""))], limits()) == Spent(1, 0, 0.0)
    assert spent([call(ChatFailure("BackendBadReply", "", model="m", prompt_tokens=4))], limits()) == Spent(1, 4, 4e-6)


@pytest.mark.parametrize("error", ["CallUnsettled", "CallLost", "BackendTimeout", "BackendError"])
def test_a_call_of_unknown_tokens_counts_as_all_it_could_have_used(error):
    used = spent([call(ChatFailure(error, "", model="openai:m"))], limits())
    assert (used.calls, used.tokens) == (1, 1300)
    assert used.cost == pytest.approx((300 * 1.0 + 1000 * 4.0) / 1e6)


def test_calls():
    calls = [call(ChatReply("", "m", 1, 1))] * 2
    assert admit(REQUEST, calls, limits(max_calls=3), "m") == REQUEST
    assert "max_calls is used up (2 of 2)" in admit(REQUEST, calls, limits(max_calls=2), "m")
    assert "max_calls is used up (0 of 0)" in admit(REQUEST, [], limits(max_calls=0), "m")


def test_a_reply_is_made_shorter_where_the_whole_would_not_be_within_the_limit():
    assert admit(REQUEST, [], limits(max_total_tokens=1300), "m") == REQUEST
    assert admit(REQUEST, [], limits(max_total_tokens=900), "m") == replace(REQUEST, max_tokens=600)
    assert "no room" in admit(REQUEST, [], limits(max_total_tokens=555), "m")
    dollars = (300 * 1.0 + 500 * 4.0) / 1e6
    assert admit(REQUEST, [], limits(max_cost=dollars * 1.000001), "openai:m").max_tokens == 500
    assert "no room" in admit(REQUEST, [], limits(max_cost=dollars / 2), "openai:m")


@pytest.mark.parametrize("seed", range(20))
def test_no_limit_is_passed_by_a_server_that_keeps_to_the_request(seed):
    chance = random.Random(seed)
    settings = limits(max_total_tokens=chance.randint(0, 9000), max_cost=chance.uniform(0, 0.03), max_calls=6)
    calls = []
    while isinstance(sent := admit(REQUEST, calls, settings, "openai:m"), ChatRequest):
        reply = ChatReply("", "m", chance.randint(0, prompt_tokens(sent)), chance.randint(0, sent.max_tokens))
        calls.append(call(replace(reply, cost=cost_of(reply, "openai:m", settings.prices)), sent))
    used = spent(calls, settings)
    assert used.calls <= 6
    assert used.tokens <= settings.max_total_tokens
    assert used.cost <= settings.max_cost


def test_a_limit_of_the_cost_is_not_hoped_to_be_kept():
    settings = limits(max_cost=1.0)
    assert "no price of 'openai:other'" in admit(REQUEST, [], settings, "openai:other")
    assert admit(REQUEST, [], settings, "openai") == REQUEST  # the server chooses: as dear as the dearest
    assert admit(REQUEST, [], limits(max_cost=0.03), "openai").max_tokens == (30_000 - 3_000) // 40
    unknown = [call(ChatReply("", "surprise", 10, 5))]
    assert "of a model that has answered" in admit(REQUEST, unknown, settings, "openai")


@pytest.mark.parametrize("name", ["m", "openai:m", "m-2024-07-18", "openai:m-20240718"])
def test_a_price_is_found_under_the_names_of_a_model(name):
    prices = {key: Price(**price) for key, price in PRICES.items()}
    assert cost_of(ChatReply("", name, 10, 5), "", prices) == cost_of(ChatReply("", "?", 10, 5), name, prices) == 3e-5


def test_prices_that_are_not_meant():
    prices = {key: Price(**price) for key, price in PRICES.items()}
    assert cost_of(ChatReply("", "m-mini", 10, 5), "", prices) is None
    assert cost_of(ChatReply("", "m-mini", 10, 5, cost=0.5), "", prices) == 0.5  # as the server says
    assert cost_of(ChatReply("", "m", None, None), "", prices) is None
    assert cost_of(ChatReply("", "any", 10, 5), "", {"*": Price(prompt=1, completion=1)}) == 15 / 1e6
