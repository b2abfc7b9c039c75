import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import methods, suites
from benchmarks.adviser import Adviser, optimum
from hybridbo.ports import ChatRequest

NAME = "functions/branin"
REQUEST = ChatRequest("consult:10", "t", {}, "s", "u")


def losses(problem, request=REQUEST, **options):
    points = json.loads(Adviser(problem, 0, **options).complete(request).text)["configs"]
    return [problem.loss(problem.evaluate(point)) for point in points]


def test_one_knows_the_optimum_and_the_other_misleads():
    problem = suites.problem(NAME)
    assert problem.evaluate(problem.space.decode(optimum(NAME))) == pytest.approx(problem.best, abs=1e-3)
    good, bad = (losses(problem, is_good=is_good) for is_good in (True, False))
    assert len(good) == len(bad) == 4
    assert max(good) < min(bad)


def test_an_answer_depends_on_the_question_alone():
    problem = suites.problem(NAME)
    for is_good in (True, False):
        again = [losses(problem, is_good=is_good) for _ in range(2)]
        assert again[0] == again[1] != losses(problem, replace(REQUEST, purpose="consult:15"), is_good=is_good)


def test_neither_speaks_of_the_seeds():
    problem = suites.problem(NAME)
    assert losses(problem, replace(REQUEST, purpose="seeds"), is_good=True) == []


def test_the_seeds_are_those_of_a_search_without_an_llm():
    problem = suites.problem(NAME)
    searches = [methods.make(name, problem, 0) for name in ("hybridbo", *methods.CONSULTED)]
    for _ in range(5):
        asked = [search.ask()[0] for search in searches]
        assert asked[0] == asked[1] == asked[2]
        for search in searches:
            search.tell(problem.evaluate(asked[0]))
    assert np.isfinite(problem.evaluate(searches[1].ask()[0]))
