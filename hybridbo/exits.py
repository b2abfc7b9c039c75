"""How a command line ends.

Exit status: 0 on success; 2 for a wrong call or bad input, with one line on standard error that holds the remedy; 1 for
a fault; 130 after Ctrl-C. ``--debug``, or HYBRIDBO_DEBUG in the environment, adds the traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from hybridbo.errors import HybridboError, SpaceExhausted, UserError


class Command(click.Command):
    """A command that also takes ``--debug``, wherever it is typed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())


class Group(click.Group):
    """A group of commands that turns every problem into one line on standard error and an exit status."""

    command_class = Command

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command line and exit."""
        given = sys.argv[1:] if args is None else list(args)
        extra["standalone_mode"] = False  # click then leaves the telling of problems to us
        try:
            status = super().main(given, *rest, **extra)
        except Exception as error:  # noqa: BLE001 - the outermost place: whatever it is becomes an exit status
            if "--debug" in given or os.environ.get("HYBRIDBO_DEBUG"):
                traceback.print_exc()
            status = _tell_problem(error)
        sys.exit(status if isinstance(status, int) else 0)


def _tell_problem(error: Exception) -> int:
    from hybridbo.progress import one_line

    status, text = 1, str(error)
    if isinstance(error, click.Abort):
        status, text = 130, "stopped."
    elif isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "hybridbo"
        status, text = 2, f"{error.format_message()} See: {command} --help"
    elif isinstance(error, click.ClickException):
        status, text = 2, error.format_message()
    elif isinstance(error, UserError | SpaceExhausted):
        status = 2
    elif not isinstance(error, HybridboError):
        text = f"{type(error).__name__}: {error}. That is a fault in hybridbo; --debug shows where."
    with contextlib.suppress(OSError):  # nobody listens; the status still tells
        click.echo(f"hybridbo: {one_line(text, longest=2000)}", err=True)
    return status


def _debug_option() -> click.Option:
    return click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
