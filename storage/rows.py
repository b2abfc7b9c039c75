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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.objective import finite
from hybridbo.storage.sums import MISMATCH, checksum
from hybridbo.storage.texts import (
    clean,
    decode_text,
    encode_params,
    encode_text,
    encode_time,
    is_storable,
    now,
    to_json,
)
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

_KEY = STORED_COLUMNS.index("config_key")
_CONTENT_SUM = STORED_COLUMNS.index("content_sum")

LARGEST = 2**63 - 1  # of SQLite's integers
_LONGEST_LEASE_S = 3e9  # a century; a datetime ends with the year 9999
_OPEN = (TrialState.RUNNING.value, TrialState.STALE.value)
_STATES = {state.value: state for state in TrialState}


# Trials -----------------------------------------------------------------------------------------------------------


def encode_proposal(proposal: Proposal) -> Fields:
    """``params`` to ``predicted_sd`` of :data:`TRIAL_COLUMNS`."""
    origin = proposal.origin
    prediction = measured(origin.predicted_mean), measured(origin.predicted_sd)
    return (encode_params(proposal.params), origin.source, encode_text(origin.reason), *prediction)


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
    if isinstance(lease_s, bool) or not isinstance(lease_s, (int, float)) or not lease_s > 0:
        raise InvalidSettings(f"lease_s={lease_s!r} is not a positive number of seconds.", "Give one, or None.")
    return encode_time(at + timedelta(seconds=min(lease_s, _LONGEST_LEASE_S)))


def encode_owner(owner: str | None) -> str | None:
    """An owner as it is stored; None for none."""
    return None if owner is None else clean(owner)


def encode_outcome(outcome: Outcome) -> Fields:
    """``state``, ``value``, ``values_json`` and ``error`` of a settled outcome (see :func:`settled`)."""
    return (
        outcome.state.value,
        outcome.value,
        to_json(dict(outcome.values)),
        outcome.error and encode_text(outcome.error),
    )


def encode_trial(trial: Trial) -> Fields:
    """A whole trial, as fields of :data:`TRIAL_COLUMNS`."""
    state, value, values, error = encode_outcome(Outcome(trial.state, trial.values, trial.value, trial.error))
    finished_at = None if trial.finished_at is None else encode_time(trial.finished_at)
    owner = encode_owner(trial.owner)
    proposal = encode_proposal(Proposal(trial.params, trial.origin))
    lease = None if trial.lease_until is None else encode_time(trial.lease_until)
    times = encode_time(trial.started_at), finished_at
    return (trial.number, state, value, values, *proposal, error, owner, *times, trial.attempt, trial.lost, lease)


def added_trial(number: int, trial: Trial) -> Fields:
    """A finished trial of elsewhere, as fields of :data:`TRIAL_COLUMNS`.

    Raises:
        InvalidValue: It has not ended, or its values do not fit its state.
    """
    outcome = settled(Outcome(trial.state, trial.values, trial.value, trial.error))
    ended = {name: getattr(outcome, name) for name in ("state", "values", "value", "error")}
    finished_at = trial.finished_at or trial.started_at
    trial = replace(trial, owner=None, attempt=0, lost=0, lease_until=None)
    return encode_trial(replace(trial, **ended, number=number, finished_at=finished_at))


def decode_trial(row: Fields) -> Trial:
    """The trial of a row of :data:`TRIAL_COLUMNS`."""
    number, state, value, told, params, source, reason, mean, sd, error, owner, started_at, finished_at, *held = row
    attempt, lost, lease_until = held
    values = {} if told == "{}" else json.loads(told)
    return Trial(
        number=number,
        params=json.loads(params),
        state=TrialState(state),
        origin=Origin(source, decode_text(reason), mean, sd),
        started_at=datetime.fromisoformat(started_at),
        value=None if value is None else _entry(value, values),
        values=values,
        error=error and decode_text(error),
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
            origin = origins[source, reason, mean, sd] = Origin(source, decode_text(reason), mean, sd)
        value = None if value is None else _entry(value, values)
        told = (value, values, error and decode_text(error), None if end is None else at(end))
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
    if outcome is None and trial[1] in _OPEN and (*trial[2:4], trial[9], trial[12]) != (None, "{}", None, None):
        raise ValueError(f"trial {trial[0]} of study {study!r} is {trial[1]} and has an outcome")
    if outcome is not None and outcome != outcome_sum(study, trial):
        raise ValueError(f"the outcome of trial {trial[0]} of study {study!r}: {MISMATCH}")
    return trial


def keys_of(found: Iterable[Fields]) -> dict[int, str]:
    """The keys of rows of :data:`STORED_COLUMNS` by number, less those that somebody has changed by hand."""
    return {row[0]: row[_KEY] for row in found if row[_CONTENT_SUM] is not None}


def content_sum(study: str, key: str, row: Fields) -> int:
    """The checksum of what was proposed, of a row of :data:`TRIAL_COLUMNS`."""
    return checksum(study, row[0], *row[4:9], row[11], key)


def outcome_sum(study: str, row: Fields) -> int:
    """The checksum of how a finished trial ended, of a row of :data:`TRIAL_COLUMNS`."""
    return checksum(study, row[0], *row[1:4], row[9], row[12])


def trial_number(number: Any) -> int | None:
    """``number`` as an int; None if it cannot be the number of a trial."""
    try:
        n = operator.index(number)
    except TypeError:
        return None
    return n if 0 <= n <= LARGEST else None


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
        return Outcome(TrialState.FAILED, error=outcome.error or NO_REASON)
    if outcome.error is not None:
        raise InvalidValue(f"a {outcome.state} trial has no error.", "Tell it as FAILED, or leave the error out.")
    values = {name: finite(name, value) for name, value in outcome.values.items()}
    if unspeakable := [name for name in values if not is_storable(name)]:
        raise InvalidValue(f"the name {unspeakable[0]!r} cannot be stored.", "Use characters that UTF-8 can hold.")
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


def measured(value: float | None) -> float | None:
    """A float; None if there is none, or none that is finite. Never -0.0."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None
