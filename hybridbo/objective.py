"""What is optimised: directions, constraints, and the rule that a value is finite or the trial failed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.parameters import is_number
from hybridbo.trial import Outcome, Trial, TrialState
from hybridbo.values import shown

Direction = Literal["minimize", "maximize"]
SINGLE = "value"  # the name of an objective that was given none

_DIRECTIONS = ("minimize", "maximize")
_CONSTRAINT = re.compile(r"\s*(<=|>=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound on an outcome: ``name <= bound``, or ``name >= bound``."""

    name: str
    sign: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        """The constraint of ``{"memory_gb": "<= 16"}``.

        Raises:
            InvalidSettings: ``text`` is neither ``<= number`` nor ``>= number``.
        """
        match = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
        try:
            bound = float(match[2]) if match else None
        except ValueError:
            bound = None
        if match is None or bound is None or not is_number(bound):
            raise InvalidSettings(f"constraint {name!r}: {text!r} is no bound.", 'Write "<= 16" or ">= 0.5".')
        return cls(name, cast(Literal["<=", ">="], match[1]), bound)

    def violation(self, value: float) -> float:
        """How far ``value`` is on the wrong side, in its own units; 0 or less when it holds."""
        return value - self.bound if self.sign == "<=" else self.bound - value


@dataclass(frozen=True)
class Objective:
    """The objectives, each with its direction, and the constraints of a study.

    Attributes:
        directions: ``(name, direction)`` pairs; one pair named ``"value"`` for ``direction=``.
        constraints: Bounds on further outcomes, told together with the objectives.
    """

    directions: tuple[tuple[str, Direction], ...] = ((SINGLE, "minimize"),)
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def of(
        cls,
        direction: str | None = None,
        objectives: Mapping[str, str] | None = None,
        constraints: Mapping[str, str] | None = None,
    ) -> Self:
        """The Objective of Optimizer's arguments.

        Raises:
            InvalidSettings: An unknown direction, both ``direction`` and ``objectives``, a name used twice.
        """
        if direction is not None and objectives is not None:
            raise InvalidSettings("direction and objectives are both given.", "Give one of them.")
        _check_names("objectives", objectives, '{"error": "minimize"}')
        _check_names("constraints", constraints, '{"memory_gb": "<= 16"}')
        pairs = {SINGLE: direction or "minimize"} if objectives is None else dict(objectives)
        if not pairs:
            raise InvalidSettings("objectives is empty.", 'Give, for example, {"error": "minimize"}.')
        for name, way in pairs.items():
            if way not in _DIRECTIONS:
                raise InvalidSettings(f"direction {way!r} of {name!r} is unknown.", 'Use "minimize" or "maximize".')
        bounds = tuple(Constraint.parse(name, text) for name, text in (constraints or {}).items())
        if twice := [bound.name for bound in bounds if bound.name in pairs]:
            raise InvalidSettings(f"{twice[0]!r} is both an objective and a constraint.", "Rename one of them.")
        return cls(tuple((name, cast(Direction, way)) for name, way in pairs.items()), bounds)

    @property
    def is_single(self) -> bool:
        """Whether there is one objective only."""
        return len(self.directions) == 1

    @property
    def names(self) -> tuple[str, ...]:
        """What a tell has to give, objectives first."""
        return tuple(name for name, _ in self.directions) + tuple(bound.name for bound in self.constraints)

    def outcome(self, told: Any) -> Outcome:
        """The COMPLETE outcome of what was told.

        Args:
            told: A number, or a dict with a number for each of :attr:`names`.

        Raises:
            InvalidValue: Naming the value that is missing, unknown or not a finite number.
        """
        if not isinstance(told, Mapping):
            if len(self.names) > 1:
                raise InvalidValue(f"{told!r} is one value.", f"Tell a dict with {', '.join(self.names)}.")
            told = {self.names[0]: told}
        if unknown := [name for name in told if name not in self.names]:
            raise InvalidValue(f"{unknown[0]!r} is no objective or constraint.", f"Known: {', '.join(self.names)}.")
        if missing := [name for name in self.names if name not in told]:
            raise InvalidValue(f"{missing[0]!r} is missing.", f"Tell a dict with {', '.join(self.names)}.")
        values = {name: finite(name, told[name]) for name in self.names}
        return Outcome(TrialState.COMPLETE, values, values[self.names[0]] if self.is_single else None)

    def losses(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The objectives of a trial, each turned so that smaller is better."""
        return tuple(values[name] if way == "minimize" else -values[name] for name, way in self.directions)

    def is_feasible(self, values: Mapping[str, float]) -> bool:
        """Whether the values keep every constraint."""
        return all(bound.violation(values[bound.name]) <= 0 for bound in self.constraints)

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """The best feasible COMPLETE trial, the earliest of equals; None if there is none, or several objectives."""
        front = self.pareto_front(trials) if self.is_single else []
        return front[0] if front else None

    def pareto_front(self, trials: Sequence[Trial]) -> list[Trial]:
        """The feasible COMPLETE trials that no other one beats in every objective, by number."""
        fit = [t for t in trials if t.state is TrialState.COMPLETE and self.is_feasible(t.values)]
        losses = {t.number: self.losses(t.values) for t in fit}

        def beaten(mine: tuple[float, ...]) -> bool:
            return any(
                other != mine and all(b <= a for a, b in zip(mine, other, strict=True)) for other in losses.values()
            )

        return sorted((t for t in fit if not beaten(losses[t.number])), key=lambda t: t.number)

    def to_json(self) -> str:
        """Canonical JSON text; :meth:`from_json` reads it back."""
        bounds = {bound.name: f"{bound.sign} {bound.bound!r}" for bound in self.constraints}
        return json.dumps({"objectives": dict(self.directions), "constraints": bounds}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The Objective that :meth:`to_json` wrote."""
        data = json.loads(text)
        return cls.of(objectives=data["objectives"], constraints=data["constraints"])

    def differences(self, other: Objective) -> list[str]:
        """What is not the same in ``other``, one sentence each."""
        rows = []
        if self.directions != other.directions:
            rows.append(f"the objectives were {_words(self)}, now {_words(other)}")
        if self.constraints != other.constraints:
            rows.append("the constraints have changed")
        return rows


def finite(name: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        InvalidValue: Not a number, or not finite; such a trial has failed.
    """
    try:
        scalar = value.item() if hasattr(value, "item") else value  # of an array or tensor with one element
    except Exception:  # noqa: BLE001  # numpy, torch and pandas each raise their own for more than one
        scalar = value
    if not is_number(scalar):
        raise InvalidValue(f"{name}={shown(value)} is not a finite number.", "Call opt.fail(trial, reason) instead.")
    return float(scalar)


def _check_names(argument: str, given: Any, example: str) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name.strip() for name in given):
        raise InvalidSettings(f"{argument}={shown(given)} is no dict by name.", f"Give, for example, {example}.")


def _words(objective: Objective) -> str:
    return ", ".join(f"{way} {name}" for name, way in objective.directions)
