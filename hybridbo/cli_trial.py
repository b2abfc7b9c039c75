"""What a script on the command line says of a trial while it evaluates it."""

from __future__ import annotations

import click

from hybridbo.cli_parts import STORE, STUDY, opened
from hybridbo.errors import InvalidState
from hybridbo.exits import Command


@click.command(cls=Command)
@STORE
@STUDY
@click.argument("number", type=click.IntRange(min=0))
@click.option("--lease", type=float, metavar="SECONDS", help="For how long this is good; by default as the study says.")
def heartbeat(store: str, study: str, number: int, lease: float | None) -> None:
    """Tell that a trial is still being evaluated, which extends its lease."""
    with opened(store, study, llm=None) as opt:
        if not opt.heartbeat(number, lease):
            raise InvalidState(f"trial {number} has ended.", f"Ask for another: hybridbo ask {store} {study}")
