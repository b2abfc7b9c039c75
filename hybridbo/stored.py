"""What a trial store keeps of a study besides its trials, and tells of them: values that cross the border."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from hybridbo.chat import ChatFailure, ChatReply, ChatRequest
from hybridbo.parameters import Params
from hybridbo.trial import Trial

UNSETTLED = "CallUnsettled"
"""The error of a call that is stored before it is made, so that a process killed meanwhile leaves it behind."""


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
        number: Under which a store keeps it; None until it is stored.
    """

    request: ChatRequest
    result: ChatReply | ChatFailure
    trial_number: int
    at: datetime
    number: int | None = field(default=None, compare=False)

    @property
    def is_unsettled(self) -> bool:
        """Whether it was stored before its outcome was known, and nothing has been heard of it since."""
        return isinstance(self.result, ChatFailure) and self.result.error == UNSETTLED


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


@dataclass(frozen=True)
class Alteration:
    """A change of the space of a study.

    Attributes:
        old_space: ``Space.to_json()`` before it.
        new_space: ``Space.to_json()`` since.
        trial_number: The first trial that could be proposed in the new space.
        at: When it was made, UTC.
    """

    old_space: str
    new_space: str
    trial_number: int
    at: datetime


# from the params that something was proposed with to those it has in another space, and their key
Completer: TypeAlias = Callable[[Params], tuple[Params, str]]


@dataclass(frozen=True)
class Changes:
    """What has changed among the trials of a study since a count of changes.

    Attributes:
        counter: The count up to which this tells; ask from here next time.
        trials: The trials created or changed since, each once, as they are now, in no certain order.
        is_complete: These are all trials there are, whatever was known before.
        keys: The keys under which they were stored, by number, as far as the store tells them and knows that parameters
            and key are as they were written; it saves others making them.
    """

    counter: int
    trials: Sequence[Trial]
    is_complete: bool = False
    keys: Mapping[int, str] = field(default_factory=dict, compare=False)


def reply_to(calls: Iterable[LLMCall], request: ChatRequest) -> ChatReply | None:
    """The first stored reply to the same question: purpose, task and space, however it was worded; None without one."""
    topic = request.topic_hash
    same = (call.result for call in calls if call.request.topic_hash == topic)
    return next((result for result in same if isinstance(result, ChatReply)), None)
