"""What a study may spend on its language model: from the calls so far to the next request, or to why there is none.

Pure. The figures are those of the store, so that they hold over restarts and processes. Nothing is hoped for: a call of
which nobody has reported the tokens (it timed out, or its process was killed) counts as having used all that it could.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hybridbo.chat import ChatFailure, ChatReply, ChatRequest
from hybridbo.settings import LLMSettings, Price
from hybridbo.stored import LLMCall

_PER = 1e6  # prices are for so many tokens
_LEAST_REPLY = 256  # tokens: below, a list of configurations is cut off before it is of use
_WITHHELD_PROMPT = 2000  # tokens of a prompt whose text is not kept
_FREE = frozenset({"BackendRefused", "BackendUnavailable"})  # nothing was answered, so nothing is charged
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4,8})$")  # "gpt-4o-mini-2024-07-18" is the model of the list
_ANY = "*"


@dataclass(frozen=True)
class Spent:
    """What a study has used of its budget.

    Attributes:
        calls: Requests sent to a model; recordings that were replayed are none.
        tokens: Sent and received, with a guess at those that nobody reported.
        cost: The same in money; None where a price is not known.
    """

    calls: int = 0
    tokens: int = 0
    cost: float | None = 0.0


def admit(request: ChatRequest, calls: Sequence[LLMCall], settings: LLMSettings, model: str) -> ChatRequest | str:
    """The request as it may be sent, or why not.

    Args:
        request: What is to be asked.
        calls: All of the study so far, those under way included.
        settings: The limits and the prices.
        model: The name of the backend.

    Returns:
        The request, its reply made shorter where the whole would not be within the limits; or the limit that is used
        up, in one sentence that is the same however often it is asked for.
    """
    used = spent(calls, settings)
    if settings.max_calls is not None and used.calls >= settings.max_calls:
        return f"settings.llm.max_calls is used up ({used.calls} of {settings.max_calls})."
    rooms = []
    if settings.max_total_tokens is not None:
        rooms.append(settings.max_total_tokens - used.tokens - prompt_tokens(request))
        if rooms[-1] < min(_LEAST_REPLY, request.max_tokens):
            return f"settings.llm.max_total_tokens={settings.max_total_tokens} leaves no room for another call."
    if settings.max_cost is not None:
        limit = f"settings.llm.max_cost={settings.max_cost:g}"
        price = _price_ahead(model, settings.prices)
        if price is None:
            return f"{limit} cannot be kept: settings.llm.prices has no price of {model!r}."
        if used.cost is None:
            return f"{limit} cannot be kept: settings.llm.prices has no price of a model that has answered."
        left = settings.max_cost - used.cost - prompt_tokens(request) * price.prompt / _PER
        rooms.append(int(min(left * _PER / price.completion, request.max_tokens)) if price.completion else 2**53)
        if left < 0 or rooms[-1] < min(_LEAST_REPLY, request.max_tokens):
            return f"{limit} leaves no room for another call."
    return replace(request, max_tokens=min([request.max_tokens, *rooms]))


def spent(calls: Iterable[LLMCall], settings: LLMSettings) -> Spent:
    """What the calls of a study have used of its budget."""
    number, tokens, costs = 0, 0, [0.0]
    priceless = False
    for call in calls:
        if isinstance(call.result, ChatReply) and call.result.recorded:
            continue
        number += 1
        tokens += _tokens(call)
        cost = _cost(call, settings.prices)
        priceless |= cost is None
        costs.append(cost or 0.0)
    return Spent(number, tokens, None if priceless else sum(costs))


def cost_of(result: ChatReply | ChatFailure, asked: str, prices: Mapping[str, Price]) -> float | None:
    """What an answer cost: by the price list, else as the server says; None if neither is known.

    Args:
        result: With the tokens that the server reported.
        asked: The name of the backend, for servers whose models have other names than asked for.
        prices: By model.
    """
    sent, received = result.prompt_tokens, result.completion_tokens
    price = _price(prices, result.model, asked)
    if price is None or (sent is None and received is None):
        return result.cost
    return ((sent or 0) * price.prompt + (received or 0) * price.completion) / _PER


def prompt_tokens(request: ChatRequest) -> int:
    """How many tokens a request may have: three letters each, and any other character than ASCII for itself."""
    text = f"{request.system}{request.user}"
    if request.digests is not None:
        return _WITHHELD_PROMPT
    plain = sum(map(str.isascii, text))
    return (plain + 2) // 3 + len(text) - plain + (len(str(request.schema)) // 3 if request.schema else 0)


def _tokens(call: LLMCall) -> int:
    known = [call.result.prompt_tokens, call.result.completion_tokens]
    if known == [None, None]:
        return 0 if _is_free(call) else prompt_tokens(call.request) + call.request.max_tokens
    return sum(count or 0 for count in known)


def _cost(call: LLMCall, prices: Mapping[str, Price]) -> float | None:
    if call.result.cost is not None:
        return call.result.cost
    if _is_free(call) and call.result.prompt_tokens is None and call.result.completion_tokens is None:
        return 0.0
    if (call.result.prompt_tokens, call.result.completion_tokens) == (None, None):
        price = _price_ahead(call.result.model, prices)
        most = prompt_tokens(call.request), call.request.max_tokens
        return None if price is None else (most[0] * price.prompt + most[1] * price.completion) / _PER
    return cost_of(call.result, "", prices)


def _is_free(call: LLMCall) -> bool:
    return isinstance(call.result, ChatFailure) and call.result.error in _FREE


def _price_ahead(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of a model before it answers; where the server is to choose one, that of the dearest on the list."""
    if (price := _price(prices, model)) is not None or ":" in model or not prices:
        return price
    return Price(prompt=max(p.prompt for p in prices.values()), completion=max(p.completion for p in prices.values()))


def _price(prices: Mapping[str, Price], *names: str) -> Price | None:
    """The price under one of the names of a model, with or without the backend before it and the date behind it."""
    for name in names:
        for form in (name, name.partition(":")[2]):
            if form and form in prices:
                return prices[form]
    undated = {_DATED.sub("", name): price for name, price in prices.items()}
    for name in names:
        for form in (name, name.partition(":")[2]):
            if form and (found := undated.get(_DATED.sub("", form))):
                return found
    return prices.get(_ANY)
