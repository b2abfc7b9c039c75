"""Advice for a search: recorded replies of a real model, another task's reply, and replies that mislead on purpose.

Recorded replies pass through :mod:`hybridbo.backends.replay`, and only then are numbers that a table's grid does not
hold moved to the nearest grid value, as a model that had been shown the grid would have answered.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.fresh import space_of, specs
from benchmarks.problem import DATA, EvaluationFailed, Problem
from hybridbo import knowledge
from hybridbo.backends.replay import Replay
from hybridbo.belief import Advice
from hybridbo.llm.parse import parse_advice
from hybridbo.llm.prompts import choice_label, seed_request
from hybridbo.objective import Objective
from hybridbo.parameters import Categorical, Choice, Params, is_number
from hybridbo.ports import ChatReply, ChatRequest
from hybridbo.settings import Settings
from hybridbo.space import Space

__all__ = ["Advice", "Fixed", "Recorded", "adversarial", "recorded", "shuffled"]

RECORDINGS = DATA / "zero_shot.json"
_N_POINTS = 10
_WORST_SHARE = 0.2
_SD_OF_INTERVAL = 1.28  # an 80 % interval reaches that many standard deviations to either side


class Recorded:
    """A ChatBackend that replays the recorded replies of a problem.

    Args:
        problem: It has a recording.
        sample: Which of its replies.
    """

    def __init__(self, problem: Problem, sample: int) -> None:
        self._replay = Replay(RECORDINGS, sample)
        self._problem = problem

    @property
    def name(self) -> str:
        """See ChatBackend."""
        return self._replay.name

    def complete(self, request: ChatRequest) -> ChatReply:
        """See ChatBackend."""
        reply = self._replay.complete(replace(request, task=str(self._problem.recording)))
        return replace(reply, text=on_grid(reply.text, self._problem.space))


class Fixed:
    """A ChatBackend that always answers the same.

    Args:
        name: What it is called.
        text: The answer.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text

    @property
    def name(self) -> str:
        """See ChatBackend."""
        return self._name

    def complete(self, request: ChatRequest) -> ChatReply:  # noqa: ARG002  # whatever the question
        """See ChatBackend."""
        return ChatReply(self._text, self._name, recorded=True)


def recorded(problem: Problem, sample: int) -> Advice:
    """What hybridbo understands of a recorded reply."""
    request = seed_request(problem.space, Objective.of(problem.direction), problem.task, Settings())
    text = Recorded(problem, sample).complete(request).text
    return parse_advice(text, problem.space, knowledge.defaults(problem.space))


# Misleading advice -----------------------------------------------------------------------------------------------


def shuffled(problem: Problem, sample: int) -> str:
    """Another task's reply: of the next task with the same parameters, else of some fresh task, column by column."""
    tasks = json.loads(RECORDINGS.read_text())["tasks"]
    same = [key for key in tasks if key.split("/")[0] == str(problem.recording).split("/")[0]]
    if problem.recording is not None and problem.suite != "fresh":
        other = same[(same.index(problem.recording) + 1) % len(same)]
        return on_grid(json.dumps(tasks[other]["samples"][sample]), problem.space)
    fresh = [key for key in tasks if key.startswith("fresh/")]
    first = fresh.index(problem.name) if problem.name in fresh else zlib.crc32(problem.name.encode())
    key = fresh[(first + 1) % len(fresh)]
    source = space_of(specs()[key.split("/")[1]])
    points = [_transplant(source, config, problem.space) for config in tasks[key]["samples"][sample]["configs"]]
    return reply_of(points, problem.space)


def adversarial(problem: Problem, seed: int) -> str:
    """Points from the worst 20 % of the problem, failures first, and beliefs made of these points."""
    worst = _worst(problem.name)
    rng = np.random.default_rng([seed, 3])
    chosen = rng.permutation(len(worst))[:_N_POINTS]
    return reply_of([worst[i] for i in chosen], problem.space)


@cache
def _worst(name: str) -> list[Params]:
    from benchmarks import suites

    problem = suites.problem(name)
    n = 60 if problem.trains else 500
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    sample = [problem.sample(rng) for _ in range(n)]
    losses = [_loss(problem, params) for params in sample]
    order = np.argsort(losses, kind="stable")[::-1]
    return [sample[i] for i in order[: max(_N_POINTS, int(_WORST_SHARE * n))]]


def _loss(problem: Problem, params: Params) -> float:
    try:
        return problem.loss(problem.evaluate(params))
    except EvaluationFailed:
        return math.inf


def _transplant(source: Space, config: Mapping[str, Any], target: Space) -> Params:
    """The configuration at the same place of the unit cube, columns in turn."""
    u = source.encode(source.complete(config))
    return target.decode(np.resize(u, len(target)))


# Replies as text -------------------------------------------------------------------------------------------------


def reply_of(points: Sequence[Params], space: Space) -> str:
    """A reply with these points and the beliefs that they suggest."""
    beliefs = {name: _belief(space, name, [p[name] for p in points if name in p]) for name in space}
    told = {name: belief for name, belief in beliefs.items() if belief}
    return json.dumps({"configs": list(points), "prior": told, "rationale": "From experience."})


def _belief(space: Space, name: str, values: list[Choice]) -> dict[str, float] | None:
    parameter = space[name]
    if not values:
        return None
    if isinstance(parameter, Categorical):
        return {choice_label(c): sum(c == v for v in values) / len(values) for c in parameter.choices}
    low, center, high = (float(x) for x in np.quantile(np.array(values, dtype=float), [0.1, 0.5, 0.9]))
    return {"center": center, "low": low, "high": high} if low < high else None


def on_grid(text: str, space: Space) -> str:
    """A reply with the numbers of ordered choices moved onto their grid, and intervals made weights of the choices."""
    data = json.loads(text)
    grids = {name: p for name, p in space.items() if isinstance(p, Categorical) and all(map(is_number, p.choices))}
    for config in data["configs"]:
        for name in grids.keys() & config.keys():
            config[name] = _nearest(grids[name], config[name])
    for name in grids.keys() & data["prior"].keys():
        if "center" in data["prior"][name]:
            data["prior"][name] = _weights(grids[name], data["prior"][name])
    return json.dumps(data)


def _nearest(parameter: Categorical, value: float) -> Choice:
    place = round(_place(parameter, value))
    return parameter.choices[place]


def _place(parameter: Categorical, value: float) -> float:
    """Where a number lies among the ordered choices, counted in choices; on a log scale if all are positive."""
    grid = np.array(parameter.choices, dtype=float)
    if grid.min() > 0:
        return float(np.interp(math.log(max(value, 1e-300)), np.log(grid), np.arange(len(grid))))
    return float(np.interp(value, grid, np.arange(len(grid))))


def _weights(parameter: Categorical, interval: Mapping[str, float]) -> dict[str, float]:
    low, center, high = (_place(parameter, interval[key]) for key in ("low", "center", "high"))
    places = np.arange(len(parameter.choices))
    sd = np.where(places < center, center - low, high - center) / _SD_OF_INTERVAL
    weights = np.exp(-0.5 * ((places - center) / np.maximum(sd, 0.4)) ** 2)
    weights /= weights.sum()
    return {choice_label(c): float(w) for c, w in zip(parameter.choices, weights, strict=True)}
