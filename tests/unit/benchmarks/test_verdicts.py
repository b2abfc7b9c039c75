import math

from benchmarks import suites, verdicts
from benchmarks.verdicts import Row


def test_a_search_is_judged_against_what_is_known_of_its_problem():
    problem = suites.problem("functions/branin")
    (good,) = verdicts.search(problem, "good", 0, [6])
    (bad,) = verdicts.search(problem, "bad", 0, [6])
    assert (good.deserved, bad.deserved) == (True, False)
    assert bad.verdict == "did not help"
    assert good.verdict != "did not help"
    assert -0.5 < good.error < 0.5


def test_the_table_counts_what_was_false():
    rows = [
        Row("good", 6, "helped", True, 0.1),
        Row("good", 6, "did not help", True, 0.3),
        Row("noise", 6, "helped", False, math.nan),
        Row("noise", 6, "cannot tell yet", False, math.nan),
    ]
    assert verdicts.table(rows).splitlines()[2:] == [
        "| good | 6 | 2 | 0.50 | 0.50 | 0.00 | 0.000 | 0.500 | +0.20 |",
        "| noise | 6 | 2 | 0.50 | 0.00 | 0.50 | 0.500 | 0.000 | - |",
    ]
