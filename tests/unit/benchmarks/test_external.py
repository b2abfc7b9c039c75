"""Peers in processes of their own: the line to a child, what becomes of bad ones, and the real ones where they are."""

import ast
import functools
import subprocess
import sys

import pytest

from benchmarks import external, methods, run, suites
from benchmarks.external import External, PeerBroken
from benchmarks.problem import EvaluationFailed, Problem
from hybridbo import Categorical, Float, Int, Space

# Proposes the middle, and tells as its source what it has been told.
ECHO = """
import json, time
from benchmarks.outside import wire
class Echo:
    def __init__(self, along, seed, budget):
        self.along, self.n, self.told = along, 0, [seed, budget]
    def ask(self):
        print("a library talks")
        began = time.process_time()
        while time.process_time() - began < 0.05: pass
        self.n += 1
        return self.n, {name: axis.middle() for name, axis in self.along.items()}, json.dumps(self.told)
    def adopt(self, point):
        return sorted(point)
    def tell(self, handle, loss, *, failed):
        self.told.append([handle, loss, failed])
wire.serve(Echo, "numpy")
"""
ANSWERS = """
import sys
for answer in {answers!r}:
    sys.stdin.readline()
    print(answer, flush=True)
{then}
"""


def program(code):
    return [sys.executable, "-c", code]


def answering(*answers, then=""):
    return program(ANSWERS.format(answers=answers, then=then))


