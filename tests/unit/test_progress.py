"""What is shown while a search runs, on a terminal and elsewhere, and that showing it breaks nothing."""

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from hybridbo.objective import Objective
from hybridbo.progress import Progress, one_line
from hybridbo.trial import Origin, Trial, TrialState

AT = datetime(2026, 1, 2, tzinfo=UTC)
ERROR = Objective.of("minimize")


@dataclass(frozen=True)
class Usage:
    calls: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.StringIO):
    """A stream whose reader has gone away."""

    def __init__(self, *, tty, error=BrokenPipeError):
        super().__init__()
        self.tty, self.error, self.tries = tty, error, 0

    def isatty(self):
        return self.tty

    def write(self, text):
        self.tries += 1
        raise self.error("gone")

    flush = write


def complete(number, value, source="gp", **more):
    return Trial(number, {}, TrialState.COMPLETE, Origin(source, "why"), AT, value, {"value": value}, **more)


def failed(number, error):
    return Trial(number, {}, TrialState.FAILED, Origin("sobol", "why"), AT, error=error)


def shown(*calls, objective=ERROR, stream=None, total=3):
    stream = stream or io.StringIO()
    with Progress(objective, total, stream) as progress:
        for name, *args in calls:
            getattr(progress, name)(*args)
    return stream.getvalue()


def test_a_finished_trial_is_one_plain_line_with_all_that_matters():
    best = complete(2, 0.125)
    text = shown(("started", best), ("finished", complete(4, 0.25, "llm"), best, Usage(1, 0, 1000, 234, 0.0021)))
    assert text.splitlines() == [
        "trial 4    llm      value 0.25  best 0.125 (trial 2)  LLM 1 call, 1,234 tokens, cost 0.0021"
    ]


def test_an_unknown_cost_is_called_unknown_and_no_call_is_not_mentioned():
    trial = complete(0, 1.0)
    assert "LLM 2 calls, 30 tokens, cost unknown" in shown(("finished", trial, trial, Usage(2, 0, 10, 20, None)))
    assert "LLM replayed, no cost" in shown(("finished", trial, trial, Usage(0, 1)))
    assert "LLM" not in shown(("finished", trial, trial, Usage()))


def test_a_failure_is_one_line_whatever_its_reason_holds():
    reason = "CUDA\nout of memory\x1b[2J\x1b]0;title\x07\r [bold]x[/bold] \u202eevil\x00 " + "y" * 5000
    (line,) = shown(("finished", failed(3, reason), None, Usage())).splitlines()
    assert line.startswith("trial 3    sobol    FAILED CUDA out of memory [bold]x[/bold] evil yyy")
    assert line.isprintable()
    assert len(line) < 300
    assert "best" not in line


def test_several_objectives_are_named_and_a_broken_constraint_is_told():
    objective = Objective.of(objectives={"error": "minimize", "ms": "minimize"}, constraints={"gb": "<= 16"})
    values = {"error": 0.5, "ms": 12.0, "gb": 17.5}
    trial = replace(complete(1, 0.0), value=None, values=values)
    assert "error 0.5, ms 12, gb 17.5 (breaks gb <= 16)" in shown(
        ("finished", trial, None, Usage()), objective=objective
    )
    trial = replace(trial, values=values | {"gb": 15.0})
    assert "breaks" not in shown(("finished", trial, None, Usage()), objective=objective)


def test_a_pruned_trial_says_so():
    trial = replace(complete(1, 0.5), state=TrialState.PRUNED)
    assert "value 0.5 (pruned)" in shown(("finished", trial, None, Usage()))
    assert "PRUNED" in shown(("finished", replace(trial, values={}, value=None), None, Usage()))


def test_a_message_is_one_line():
    assert shown(("message", "no reply:\n500\x1b[31m server")) == "no reply: 500 server\n"


def test_a_terminal_shows_the_running_trial_and_a_line_per_finished_one():
    trial = complete(7, 0.5)
    text = shown(
        ("started", trial),
        ("message", "[red]hello[/red]"),
        ("finished", trial, trial, Usage()),
        stream=Terminal(),
        total=9,
    )
    assert "trial 7 (gp) is running" in text
    assert "trial 7    gp       value 0.5  best 0.5 (trial 7)" in text
    assert "[red]hello[/red]" in text  # shown as it is, not read as markup
    assert "8/9" in text  # the trials of earlier runs count
    assert "\x1b[?25h" in text  # the cursor is given back


def test_several_trials_in_flight_are_all_named_and_none_counts_as_done():
    trials = [complete(number, 0.5) for number in range(4)]
    started = [("started", trial) for trial in trials]
    text = shown(*started[:3], ("finished", trials[1], trials[1], Usage()), stream=Terminal(), total=9)
    assert "trials 0, 1, 2 are running (3)" in text
    assert text.rindex("trials 0, 2 are running (2)") > text.index("are running (3)")
    assert "1/9" in text
    assert "2/9" not in text
    assert "trials 0, 1, 2 ... are running (4)" in shown(*started, stream=Terminal(), total=9)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    trial = complete(7, 0.5)
    assert "\x1b" not in shown(("started", trial), ("finished", trial, trial, Usage()), stream=Terminal())


def test_an_unknown_total_is_no_problem():
    trial = complete(7, 0.5)
    assert "value 0.5" in shown(("started", trial), ("finished", trial, trial, Usage()), stream=Terminal(), total=None)


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
@pytest.mark.parametrize("tty", [True, False])
def test_a_broken_stream_breaks_no_run(tty, error):
    stream = Broken(tty=tty, error=error)
    trial = complete(7, 0.5)
    shown(("started", trial), ("finished", trial, trial, Usage()), ("message", "hello"), stream=stream)
    assert stream.tries == 1  # it was tried, once, and left alone from then on


@pytest.mark.parametrize("tty", [True, False])
def test_a_closed_stream_breaks_no_run(tty):
    stream = Terminal() if tty else io.StringIO()
    trial = complete(7, 0.5)
    with Progress(ERROR, 3, stream) as progress:
        progress.started(trial)
        stream.close()
        progress.finished(trial, trial, Usage())
        progress.message("hello")


def test_a_fault_of_the_display_breaks_no_run():
    shown(("finished", complete(1, "no number"), None, Usage()), ("message", "hello"))


def test_an_exception_of_the_run_passes_through():
    with pytest.raises(KeyboardInterrupt), Progress(ERROR, 3, Terminal()):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), Progress(ERROR, 3, io.StringIO()):
        raise ZeroDivisionError


def test_what_the_stream_cannot_write_is_written_otherwise():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    shown_message = "naïve 数"
    with Progress(ERROR, None, stream) as progress:
        progress.message(shown_message)
    assert raw.getvalue() == rb"na\xefve \u6570" + b"\n"


def test_standard_error_is_the_default(capsys):
    with Progress(ERROR, None) as progress:
        progress.message("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_what_the_objective_prints_stays_on_standard_output(capsys):
    with Progress(ERROR, None, Terminal()):
        print("loss 0.1")
    assert capsys.readouterr().out == "loss 0.1\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("a\tb\r\nc", "a b c"),
        ("a\x9b31mb", "a 31mb"),
        ("\ud800x", "x"),
        ("x" * 300, "x" * 197 + "..."),
        ("naïve 数", "naïve 数"),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line
