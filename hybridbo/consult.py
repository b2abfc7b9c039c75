"""Answering the engine's requests: from the store if it was asked before, else from the backend, within bounds.

Every call is one row of the store, whatever came of it. It is written before the call is made, in one transaction with
the look at the budget and at the circuit breaker, so that two processes do not both spend what is left; the outcome
then takes its place. A process that is killed meanwhile leaves the row behind: the call counts, and is labelled as lost
by whoever asks next. A failure never stops a search: the engine is told why there is no advice, and the store too.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from hybridbo import awaiting, owner
from hybridbo.breaker import LOST, Verdict, is_under_way, judge
from hybridbo.budget import admit, cost_of
from hybridbo.claims import BUSY, claim, claimed_by
from hybridbo.deadline import DeadlineExceeded, within
from hybridbo.errors import BackendBadReply, BackendError, BackendTimeout, BackendUnavailable, describe_error
from hybridbo.llm.history import is_consultation
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.prompts import cut_note
from hybridbo.llm.withhold import failure_without_text, numbers_of, without_text
from hybridbo.once import Once
from hybridbo.ports import CallStore, ChatBackend, ChatFailure, ChatReply, ChatRequest, Event, LLMCall
from hybridbo.redaction import without_secrets
from hybridbo.settings import LLMSettings
from hybridbo.space import Space
from hybridbo.stored import UNSETTLED
from hybridbo.usage import LLMUsage

__all__ = ["SWITCHED_ON", "CallStore", "Consultant", "LLMUsage", "without_secrets"]

SWITCHED_ON = "llm_on"
"""The kind of the event that lets a model be asked again, whatever came of the calls before."""

_logger = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_LONGEST_IDENTITY = 300
_LIMITS = 'settings={"llm": ...} gives another limit'


class Consultant:
    """Answers requests for one study.

    Args:
        backend: The language model.
        store: Where calls are kept.
        study: The study's name.
        space: To say what of a new reply is usable.
        settings: The budget, after how many failures to stop asking, and what is stored.
        remedy: What whoever searches can do where the model has been switched off, one sentence.
        once: Remembers what has been told, for those who make a Consultant anew for every trial.
    """

    def __init__(
        self,
        backend: ChatBackend,
        store: CallStore,
        study: str,
        space: Space,
        settings: LLMSettings,
        *,
        remedy: str = "Set another key, address or model, or call opt.switch_llm_on().",
        once: Once | None = None,
    ) -> None:
        self._backend, self._store, self._study = backend, store, study
        self._space, self._settings = space, settings
        self._answers: dict[str, ChatReply] = {}  # by topic; rebuilt from the store
        self._once, self._remedy = Once() if once is None else once, remedy
        self._since: datetime | None = None  # when somebody switched the model on last
        self._left_s = settings.max_ask_s
        self._unstored: dict[int, LLMCall] = {}  # outcomes that the store could not take, by the number of the call

    def begin(self) -> None:
        """Another ask begins, with all of ``settings.llm.max_ask_s`` before it."""
        self._left_s = self._settings.max_ask_s

    def answer(self, request: ChatRequest, trial_number: int) -> ChatReply | ChatFailure:
        """The stored reply to the same question, else the backend's, else why there is none.

        A question is the same when purpose, task and space are: a study asks each question once, however it is worded.
        While another process asks it, its answer is waited for; a consultation's is not.
        """
        topic = request.topic_hash
        if topic in self._answers:
            return self._answers[topic]
        started = time.monotonic()
        result = self._find_or_ask(request, trial_number)
        if self._left_s is not None:
            self._left_s -= time.monotonic() - started
        if isinstance(result, ChatReply):
            self._answers[topic] = result
        return result

    def _find_or_ask(self, request: ChatRequest, trial_number: int) -> ChatReply | ChatFailure:
        until = None if self._left_s is None else time.monotonic() + self._left_s
        pause_s = _FIRST_PAUSE_S
        while True:
            left_s = None if until is None else until - time.monotonic()
            wanted = replace(request, total_s=left_s)
            found = self._look(wanted, self._swept(trial_number), trial_number)
            if isinstance(found, ChatRequest):
                with self._store.transaction():  # again: another process may have been faster
                    found = self._look(wanted, self._store.get_calls(self._study), trial_number)
                    number = self._reserve(found, trial_number) if isinstance(found, ChatRequest) else 0
                if isinstance(found, ChatRequest):
                    return self._ask(found, number, trial_number)
            if found is not None:
                return found
            time.sleep(pause_s if left_s is None else max(0.0, min(pause_s, left_s)))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    # Whether to ask ----------------------------------------------------------------------------------------------

    def _look(
        self, request: ChatRequest, calls: Sequence[LLMCall], trial_number: int
    ) -> ChatReply | ChatFailure | ChatRequest | None:
        """What is known: the reply, why there is none, the request as it may be sent, or None to wait for another's."""
        topic = request.topic_hash
        same = [call for call in calls if call.request.topic_hash == topic]
        reply = next((call.result for call in same if isinstance(call.result, ChatReply)), None)
        if reply is not None:
            return reply
        if request.total_s is not None and request.total_s <= 0:
            spent = f"the {self._settings.max_ask_s:g} s of settings.llm.max_ask_s are used up"
            return ChatFailure(BackendTimeout.__name__, f"{spent}.", BackendTimeout.advice, self._backend.name)
        if any(is_under_way(call, datetime.now(UTC)) for call in same):
            return BUSY if is_consultation(request.purpose) else None
        barred = self._barred(same, calls)
        if barred is not None and self._is_switched_on():
            barred = self._barred(same, calls)
        if barred is not None:
            return barred
        admitted = admit(request, calls, self._settings, self._backend.name)
        if isinstance(admitted, ChatRequest):
            return admitted
        told = f"{admitted} The language model is not asked any more, unless {_LIMITS}."
        self._tell_once("llm_budget", told, trial_number)
        return ChatFailure("BudgetExhausted", admitted, "give up", self._backend.name)

    def _barred(self, same: Sequence[LLMCall], calls: Sequence[LLMCall]) -> ChatFailure | None:
        """Why the model is not asked, after what came of earlier calls."""
        verdict = judge(calls, datetime.now(UTC), self._settings, asked=self._identity, since=self._since)
        failed = [call.result for call in same if self._since is None or call.at > self._since]
        if len(failed) >= self._settings.max_failures and verdict.state != "off":
            why = failed[-1].message if isinstance(failed[-1], ChatFailure) else ""
            return ChatFailure("BackendError", f"not asked again after {len(failed)} failures; the last: {why}")
        if verdict.failure is None or verdict.may_ask:
            return None
        return replace(verdict.failure, message=self._told(verdict), latency_s=0.0, asked="")

    def _is_switched_on(self) -> bool:
        """Whether somebody has switched the model on since this was looked up last."""
        events = self._store.get_events(self._study)
        since = next((event.at for event in reversed(events) if event.kind == SWITCHED_ON), None)
        is_news, self._since = since != self._since, since
        return is_news

    @property
    def _identity(self) -> str:
        """Who is asked: another one once the key or the address has changed, if the backend can tell."""
        given = getattr(self._backend, "identity", None)
        return without_secrets(str(given or self._backend.name))[:_LONGEST_IDENTITY]

    # Asking ------------------------------------------------------------------------------------------------------

    def _reserve(self, request: ChatRequest, trial_number: int) -> int:
        """Store a call before it is made; within the transaction that has found that it may be."""
        kept = request if self._settings.store_text else without_text(request)
        result = self._failed(UNSETTLED, claim())
        if is_consultation(request.purpose):
            after = request.purpose.partition(":")[2]
            message = f"The language model is asked for more configurations after {after} trials."
            self._note("llm_consulted", message, trial_number)
        return self._store.record_call(self._study, LLMCall(kept, result, trial_number, datetime.now(UTC)))

    def _ask(self, request: ChatRequest, number: int, trial_number: int) -> ChatReply | ChatFailure:
        at, started = datetime.now(UTC), time.monotonic()
        result: ChatReply | ChatFailure = self._failed(LOST, "interrupted before the answer came.")
        try:
            result = self._asked(request)
        finally:  # an interrupt passes through, but not without a trace
            if isinstance(result, ChatFailure):
                result = replace(result, latency_s=time.monotonic() - started)
            result = self._settle(LLMCall(request, result, trial_number, at, number))
        return result

    def _asked(self, request: ChatRequest) -> ChatReply | ChatFailure:
        """What comes of a call; a deadline of all attempts holds for backends that know of none as well."""
        model = self._backend.name
        try:
            if request.total_s is None:
                reply = _checked(awaiting.complete(self._backend, request))
            else:
                ask = partial(contextvars.copy_context().run, awaiting.complete, self._backend, request)
                reply = _checked(within(request.total_s, ask, _let_go))
        except DeadlineExceeded:
            message = f"{model} gave no reply within the {self._settings.max_ask_s:g} s of settings.llm.max_ask_s."
            return self._failed(BackendTimeout.__name__, message, BackendTimeout)
        except BackendError as error:
            failure = self._failed(type(error).__name__, without_secrets(str(error)), type(error))
            told = {name: getattr(error, name) for name in ("prompt_tokens", "completion_tokens", "cost")}
            failure = replace(failure, **told)
            priced = replace(failure, model=error.model or model)
            return replace(failure, cost=cost_of(priced, model, self._settings.prices))
        except Exception as error:  # noqa: BLE001  # somebody else's backend must not end the search either
            kind = _kind(error)
            return self._failed(kind.__name__, without_secrets(describe_error(error)), kind)
        texts = {name: without_secrets(getattr(reply, name)) for name in ("text", "note", "model")}
        reply = replace(reply, **texts)  # type: ignore[arg-type]
        return reply if reply.recorded else replace(reply, cost=cost_of(reply, model, self._settings.prices))

    def _failed(self, error: str, message: str, kind: type[BackendError] = BackendError) -> ChatFailure:
        return ChatFailure(error, message, kind.advice, self._backend.name, asked=self._identity)

    def _settle(self, call: LLMCall) -> ChatReply | ChatFailure:
        """Store the outcome of a call, and what is to be told of it; the outcome as it is stored."""
        if isinstance(call.result, ChatFailure):
            _logger.warning("the language model gave no reply: %s: %s", call.result.error, call.result.message)
        kept = self._kept(call)
        self._unstored[call.number or 0] = kept
        with self._store.transaction():
            if not self._store.settle_call(self._study, call.number or 0, kept):
                self._store.record_call(self._study, kept)  # taken for lost meanwhile; never drop what was paid for
            if note := cut_note(call.request.task):
                self._note("task_cut", note, call.trial_number)
            if isinstance(kept.result, ChatFailure):
                self._tell_of_failure(kept.result, call.trial_number)
            elif isinstance(call.result, ChatReply):
                self._tell_of_reply(call.result, call.trial_number)
        del self._unstored[call.number or 0]
        return kept.result

    def _kept(self, call: LLMCall) -> LLMCall:
        if self._settings.store_text:
            return call
        result = call.result
        kept = numbers_of(result, self._space) if isinstance(result, ChatReply) else failure_without_text(result)
        return replace(call, request=without_text(call.request), result=kept)

    def _swept(self, trial_number: int) -> list[LLMCall]:
        """All calls; those whose process is gone are settled as lost first, those that could not be with what came."""
        for number, kept in list(self._unstored.items()):
            self._store.settle_call(self._study, number, kept)
            del self._unstored[number]
        calls = self._store.get_calls(self._study)
        gone = [call for call in calls if call.is_unsettled and owner.is_gone(claimed_by(call))]
        if not gone:
            return calls
        message = "the process that asked was killed before the outcome was stored: tokens and cost are not known."
        for call in gone:
            result = self._failed(LOST, message)
            with self._store.transaction():
                if self._store.settle_call(self._study, call.number or 0, replace(call, result=result)):
                    _logger.warning("a call to the language model is lost: %s", message)
                    self._store.record_event(self._study, Event("llm_failed", f"{LOST}: {message}", trial_number))
        return self._store.get_calls(self._study)

    # Telling -----------------------------------------------------------------------------------------------------

    def _tell_of_failure(self, failure: ChatFailure, trial_number: int) -> None:
        self._note("llm_failed", f"{failure.error}: {failure.message}", trial_number)
        calls = self._store.get_calls(self._study)
        verdict = judge(calls, datetime.now(UTC), self._settings, asked=self._identity, since=self._since)
        if verdict.state in {"off", "open"}:
            kind = "llm_off" if verdict.state == "off" else "llm_paused"
            self._note(kind, f"The language model is {self._told(verdict)}", trial_number)

    def _told(self, verdict: Verdict) -> str:
        return f"{verdict.why} {self._remedy}" if verdict.state == "off" else verdict.why

    def _tell_of_reply(self, reply: ChatReply, trial_number: int) -> None:
        advice = parse_advice(reply.text, self._space)
        if not (advice.rejections or advice.repairs or reply.note):
            return
        rejected = [f" First rejected: {part.part}: {part.why}." for part in advice.rejections[:1]]
        message = (
            f"{len(advice.points)} usable configurations, {len(advice.repairs)} parts repaired, "
            f"{len(advice.rejections)} rejected.{''.join(rejected if self._settings.store_text else [])} {reply.note}"
        )
        self._note("llm_reply", message.strip(), trial_number)

    def _tell_once(self, kind: str, message: str, trial_number: int) -> None:
        """Record an event unless the study has it already."""
        if self._once.is_known(self._study, kind, message):
            return
        with self._store.transaction():
            if self._once.is_news(self._store, self._study, kind, message):
                _logger.warning("%s", message)
                self._note(kind, message, trial_number)

    def _note(self, kind: str, message: str, trial_number: int) -> None:
        self._store.record_event(self._study, Event(kind, message, trial_number))


def _checked(reply: object) -> ChatReply:
    """What a backend returned, which may be somebody else's first.

    Raises:
        BackendBadReply: No ChatReply, or one without a text.
    """
    if isinstance(reply, ChatReply) and isinstance(reply.text, str):
        return reply
    raise BackendBadReply(f"the backend returned {type(reply).__name__}, not a ChatReply with a text.")


def _kind(error: Exception) -> type[BackendError]:
    """The error of ours that an exception of somebody else's backend amounts to."""
    if isinstance(error, TimeoutError):
        return BackendTimeout
    return BackendUnavailable if isinstance(error, ConnectionError) else BackendError


def _let_go() -> None:
    """Nothing can stop a backend that we know nothing of; its thread ends when it does, or with the process."""
