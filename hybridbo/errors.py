"""Every error hybridbo raises, in one tree.

::

    HybridboError
    ├── UserError                a call or an input is wrong: correct it            give up
    │   ├── InvalidSpace         a space that cannot be searched
    │   ├── InvalidParams        a configuration outside its space
    │   ├── InvalidValue         a value that cannot be told (NaN, text, a missing objective)
    │   ├── InvalidData          a data set that cannot be described
    │   ├── InvalidSettings      an unknown setting, or one out of range
    │   ├── InvalidState         a call that the state of the trial or study forbids
    │   ├── StudyMismatch        an existing study with another space or direction
    │   ├── StudyNotFound        no study of that name in the store
    │   ├── TrialNotFound        no trial of that number in the study
    │   ├── TellConflict         a finished trial told something else
    │   ├── UnknownBackend       an ``llm=`` that names no backend
    │   └── MissingDependency    an optional package is not installed
    ├── SpaceExhausted           every configuration has been proposed              give up
    ├── StoreError               the trial store cannot be read or written          give up
    │   ├── StoreBusy            another process held the store too long            retry
    │   ├── StoreCorrupt         the file is damaged, or no hybridbo store
    │   └── StoreTooNew          written by a newer hybridbo
    ├── BackendError             the language model gave no usable reply            fall back
    │   ├── BackendTimeout       no reply before the deadline                       retry
    │   ├── BackendUnavailable   connection refused, 5xx, rate limit                retry
    │   ├── BackendRefused       401, 403, 404, quota: asking again will not help   give up
    │   └── BackendBadReply      HTML, no choices, a refusal, an empty text         fall back
    └── SurrogateError           the Gaussian process cannot be fitted              fall back

``advice`` says what a caller may do about it: ``"retry"`` the same call, ``"give up"`` until something is changed, or
``"fall back"`` to doing without. ``hint`` is the remedy, in one sentence; it is part of ``str(error)``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Advice = Literal["retry", "give up", "fall back"]


class HybridboError(Exception):
    """Base of all errors of this package.

    Args:
        message: What is wrong: the thing, its value and what is allowed.
        hint: The remedy, one sentence.
    """

    advice: ClassVar[Advice] = "give up"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)  # both in args, so that the error survives pickling between processes
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UserError(HybridboError, ValueError):
    """A call or an input is wrong; nothing was changed."""


class InvalidSpace(UserError):
    """A space that cannot be searched."""


class InvalidParams(UserError):
    """A configuration outside its space; names every offending parameter."""


class InvalidValue(UserError):
    """A value that cannot be told: not a number, not finite, or an objective missing."""


class InvalidData(UserError):
    """A data set that cannot be described: no table, or an empty one."""


class InvalidSettings(UserError):
    """An unknown setting, or one out of its range."""


class InvalidState(UserError):
    """A call that the state of the trial or the study forbids."""


class StudyMismatch(UserError):
    """An existing study was opened with another space, direction or constraint."""


class StudyNotFound(UserError):
    """The store holds no study of that name."""


class TrialNotFound(UserError):
    """The study holds no trial of that number."""


class TellConflict(UserError):
    """A finished trial was told something else; what was stored first stands."""


class UnknownBackend(UserError):
    """An ``llm=`` specification that names no known backend."""


class MissingDependency(UserError):
    """An optional package that this call needs is not installed."""


class SpaceExhausted(HybridboError):
    """Every configuration of a finite space has been proposed: the search is complete."""


class StoreError(HybridboError):
    """The trial store cannot be read or written.

    Attributes:
        kept: The file that keeps the finished result which could not be stored; None if there is none.
    """

    kept: str | None = None


class StoreBusy(StoreError):
    """Another process held the store for longer than the busy time-out."""

    advice: ClassVar[Advice] = "retry"


class StoreCorrupt(StoreError):
    """The file is damaged, or is no hybridbo store."""


class StoreTooNew(StoreError):
    """The store was written by a newer hybridbo with a schema unknown here."""


class BackendError(HybridboError):
    """The language model gave no usable reply; the search can go on without it.

    Attributes:
        prompt_tokens: What the server says that it read all the same, and charges for; None if it does not say.
        completion_tokens: What it says that it wrote.
        cost: What it says that this cost.
        model: The model that it says it used; empty if it does not say.
    """

    advice: ClassVar[Advice] = "fall back"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    model: str = ""


class BackendTimeout(BackendError):
    """No reply before the deadline."""

    advice: ClassVar[Advice] = "retry"


class BackendUnavailable(BackendError):
    """The server cannot be reached, is overloaded, or failed on its side."""

    advice: ClassVar[Advice] = "retry"


class BackendRefused(BackendError):
    """The provider refuses this key, model or request; asking again will not help."""

    advice: ClassVar[Advice] = "give up"


class BackendBadReply(BackendError):
    """The server answered, but not with a chat completion that holds text."""


class SurrogateError(HybridboError):
    """The Gaussian process cannot be fitted to these data."""

    advice: ClassVar[Advice] = "fall back"


def describe_error(error: BaseException) -> str:
    """Any exception in one line, as a trial's ``error``: its class and what it says, if it can say it."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # somebody else's __str__
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
