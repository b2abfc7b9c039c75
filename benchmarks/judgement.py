"""The suite ``judgement``: ten problems that nobody had searched with hybridbo while it was made.

They are run to judge a finished state, never to choose: whoever looks at a search of one of them while changing the
optimizer turns it into a training problem, as happened to :mod:`benchmarks.heldout`. All are trainings, with generated
data or scikit-learn's small tables, and all randomness of a training comes from its configuration: a neighbour has
another initialisation, as in life.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import judgement_boosters, judgement_models, judgement_rates
from benchmarks.judgement_task import makers
from benchmarks.problem import Problem


def all_judgement() -> dict[str, Callable[[], Problem]]:
    """Makers of all problems of the suite, by name."""
    return makers({**judgement_boosters.TASKS, **judgement_models.TASKS, **judgement_rates.TASKS})
