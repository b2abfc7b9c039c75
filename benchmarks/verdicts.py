"""How often ``Optimizer.attribution`` is right: searches whose advice is known to be good, bad or noise.

Good advice is drawn from the best 5 % of 2,000 random configurations of a problem, bad advice from the worst 20 %,
noise from all of them. The truth is taken from the same 2,000: with q the share that is at least as good as the best
seed, k random configurations hold one as good with probability 1 - (1 - q)^k. "Helped" is false where that is above
1/4, or the default is no worse; "did not help" is false where it is below 1/4 and the default is worse.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks import advice, suites
from benchmarks.methods import own_seed
from benchmarks.problem import EvaluationFailed, Problem
from hybridbo import Optimizer
from hybridbo.parameters import Array, Params

KINDS = ("good", "noise", "bad")
LENGTHS = (6, 10, 20, 30)
_POOL = 2000
_LIMIT = 0.25


@dataclass(frozen=True)
class Row:
    """One verdict.

    Attributes:
        kind: Of the advice.
        n: Trials by then.
        verdict: What was said.
        deserved: Whether the seeds beat the default and 3 of 4 draws of as many random configurations.
        error: The chance that was told less the true one; NaN where none was told.
    """

    kind: str
    n: int
    verdict: str
    deserved: bool
    error: float


def search(problem: Problem, kind: str, seed: int, lengths: Sequence[int] = LENGTHS) -> Iterator[Row]:
    """The verdicts during one search."""
    llm = advice.Fixed(kind, _reply(problem, kind, seed))
    what = problem.arguments()
    with Optimizer(problem.space, **what, task=problem.task, llm=llm, seed=own_seed(problem, seed)) as opt:
        for n in range(1, max(lengths) + 1):
            trial = opt.ask()
            try:
                opt.tell(trial, problem.evaluate(trial.params))
            except EvaluationFailed as error:
                opt.fail(trial, error)
            if n in lengths:
                yield _row(problem, kind, n, opt)


def _row(problem: Problem, kind: str, n: int, opt: Optimizer) -> Row:
    found, trials = opt.attribution(), opt.trials
    evidence = found.counterfactual
    if evidence is None:
        return Row(kind, n, found.verdict, deserved=False, error=math.nan)
    best = min(_loss(problem, trials[place.trial].params) for place in evidence.places)
    q = float((_pool(problem.name)[1] <= best).mean()) if math.isfinite(best) else 1.0
    true = 1 - (1 - q) ** len(evidence.places)
    deserved = true < _LIMIT and best < _loss(problem, trials[0].params)
    return Row(kind, n, found.verdict, deserved, evidence.chance_as_good - true)


def _loss(problem: Problem, params: Params) -> float:
    try:
        return problem.loss(problem.evaluate(params))
    except EvaluationFailed:
        return math.inf


@cache
def _pool(name: str) -> tuple[list[Params], Array]:
    """Random configurations and their losses, best first."""
    problem, rng = suites.problem(name), np.random.default_rng(zlib.crc32(name.encode()))
    sample = [problem.sample(rng) for _ in range(_POOL)]
    losses = np.array([_loss(problem, params) for params in sample])
    order = np.argsort(losses, kind="stable")
    return [sample[i] for i in order], losses[order]


def _reply(problem: Problem, kind: str, seed: int) -> str:
    sample, _ = _pool(problem.name)
    among = {"good": sample[: _POOL // 20], "bad": sample[-_POOL // 5 :], "noise": sample}[kind]
    chosen = np.random.default_rng([seed, 17]).permutation(len(among))[:8]
    return advice.reply_of([among[i] for i in chosen], problem.space)


def table(rows: Sequence[Row]) -> str:
    """The verdicts as a Markdown table, a line for each kind of advice and length."""
    head = "| advice | trials | runs | helped | did not help | cannot tell | false helped | false not | error of p |"
    lines = [head, "| --- " * 9 + "|"]
    for kind in KINDS:
        for n in sorted({row.n for row in rows}):
            own = [row for row in rows if (row.kind, row.n) == (kind, n)]
            if own:
                lines.append(f"| {kind} | {n} | {len(own)} | " + " | ".join(_cells(own)) + " |")
    return "\n".join(lines)


def _cells(own: Sequence[Row]) -> Iterator[str]:
    said = Counter(row.verdict for row in own)
    for verdict in ("helped", "did not help", "cannot tell yet"):
        yield f"{said[verdict] / len(own):.2f}"
    yield f"{sum(row.verdict == 'helped' and not row.deserved for row in own) / len(own):.3f}"
    yield f"{sum(row.verdict == 'did not help' and row.deserved for row in own) / len(own):.3f}"
    known = [row.error for row in own if not math.isnan(row.error)]
    yield f"{np.mean(known):+.2f}" if known else "-"


def main(suite: str, seeds: Sequence[int]) -> int:
    """Search and print; returns the exit status."""
    problems = [suites.problem(name) for name in suites.select(suite)]
    told = [p for p in problems if isinstance(p, Problem) and not p.trains]
    print(table([row for p in told for kind in KINDS for seed in seeds for row in search(p, kind, seed)]))
    return 0
