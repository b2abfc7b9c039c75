"""Every method behind one ask/tell adapter, by name.

``hybridbo``, ``hybridbo-llm`` (recorded replies; sample by seed), ``hybridbo-llm-0`` and ``-1`` (one sample),
``hybridbo-shuffled`` (another task's reply), ``hybridbo-adversarial`` (advice from the worst 20 %),
``hybridbo-smollm`` (a real, small and bad model), ``hybridbo-consult-good`` and ``-bad`` (silent about the seeds,
consulted every five trials), ``llm-only``, ``random``, ``optuna-tpe``, ``optuna-gp``, ``smac``, ``hebo``; behind the
last five, ``+default`` adds hybridbo's arm 0 as first trial and ``+seeds`` arm 0 and the four recorded points that the
LLM names first, of which ``hybridbo-llm`` tries two as seeds. For several objectives there are ``optuna-nsga2``, with
Optuna's default of 50 per generation, and ``optuna-nsga2-10``, with ten: with 50 trials the default is random search.
``hybridbo-sampler`` is hybridbo inside an Optuna study, with its space given (``hybridbo-sampler-llm`` with the
recorded replies), and ``hybridbo-by-run`` where the objective alone tells it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from benchmarks import advice
from benchmarks.problem import Problem
from hybridbo import knowledge
from hybridbo.llm.prompts import seed_request
from hybridbo.objective import Objective
from hybridbo.parameters import Params
from hybridbo.ports import ChatBackend
from hybridbo.settings import Settings

BUDGET = 30  # trials of a search
N_SEEDS = 5  # trials before the model takes over; the recorded seeds of the peers


class NotApplicable(Exception):
    """The method cannot run on the problem: a package is missing, or there is no recorded reply."""


class Method(Protocol):
    """A search in progress. ``ask`` and ``tell`` or ``fail`` alternate."""

    def ask(self) -> tuple[Params, str]:
        """The next configuration, and who proposed it."""
        ...

    def tell(self, value: Any) -> None:
        """Its value; with several objectives, the values by name."""
        ...

    def fail(self, reason: str) -> None:
        """It failed."""
        ...


class Hybrid:
    """hybridbo through its public face."""

    def __init__(
        self, problem: Problem, seed: int, llm: ChatBackend | None = None, settings: dict[str, Any] | None = None
    ) -> None:
        from hybridbo import Optimizer

        what = problem.arguments()
        self._optimizer = Optimizer(problem.space, **what, task=problem.task, llm=llm, seed=seed, settings=settings)
        self._trial: Any = None

    def add(self, params: Params, value: Any) -> None:
        """Take in a trial that was made elsewhere."""
        self._optimizer.enqueue(params)
        self._optimizer.tell(self._optimizer.ask(), value)

    def ask(self) -> tuple[Params, str]:
        """See Method."""
        self._trial = self._optimizer.ask()
        return dict(self._trial.params), self._trial.origin.source

    def tell(self, value: Any) -> None:
        """See Method."""
        self._optimizer.tell(self._trial, value)

    def fail(self, reason: str) -> None:
        """See Method."""
        self._optimizer.fail(self._trial, reason)


class Listed:
    """First some given configurations, then draws from a function."""

    def __init__(self, first: list[Params], draw: Callable[[], Params], source: str) -> None:
        self._first, self._draw, self._source = list(first), draw, source

    def ask(self) -> tuple[Params, str]:
        """See Method."""
        return (self._first.pop(0), "given") if self._first else (self._draw(), self._source)

    def tell(self, value: Any) -> None:
        """It does not learn."""

    def fail(self, reason: str) -> None:
        """It does not learn."""


def default(problem: Problem) -> Params:
    """hybridbo's arm 0: declared defaults, else published ones, else middles."""
    return problem.space.round(problem.space.complete({}, knowledge.defaults(problem.space)))


def own_seed(problem: Problem, seed: int) -> int:
    """The same for all methods, another one for each problem: tables that share a space get different random points."""
    return int(np.random.SeedSequence([seed, zlib.crc32(problem.name.encode())]).generate_state(1)[0]) % 2**31


def seeds(problem: Problem, seed: int) -> list[Params]:
    """Arm 0 and the first recorded points, of which ``hybridbo-llm`` has two among its seeds."""
    points = [default(problem), *_recorded(problem, seed % 2).points]
    different = {problem.space.key(point): point for point in points}
    return list(different.values())[:N_SEEDS]


