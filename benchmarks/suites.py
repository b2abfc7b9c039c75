"""All problems by name and suite. A problem is made when it is asked for, since some load tables or data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from benchmarks import (
    boosters,
    crash,
    fresh,
    functions,
    heldout,
    judgement,
    mixed,
    multi_mixed,
    multi_tables,
    tables,
    vectors,
)
from benchmarks.problem import Problem

GROUPS = {"hpobench": "tables", "hpolib": "tables", "nb201": "tables"}  # suites that are chosen together

Makers = dict[str, Callable[[], Problem]]


@cache
def makers() -> Makers:
    """Makers of all problems, by name."""
    plain: Makers = {
        f"functions/{name}": partial(functions.continuous, surface) for name, surface in functions.SURFACES.items()
    }
    made = (mixed.all_mixed(), crash.all_crash(), boosters.all_boosters(), fresh.all_fresh(), tables.all_tables())
    judged = heldout.all_heldout() | judgement.all_judgement()
    several = (vectors.all_vectors(), multi_mixed.all_multi_mixed(), multi_tables.all_multi_tables())
    return {name: maker for part in (plain, *made, judged, *several) for name, maker in part.items()}


@cache
def problem(name: str) -> Problem:
    """The problem of that name.

    Raises:
        KeyError: There is none.
        ImportError: It needs a package that is not installed.
    """
    return makers()[name]()


def suites() -> list[str]:
    """The names of all suites."""
    return list(dict.fromkeys(name.split("/")[0] for name in makers()))


def budget(name: str) -> int:
    """How many trials a search of a problem has by default: fronts are judged after 50."""
    return 50 if name.startswith("multi/") else 30


def select(names: str) -> list[str]:
    """The problems of a comma-separated list of suites and problems; ``all`` for every one.

    Raises:
        KeyError: Naming what is neither.
    """
    chosen: dict[str, None] = {}
    for name in names.split(","):
        found = [p for p in makers() if name in ("all", p, suite := p.split("/")[0], GROUPS.get(suite))]
        if not found:
            raise KeyError(f"{name!r} is neither a suite ({', '.join(suites())}) nor a problem")
        chosen |= dict.fromkeys(found)
    return list(chosen)
