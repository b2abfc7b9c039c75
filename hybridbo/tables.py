"""Studies as text: plain data for JSON, CSV, and tables for a person. Pure, but for what is printed on a console."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from hybridbo.attribution import Attribution
from hybridbo.findings import Finding
from hybridbo.objective import Objective
from hybridbo.parameters import Choice
from hybridbo.parts import objective_of
from hybridbo.ports import Event, StudyRecord
from hybridbo.progress import Usage, is_terminal, number, one_line, outcome_text
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.trial import Trial, TrialState

if TYPE_CHECKING:
    from rich.console import Console


class FullUsage(Usage, Protocol):
    """All that is counted of a language model."""

    @property
    def failures(self) -> int:
        """Requests and replays without a reply."""
        ...

    @property
    def rejected(self) -> int:
        """Parts of replies that were not used."""
        ...

    @property
    def repaired(self) -> int:
        """Parts of replies that were mended."""
        ...

    @property
    def lost(self) -> int:
        """Calls whose outcome nobody knows."""
        ...

    @property
    def limits(self) -> Mapping[str, tuple[float, float | None]]:
        """What there is a limit of, the limit, and what is left of it; None where that is not known."""
        ...


class Facts(Protocol):
    """What a store says of a study, and nothing that is worked out from it."""

    study: str
    task: str
    space: Space
    objective: Objective
    seed: int
    settings: Settings

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        ...

    @property
    def events(self) -> Sequence[Event]:
        """All events, oldest first."""
        ...


class Study(Facts, Protocol):
    """What is told of a study; an Optimizer has it all."""

    @property
    def training_findings(self) -> Mapping[int, Sequence[Finding]]:
        """What the training logs show, by number of the trial."""
        ...

    @property
    def llm_usage(self) -> FullUsage:
        """What the language model was asked."""
        ...

    def attribution(self) -> Attribution:
        """What each source has brought."""
        ...


# Plain data ------------------------------------------------------------------------------------------------------


def trial_data(trial: Trial) -> dict[str, Any]:
    """A trial as JSON data."""
    return {**_facts(trial), "params": dict(trial.params), "value": trial.value, "values": dict(trial.values)}


def event_data(event: Event) -> dict[str, Any]:
    """An event as JSON data."""
    at = event.at.isoformat() if event.at else None
    return {"at": at, "kind": event.kind, "trial": event.trial_number, "message": event.message}


def finding_data(finding: Finding) -> dict[str, Any]:
    """A finding of a training log as JSON data."""
    parts = {name: getattr(finding, name) for name in ("kind", "metric", "step", "evidence")}
    return {**parts, "figures": dict(finding.figures)}


def usage_data(usage: FullUsage) -> dict[str, Any]:
    """What the language model was asked and what it cost, as JSON data."""
    names = ("calls", "failures", "replayed", "prompt_tokens", "completion_tokens", "cost", "rejected", "repaired")
    limits = {name: {"limit": most, "left": left} for name, (most, left) in usage.limits.items()}
    return {name: getattr(usage, name) for name in (*names, "lost")} | {"limits": limits}


def study_data(study: Study, llm: str) -> dict[str, Any]:
    """A whole study as JSON data; ``llm`` is the specification of its language model."""
    found = study.training_findings
    return facts_data(study, llm) | {
        "training_findings": {str(n): [finding_data(finding) for finding in found[n]] for n in found},
        "llm_usage": usage_data(study.llm_usage),
        "attribution": study.attribution().to_dict(),
    }


def facts_data(study: Facts, llm: str) -> dict[str, Any]:
    """What is stored of a study as JSON data, without what is worked out from it."""
    return {
        "study": study.study,
        "task": study.task,
        "space": study.space.to_dict(),
        "objective": json.loads(study.objective.to_json()),
        "seed": study.seed,
        "llm": llm,
        "settings": study.settings.model_dump(mode="json"),
        "trials": [trial_data(trial) for trial in study.trials],
        "events": [event_data(event) for event in study.events],
    }


STUDY_COLUMNS = ("study", "trials", "complete", "failed", "running", "best", "objective", "llm", "created")


def study_row(record: StudyRecord, trials: Sequence[Trial]) -> dict[str, Any]:
    """A study in one row, under :data:`STUDY_COLUMNS`."""
    objective = objective_of(record)
    best = objective.best(trials)
    states = [trial.state for trial in trials]
    facts = (
        record.name, len(trials), states.count(TrialState.COMPLETE), states.count(TrialState.FAILED),
        states.count(TrialState.RUNNING), best.value if best else None,
        ", ".join(f"{way} {name}" for name, way in objective.directions), record.llm,
        record.created_at.isoformat(timespec="seconds") if record.created_at else None,
    )  # fmt: skip
    return dict(zip(STUDY_COLUMNS, facts, strict=True))


def trials_csv(trials: Sequence[Trial], objective: Objective, parameters: Sequence[str]) -> str:
    """Trials as CSV: one row each, one column per fact, value and parameter.

    Args:
        trials: The rows.
        objective: Names the values. One that is also the name of a fact becomes ``values.NAME``.
        parameters: Names of the parameters. One that is also the name of another column becomes ``params.NAME``.

    Returns:
        The text. A cell is empty where there is nothing: an inactive parameter, a value of a failed trial.
    """
    facts = list(_FACTS)
    values = _columns(objective.names, "values", taken=facts)
    params = _columns(parameters, "params", taken=[*facts, *values])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*facts, *values, *params])
    for trial in trials:
        cells: list[Any] = list(_facts(trial).values())
        cells += [trial.values.get(name) for name in objective.names]
        cells += [_cell(trial.params, name) for name in parameters]
        writer.writerow(cells)
    return out.getvalue()


_FACTS = (
    "number", "state", "source", "reason", "predicted_mean", "predicted_sd", "error", "started_at", "finished_at",
    "duration_s",
)  # fmt: skip


def _facts(trial: Trial) -> dict[str, Any]:
    origin = trial.origin
    values = (
        trial.number, str(trial.state), origin.source, origin.reason, origin.predicted_mean, origin.predicted_sd,
        trial.error, trial.started_at.isoformat(), trial.finished_at.isoformat() if trial.finished_at else None,
        trial.duration_s,
    )  # fmt: skip
    return dict(zip(_FACTS, values, strict=True))


def _columns(names: Sequence[str], prefix: str, taken: Sequence[str]) -> list[str]:
    columns: list[str] = []
    for name in names:
        column = name
        while column in taken or column in columns or (column != name and column in names):
            column = f"{prefix}.{column}"
        columns.append(column)
    return columns


def _cell(params: Mapping[str, Choice], name: str) -> Choice:
    # csv writes None as nothing, which is how an inactive parameter looks
    return "None" if name in params and params[name] is None else params.get(name)


# For a person ----------------------------------------------------------------------------------------------------


def trial_rows(trials: Sequence[Trial], objective: Objective) -> list[list[str]]:
    """One row per trial: number, source, state or value, parameters, reason."""
    rows = []
    for trial in trials:
        outcome = "RUNNING" if trial.state is TrialState.RUNNING else outcome_text(objective, trial)
        rows.append([str(trial.number), trial.origin.source, outcome, params_text(trial.params), trial.origin.reason])
    return rows


def params_text(params: Mapping[str, Choice]) -> str:
    """A configuration in one line."""
    return " ".join(f"{name}={_short(value)}" for name, value in params.items())


def event_rows(events: Sequence[Event]) -> list[list[str]]:
    """One row per event: time, kind, trial, message."""
    return [
        [
            event.at.isoformat(timespec="seconds") if event.at else "-",
            event.kind,
            "-" if event.trial_number is None else str(event.trial_number),
            event.message,
        ]
        for event in events
    ]


def finding_rows(found: Mapping[int, Sequence[Finding]]) -> list[list[str]]:
    """One row per finding: trial, kind, metric, evidence; one for a log that shows nothing."""
    nothing = ["nothing to note", "-", "-"]
    return [
        [str(number), *row]
        for number, findings in found.items()
        for row in [[finding.kind, finding.metric, finding.evidence] for finding in findings] or [nothing]
    ]


def usage_rows(llm: str, usage: FullUsage) -> list[list[str]]:
    """What was asked of which language model, and what it cost."""
    rows = [["model", llm], ["calls", f"{usage.calls}; {usage.failures} failed, {usage.replayed} replayed"]]
    if usage.calls:
        rows.append(["tokens", f"{usage.prompt_tokens:,} sent, {usage.completion_tokens:,} received"])
        rows.append(["cost", "unknown" if usage.cost is None else number(usage.cost)])
    elif usage.replayed:
        rows.append(["cost", "none: a recording was replayed"])
    if usage.calls or usage.replayed:
        rows.append(["parts of replies", f"{usage.rejected} rejected, {usage.repaired} repaired"])
    if usage.lost:
        rows.append(["lost", f"{usage.lost} calls: their tokens and cost are not known"])
    for name, (most, left) in usage.limits.items():
        rows.append([f"{name} left", f"{'unknown' if left is None else number(left)} of {number(most)}"])
    return rows


SOURCE_COLUMNS = ("source", "trials", "finished", "failed", "best", "mean rank", "improvements", "by")


def source_rows(found: Attribution) -> list[list[str]]:
    """One row per source of trials, under :data:`SOURCE_COLUMNS`."""
    return [
        [
            one.source, str(one.trials), str(one.finished), str(one.failed), number(one.best),
            "-" if one.mean_rank is None else f"{one.mean_rank:.1f}", str(one.improvements), number(one.gain),
        ]
        for one in found.sources
    ]  # fmt: skip


def verdict_rows(found: Attribution) -> list[list[str]]:
    """Whether the LLM's seeds helped, why, and where each stands among random configurations."""
    rows = [["the LLM's configurations", found.verdict], ["why", found.reason]]
    for place in found.counterfactual.places if found.counterfactual else ():
        share, low, high = (f"{100 * part:.0f}" for part in (place.as_good, place.low, place.high))
        told = f"{share} % of random configurations are as good (90 %: {low} to {high} %)"
        rows.append([f"trial {place.trial}", told])
    return rows


