"""A space from words: :func:`propose_space` asks a language model which parameters are worth searching, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from hybridbo.attempts import ask_for_space
from hybridbo.backends import get_backend
from hybridbo.belief import Rejection
from hybridbo.dataset import DatasetFacts, in_task
from hybridbo.errors import InvalidSettings, InvalidSpace, UnknownBackend, describe_error
from hybridbo.llm.prompts import cut_note
from hybridbo.llm.space_reply import SpaceAdvice
from hybridbo.llm.withhold import failure_without_text, numbers_of, without_text
from hybridbo.parameters import Parameter
from hybridbo.ports import ChatBackend, ChatFailure, ChatReply, LLMCall
from hybridbo.settings import Settings
from hybridbo.space import Space, SpaceLike
from hybridbo.values import shown

if TYPE_CHECKING:
    from hybridbo.optimizer import Optimizer

_MOST = 50
_EDITED = "Set by the user."


@dataclass(frozen=True)
class SpaceProposal(Mapping[str, Parameter]):
    """A space that a language model proposes: look at it (``print``), change it, search it (``Optimizer(proposal)``).

    It is taken wherever a dict of parameters is. An Optimizer takes direction and task from it too, unless they are
    given, and keeps in its study what was asked and answered.

    Attributes:
        space: The space, every parameter of it valid.
        task: What was asked, facts about the data included.
        reasons: Why each parameter has its range, one sentence; empty where the model gave none.
        direction: ``"minimize"`` or ``"maximize"``; None if neither the task nor the model says.
        metric: What is measured, in the model's words; empty if unknown.
        rationale: The model's reasons for the whole.
        model: Which model proposed it.
        repairs: What of its reply was mended, one sentence each.
        rejections: What of its reply was not used, and why.
        calls: The requests and what came of each, the last of which the space is from; empty after :meth:`from_json`.
    """

    space: Space
    task: str
    reasons: Mapping[str, str] = field(default_factory=dict, hash=False)
    direction: str | None = None
    metric: str = ""
    rationale: str = ""
    model: str = ""
    repairs: tuple[str, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    calls: tuple[LLMCall, ...] = field(default=(), hash=False, compare=False, repr=False)

    def __getitem__(self, name: str) -> Parameter:
        return self.space[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.space)

    def __len__(self) -> int:
        return len(self.space)

    def edited(self, changes: Mapping[str, Parameter | None]) -> Self:
        """The same with other parameters.

        Args:
            changes: ``{name: Float | Int | Categorical}`` for a parameter changed or added, None for one left out.

        Raises:
            InvalidSpace: The result cannot be searched, or a parameter that is to be left out is not there.
        """
        if unknown := [name for name, parameter in changes.items() if parameter is None and name not in self.space]:
            raise InvalidSpace(f"{shown(unknown[0])} is no parameter of the space.", f"Known: {', '.join(self.space)}.")
        merged: dict[str, Parameter | None] = {**self.space, **changes}
        kept = {name: parameter for name, parameter in merged.items() if parameter is not None}
        reasons = {name: _EDITED if name in changes else self.reasons.get(name, "") for name in kept}
        return replace(self, space=Space(kept), reasons=reasons)

    def optimizer(self, **options: Any) -> Optimizer:
        """``Optimizer(proposal, **options)``.

        Args:
            options: As for :class:`hybridbo.Optimizer`.

        Raises:
            UserError: As the Optimizer does.
            StoreError: As the Optimizer does.
        """
        from hybridbo.optimizer import Optimizer

        return Optimizer(self, **options)

    @property
    def summary(self) -> str:
        """Who proposed what, in one sentence."""
        edited = [name for name, reason in self.reasons.items() if reason == _EDITED]
        by_user = f"; set by the user: {', '.join(edited)}" if edited else ""
        counts = f"{len(self.repairs)} parts of its reply repaired, {len(self.rejections)} rejected"
        return f"{len(self.space)} parameters proposed by {self.model or 'a language model'}, {counts}{by_user}."

    def to_json(self) -> str:
        """Everything but the calls, as JSON; ``"space"`` in it is what ``Space.from_json`` reads."""
        data = {
            "space": self.space.to_dict(),
            "reasons": dict(self.reasons),
            "direction": self.direction,
            "metric": self.metric,
            "rationale": self.rationale,
            "task": self.task,
            "model": self.model,
            "repairs": list(self.repairs),
            "rejections": [[part.part, part.why] for part in self.rejections],
        }
        return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The proposal that :meth:`to_json` wrote, perhaps edited since.

        Raises:
            InvalidSpace: It is no such text, or its space cannot be searched.
        """
        try:
            data = json.loads(text)
            space, rows = Space.from_json(data.pop("space")), data.pop("rejections", [])
            lists: dict[str, Any] = {"repairs": tuple(data.pop("repairs", []))}
            return cls(space=space, rejections=tuple(Rejection(*row) for row in rows), **lists, **data)
        except InvalidSpace:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            why = describe_error(error)
            raise InvalidSpace(f"no proposal of a space: {why}.", "Give what to_json() wrote.") from None

    def __str__(self) -> str:
        rows = [("parameter", "range", "default", "only if", "why"), *map(self._row, self.space)]
        widths = [min(44, max(len(row[i]) for row in rows)) for i in range(4)]
        lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]) for row in rows]
        told = [f"{self.direction or 'optimize'} {self.metric}".strip() * bool(self.direction or self.metric)]
        told += [f"repaired: {repair}" for repair in self.repairs]
        told += [f"rejected: {part.part}: {part.why}" for part in self.rejections]
        return "\n".join(line.rstrip() for line in [*lines, self.rationale, *told] if line)

    def _row(self, name: str) -> tuple[str, str, str, str, str]:
        parameter = self.space[name]
        default = "" if parameter.default is None else str(parameter.default)
        when = " and ".join(f"{p} is {' or '.join(map(str, v))}" for p, v in (parameter.when or {}).items())
        return name, parameter.describe(), default, when, self.reasons.get(name, "")


