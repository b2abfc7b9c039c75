"""The command line. Thin: it reads arguments, calls the Optimizer or the store, and prints.

What is heavy is imported inside the commands: most of them need no torch, and start quickly.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from typing import Any, BinaryIO

import click

from hybridbo import __version__, cli_exchange, cli_propose, cli_store
from hybridbo.cli_parts import SPACE, STORE, STUDY, existing, json_text, llm_of, opened
from hybridbo.cli_trial import heartbeat, log
from hybridbo.errors import HybridboError, InvalidState, InvalidValue
from hybridbo.exits import Group


@click.group("hybridbo", cls=Group, invoke_without_command=True)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Find good configurations of something expensive in few trials."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(heartbeat)
main.add_command(log)

# What the commands share ------------------------------------------------------------------------------------------

_NUMBER = click.argument("number", type=click.IntRange(min=0))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


# The commands -----------------------------------------------------------------------------------------------------


@main.command()
@click.option("--trials", type=click.IntRange(min=1), default=25, show_default=True, help="Trials in all.")
@click.option(
    "--store", type=click.Path(dir_okay=False), default="demo.db", show_default=True, help="File to keep it in."
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed; 0 for a new search.")
@click.option(
    "--llm",
    metavar="SPEC",
    help='"none", "openai:MODEL", "local:FILE.gguf", "replay:FILE"; by default what the environment sets.',
)
@click.pass_context
def demo(context: click.Context, trials: int, store: str, seed: int | None, llm: str | None) -> None:
    """Tune a pipeline on real digits; stop it at any time and start it again."""
    from hybridbo.demo.run import run_demo

    context.exit(run_demo(trials, store, seed, llm))


@main.command()
@STORE
@STUDY
@SPACE
@click.option("--direction", type=click.Choice(["minimize", "maximize"]), help="Of a single objective.")
@click.option("--objective", "objectives", multiple=True, metavar="NAME=DIRECTION", help="One of several; repeat it.")
@click.option("--constraint", "constraints", multiple=True, metavar="'NAME <= BOUND'", help="Or >=; may be repeated.")
@click.option("--task", default="", help="What is tuned, in words; the language model reads it.")
@click.option("--llm", default="auto", show_default=True, metavar="SPEC", help='"auto", "none", "openai:MODEL", ...')
@click.option("--seed", type=click.IntRange(min=0), help="Seed of every proposal.")
def init(
    store: str,
    study: str,
    *,
    file: BinaryIO,
    direction: str | None,
    objectives: tuple[str, ...],
    constraints: tuple[str, ...],
    task: str,
    llm: str,
    seed: int | None,
) -> None:
    """Create a study. An existing one with the same space and direction is left as it is."""
    from hybridbo.optimizer import Optimizer
    from hybridbo.space import Space

    space = Space.from_json(file.read())
    goals = dict(_split(text, "=") for text in objectives) or None
    bounds = dict(_split(text, "<=", ">=") for text in constraints)
    spec = None if llm == "none" else llm
    with Optimizer(
        space, direction, objectives=goals, constraints=bounds, task=task, study=study, store=store, llm=spec, seed=seed
    ) as opt:
        click.echo(f"Study {study!r} in {store}: {len(space)} parameters, {len(opt.trials)} trials.")


@main.command()
@STORE
@STUDY
@click.option("--request-id", metavar="ID", help="Asking again under it gives the same trial.")
@click.option("--lease", type=float, metavar="SECONDS", help="Without a heartbeat for so long, another is given it.")
def ask(store: str, study: str, request_id: str | None, lease: float | None) -> None:
    """Print the next trial as one line of JSON: {"number": 3, "params": {...}}."""
    answers = sys.stdout  # a backend that prints must not get between a script and its line
    with contextlib.redirect_stdout(sys.stderr), opened(store, study) as opt:
        trial = opt.ask(detached=True, request_id=request_id, lease_s=lease)
        data = {"number": trial.number, "params": trial.params}
        try:
            if answers is None:
                raise OSError("standard output is closed")
            click.echo(json.dumps(data, ensure_ascii=False, allow_nan=False), file=answers)
        except OSError as error:
            opt.release(trial)  # nobody has seen it: the next ask offers it again
            raise HybridboError(f"trial {trial.number} could not be printed: {error}.", "Ask again.") from error


@main.command(context_settings={"ignore_unknown_options": True})  # -0.5 is a value, not an option
@STORE
@STUDY
@_NUMBER
@click.argument("value")
def tell(store: str, study: str, number: int, value: str) -> None:
    """Tell the VALUE of a trial: a number, or a JSON object of numbers for several objectives."""
    told = _told(value)
    with opened(store, study, llm=None) as opt:
        opt.tell(number, told)


@main.command()
@STORE
@STUDY
@_NUMBER
@click.option("--reason", required=True, help="Why it failed, in words.")
def fail(store: str, study: str, number: int, reason: str) -> None:
    """Tell that a trial failed."""
    with opened(store, study, llm=None) as opt:
        opt.fail(number, reason)


@main.command()
@STORE
@STUDY
@_JSON
def best(store: str, study: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Show the best trial; with several objectives those that no other one beats."""
    from hybridbo.progress import one_line
    from hybridbo.tables import params_text, trial_data

    with opened(store, study, llm=None) as opt:
        front = opt.pareto_front
        single = opt.objective.is_single
    if not front:
        raise InvalidState(
            f"study {study!r} has no complete trial that keeps the constraints.",
            f"Tell a value first: hybridbo tell {store} {study} NUMBER VALUE",
        )
    if as_json:
        _print_json(trial_data(front[0]) if single else [trial_data(trial) for trial in front])
        return
    for trial in front[:1] if single else front:
        values = ", ".join(f"{name} {value!r}" for name, value in trial.values.items())
        click.echo(f"trial {trial.number}  {one_line(values)}  {one_line(params_text(trial.params), longest=10_000)}")


