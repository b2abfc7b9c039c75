"""Values to rows and back: pure functions that every store of this package shares.

The rules, the same in memory and in a file (those for text, times and JSON stand in :mod:`hybridbo.storage.texts`):

- Numbers told are finite floats and come back bit for bit: JSON text holds ``repr``, the shortest text that reads back
  as the same float. SQLite drops the sign of ``-0.0``, so ``value`` takes its bits from the equal entry of ``values``.
- A prediction that is not finite is no prediction: it is stored as none at all. So is a cost or a token count that no
  sound server would report. NULL always means "there is none", never "not a number".
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, TypeAlias

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.objective import finite
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage.texts import clean, decode_time, encode_params, encode_time, now, to_json
from hybridbo.trial import Origin, Outcome, Proposal, Trial, TrialState

Row: TypeAlias = Mapping[str, Any]
Fields: TypeAlias = tuple[Any, ...]

NO_REASON = "no reason given"

# What makes a Trial, in the order of `decode_trial`; the table has `study` and `config_key` besides.
TRIAL_COLUMNS = (
    "number",
    "state",
    "value",
    "values_json",
    "params",
    "source",
    "reason",
    "predicted_mean",
    "predicted_sd",
    "error",
    "owner",
    "started_at",
    "finished_at",
)

_LARGEST = 2**63 - 1  # of SQLite's integers
_RESULT_COLUMNS = (
    *("model", "reply", "prompt_tokens", "completion_tokens", "cost", "latency_s", "note", "recorded"),
    *("error", "error_message", "advice"),
)
_REQUEST_FIELDS = tuple(f.name for f in fields(ChatRequest))


# Trials -----------------------------------------------------------------------------------------------------------


def encode_proposal(proposal: Proposal) -> Fields:
    """``params`` to ``predicted_sd`` of :data:`TRIAL_COLUMNS`."""
    origin = proposal.origin
    prediction = _measured(origin.predicted_mean), _measured(origin.predicted_sd)
    return (encode_params(proposal.params), origin.source, clean(origin.reason), *prediction)


def new_trial(number: int, proposal: Fields, owner: str) -> Fields:
    """A RUNNING trial, started now, of what :func:`encode_proposal` made; fields of :data:`TRIAL_COLUMNS`."""
    return (number, TrialState.RUNNING.value, None, "{}", *proposal, None, clean(owner), encode_time(now()), None)


def encode_outcome(outcome: Outcome) -> Fields:
    """``state``, ``value``, ``values_json`` and ``error`` of a settled outcome (see :func:`settled`)."""
    return outcome.state.value, outcome.value, to_json(dict(outcome.values)), outcome.error


def encode_trial(trial: Trial) -> Fields:
    """A whole trial, as fields of :data:`TRIAL_COLUMNS`."""
    state, value, values, error = encode_outcome(Outcome(trial.state, trial.values, trial.value, trial.error))
    finished_at = None if trial.finished_at is None else encode_time(trial.finished_at)
    owner = None if trial.owner is None else clean(trial.owner)
    proposal = encode_proposal(Proposal(trial.params, trial.origin))
    return (trial.number, state, value, values, *proposal, error, owner, encode_time(trial.started_at), finished_at)


def added_trial(number: int, trial: Trial) -> Fields:
    """A finished trial of elsewhere, as fields of :data:`TRIAL_COLUMNS`.

    Raises:
        InvalidValue: It has not ended, or its values do not fit its state.
    """
    outcome = settled(Outcome(trial.state, trial.values, trial.value, trial.error))
    ended = {name: getattr(outcome, name) for name in ("state", "values", "value", "error")}
    finished_at = trial.finished_at or trial.started_at
    return encode_trial(replace(trial, **ended, number=number, owner=None, finished_at=finished_at))


def decode_trial(row: Fields) -> Trial:
    """The trial of a row of :data:`TRIAL_COLUMNS`."""
    number, state, value, told, params, source, reason, mean, sd, error, owner, started_at, finished_at = row
    values = {} if told == "{}" else json.loads(told)
    return Trial(
        number=number,
        params=json.loads(params),
        state=TrialState(state),
        origin=Origin(source, reason, mean, sd),
        started_at=datetime.fromisoformat(started_at),
        value=None if value is None else _entry(value, values),
        values=values,
        error=error,
        finished_at=None if finished_at is None else datetime.fromisoformat(finished_at),
        owner=owner,
    )


def trial_number(number: Any) -> int | None:
    """``number`` as an int; None if it cannot be the number of a trial."""
    try:
        n = operator.index(number)
    except TypeError:
        return None
    return n if 0 <= n <= _LARGEST else None


def settled(outcome: Outcome) -> Outcome:
    """The outcome in the one form that is stored and compared.

    Raises:
        InvalidValue: A state that is no end, a number that is not finite, values that do not fit the state.
    """
    if not outcome.state.is_finished:
        raise InvalidValue("RUNNING is no outcome.", "A trial ends COMPLETE, FAILED or PRUNED.")
    if outcome.state is TrialState.FAILED:
        if outcome.values or outcome.value is not None:
            raise InvalidValue("a FAILED trial has no value.", "Tell it as COMPLETE, or leave the value out.")
        return Outcome(TrialState.FAILED, error=clean(outcome.error or NO_REASON))
    if outcome.error is not None:
        raise InvalidValue(f"a {outcome.state} trial has no error.", "Tell it as FAILED, or leave the error out.")
    values = {clean(name): finite(name, value) for name, value in outcome.values.items()}
    if outcome.state is TrialState.COMPLETE and not values:
        raise InvalidValue("a COMPLETE trial has at least one value.", "Tell it as FAILED if there is none.")
    value = None if outcome.value is None else _entry(finite("value", outcome.value), values)
    return Outcome(outcome.state, values, value)


def is_same_outcome(a: Outcome | Trial, b: Outcome | Trial) -> bool:
    """Whether two settled outcomes are the same, floats bit for bit (0.0 is not -0.0)."""
    return (a.state, a.error, _bits({"": a.value}), _bits(a.values)) == (
        b.state,
        b.error,
        _bits({"": b.value}),
        _bits(b.values),
    )


def _entry(value: float, values: Mapping[str, float]) -> float:
    for entry in values.values():
        if entry == value:
            return entry
    raise InvalidValue(f"value={value!r} is none of the values {dict(values)!r}.", "Give it a name in values, too.")


def _bits(values: Mapping[str, float | None]) -> dict[str, str | None]:
    return {name: None if value is None else value.hex() for name, value in values.items()}


def _measured(value: float | None) -> float | None:
    """A float; None if there is none, or none that is finite. Never -0.0."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None