def told(
    space: SpaceLike, direction: str | None, objectives: Mapping[str, str] | None, task: str
) -> tuple[str | None, str]:
    """Direction and task as an Optimizer was given them, else as its space proposes."""
    if not isinstance(space, SpaceProposal):
        return direction, task
    return direction or (None if objectives else space.direction), task or space.task


def keep(space: SpaceLike, opt: Optimizer) -> None:
    """Keep in a study what was asked and answered about its space, once, if it is a proposal."""
    if not isinstance(space, SpaceProposal):
        return
    with opt.store.transaction():
        known = {(call.request.topic_hash, call.at) for call in opt.store.get_calls(opt.study)}
        for call in space.calls:
            if (call.request.topic_hash, call.at) not in known:
                kept = call if opt.settings.llm.store_text else _without_text(call, space.space)
                opt.store.record_call(opt.study, kept)
                if isinstance(kept.result, ChatFailure):
                    opt.note("llm_failed", f"{kept.result.error}: {kept.result.message}")
        if all(event.kind != "space_proposed" for event in opt.events):
            opt.note("space_proposed", space.summary)


def propose_space(
    task: str,
    llm: str | ChatBackend | None = "auto",
    *,
    data: DatasetFacts | None = None,
    most: int = 12,
    settings: Settings | dict[str, Any] | None = None,
) -> SpaceProposal:
    """Ask a language model for the space that is worth searching.

    What of the reply is invalid is repaired, and counted, or rejected with a reason. If nothing is left, the model is
    asked once more and told why; after an answer that could not be read at all, it is asked the same once more. A
    recording (``llm="replay:FILE"``) is played without any network.

    Args:
        task: Model, data and metric in words.
        llm: As for :class:`hybridbo.Optimizer`; there has to be one.
        data: Facts about the data, from :func:`hybridbo.describe`.
        most: How many parameters at most, 1 to 50.
        settings: Of these, ``llm`` counts.

    Returns:
        The proposal. ``Optimizer(proposal, store="search.db")`` searches it, and keeps request and reply in the study.

    Raises:
        InvalidSettings: An empty task, or ``most`` out of range.
        UnknownBackend: ``llm`` names no model.
        BackendError: The model gave no reply, of the class that says why. BackendBadReply, if it was asked twice and
            its last reply holds no parameter that can be searched. After two attempts the message tells of both.
    """
    if not isinstance(task, str) or not task.strip():
        raise InvalidSettings(f"task={shown(task)} describes nothing.", "Name model, data and metric in a sentence.")
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST:
        raise InvalidSettings(f"most={shown(most)} is no integer from 1 to {_MOST}.", "Give such a number.")
    backend = get_backend(llm)
    if backend is None:
        raise UnknownBackend(
            f"llm={shown(llm)}: a space from words needs a language model.",
            'Set OPENAI_API_KEY or OPENAI_BASE_URL, give llm="openai:MODEL", or write the space yourself.',
        )
    whole, asked = in_task(task, data), Settings.of(settings).llm
    attempts = ask_for_space(backend, whole, asked, most)
    return _proposal(attempts[-1].advice, whole, [attempt.call for attempt in attempts])


def _proposal(advice: SpaceAdvice, task: str, calls: list[LLMCall]) -> SpaceProposal:
    assert advice.space is not None  # noqa: S101  # for mypy: the last attempt has one
    return SpaceProposal(
        space=advice.space,
        task=task,
        reasons=advice.reasons,
        direction=advice.direction,
        metric=advice.metric,
        rationale=advice.rationale,
        model=calls[-1].result.model,
        repairs=advice.repairs,
        rejections=advice.rejections + tuple(Rejection("task", note) for note in [cut_note(task)] if note),
        calls=tuple(calls),
    )


def _without_text(call: LLMCall, space: Space) -> LLMCall:
    result = numbers_of(call.result, space) if isinstance(call.result, ChatReply) else failure_without_text(call.result)
    return replace(call, request=without_text(call.request), result=result)
