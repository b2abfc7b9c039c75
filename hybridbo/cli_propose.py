"""The command that has a language model propose a space. As thin as the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from hybridbo.cli_parts import json_text
from hybridbo.errors import InvalidState
from hybridbo.exits import Command


@click.command(cls=Command)
@click.option("--task", required=True, help="Model, data and metric, in words.")
@click.option("--llm", default="auto", show_default=True, metavar="SPEC", help='"auto", "openai:MODEL", ...')
@click.option("--most", type=click.IntRange(1, 50), default=12, show_default=True, help="Parameters at most.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File for the space, which init reads.")
@click.option("--json", "as_json", is_flag=True, help="Print the proposal as JSON.")
def propose(task: str, llm: str, most: int, output: str | None, *, as_json: bool) -> None:
    """Propose a space for a task, with a reason for each parameter.

    Look at FILE, change what you know better, and start: hybridbo init STORE STUDY --space FILE
    """
    from hybridbo.proposing import propose_space

    if output and Path(output).exists():
        raise InvalidState(f"there is a file {output!r} already.", "Name another one, or remove it.")
    proposal = propose_space(task, llm, most=most)
    if output:
        Path(output).write_text(json_text(proposal.space.to_dict()), encoding="utf-8")
    if as_json:
        click.echo(json_text(json.loads(proposal.to_json())), nl=False)
    else:
        click.echo(str(proposal).encode(sys.stdout.encoding or "utf-8", "replace").decode(errors="replace"))
