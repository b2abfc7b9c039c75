"""Studies as text: CSV columns, JSON data, rows for a person."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

from hybridbo.attribution import Attribution, Counterfactual, Place, SourceRecord
from hybridbo.objective import Objective
from hybridbo.ports import StudyRecord
from hybridbo.tables import (
    SOURCE_COLUMNS,
    STUDY_COLUMNS,
    console_of,
    params_text,
    show_table,
    source_rows,
    study_row,
    trial_data,
    trials_csv,
    verdict_rows,
)
from hybridbo.trial import Origin, Trial, TrialState

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGIN = Origin("gp", 'because, "it" said\nso', 0.1, 0.02)


def trial(number, params, value=None, *, state=TrialState.COMPLETE, values=None, error=None):
    told = values if values is not None else {} if value is None else {"value": value}
    return Trial(number, params, state, ORIGIN, AT, value, told, error, AT + timedelta(seconds=2))


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_one_column_per_parameter_and_exact_floats():
    trials = [
        trial(0, {"lr": 0.1 + 0.2, "opt": "a,b"}, 1e-17),
        trial(1, {"lr": 1.0}, state=TrialState.FAILED, error="x"),
    ]
    first, second = read(trials_csv(trials, Objective(), ["lr", "opt"]))
    assert float(first["lr"]) == 0.1 + 0.2
    assert float(first["value"]) == 1e-17
    assert (first["opt"], first["reason"], first["duration_s"]) == ("a,b", ORIGIN.reason, "2.0")
    assert first["started_at"] == "2026-01-02T03:04:05+00:00"
    assert (second["state"], second["value"], second["opt"], second["error"]) == ("FAILED", "", "", "x")


def test_csv_prefixes_names_that_collide():
    objective = Objective.of(objectives={"error": "minimize", "loss": "minimize"})
    params = {"error": 1, "loss": 2, "params.loss": 3, "number": 4, "x": 5}
    (row,) = read(trials_csv([trial(7, params, values={"error": 0.5, "loss": 0.25})], objective, list(params)))
    assert row["number"] == "7"
    assert row["error"] == ""  # why it failed
    assert (row["values.error"], row["loss"]) == ("0.5", "0.25")
    assert (row["params.error"], row["params.params.loss"], row["params.loss"]) == ("1", "2", "3")
    assert (row["params.number"], row["x"]) == ("4", "5")


def test_csv_tells_a_choice_of_none_from_an_inactive_parameter():
    rows = read(trials_csv([trial(0, {"a": None}, 1.0), trial(1, {}, 1.0)], Objective(), ["a"]))
    assert [row["a"] for row in rows] == ["None", ""]


def test_a_trial_is_json_data():
    data = json.loads(json.dumps(trial_data(trial(3, {"a": None, "b": True}, 0.5)), allow_nan=False))
    assert data["params"] == {"a": None, "b": True}
    assert (data["number"], data["value"], data["state"], data["source"]) == (3, 0.5, "COMPLETE", "gp")


def test_a_study_is_one_row():
    record = StudyRecord("s", "{}", Objective.of("maximize").to_json(), llm="openai:m", created_at=AT)
    trials = [
        trial(0, {}, 1.0),
        trial(1, {}, 3.0),
        trial(2, {}, state=TrialState.FAILED),
        trial(3, {}, state=TrialState.RUNNING),
    ]
    row = study_row(record, trials)
    assert tuple(row) == STUDY_COLUMNS
    assert list(row.values()) == ["s", 4, 2, 1, 1, 3.0, "maximize value", "openai:m", "2026-01-02T03:04:05+00:00"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_is_drawn_on_a_terminal_and_plain_elsewhere():
    plain, drawn = io.StringIO(), Terminal()
    for stream in (plain, drawn):
        show_table(console_of(stream), "Title", ["a", "b"], [["[red]x[/red]\x1b[2J", "y" * 500]])
    assert plain.getvalue().isascii()
    assert "\x1b" not in plain.getvalue()
    head, body = [line.split() for line in plain.getvalue().splitlines()[1:3]]
    assert (head, body) == (["a", "b"], ["[red]x[/red]", "y" * 500])  # nothing cut, nothing taken for markup
    assert "\x1b[2J" not in drawn.getvalue()
    assert "─" in drawn.getvalue()


def test_a_configuration_in_one_line():
    assert params_text({"lr": 1 / 3, "n": 3, "f": True, "o": None, "s": "adam", "t": "a b"}) == (
        'lr=0.333333 n=3 f=True o=None s=adam t="a b"'
    )


def test_sources_and_the_verdict_on_the_llm_in_rows():
    sources = (
        SourceRecord("llm", 3, 2, 1, 0.5, 2.25, 1, 0.125),
        SourceRecord("gp", 1, 0, 0, None, None, 0, None),
    )
    evidence = Counterfactual((Place(1, 0.031, 0.002, 0.104),), 0.06, 0.95, 0.4, 12)
    found = Attribution("helped", "Because.", sources, evidence)
    assert [dict(zip(SOURCE_COLUMNS, row, strict=True))["by"] for row in source_rows(found)] == ["0.125", "-"]
    assert source_rows(found)[0] == ["llm", "3", "2", "1", "0.5", "2.2", "1", "0.125"]
    assert verdict_rows(found) == [
        ["the LLM's configurations", "helped"],
        ["why", "Because."],
        ["trial 1", "3 % of random configurations are as good (90 %: 0 to 10 %)"],
    ]
    assert len(verdict_rows(Attribution("cannot tell yet", "Why."))) == 2
