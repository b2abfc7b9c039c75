import json
import math
import re
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridbo.errors import InvalidParams, InvalidValue
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage import records, rows, texts
from hybridbo.trial import Origin, Outcome, Proposal, Trial, TrialState

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# SQLite keeps no sign of a zero in a REAL column; only told values and parameters promise it
MEASURES = st.none() | FLOATS.map(lambda x: x + 0.0)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# fixed offsets: where a clock is set back, Python calls no time equal to its own UTC
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=ZONES)  # noqa: DTZ001 - bounds
JSONS = st.dictionaries(
    TEXT, st.recursive(st.none() | st.integers() | FLOATS | TEXT, lambda x: st.lists(x, max_size=3))
)
COUNTS = st.none() | st.integers(0, 2**63 - 1)

ORIGINS = st.builds(Origin, st.sampled_from(["user", "default", "llm", "sobol", "gp"]), TEXT, MEASURES, MEASURES)
# JSON has no notation for two surrogates that stand together
ANY_TEXT = st.text(st.characters()).filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text))
PARAMS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | FLOATS | ANY_TEXT)


@st.composite
def outcomes(draw):
    state = draw(st.sampled_from([TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED]))
    if state is TrialState.FAILED:
        return Outcome(state, error=draw(TEXT.filter(bool)))
    values = draw(st.dictionaries(TEXT, FLOATS, min_size=state is TrialState.COMPLETE))
    return Outcome(state, values, draw(st.none() | st.just(next(iter(values.values())))) if values else None)


@st.composite
def trials(draw):
    number, params, origin = draw(st.integers(0, 2**63 - 1)), draw(PARAMS), draw(ORIGINS)
    started_at, owner = draw(TIMES), draw(st.none() | TEXT)
    held = {"attempt": draw(COUNTS) or 0, "lost": draw(COUNTS) or 0, "lease_until": draw(st.none() | TIMES)}
    if draw(st.booleans()):
        state = draw(st.sampled_from([TrialState.RUNNING, TrialState.STALE]))
        return Trial(number, params, state, origin, started_at, owner=owner, **held)
    end = draw(outcomes())
    told = end.value, end.values, end.error
    return Trial(number, params, end.state, origin, started_at, *told, draw(TIMES), owner, **held)


REQUESTS = st.builds(
    ChatRequest,
    *(TEXT, TEXT, JSONS, TEXT, TEXT, st.none() | JSONS, st.none() | FLOATS),
    max_tokens=st.integers(),
    timeout_s=FLOATS,
    retries=st.integers(),
)
REPLIES = st.builds(ChatReply, TEXT, TEXT, COUNTS, COUNTS, MEASURES, FLOATS.map(abs), TEXT, st.booleans())
FAILURES = st.builds(ChatFailure, TEXT, TEXT, st.sampled_from(["retry", "give up", "fall back"]), TEXT, FLOATS.map(abs))
CALLS = st.builds(LLMCall, REQUESTS, REPLIES | FAILURES, st.integers(0, 2**63 - 1), TIMES)
NAMES = TEXT.filter(lambda name: "\0" not in name)
STUDIES = st.builds(StudyRecord, NAMES, TEXT, TEXT, TEXT, TEXT, st.integers(), TEXT, TIMES)


def is_sqlite(value):
    """Whether SQLite holds the value as it is."""
    if isinstance(value, str):
        return value.encode("utf-8").decode("utf-8") == value
    is_int = type(value) is int and -(2**63) <= value < 2**63
    return value is None or is_int or (type(value) is float and math.isfinite(value))


@given(trials())
def test_trial_round_trip(trial):
    row = rows.encode_trial(trial)
    assert len(row) == len(rows.TRIAL_COLUMNS)
    assert all(map(is_sqlite, row))
    back = rows.decode_trial(row)
    assert back == trial
    assert repr((back.params, dict(back.values), back.value)) == repr((trial.params, dict(trial.values), trial.value))


@given(st.builds(Proposal, PARAMS, ORIGINS), st.integers(0, 2**63 - 1), TEXT, st.integers(1, 2_000_000_000))
def test_new_trial_is_running_under_its_lease(proposal, number, owner, lease_s):
    trial = rows.decode_trial(rows.new_trial(number, rows.encode_proposal(proposal), owner, lease_s))
    until = trial.started_at + timedelta(seconds=lease_s)
    held = {"owner": owner, "lease_until": until}
    assert trial == Trial(number, proposal.params, TrialState.RUNNING, proposal.origin, trial.started_at, **held)


@pytest.mark.parametrize("lease_s", [None, math.inf])
def test_lease_without_an_end_is_none(lease_s):
    assert rows.encode_lease(lease_s, texts.now()) is None


@given(outcomes())
def test_settled_outcome_is_the_same_and_stays_so(outcome):
    assert rows.settled(outcome) == outcome
    assert rows.is_same_outcome(rows.settled(outcome), outcome)


@given(STUDIES)
def test_study_round_trip(record):
    row = records.encode_study(record)
    assert all(map(is_sqlite, row.values()))
    assert records.decode_study(row) == record


