"""What the core asks of the world outside, as Protocols, and the values that cross those borders.

Two ports: a :class:`ChatBackend` answers a request with text, and a :class:`TrialStore` keeps a study. The contracts in
:mod:`hybridbo.testing` say what an implementation must do; anything that passes them will serve.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from hybridbo.errors import Advice
from hybridbo.parameters import Params
from hybridbo.trial import Outcome, Proposal, Trial

# The language model ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChatRequest:
    """A question to a language model.

    Attributes:
        purpose: What the answer is for: ``"seeds"``.
        task: The user's description of the task, as given.
        space: The space as plain data, as in ``Space.to_dict()``.
        system: The system message.
        user: The user message.
        schema: JSON schema of the answer; None for free text.
        temperature: Sampling temperature; None leaves it to the server.
        max_tokens: Longest reply.
        timeout_s: Deadline of one attempt, in seconds.
        retries: Further attempts after a time-out or a fault of the server.
    """

    purpose: str
    task: str
    space: Mapping[str, Any] = field(hash=False)
    system: str
    user: str
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    temperature: float | None = 0.0
    max_tokens: int = 4096
    timeout_s: float = 60.0
    retries: int = 1

    @property
    def content_hash(self) -> str:
        """Hash of everything that can change the answer: the key under which a study reuses a reply."""
        content = asdict(self)
        return _digest({key: content[key] for key in content if key not in ("timeout_s", "retries")})

    @property
    def topic_hash(self) -> str:
        """Hash of purpose, task and space alone: the key of a recording, which no rewording of a prompt orphans."""
        return topic_hash(self.purpose, self.task, self.space)


@dataclass(frozen=True)
class ChatReply:
    """A language model's answer.

    Attributes:
        text: The answer, as it came.
        model: The model that the server says it used.
        prompt_tokens: As the server reported; None if it did not.
        completion_tokens: As the server reported; None if it did not.
        cost: In the currency of the user's price list; None if unknown.
        latency_s: Seconds from asking to answer, attempts included.
        note: What was unusual on the way (a schema refused, a retry); empty if nothing.
        recorded: Whether it was replayed from a recording and no model was asked.
    """

    text: str
    model: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    latency_s: float = 0.0
    note: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class ChatFailure:
    """Why there is no answer.

    Attributes:
        error: Name of the error class, for example ``"BackendTimeout"``.
        message: What happened, in words, without any key.
        advice: ``"retry"``, ``"give up"`` or ``"fall back"``, from the error class.
        model: The model that was asked; empty if none was.
        latency_s: Seconds spent.
    """

    error: str
    message: str
    advice: Advice = "fall back"
    model: str = ""
    latency_s: float = 0.0


@runtime_checkable
class ChatBackend(Protocol):
    """A language model: text in, text out, knowing nothing of optimisation."""

    @property
    def name(self) -> str:
        """A specification such as ``"openai:MODEL"``; goes into the store, so it holds no secret."""
        ...

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer a request.

        Raises:
            BackendError: Of the class that says whether to retry, fall back or give up.
        """
        ...


# The store -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyRecord:
    """A study as stored.

    Attributes:
        name: Unique within the store.
        space: ``Space.to_json()``.
        objective: ``Objective.to_json()``.
        task: The user's description; empty if none.
        llm: The specification of the backend, ``"none"`` for none.
        seed: Seed of every proposal.
        settings: ``Settings.model_dump_json()``.
        created_at: UTC; None until it is stored.
    """

    name: str
    space: str
    objective: str
    task: str = ""
    llm: str = "none"
    seed: int = 0
    settings: str = "{}"
    created_at: datetime | None = None


@dataclass(frozen=True)
class LLMCall:
    """One request to a language model and what came of it: a reply or a failure.

    Attributes:
        request: What was asked.
        result: The reply, or why there is none.
        trial_number: The trial that was about to be proposed.
        at: When the request was sent, UTC.
    """

    request: ChatRequest
    result: ChatReply | ChatFailure
    trial_number: int
    at: datetime


@dataclass(frozen=True)
class Event:
    """Something worth telling that befell a study: a fall-back, a trial offered again, a changed setting.

    Attributes:
        kind: A short name, for example ``"llm_failed"`` or ``"trial_offered_again"``.
        message: One sentence.
        trial_number: The trial concerned; None for the study as a whole.
        at: UTC; None until it is stored.
    """

    kind: str
    message: str
    trial_number: int | None = None
    at: datetime | None = None


@runtime_checkable
class TrialStore(Protocol):
    """Keeps studies. Every method is atomic, and visible to every process that shares the store once it returns.

    Every method that takes ``study``, a name, raises StudyNotFound for an unknown one, and StoreError (or one of its
    kinds) when the store cannot be read or written.
    """

    @property
    def location(self) -> str:
        """Where it is, for messages: a path, or ``":memory:"``."""
        ...

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """Store a study and return it as stored; an existing one of that name is returned unchanged."""
        ...

    def get_study(self, study: str) -> StudyRecord:
        """The study of that name."""
        ...

    def list_studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        ...

    def create_trial(self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int) -> Trial | None:
        """Store a proposal as the next RUNNING trial.

        Args:
            study: The study.
            proposal: What is to be evaluated. One of source ``"user"`` takes the oldest queued entry of that key.
            key: ``Space.key`` of its params: equal keys are the same configuration.
            owner: The process that will evaluate it.
            seen: How many trials the history had from which it was proposed.

        Returns:
            The trial with its number; None, and nothing is changed, if somebody else was faster: a trial of the same
            key was created since (its number is ``seen`` or more), or the queued entry is gone. Propose again then.
        """
        ...

    def take_over(self, study: str, number: int, *, owner: str, previous: str | None) -> Trial | None:
        """Hand a RUNNING trial to another owner; None if ``previous`` no longer holds it."""
        ...

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """Store how a RUNNING trial ended.

        The same outcome told again changes nothing and returns the trial as stored.

        Raises:
            TrialNotFound: No trial of that number.
            TellConflict: It ended before, and otherwise; nothing is changed.
        """
        ...

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """Append finished trials of elsewhere, all of them or none: numbered anew, else as they are.

        Args:
            study: The study.
            trials: Finished, with their values, origins and times; numbers and owners do not count.
            keys: ``Space.key`` of each one's params. The same configuration may come more than once.

        Raises:
            InvalidValue: One of them has not ended, or its values do not fit its state.
        """
        ...

    def get_trials(self, study: str) -> list[Trial]:
        """All trials, by number."""
        ...

    def enqueue(self, study: str, params: Params, *, key: str) -> bool:
        """Queue a configuration; False, and nothing is changed, if its key is queued or was a trial already."""
        ...

    def get_queue(self, study: str) -> list[Params]:
        """The queued configurations, oldest first."""
        ...

    def record_call(self, study: str, call: LLMCall) -> None:
        """Store a call to a language model."""
        ...

    def get_calls(self, study: str) -> list[LLMCall]:
        """All calls to a language model, oldest first."""
        ...

    def record_event(self, study: str, event: Event) -> None:
        """Store an event."""
        ...

    def get_events(self, study: str) -> Sequence[Event]:
        """All events, oldest first."""
        ...

    def close(self) -> None:
        """Release files and locks; closing twice is harmless."""
        ...


def topic_hash(purpose: str, task: str, space: Mapping[str, Any]) -> str:
    """Hash of a task and its space; white space in the task and the order of parameters do not count."""
    return _digest({"purpose": purpose, "task": " ".join(task.split()), "space": space})


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
