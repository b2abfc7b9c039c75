"""What a search shows while it runs: a live line on a terminal, one plain line per trial anywhere else.

Showing is never a reason to lose a search: a closed stream or a fault in here silences the display and nothing else.
Texts that come from outside (reasons of failures, choices, messages of a server) lose their control characters before
they reach a terminal.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO, cast

from hybridbo.objective import Objective
from hybridbo.trial import Trial, TrialState

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -~]")
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, bidi overrides, lone surrogates, line separators


class Usage(Protocol):
    """What the language model cost so far, as in ``Optimizer.llm_usage``."""

    @property
    def calls(self) -> int:
        """Requests sent to a model, those that failed included."""
        ...

    @property
    def replayed(self) -> int:
        """Replies that came from a recording."""
        ...

    @property
    def prompt_tokens(self) -> int:
        """Tokens sent, as the server counted them."""
        ...

    @property
    def completion_tokens(self) -> int:
        """Tokens received, as the server counted them."""
        ...

    @property
    def cost(self) -> float | None:
        """In the currency of the user's price list; None if unknown."""
        ...


class Progress:
    """Tells how a run gets on; a context manager.

    Args:
        objective: Names and directions of what is told.
        total: How many trials the study is to have, those of earlier runs included; None if that is not known.
        stream: Where to write; standard error by default.
    """

    def __init__(self, objective: Objective, total: int | None, stream: TextIO | None = None) -> None:
        self._objective = objective
        self._total = total
        self._stream = _Harmless(sys.stderr if stream is None else stream)
        self._live: RichProgress | None = None
        self._task: TaskID | None = None
        self._seen = 0  # trials of the study so far, told from their numbers: earlier runs count
        self._running: dict[int, str] = {}  # the source of each trial in flight, by number

    def __enter__(self) -> Self:
        with self._stream.guarded():
            if is_terminal(self._stream):
                self._live = _live(cast("TextIO", self._stream))
                self._task = self._live.add_task("starting", total=self._total)
                self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stream.guarded():
            if self._live is not None:
                self._live.stop()

    def started(self, trial: Trial) -> None:
        """A trial is handed out."""
        with self._stream.guarded():
            self._running[trial.number] = trial.origin.source
            self._show()

    def finished(self, trial: Trial, best: Trial | None, usage: Usage) -> None:
        """A trial has ended: one line.

        Args:
            trial: As stored, with its value or error.
            best: The incumbent; None if there is none, or several objectives.
            usage: What the language model cost so far.
        """
        with self._stream.guarded():
            self._say(trial_line(self._objective, trial, best, usage))
            self._running.pop(trial.number, None)
            self._show(trial.number)

    def message(self, text: str) -> None:
        """Something else worth telling, in one line."""
        with self._stream.guarded():
            self._say(one_line(text, longest=1000))

    def _show(self, number: int = -1) -> None:
        """Bring the live line up to date, with the trial that has just been told of."""
        if self._live is None or self._task is None:
            return
        self._seen = max(self._seen, number + 1, *(n + 1 for n in self._running))
        done = self._seen - len(self._running)
        self._live.update(self._task, completed=done, description=running_text(self._running), refresh=True)

    def _say(self, line: str) -> None:
        if self._live is None:
            self._stream.write(line + "\n")
            self._stream.flush()
        else:
            from rich.text import Text

            self._live.console.print(Text(line), soft_wrap=True)  # a Text is never read as markup


def running_text(running: Mapping[int, str]) -> str:
    """Which trials are in flight: all by number up to three, the source of a single one."""
    if not running:
        return "choosing the next trial"
    if len(running) == 1:
        number, source = next(iter(running.items()))
        return f"trial {number} ({source}) is running"
    named = ", ".join(map(str, sorted(running)[:3]))
    return f"trials {named}{' ...' if len(running) > 3 else ''} are running ({len(running)})"


def trial_line(objective: Objective, trial: Trial, best: Trial | None, usage: Usage) -> str:
    """A finished trial in one line: number, source, value or failure, incumbent, what the LLM cost."""
    parts = [f"trial {trial.number:<3}", f"{trial.origin.source:<7}", outcome_text(objective, trial)]
    if best is not None:
        parts.append(f"best {number(best.value)} (trial {best.number})")
    parts.append(usage_text(usage))
    return "  ".join(part for part in parts if part)


def outcome_text(objective: Objective, trial: Trial) -> str:
    """How a trial ended: its values, the constraints it breaks, or why it failed."""
    if trial.state is TrialState.FAILED:
        return f"FAILED {one_line(trial.error or 'for no stated reason')}"
    values = [f"{one_line(name)} {number(value)}" for name, value in trial.values.items()]
    text = ", ".join(values) if values else str(trial.state)
    if trial.state is TrialState.COMPLETE:
        broken = [bound for bound in objective.constraints if bound.violation(trial.values[bound.name]) > 0]
        text += "".join(f" (breaks {one_line(b.name)} {b.sign} {number(b.bound)})" for b in broken)
    return text if trial.state is not TrialState.PRUNED or not values else f"{text} (pruned)"


def usage_text(usage: Usage) -> str:
    """What the language model cost, in words; empty as long as none was asked."""
    if not usage.calls:
        return "LLM replayed, no cost" if usage.replayed else ""
    cost = "unknown" if usage.cost is None else number(usage.cost)
    calls = f"{usage.calls} call{'s' if usage.calls != 1 else ''}"
    return f"LLM {calls}, {usage.prompt_tokens + usage.completion_tokens:,} tokens, cost {cost}"


def number(value: float | None) -> str:
    """A value as a person reads it: six significant digits."""
    return "-" if value is None else f"{value:.6g}"


def one_line(text: str, longest: int = 200) -> str:
    """``text`` in one line that no terminal takes for a command: no escapes, no controls, cut at ``longest``."""
    bare = _ESCAPES.sub(" ", text)
    seen = "".join(" " if unicodedata.category(char) in _UNSEEN else char for char in bare)
    line = " ".join(seen.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def is_terminal(stream: Any) -> bool:
    """Whether ``stream`` is a terminal that can move its cursor."""
    return bool(stream.isatty()) and os.environ.get("TERM") not in {"dumb", "unknown"}


def _live(stream: TextIO) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        SpinnerColumn("line"),  # plain ASCII
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=stream, highlight=False, force_terminal=True),
        transient=True,
        # What an objective prints goes above the live line, but never from a redirected output to this stream.
        redirect_stdout=is_terminal(sys.stdout),
        redirect_stderr=is_terminal(sys.stderr),
    )


class _Harmless:
    """A text stream that falls silent instead of raising.

    rich also writes from a thread of its own, so that the stream itself has to keep quiet, not only who calls it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._silent = False

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        answer = False
        with self.guarded():
            answer = bool(self._stream.isatty())
        return answer  # noqa: RET504 - an early return would leave the guarded way out without one

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with self.guarded():
            if not self._silent:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        with self.guarded():
            if not self._silent:
                self._stream.flush()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Runs what is inside; an exception silences the stream for good, and goes no further."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever it is, it is not worth a search
            self._silent = True