@given(CALLS)
def test_call_round_trip(call):
    row = records.encode_call(call)
    assert all(map(is_sqlite, row.values()))
    assert records.decode_call(row) == call
    assert (row["content_hash"], row["topic_hash"]) == (call.request.content_hash, call.request.topic_hash)


@given(st.builds(Event, TEXT, TEXT, st.none() | st.integers(0, 2**63 - 1), TIMES))
def test_event_round_trip(event):
    row = records.encode_event(event)
    assert all(map(is_sqlite, row.values()))
    assert records.decode_event(row) == event


@given(TIMES, TIMES)
def test_times_sort_as_text(a, b):
    assert texts.decode_time(texts.encode_time(a)) == a
    assert (texts.encode_time(a) < texts.encode_time(b)) == (a.astimezone(UTC) < b.astimezone(UTC))


def test_time_is_iso_8601_in_utc():
    at = datetime(2026, 2, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert texts.encode_time(at) == "2026-01-31T23:30:00.000000Z"
    assert texts.encode_time(datetime(2026, 2, 1)) == "2026-02-01T00:00:00.000000Z"  # noqa: DTZ001 - taken for UTC


@given(st.text(st.characters()))
def test_clean_text_is_utf8_and_changes_nothing_else(text):
    clean = texts.clean(text)
    clean.encode()
    kept = [c for c in text if not "\ud800" <= c <= "\udfff"]
    assert (clean == text) == (len(kept) == len(text))
    assert texts.clean(clean) == clean
    if not re.search("[\ud800-\udbff][\udc00-\udfff]", text):
        assert json.loads(texts.encode_params({"x": text})) == {"x": text}


def test_numpy_scalars_become_plain():
    np = pytest.importorskip("numpy")
    params = {"a": np.float64(0.1), "b": np.int64(2**40), "c": np.bool_(True), "d": np.str_("s"), "e": np.float32(0.5)}
    back = texts.decode_params(texts.encode_params(params))
    assert repr(back) == "{'a': 0.1, 'b': 1099511627776, 'c': True, 'd': 's', 'e': 0.5}"
    told = rows.settled(Outcome(TrialState.COMPLETE, {"value": np.float64(0.1)}, np.float64(0.1)))
    assert {type(told.value), type(told.values["value"])} == {float}


def test_value_takes_its_sign_from_values():
    trial = Trial(0, {}, TrialState.COMPLETE, Origin("gp", ""), datetime.now(UTC), -0.0, {"value": -0.0})
    row = list(rows.encode_trial(trial))
    row[rows.TRIAL_COLUMNS.index("value")] = 0.0  # as SQLite returns it
    assert math.copysign(1.0, rows.decode_trial(tuple(row)).value) == -1.0


def test_value_that_is_none_of_the_values_is_refused():
    with pytest.raises(InvalidValue, match=r"2\.0 is none of the values"):
        rows.settled(Outcome(TrialState.COMPLETE, {"a": 1.0}, 2.0))


def test_request_of_another_version_can_be_read():
    call = LLMCall(ChatRequest("seeds", "t", {}, "s", "u"), ChatReply("", "m"), 0, datetime.now(UTC))
    row = records.encode_call(call)
    stored = json.loads(row["request"])
    del stored["retries"]
    stored["later_field"] = 1
    assert records.decode_call(row | {"request": json.dumps(stored)}) == call


@given(st.text(st.characters()) | st.text("\\uescapd: 0\ud800\udc00"))
def test_text_of_any_kind_reads_back(text):
    stored = texts.encode_text(text)
    stored.encode()
    assert texts.decode_text(stored) == text
    if text.isprintable() and not text.startswith("escaped: "):
        assert stored == text  # a person can read it


@given(FLOATS)
def test_floats_keep_every_bit(x):
    outcome = rows.settled(Outcome(TrialState.COMPLETE, {"value": x}, x))
    _, value, values, _ = rows.encode_outcome(outcome)
    back = json.loads(values)["value"]
    assert struct.pack("d", back) == struct.pack("d", value) == struct.pack("d", x)
    assert struct.pack("d", texts.decode_params(texts.encode_params({"x": x}))["x"]) == struct.pack("d", x)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, 1e400, True, "0.5", None, 1 + 0j])
def test_value_that_is_no_finite_number_is_refused(value):
    with pytest.raises(InvalidValue, match="is not a finite number"):
        rows.settled(Outcome(TrialState.COMPLETE, {"value": value}, None))


@pytest.mark.parametrize(
    ("value", "stored"), [(2**53 + 1, 2.0**53), (10**300, 1e300), (-(2**70), -(2.0**70)), (3, 3.0)]
)
def test_integer_that_is_told_is_the_nearest_float(value, stored):
    told = rows.settled(Outcome(TrialState.COMPLETE, {"value": value}, value))
    assert (type(told.value), told.value, told.values) == (float, stored, {"value": stored})


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), "\ud83d\ude00"])
def test_parameter_that_json_cannot_hold_is_refused(value):
    with pytest.raises(InvalidParams, match=r"'x'=.* cannot be stored"):
        texts.encode_params({"x": value})