# Studies, calls, events -------------------------------------------------------------------------------------------


def encode_study(record: StudyRecord) -> dict[str, Any]:
    """The row of a study; one without a time is created now.

    Raises:
        InvalidSettings: A name that a store cannot hold.
    """
    name = record.name
    if "\0" in name or clean(name) != name:
        raise InvalidSettings(f"study={name!r} cannot be stored.", "Name it with characters that UTF-8 can hold.")
    texts = {key: clean(getattr(record, key)) for key in ("space", "objective", "task", "llm", "settings")}
    return {"name": name, **texts, "seed": str(record.seed), "created_at": encode_time(record.created_at or now())}


def decode_study(row: Row) -> StudyRecord:
    """The study of a row."""
    texts = {key: row[key] for key in ("name", "space", "objective", "task", "llm", "settings")}
    return StudyRecord(**texts, seed=int(row["seed"]), created_at=decode_time(row["created_at"]))


def encode_call(call: LLMCall) -> dict[str, Any]:
    """The row of a call, without its study."""
    request = call.request
    return {
        "trial_number": call.trial_number,
        "at": encode_time(call.at),
        "purpose": clean(request.purpose),
        "content_hash": request.content_hash,
        "topic_hash": request.topic_hash,
        "request": clean(json.dumps(asdict(request), ensure_ascii=False, default=str)),
        **_encode_result(call.result),
    }


def decode_call(row: Row) -> LLMCall:
    """The call of a row."""
    stored = json.loads(row["request"])
    request = ChatRequest(**{name: stored[name] for name in _REQUEST_FIELDS if name in stored})
    return LLMCall(request, _decode_result(row), row["trial_number"], decode_time(row["at"]))


def encode_event(event: Event) -> dict[str, Any]:
    """The row of an event, without its study; one without a time happens now."""
    return {
        "at": encode_time(event.at or now()),
        "kind": clean(event.kind),
        "trial_number": event.trial_number,
        "message": clean(event.message),
    }


def decode_event(row: Row) -> Event:
    """The event of a row."""
    return Event(row["kind"], row["message"], row["trial_number"], decode_time(row["at"]))


def _encode_result(result: ChatReply | ChatFailure) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_RESULT_COLUMNS)
    row |= {"model": clean(result.model), "latency_s": _measured(result.latency_s) or 0.0, "recorded": 0}
    if isinstance(result, ChatFailure):
        return row | {"error": clean(result.error), "error_message": clean(result.message), "advice": result.advice}
    return row | {
        "reply": clean(result.text),
        "prompt_tokens": _count(result.prompt_tokens),
        "completion_tokens": _count(result.completion_tokens),
        "cost": _measured(result.cost),
        "note": clean(result.note),
        "recorded": int(result.recorded),
    }


def _decode_result(row: Row) -> ChatReply | ChatFailure:
    if row["error"] is not None:
        return ChatFailure(row["error"], row["error_message"], row["advice"], row["model"], row["latency_s"])
    names = ("model", "prompt_tokens", "completion_tokens", "cost", "latency_s", "note")
    return ChatReply(row["reply"], **{name: row[name] for name in names}, recorded=bool(row["recorded"]))


def _count(tokens: int | None) -> int | None:
    return int(tokens) if tokens is not None and 0 <= tokens <= _LARGEST else None
