"""What a script on the command line says of a trial while it evaluates it."""

from __future__ import annotations

import click

from hybridbo.cli_parts import STORE, STUDY, opened
from hybridbo.errors import InvalidState, InvalidValue
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


@click.command(cls=Command)
@STORE
@STUDY
@click.argument("number", type=click.IntRange(min=0))
@click.argument("metrics", nargs=-1, required=True, metavar="NAME=VALUE...")
@click.option("--step", type=float, metavar="STEP", help="An epoch or a batch; by default one more than the last.")
def log(store: str, study: str, number: int, metrics: tuple[str, ...], step: float | None) -> None:
    """Add to the training log of a trial: hybridbo log s.db mlp 3 train_loss=0.41 val_loss=0.52."""
    with opened(store, study, llm=None) as opt:
        at = int(step) if step is not None and step.is_integer() else step
        if not opt.log(number, at, **dict(map(_metric, metrics))):
            raise InvalidState(f"trial {number} has ended.", f"Ask for another: hybridbo ask {store} {study}")


def _metric(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        if name not in ("", "step"):
            return name, float(value)
    except ValueError:
        pass
    raise InvalidValue(f"{text!r} is no NAME=VALUE.", "Write, for example, val_loss=0.52, or val_loss=nan --step 3.")
