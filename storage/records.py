"""Studies, calls to language models, events, alterations and the queue as rows, and back: pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from hybridbo.errors import InvalidSettings
from hybridbo.parameters import Params
from hybridbo.ports import Alteration, ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage.rows import LARGEST, Row, measured
from hybridbo.storage.sums import verified
from hybridbo.storage.texts import clean, decode_params, decode_text, decode_time, encode_text, encode_time, now
from hybridbo.traininglog import APPENDED, Log, merged, thinned

_RESULT_COLUMNS = (
    *("model", "reply", "prompt_tokens", "completion_tokens", "cost", "latency_s", "note", "recorded"),
    *("error", "error_message", "advice"),
)
_MOST_ROWS = 64  # of a trial's log: a reader merges no more
_REQUEST_FIELDS = tuple(f.name for f in fields(ChatRequest))


def encode_study(record: StudyRecord) -> dict[str, Any]:
    """The row of a study; one without a time is created now.

    Raises:
        InvalidSettings: A name that a store cannot hold.
    """
    name = record.name
    if "\0" in name or clean(name) != name:
        raise InvalidSettings(f"study={name!r} cannot be stored.", "Name it with characters that UTF-8 can hold.")
    texts = {key: clean(getattr(record, key)) for key in ("space", "objective", "settings")}  # JSON
    texts |= {key: encode_text(getattr(record, key)) for key in ("task", "llm")}
    return {"name": name, **texts, "seed": str(record.seed), "created_at": encode_time(record.created_at or now())}


def decode_study(row: Row) -> StudyRecord:
    """The study of a row."""
    row = verified("studies", row)
    texts = {key: row[key] for key in ("name", "space", "objective", "settings")}
    texts |= {key: decode_text(row[key]) for key in ("task", "llm")}
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
        "purpose": encode_text(request.purpose),
        "content_hash": request.content_hash,
        "topic_hash": request.topic_hash,
        "request": clean(json.dumps(asdict(request), ensure_ascii=False, default=str)),
        **_encode_result(call.result),
    }


def decode_call(row: Row) -> LLMCall:
    """The call of a row."""
    stored = json.loads(verified("llm_calls", row)["request"])
    given = {name: stored[name] for name in _REQUEST_FIELDS if name in stored}
    if (digests := given.get("digests")) is not None:
        given["digests"] = tuple(digests)
    request = ChatRequest(**given)
    return LLMCall(request, _decode_result(row), row["trial_number"], decode_time(row["at"]), row.get("id"))


def decode_queued(row: Row) -> Params:
    """The configuration of a row of the queue."""
    return decode_params(verified("queue", row)["params"])


def encode_log(number: int, attempt: int, log: Log) -> dict[str, Any]:
    """The row of what was logged of a trial, without its study."""
    series = {name: [[step, _encoded(value)] for step, value in points] for name, points in log.items()}
    return {
        "trial_number": number,
        "attempt": attempt,
        "at": encode_time(now()),
        "n_points": sum(map(len, log.values())),
        "series": clean(json.dumps(series, ensure_ascii=False, allow_nan=False)),
    }


def decode_log(row: Row) -> Log:
    """The part of a log that a row holds."""
    series = json.loads(verified("logs", row)["series"])
    # float() reads the texts that stand for what is not finite
    return {name: [(step, float(value)) for step, value in points] for name, points in series.items()}


def whole_log(rows: Sequence[Row]) -> Log:
    """The log of a trial's last attempt that has one, of all rows of the trial, oldest first."""
    last = max((row["attempt"] for row in rows), default=0)
    return merged([decode_log(row) for row in rows if row["attempt"] == last])


def appended(rows: Sequence[Row], row: Row) -> tuple[Row, ...]:
    """The rows of a trial's log with one more: as they are, or merged into one, and thinned, when they are many.

    What an earlier attempt has logged is dropped then: only the last one is read.
    """
    if len(rows) < _MOST_ROWS and sum(part["n_points"] for part in (*rows[1:], row)) <= APPENDED:
        return (*rows, row)
    return (encode_log(row["trial_number"], row["attempt"], thinned(whole_log((*rows, row)))),)


def _encoded(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def encode_event(event: Event) -> dict[str, Any]:
    """The row of an event, without its study; one without a time happens now."""
    return {
        "at": encode_time(event.at or now()),
        "kind": encode_text(event.kind),
        "trial_number": event.trial_number,
        "message": encode_text(event.message),
    }


def decode_event(row: Row) -> Event:
    """The event of a row."""
    row = verified("events", row)
    return Event(decode_text(row["kind"]), decode_text(row["message"]), row["trial_number"], decode_time(row["at"]))


def _encode_result(result: ChatReply | ChatFailure) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_RESULT_COLUMNS)
    row |= {
        "model": encode_text(result.model),
        "latency_s": measured(result.latency_s) or 0.0,
        "prompt_tokens": _count(result.prompt_tokens),
        "completion_tokens": _count(result.completion_tokens),
        "cost": measured(result.cost),
        "recorded": 0,
    }
    if isinstance(result, ChatFailure):
        return row | {
            "error": encode_text(result.error),
            "error_message": encode_text(result.message),
            "advice": result.advice,
            "note": encode_text(result.asked) if result.asked else None,
        }
    return row | {
        "reply": encode_text(result.text),
        "note": encode_text(result.note),
        "recorded": int(result.recorded),
    }


def _decode_result(row: Row) -> ChatReply | ChatFailure:
    numbers = {name: row[name] for name in ("prompt_tokens", "completion_tokens", "cost", "latency_s")}
    if row["error"] is not None:
        error, message, model = (decode_text(row[name]) for name in ("error", "error_message", "model"))
        asked = decode_text(row["note"]) if row["note"] else ""
        return ChatFailure(error, message, row["advice"], model, asked=asked, **numbers)
    reply, model, note = (decode_text(row[name]) for name in ("reply", "model", "note"))
    return ChatReply(reply, model, note=note, recorded=bool(row["recorded"]), **numbers)


def _count(tokens: int | None) -> int | None:
    return int(tokens) if tokens is not None and 0 <= tokens <= LARGEST else None
