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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.objective import finite
from hybridbo.parameters import Params
from hybridbo.ports import Alteration, ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage.sums import MISMATCH, checksum, verified
from hybridbo.storage.texts import clean, decode_params, decode_time, encode_params, encode_time, now, to_json
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
    "attempt",
    "lost",
    "lease_until",
)

# What is read of a trial: besides, what tells whether it is as it was written.
STORED_COLUMNS = (*TRIAL_COLUMNS, "study", "config_key", "content_sum", "outcome_sum")

_LARGEST = 2**63 - 1  # of SQLite's integers
_LONGEST_LEASE_S = 3e9  # a century; a datetime ends with the year 9999
_RESULT_COLUMNS = (
    *("model", "reply", "prompt_tokens", "completion_tokens", "cost", "latency_s", "note", "recorded"),
    *("error", "error_message", "advice"),
)
_STATES = {state.value: state for state in TrialState}
_REQUEST_FIELDS = tuple(f.name for f in fields(ChatRequest))


# Trials -----------------------------------------------------------------------------------------------------------


def encode_proposal(proposal: Proposal) -> Fields:
    """``params`` to ``predicted_sd`` of :data:`TRIAL_COLUMNS`."""
    origin = proposal.origin
    prediction = _measured(origin.predicted_mean), _measured(origin.predicted_sd)
    return (encode_params(proposal.params), origin.source, clean(origin.reason), *prediction)


def new_trial(number: int, proposal: Fields, owner: str, lease_s: float | None) -> Fields:
    """A RUNNING trial, started now, of what :func:`encode_proposal` made; fields of :data:`TRIAL_COLUMNS`."""
    at = now()
    held = (None, clean(owner), encode_time(at), None, 0, 0, encode_lease(lease_s, at))
    return (number, TrialState.RUNNING.value, None, "{}", *proposal, *held)


def encode_lease(lease_s: float | None, at: datetime) -> str | None:
    """When a lease that begins ``at`` runs out; None for one without an end.

    Raises:
        InvalidSettings: Not a positive number of seconds.
    """
    if lease_s is None or lease_s == math.inf:
        return None
    if not lease_s > 0:
        raise InvalidSettings(f"lease_s={lease_s!r} is not a positive number of seconds.", "Give one, or None.")
    return encode_time(at + timedelta(seconds=min(lease_s, _LONGEST_LEASE_S)))


def encode_owner(owner: str | None) -> str | None:
    """An owner as it is stored; None for none."""
    return None if owner is None else clean(owner)


def encode_outcome(outcome: Outcome) -> Fields:
    """``state``, ``value``, ``values_json`` and ``error`` of a settled outcome (see :func:`settled`)."""
    return outcome.state.value, outcome.value, to_json(dict(outcome.values)), outcome.error


def encode_trial(trial: Trial) -> Fields:
    """A whole trial, as fields of :data:`TRIAL_COLUMNS`."""
    state, value, values, error = encode_outcome(Outcome(trial.state, trial.values, trial.value, trial.error))
    finished_at = None if trial.finished_at is None else encode_time(trial.finished_at)
    owner = encode_owner(trial.owner)
    proposal = encode_proposal(Proposal(trial.params, trial.origin))
    lease = None if trial.lease_until is None else encode_time(trial.lease_until)
    times = encode_time(trial.started_at), finished_at
    return (trial.number, state, value, values, *proposal, error, owner, *times, trial.attempt, trial.lost, lease)


def decode_trial(row: Fields) -> Trial:
    """The trial of a row of :data:`TRIAL_COLUMNS`."""
    number, state, value, told, params, source, reason, mean, sd, error, owner, started_at, finished_at, *held = row
    attempt, lost, lease_until = held
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
        attempt=attempt,
        lost=lost,
        lease_until=None if lease_until is None else datetime.fromisoformat(lease_until),
    )


def decode_trials(found: Sequence[Fields]) -> list[Trial]:
    """What :func:`decode_trial` makes of each row, in half of the time: a study has a hundred thousand of them."""
    configurations, tellings = _decode_each([row[4] for row in found]), _decode_each([row[3] for row in found])
    at, origins, trials = datetime.fromisoformat, dict[Fields, Origin](), []
    for row, params, values in zip(found, configurations, tellings, strict=True):
        number, state, value, _, _, source, reason, mean, sd, error, owner, start, end, attempt, lost, lease = row
        if (origin := origins.get((source, reason, mean, sd))) is None:
            origin = origins[source, reason, mean, sd] = Origin(source, reason, mean, sd)
        value = None if value is None else _entry(value, values)
        told = (value, values, error, None if end is None else at(end))
        held = (owner, attempt, lost, None if lease is None else at(lease))
        trials.append(Trial(number, params, _STATES[state], origin, at(start), *told, *held))
    return trials


def _decode_each(texts: Sequence[str]) -> list[Any]:
    found: list[Any] = json.loads(f"[{','.join(texts)}]")
    if len(found) != len(texts):
        raise ValueError("not one JSON object in each row")
    return found


def decode_stored(found: Sequence[Fields]) -> list[Trial]:
    """The trials of rows of :data:`STORED_COLUMNS`.

    Raises:
        ValueError: A row is not as it was written.
    """
    return decode_trials([_verified_trial(row) for row in found])


def _verified_trial(row: Fields) -> Fields:
    trial, (study, key, content, outcome) = row[:-4], row[-4:]
    if content is not None and content != content_sum(study, key, trial):
        raise ValueError(f"trial {trial[0]} of study {study!r}: {MISMATCH}")
    if outcome is not None and outcome != checksum(study, *trial[:4], trial[9], trial[12]):
        raise ValueError(f"the outcome of trial {trial[0]} of study {study!r}: {MISMATCH}")
    return trial


def content_sum(study: str, key: str, row: Fields) -> int:
    """The checksum of what was proposed, of a row of :data:`TRIAL_COLUMNS`."""
    return checksum(study, row[0], *row[4:9], row[11], key)


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
        raise InvalidValue(f"{outcome.state} is no outcome.", "A trial ends COMPLETE, FAILED or PRUNED.")
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
    row = verified("studies", row)
    texts = {key: row[key] for key in ("name", "space", "objective", "task", "llm", "settings")}
    return StudyRecord(**texts, seed=int(row["seed"]), created_at=decode_time(row["created_at"]))


def decode_alteration(row: Row) -> Alteration:
    """The alteration of a row."""
    row = verified("alterations", row)
    return Alteration(row["old_space"], row["new_space"], row["trial_number"], decode_time(row["at"]))


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
    stored = json.loads(verified("llm_calls", row)["request"])
    request = ChatRequest(**{name: stored[name] for name in _REQUEST_FIELDS if name in stored})
    return LLMCall(request, _decode_result(row), row["trial_number"], decode_time(row["at"]))


def decode_queued(row: Fields) -> Params:
    """The configuration of a row of the queue: ``params``, ``study``, ``queued_at``, ``config_key``, ``checksum``."""
    params, study, queued_at, key, stored = row
    if stored is not None and stored != checksum(study, params, queued_at, key):
        raise ValueError(MISMATCH)
    return decode_params(params)


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
    row = verified("events", row)
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