def show_study(console: Console, study: Study, llm: str) -> None:
    """Print the trials, their sources, the events and the use of the language model ``llm`` of a study."""
    title = f"Study {study.study}: {study.task or 'no task given'}"
    columns = ["trial", "source", "outcome", "configuration", "reason"]
    show_table(console, title, columns, trial_rows(study.trials, study.objective))
    show_table(console, "Sources", SOURCE_COLUMNS, source_rows(credit := study.attribution()))
    if any(one.source == "llm" for one in credit.sources):
        show_table(console, "Did the language model help?", ["", ""], verdict_rows(credit))
    if found := study.training_findings:
        show_table(console, "Training logs", ["trial", "finding", "metric", "evidence"], finding_rows(found))
    if study.events:
        show_table(console, "Events", ["at", "kind", "trial", "message"], event_rows(study.events))
    show_table(console, "Language model", ["", ""], usage_rows(llm, study.llm_usage))


def show_table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal; elsewhere in plain columns as wide as their text, nothing cut.

    Args:
        console: Where to print; see :func:`console_of`.
        title: Stands above it.
        columns: Heads of the columns.
        rows: Cells; any text.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if drawn else None, pad_edge=drawn, show_header=any(columns))
    for column in columns:
        table.add_column(Text(column, style="bold"), overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell, longest=1000)) for cell in row))
    console.print(Text(one_line(title, longest=1000), style="bold"))
    console.print(table)
    console.print()


def console_of(stream: TextIO) -> Console:
    """A rich console on ``stream``; where that is no terminal, one without colours and without an edge."""
    from rich.console import Console

    if is_terminal(stream):
        return Console(file=stream, highlight=False)
    return Console(file=stream, highlight=False, force_terminal=False, no_color=True, width=100_000)


def _short(value: Choice) -> str:
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not value.isidentifier() else str(value)