@pytest.fixture
def children(monkeypatch):
    """The processes that were started; none may be left."""
    started = []

    def start(*args, **options):
        started.append(subprocess.Popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(external, "subprocess", type("", (), {"Popen": start, "PIPE": subprocess.PIPE}))
    yield started
    assert started
    assert all(child.poll() is not None for child in started)


@pytest.fixture
def searching(children):
    """Starts a search by a child, and ends it."""
    searches = []

    def start(command, problem="functions/branin", **options):
        problem = suites.problem(problem) if isinstance(problem, str) else problem
        searches.append(External(command, problem, 7, 30, **options))
        return searches[-1]

    yield start
    for search in searches:
        search.close()


def test_a_child_proposes_and_is_told_losses(searching):
    problem = suites.problem("fresh/enet_wide")
    assert problem.direction == "maximize"
    search = searching(program(ECHO), problem)
    params, source = search.ask()
    assert source == "[7, 30]"
    assert problem.space.validate(params) == params
    search.tell(0.75)
    assert search.ask()[1] == "[7, 30, [1, -0.75, false]]"
    assert set(search.versions) == {"numpy"}


def test_a_failure_counts_as_the_worst_loss_and_waits_for_the_first(searching):
    search = searching(program(ECHO))
    for value in (None, 3.0, 1.0, None):
        search.ask()
        search.fail("no memory") if value is None else search.tell(value)
    told = "[7, 30, [2, 3.0, false], [1, 3.0, true], [3, 1.0, false], [4, 3.0, true]]"
    assert search.ask()[1] == told


def test_given_configurations_come_first_and_the_child_learns_of_them(searching):
    given = methods.default(suites.problem("functions/branin"))
    search = searching(program(ECHO), given=[given])
    assert search.ask() == (given, "given")
    search.tell(2.0)
    search.add(given, 4.0)
    names = '["x1", "x2"]'
    assert search.ask()[1] == f"[7, 30, [{names}, 2.0, false], [{names}, 4.0, false]]"


def test_a_child_that_dies_tells_its_status_and_its_last_words(searching):
    last = "sys.stdin.readline(); sys.stderr.write('out of luck\\n'); sys.exit(3)"
    search = searching(answering("{}", then=last))
    with pytest.raises(PeerBroken, match=r"(?s)ended with status 3.*out of luck"):
        search.ask()
    with pytest.raises(PeerBroken):
        search.ask()


def test_a_child_that_reports_an_error_is_quoted(searching):
    search = searching(program(ECHO.replace("self.n += 1", "1 / 0")))
    with pytest.raises(PeerBroken, match="ZeroDivisionError"):
        search.ask()


def test_a_child_that_hangs_at_the_start_cannot_run(searching):
    with pytest.raises(methods.NotApplicable, match=r"did not answer within 0\.2 s"):
        searching(program("import sys; sys.stdin.read()"), start_s=0.2)


def test_a_child_that_cannot_start_says_why(searching):
    with pytest.raises(methods.NotApplicable, match="No module named 'nothing_of_the_kind'"):
        searching(program("import nothing_of_the_kind"))


@pytest.mark.parametrize("rubbish", ["banana", "[1, 2]", '{"half": ', '{"params": NaN}'])
def test_a_child_that_talks_rubbish_is_quoted(searching, rubbish):
    with pytest.raises(methods.NotApplicable, match="no JSON object"):
        searching(answering(rubbish))
    search = searching(answering("{}", rubbish))
    with pytest.raises(PeerBroken, match="no JSON object"):
        search.ask()


@pytest.mark.parametrize("params", ['{"x1": "north", "x2": 1}', '{"x1": 1}', '{"x1": null, "x2": 1}', "3"])
def test_a_proposal_that_is_none_of_the_space_is_quoted(searching, params):
    search = searching(answering("{}", f'{{"params": {params}, "source": "s", "cpu_s": 0}}'))
    with pytest.raises(PeerBroken, match="it proposed"):
        search.ask()


def test_a_row_has_the_child_s_cpu_time_and_versions(children, monkeypatch):
    monkeypatch.setattr(external, "command_of", lambda peer: program(ECHO.replace("numpy", "pytest")))
    row = run.search(run.Job("smac", "crash/medium", 0, 3))
    assert [trial["ask_cpu_s"] >= 0.05 for trial in row["trials"]] == [True] * 3
    assert row["versions"]["pytest"] == pytest.__version__
    assert row["trials"][0]["source"].endswith(", 3]")  # the budget


def test_a_child_that_dies_breaks_its_search_and_not_the_run(children, monkeypatch):
    monkeypatch.setattr(external, "command_of", lambda peer: answering("{}"))
    row = run.search(run.Job("hebo", "functions/branin", 0, 3))
    assert "has ended with status 0" in row["broken"]


def test_a_peer_without_its_environment_is_skipped(monkeypatch, tmp_path):
    monkeypatch.setenv("HYBRIDBO_BENCH_PEERS", str(tmp_path))
    for name in ("smac", "hebo+default"):
        assert "make bench-peers" in run.search(run.Job(name, "functions/branin", 0, 1))["skipped"]


def test_a_child_ends_with_its_benchmark():
    child = subprocess.Popen(program(ECHO), cwd=external.ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    child.stdin.close()  # what happens when the benchmark is killed
    assert child.wait(60) == 0


def test_the_child_programs_import_nothing_of_hybridbo():
    files = list((external.ROOT / "benchmarks" / "outside").glob("*.py"))
    assert len(files) >= 5
    for file in files:
        nodes = list(ast.walk(ast.parse(file.read_text())))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not [n for n in names if n.startswith(("hybridbo", "benchmarks")) and "benchmarks.outside" not in n]
    assert not [n for n in ast.walk(ast.parse((external.ROOT / "benchmarks" / "__init__.py").read_text()))
                if isinstance(n, (ast.Import, ast.ImportFrom))]  # fmt: skip


# The real ones ---------------------------------------------------------------------------------------------------

AWKWARD = Space({
    "size": Int(1, 64, log=True),
    "kind": Categorical([True, 1, "1", None]),
    "level": Categorical([0.1, 1.0, 10.0], ordered=True, when={"kind": [True, None]}),
    "share": Float(0.1, 0.7, step=0.2, when={"level": [1.0, 10.0]}),
})  # fmt: skip


def _awkward(params):
    if params["size"] > 48:
        raise EvaluationFailed("too large")
    return -abs(params["size"] - 5) - params.get("share", 1.0)


@pytest.mark.slow
@pytest.mark.timeout(600)  # HEBO takes seconds of CPU for a proposal
@pytest.mark.parametrize("peer", ["smac", "hebo"])
def test_a_real_peer_searches_grids_conditions_and_failures_alike_twice(peer):
    try:
        command = external.command_of(peer)
    except methods.NotApplicable as why:
        pytest.skip(str(why))
    problem = Problem("test/awkward", AWKWARD, "maximize", "", _awkward, 0.0, -64.0)
    play = functools.partial(_play, command, problem, {"smac": 12, "hebo": 8}[peer])
    asked, again = play(), play()
    assert asked == again
    assert asked[0] == (methods.default(problem), "given")
    assert asked[-1][1] != "given"
    assert {peer} <= {source for _, source in asked}
    assert len({problem.space.key(params) for params, _ in asked}) >= 6


def _play(command, problem, n):
    search = External(command, problem, 3, n, given=[methods.default(problem)])
    asked = []
    for _ in range(n):
        asked.append(search.ask())
        try:
            search.tell(problem.evaluate(asked[-1][0]))
        except EvaluationFailed as why:
            search.fail(str(why))
    search.close()
    return asked
