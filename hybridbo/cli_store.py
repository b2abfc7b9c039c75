"""The commands about a store's file and a study's space."""

from __future__ import annotations

from typing import BinaryIO

import click

from hybridbo.cli_parts import SPACE, STORE, STUDY, existing
from hybridbo.exits import Command


@click.command(cls=Command)
@STORE
@click.pass_context
def check(context: click.Context, store: str) -> None:
    """Look for damage in a store, and change nothing. Exit status 1 if there is any, or something may be missing."""
    from hybridbo.progress import one_line
    from hybridbo.storage.check import check_store

    report = check_store(existing(store))
    for note in report.notes:
        click.echo(f"note: {one_line(note, longest=2000)}")
    for problem in report.problems:
        click.echo(f"problem: {one_line(problem, longest=2000)}")
    for doubt in report.doubts:
        click.echo(f"may be missing: {one_line(doubt, longest=2000)}")
    contents = f"{report.studies} studies, {report.trials} trials, schema {report.schema}"
    click.echo(f"{store}: {len(report.problems) or 'no'} problems; {contents}.")
    if report.problems:
        click.echo('Restore a backup, or save what is readable with `sqlite3 FILE ".recover"`.', err=True)
    if not report.is_sound:
        context.exit(1)


@click.command(cls=Command)
@STORE
@click.argument("destination", type=click.Path())
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def backup(store: str, destination: str, *, force: bool) -> None:
    """Copy a store, also while it is in use; the copy appears when it is complete."""
    from hybridbo.storage.backup import backup_store

    backup_store(existing(store), destination, overwrite=force)
    click.echo(f"{store} is copied to {destination}.")


@click.command(cls=Command)
@STORE
@STUDY
@SPACE
def alter(store: str, study: str, *, file: BinaryIO) -> None:
    """Widen a range, add a choice, or add a parameter with a default, to a study that has trials."""
    from hybridbo.optimizer import Optimizer
    from hybridbo.space import Space

    space = Space.from_json(file.read())
    with Optimizer.load(existing(store), study, llm=None) as opt:
        changes = opt.space.differences(space)
        opt.alter(space)
        for change in changes or ["nothing has changed"]:
            click.echo(f"{study}: {change}")


COMMANDS = (check, backup, alter)