@main.command()
@STORE
@click.argument("study", required=False)
@_JSON
def show(store: str, study: str | None, as_json: bool) -> None:  # noqa: FBT001 - as above
    """Show the studies of a store, or the trials, events and LLM usage of one."""
    from hybridbo import tables

    if study is None:
        _show_studies(store, as_json=as_json)
        return
    with opened(store, study, llm=None) as opt:
        if as_json:
            _print_json(tables.study_data(opt, llm_of(opt)))
        else:
            tables.show_study(tables.console_of(sys.stdout), opt, llm_of(opt))


for _command in (cli_propose.propose, *cli_exchange.COMMANDS, *cli_store.COMMANDS):
    main.add_command(_command)


# What they print --------------------------------------------------------------------------------------------------


def _print_json(data: Any) -> None:
    click.echo(json_text(data), nl=False)


def _show_studies(store: str, *, as_json: bool) -> None:
    from hybridbo import tables
    from hybridbo.storage import open_store

    with contextlib.closing(open_store(existing(store))) as opened:
        studies = [tables.study_row(record, opened.get_trials(record.name)) for record in opened.list_studies()]
    if as_json:
        _print_json(studies)
    else:
        rows = [[str(cell) for cell in study.values()] for study in studies]
        tables.show_table(tables.console_of(sys.stdout), f"Studies in {store}", list(tables.STUDY_COLUMNS), rows)


# What they read ---------------------------------------------------------------------------------------------------


def _told(text: str) -> Any:
    """What ``tell`` was given: a finite float, or the object of a JSON text."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidValue(f"{text!r} is not JSON: {error}.", "Write, for example, '{\"error\": 0.1}'.") from None
    try:
        value = float(text)
    except ValueError:
        raise InvalidValue(f"{text!r} is not a number.", "Write, for example, 0.123, or '{\"error\": 0.1}'.") from None
    if not math.isfinite(value):
        raise InvalidValue(f"{text!r} is not finite.", "Tell a failure: hybridbo fail STORE STUDY NUMBER --reason TEXT")
    return value


def _split(text: str, *signs: str) -> tuple[str, str]:
    """``("memory_gb", "<= 16")`` of ``"memory_gb <= 16"``; a lone ``=`` is not kept."""
    for sign in signs:
        name, found, rest = text.partition(sign)
        if found and name.strip():
            return name.strip(), rest.strip() if sign == "=" else f"{sign} {rest.strip()}"
    raise InvalidValue(f"{text!r} holds no {' or '.join(signs)}.", f"Write, for example, error{signs[0]}...")
