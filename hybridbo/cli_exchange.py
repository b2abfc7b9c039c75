"""The commands that take a study out of a store, and trials into it. As thin as the others."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from hybridbo.cli_parts import STORE, STUDY, existing, json_text, llm_of, opened
from hybridbo.errors import InvalidState
from hybridbo.exits import Command
from hybridbo.values import writable

if TYPE_CHECKING:
    from hybridbo.optimizer import Optimizer
    from hybridbo.tables import Facts


@click.command(cls=Command)
@STORE
@STUDY
@click.option("--format", "form", type=click.Choice(["csv", "json", "optuna"]), required=True, help="What to write.")
@click.option("-o", "--output", type=click.Path(allow_dash=True), default="-", help="File; standard output by default.")
@click.option("--skip-damaged", is_flag=True, help="Leave out rows that cannot be read, name them, and end with 1.")
@click.pass_context
def export(context: click.Context, store: str, study: str, *, form: str, output: str, skip_damaged: bool) -> None:
    """Write all trials as CSV, the whole study as JSON, or an Optuna storage.

    An Optuna storage is an SQLite file that optuna-dashboard opens, or a journal if FILE ends in .log or .journal; a
    file that is one already gets a further study.

    With --skip-damaged, the JSON has what is stored and nothing that is worked out from it.
    """
    if skip_damaged:
        _export_sound(context, store, study, form, output)
        return
    with opened(store, study, llm=None) as opt:
        if form == "optuna":
            _export_to_optuna(opt, output, store)
            return
        text = _text(opt, form)
    _put(text, output, store)


@click.command("import", cls=Command)
@STORE
@STUDY
@click.option("--from", "source", required=True, metavar="STORAGE", help="Optuna storage: a file, or a URL.")
@click.option("--optuna-study", metavar="NAME", help="Its study; may be left out where there is only one.")
@click.option(
    "--space", "file", type=click.File("rb", lazy=True), help="JSON file of the space, for a new study; else as tried."
)
@click.option("--task", default="", help="For a new study, what is tuned, in words.")
@click.option("--llm", default="auto", show_default=True, metavar="SPEC", help="For a new study, its language model.")
@click.option("--seed", type=click.IntRange(min=0), help="For a new study, its seed.")
def import_(
    store: str,
    study: str,
    *,
    source: str,
    optuna_study: str | None,
    file: BinaryIO | None,
    task: str,
    llm: str,
    seed: int | None,
) -> None:
    """Bring the finished trials of an Optuna study into STUDY, which is made if it is not there.

    What is there already is not brought again.
    """
    from hybridbo.integrations import import_from_optuna
    from hybridbo.space import Space

    space = Space.from_json(file.read()) if file else None
    spec = None if llm == "none" else llm
    done = import_from_optuna(
        source, store, study, optuna_study=optuna_study, space=space, task=task, llm=spec, seed=seed
    )
    click.echo(f"Study {study!r} in {store}: {done.trials} trials imported, {done.queued} enqueued.")
    for left in done.left:
        click.echo(f"Left behind: {left}.", err=True)


COMMANDS = (export, import_)


def _text(opt: Optimizer, form: str) -> str:
    from hybridbo import tables

    return json_text(tables.study_data(opt, llm_of(opt))) if form == "json" else _csv(opt)


def _csv(study: Facts) -> str:
    from hybridbo import tables

    return writable(tables.trials_csv(study.trials, study.objective, list(study.space)))


def _export_sound(context: click.Context, store: str, study: str, form: str, output: str) -> None:
    if form == "optuna":
        raise InvalidState("--skip-damaged writes no Optuna storage.", "Give --format csv, or json.")
    from hybridbo import tables
    from hybridbo.progress import one_line
    from hybridbo.storage.salvage import salvage

    found = salvage(existing(store), study)
    _put(json_text(tables.facts_data(found, found.llm)) if form == "json" else _csv(found), output, store)
    for row in found.skipped:
        click.echo(f"skipped: {one_line(row, longest=2000)}", err=True)
    if found.skipped:
        context.exit(1)


def _put(text: str, output: str, store: str) -> None:
    if output == "-":
        click.echo(text, nl=False)
    else:
        _write(text, Path(output), store)


def _export_to_optuna(opt: Optimizer, output: str, store: str) -> None:
    if output == "-":
        raise InvalidState("an Optuna storage is a file and cannot be printed.", "Give one: -o FILE.")
    _check_target(Path(output), store)
    from hybridbo.integrations import export_to_optuna

    export_to_optuna(opt, output)
    click.echo(f"Study {opt.study!r} is in the Optuna storage {output}.", file=sys.stderr)


def _check_target(file: Path, store: str) -> Path:
    target = file.resolve()  # a link stays a link
    if target == Path(store).resolve():
        raise InvalidState(f"-o {str(file)!r} is the store itself.", "Give another file.")
    return target


def _write(text: str, file: Path, store: str) -> None:
    """Write a file whole or not at all."""
    target = _check_target(file, store)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        draft.replace(target)
    except OSError as error:
        raise InvalidState(
            f"cannot write {str(file)!r}: {error.strerror}.", "Give a file in a writable folder."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
