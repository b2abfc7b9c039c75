"""Another space for a study that has trials: what may change, and what the trials so far mean in the new space.

The rule is that every trial so far stays a configuration of the study, evaluated as it was. A range may be widened (and
narrowed where no trial has been), choices may be added, and a parameter may be added with a default: the value that the
trials so far were evaluated with, since whoever evaluated them knew nothing of it. What they are stored with is never
changed; the engine is given them completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hybridbo.errors import InvalidParams, InvalidSpace, StudyMismatch
from hybridbo.parameters import Categorical, Choice, Parameter, Params, same_choice
from hybridbo.ports import Alteration, Event, TrialStore
from hybridbo.space import Space
from hybridbo.space_checks import parents_first
from hybridbo.trial import Trial

_NEW_STUDY = "Keep it as it was, or start a new study with this space."


@dataclass(frozen=True)
class Completion:
    """Completes what was proposed before a parameter was added.

    Attributes:
        space: The space of the study.
        added: The value that stands for each parameter that was added, where there is none.
    """

    space: Space
    added: Mapping[str, Choice]

    @classmethod
    def of(cls, space: Space, history: Iterable[tuple[Space, Space]]) -> Completion:
        """The completion for a study of ``space``, whose spaces were (old, new) in turn."""
        added: dict[str, Choice] = {}
        for old, new in history:
            for name, parameter in new.items():
                if name not in old:
                    added.setdefault(name, _default(parameter)[0])
        return cls(space, added)

    def trials(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """The trials, each with a value for every parameter that is active in it."""
        return [self.trial(trial) for trial in trials] if self.added else trials

    def trial(self, trial: Trial) -> Trial:
        """One of them."""
        if all(name in trial.params for name in self.added):
            return trial
        return replace(trial, params=self.params(trial.params))

    def params(self, params: Params) -> Params:
        """A configuration with a value for each added parameter that is active in it."""
        out = dict(params)
        for name in parents_first(self.space):
            if name in self.added and name not in out and self.space.is_active(name, out):
                out[name] = self.added[name]
        return {name: out[name] for name in self.space if name in out}

    def checked(self, params: Params) -> tuple[Params, str]:
        """The completed configuration and its key.

        Raises:
            InvalidSpace: It is none of the space; the message names the parameter.
        """
        out = self.params(params)
        try:
            declared = self.space.validate(out)
        except InvalidParams as error:
            raise InvalidSpace(f"the configuration {params!r} would not belong to it: {error.message}") from error
        if dropped := [name for name in params if name not in declared]:
            why = f"parameter {dropped[0]!r} would be inactive in {params!r}, which was evaluated with it"
            raise InvalidSpace(f"{why}.")
        return out, self.space.key(out)


def spaces_of(alterations: Iterable[Alteration]) -> list[tuple[Space, Space]]:
    """The old and the new space of each."""
    return [(Space.from_json(made.old_space), Space.from_json(made.new_space)) for made in alterations]


def alter(store: TrialStore, study: str, old: Space, new: Space) -> bool:
    """Give a study another space.

    Args:
        store: Where the study is.
        study: Its name.
        old: The space that the caller knows it by.
        new: The space that it shall have.

    Returns:
        False if it has that space already; the order of parameters does not count.

    Raises:
        InvalidSpace: A trial so far, or a queued configuration, would not belong to it; naming the parameter.
        StudyMismatch: Another process has altered the space.
    """
    stored = store.get_study(study).space
    check_unaltered(stored, old, study)
    changes = old.differences(new)
    if not changes:
        return False
    if problems := list(_problems(old, new)):
        raise InvalidSpace(f"the space of study {study!r} cannot be altered so: {'; '.join(problems)}.", _NEW_STUDY)
    completion = Completion.of(new, [*spaces_of(store.get_alterations(study)), (old, new)])
    try:
        with store.transaction():
            made = store.alter_study(study, new.to_json(), previous=stored, complete=completion.checked)
            message = f"The space was altered from trial {made.trial_number} on: {'; '.join(changes)}."
            store.record_event(study, Event("space_altered", message))
    except InvalidSpace as error:
        message = f"the space of study {study!r} cannot be altered so: {error.message}"
        raise InvalidSpace(message, "Widen it to hold every configuration so far, or start a new study.") from error
    return True


def check_unaltered(stored: str, known: Space, study: str) -> None:
    """See that a study still has the space that it is known by.

    Raises:
        StudyMismatch: Naming what has changed.
    """
    if changes := known.differences(Space.from_json(stored)):
        raise StudyMismatch(
            f"the space of study {study!r} has been altered by another process: {'; '.join(changes)}.",
            "What was asked for can still be told; to ask on, open the study again: Optimizer.load(store, study).",
        )


def _problems(old: Space, new: Space) -> Iterator[str]:
    """What no study could change, whatever its trials are."""
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            yield f"parameter {name!r} is missing, and the trials so far have it"
        elif now.kind != was.kind:
            yield f"parameter {name!r} was {was.kind}, now {now.kind}"
        elif isinstance(was, Categorical) and isinstance(now, Categorical) and not _keeps_order(was, now):
            yield f"parameter {name!r} is ordered, and its choices {list(now.choices)!r} are in another order"
    for name, now in new.items():
        if name not in old and not _default(now):
            yield f"parameter {name!r} is new and has no default: give the value that the trials so far were made with"


def _default(parameter: Parameter) -> tuple[Choice, ...]:
    """The declared default, alone in a tuple; of choices that begin with None it is None. Empty if there is none."""
    if parameter.default is not None:
        return (parameter.declared(parameter.default),)
    return (None,) if isinstance(parameter, Categorical) and parameter.choices[0] is None else ()


def _keeps_order(was: Categorical, now: Categorical) -> bool:
    """Whether the choices that remain of an ordered parameter stand in the order they had."""
    if not (was.ordered or now.ordered):
        return True
    places = [_place(choice, now) for choice in was.choices]
    known = [place for place in places if place is not None]
    return known == sorted(known)


def _place(choice: Choice, parameter: Categorical) -> int | None:
    return next((i for i, other in enumerate(parameter.choices) if same_choice(choice, other)), None)