def make(
    name: str, problem: Problem, seed: int, settings: dict[str, Any] | None = None, budget: int = BUDGET
) -> Method:
    """Start a search.

    Args:
        name: A method, see the module's docstring; what follows ``@`` is a label and does nothing.
        problem: What is optimised.
        seed: Of the method; also selects the recorded sample.
        settings: Of hybridbo.
        budget: Trials there will be; SMAC plans with it.

    Raises:
        KeyError: There is no such method.
        NotApplicable: It cannot run on this problem.
    """
    name = name.partition("@")[0]
    own = own_seed(problem, seed)
    if name in SAMPLED:
        llm = _recording(problem, seed % 2) if name.endswith("-llm") else None
        return _sampled(name, problem, own, llm, settings)
    if name == "hybridbo" or name.startswith("hybridbo-"):
        if name in CONSULTED:
            settings = settings or {"llm": {"consult": CONSULT_EVERY}}
        return Hybrid(problem, own, _backend(name, problem, seed), settings)
    base, _, first = name.partition("+")
    given = _given(first, problem, seed)
    if base == "random":
        rng = np.random.default_rng(own)
        return Listed(given, lambda: problem.sample(rng), "random")
    if base == "llm-only" and not first:
        return _llm_only(problem, seed)
    if base in (*_OPTUNA, *GENETIC):
        if base in GENETIC and "objectives" not in problem.arguments():
            raise NotApplicable("it is for several objectives")
        if find_spec("optuna") is None:
            raise NotApplicable("optuna is not installed")
        from benchmarks.peers import Optuna

        return Optuna(base.removeprefix("optuna-"), problem, own, given)
    if base in _OUTSIDE:
        from benchmarks.external import External, command_of

        return External(command_of(base), problem, own, budget, given)
    raise KeyError(f"there is no method {name!r}; known: {', '.join(NAMES)}")


_HYBRIDS = ["hybridbo", "hybridbo-llm", "hybridbo-shuffled", "hybridbo-adversarial"]
_OPTUNA = ["optuna-tpe", "optuna-gp"]
_PEERS = ["random", *_OPTUNA]
GENETIC = ["optuna-nsga2", "optuna-nsga2-10"]
SAMPLES = ["hybridbo-llm-0", "hybridbo-llm-1"]
SMOLLM = "hybridbo-smollm"
CONSULTED = ["hybridbo-consult-good", "hybridbo-consult-bad"]
CONSULT_EVERY = 5
SAMPLED = ["hybridbo-sampler", "hybridbo-sampler-llm", "hybridbo-by-run"]
_OUTSIDE = ["smac", "hebo"]
NAMES = [*_HYBRIDS, "llm-only", *(p + first for first in ("", "+default", "+seeds") for p in _PEERS), *_OUTSIDE]
NAMES += GENETIC
ON_REQUEST = [
    SMOLLM,
    *SAMPLED,
    *SAMPLES,
    *CONSULTED,
    *(peer + first for first in ("+default", "+seeds") for peer in _OUTSIDE),
]  # not in "all"


def _given(first: str, problem: Problem, seed: int) -> list[Params]:
    if first in ("", "default"):
        return [default(problem)] if first else []
    if first == "seeds":
        return seeds(problem, seed)
    raise KeyError(f"+{first} is neither +default nor +seeds")


def _sampled(
    name: str, problem: Problem, seed: int, llm: ChatBackend | None, settings: dict[str, Any] | None
) -> Method:
    if find_spec("optuna") is None:
        raise NotApplicable("optuna is not installed")
    if "direction" not in problem.arguments():
        raise NotApplicable("here it is run for one objective")
    from benchmarks.sampled import Sampled

    return Sampled(problem, seed, llm, settings, by_run=name == "hybridbo-by-run")


def _backend(name: str, problem: Problem, seed: int) -> ChatBackend | None:
    kind = name.removeprefix("hybridbo").removeprefix("-")
    makers: dict[str, Callable[[], ChatBackend | None]] = {
        "": lambda: None,
        "llm": lambda: _recording(problem, seed % 2),
        "llm-0": lambda: _recording(problem, 0),
        "llm-1": lambda: _recording(problem, 1),
        "smollm": lambda: _smollm(problem),
        "shuffled": lambda: advice.Fixed("shuffled", advice.shuffled(problem, seed % 2)),
        "adversarial": lambda: advice.Fixed("adversarial", advice.adversarial(problem, seed)),
        "consult-good": lambda: _adviser(problem, seed, is_good=True),
        "consult-bad": lambda: _adviser(problem, seed, is_good=False),
    }
    if kind not in makers:
        raise KeyError(f"there is no method {name!r}; known: {', '.join(NAMES)}")
    return makers[kind]()


def _adviser(problem: Problem, seed: int, *, is_good: bool) -> ChatBackend:
    from benchmarks.adviser import Adviser

    return Adviser(problem, seed, is_good=is_good)


def _smollm(problem: Problem) -> ChatBackend:
    from benchmarks.smollm import NoModel, SmolLM2

    backend = SmolLM2()
    try:
        backend.complete(seed_request(problem.space, Objective.of(problem.direction), problem.task, Settings()))
    except NoModel as why:
        raise NotApplicable(str(why)) from None
    return backend


def _recording(problem: Problem, sample: int) -> ChatBackend:
    if problem.recording is None:
        raise NotApplicable("no reply of a language model is recorded for it")
    return advice.Recorded(problem, sample)


def _recorded(problem: Problem, sample: int) -> advice.Advice:
    if problem.recording is None:
        raise NotApplicable("no reply of a language model is recorded for it")
    return advice.recorded(problem, sample)


def _llm_only(problem: Problem, seed: int) -> Method:
    """The points of one reply, then of the other, then draws around its points."""
    own, other = _recorded(problem, seed % 2), _recorded(problem, 1 - seed % 2)
    rng = np.random.default_rng(own_seed(problem, seed))
    points = list({problem.space.key(p): p for p in (*own.points, *other.points)}.values())

    def near() -> Params:
        u = problem.space.encode(points[rng.integers(len(points))])
        return problem.space.decode(np.clip(u + rng.normal(0, 0.1, len(u)), 0, 1))

    return Listed(points, near, "near")
