"""What can be sampled together: the search space as given, or as the trials of a define-by-run study show it.

What is in every trial, or missing for a reason that the trials give away, is one space (see
:mod:`hybridbo.integrations.optuna_conditions`). What comes and goes without a visible reason is parted into groups that
occur together, each searched from the trials that have all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from hybridbo.errors import InvalidSpace
from hybridbo.integrations.optuna_conditions import infer
from hybridbo.integrations.optuna_space import Column, Columns, column_of, inside, is_compatible, space_of
from hybridbo.parameters import Condition

_SETTLED = 3  # trials in a row with the same range: it is the range now
_RECENT = 10  # finished trials; a group that none of them has is not sampled


@dataclass(frozen=True)
class Plan:
    """What is sampled together.

    Attributes:
        columns: The parameters of the main space.
        conditions: Those that the trials show, in addition to the columns' own.
        groups: Further spaces, each apart.
    """

    columns: Columns
    conditions: dict[str, Condition] = field(default_factory=dict)
    groups: tuple[Columns, ...] = ()

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of every parameter."""
        parts = [self.columns, *self.groups]
        return {name: column.distribution for part in parts for name, column in part.items()}

    def without(self, names: set[str]) -> Plan:
        """The plan without some parameters: what depends on one of them is then always active."""

        def kept(columns: Columns) -> Columns:
            return {n: _freed(column, names) for n, column in columns.items() if n not in names}

        conditions = {n: when for n, when in self.conditions.items() if n not in names and not names & when.keys()}
        groups = [kept(group) for group in self.groups]
        return Plan(kept(self.columns), conditions, tuple(group for group in groups if group))

    def also(self, distributions: Mapping[str, BaseDistribution]) -> Plan:
        """The plan with what it lacks of some distributions."""
        known = self.distributions
        found = {name: column_of(name, given) for name, given in distributions.items() if name not in known}
        return replace(self, columns=self.columns | {name: column for name, column in found.items() if column})


def plan_of(trials: Sequence[FrozenTrial], given: Columns | None = None, *, looks_back: bool = False) -> Plan:
    """The plan for the next trial.

    Args:
        trials: All trials of the study.
        given: What the user gave as ``search_space=``; the trials may hold more.
        looks_back: The past counts, not what comes next: ranges hold every value that was tried.
    """
    finished = [trial for trial in trials if trial.state in (State.COMPLETE, State.PRUNED) and trial.params]
    # a failed trial may have ended before it suggested everything: it is heard only while there is no other
    finished = finished or [trial for trial in trials if trial.state is State.FAIL and trial.params]
    columns = (given or {}) | {
        name: column for name, column in _columns(finished, looks_back=looks_back).items() if name not in (given or {})
    }
    if not given and not columns:
        return Plan({})
    rows = [inside(columns, trial.params) for trial in finished]
    conditions, loose = infer(rows, {name: column.parameter for name, column in columns.items()})
    conditions = {name: when for name, when in conditions.items() if name not in (given or {})}
    loose = [name for name in loose if name not in (given or {})]
    conditions, orphans = _rooted(conditions, loose)
    return _checked(Plan(columns, conditions), [*loose, *orphans], finished)


def _checked(plan: Plan, loose: Sequence[str], finished: Sequence[FrozenTrial]) -> Plan:
    """The plan with what is loose parted into groups; with all that has a found condition, if these clash."""
    main = {name: column for name, column in plan.columns.items() if name not in loose}
    try:
        if main:
            space_of(main, plan.conditions)
    except InvalidSpace:
        return _checked(Plan(plan.columns), [*loose, *plan.conditions], finished)
    return Plan(main, plan.conditions, _groups({name: plan.columns[name] for name in loose}, finished))


def _rooted(conditions: dict[str, Condition], loose: Sequence[str]) -> tuple[dict[str, Condition], list[str]]:
    """The conditions on parents that are in the main space, and the names of those whose parents are not."""
    out, orphans = dict(conditions), list(loose)
    while lost := [name for name, when in out.items() if any(parent in orphans for parent in when)]:
        orphans += lost
        out = {name: when for name, when in out.items() if name not in lost}
    return out, orphans[len(loose) :]


def _columns(finished: Sequence[FrozenTrial], *, looks_back: bool) -> Columns:
    """A column for each parameter that trials have had, in the order in which they were first suggested."""
    seen: dict[str, list[BaseDistribution]] = {}
    for trial in finished:
        for name in trial.params:
            seen.setdefault(name, []).append(trial.distributions[name])
    columns = {
        name: column_of(name, _current(distributions, looks_back=looks_back)) for name, distributions in seen.items()
    }
    return {name: column for name, column in columns.items() if column}


def _current(distributions: Sequence[BaseDistribution], *, looks_back: bool) -> BaseDistribution:
    """The distribution to expect: the latest if it has settled, else the range of all that are like it."""
    latest = distributions[-1]
    alike = [other for other in distributions if is_compatible(other, latest)]
    recent = alike if looks_back else alike[-_SETTLED:]
    if isinstance(latest, CategoricalDistribution) or all(other == latest for other in recent):
        return latest
    if isinstance(latest, (FloatDistribution, IntDistribution)):
        low, high = min(d.low for d in alike), max(d.high for d in alike)  # type: ignore[attr-defined]  # all alike
        if isinstance(latest, IntDistribution):
            return IntDistribution(low, high, log=latest.log)
        return FloatDistribution(low, high, log=latest.log)
    return latest


def _groups(columns: Columns, finished: Sequence[FrozenTrial]) -> tuple[Columns, ...]:
    """Parameters that the same trials have, together; without those that no recent trial has."""
    recent = {name for trial in finished[-_RECENT:] for name in trial.params}
    parts: dict[tuple[int, ...], dict[str, Column]] = {}
    for name, column in columns.items():
        if name in recent:
            having = tuple(trial.number for trial in finished if name in trial.params)
            parts.setdefault(having, {})[name] = column
    return tuple(parts.values())


def _freed(column: Column, names: set[str]) -> Column:
    when = column.parameter.when
    if not when or not names & when.keys():
        return column
    rest = {parent: values for parent, values in when.items() if parent not in names}
    return replace(column, parameter=replace(column.parameter, when=rest or None))
