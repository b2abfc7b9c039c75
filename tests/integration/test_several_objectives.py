import numpy as np
import pytest

from hybridbo import Float, Optimizer

SPACE = {"x": Float(0, 1), "y": Float(0, 1)}
QUICK = {"gp": {"candidates": 128, "restarts": 1}}


def outcomes(x, y):
    lift = 1 + 2 * (y - 0.3) ** 2 + y * x / 4
    return {"near": lift * (x - 0.1) ** 2 + y**2 / 4, "far": lift * (x - 0.9) ** 2 + (y - 0.6) ** 2, "c": x + y}


def hypervolume(points):
    """The area below (1, 1) that is dominated by feasible ``points``."""
    front, area, ceiling = sorted((p["near"], p["far"]) for p in points if p["c"] <= 1.2), 0.0, 1.0
    for near, far in front:
        if far < ceiling and near < 1.0:
            area, ceiling = area + (1.0 - near) * (ceiling - far), far
    return area


def study(seed=0):
    return Optimizer(
        SPACE,
        objectives={"near": "minimize", "far": "minimize"},
        constraints={"c": "<= 1.2"},
        llm=None,
        seed=seed,
        settings=QUICK,
    )


def test_the_front_is_found_faster_than_by_sobol_points():
    from scipy.stats import qmc

    with study() as opt:
        opt.run(lambda p: outcomes(**p), n_trials=20, progress=False)
        found = hypervolume([t.values for t in opt.trials])
        assert all(t.values["c"] <= 1.2 for t in opt.pareto_front)
    for seed in range(3):
        sobol = qmc.Sobol(2, rng=np.random.default_rng(seed)).random(32)
        assert found > hypervolume([outcomes(*u) for u in sobol])  # with twelve points more


def test_pending_trials_change_the_proposal_and_a_seed_repeats_it():
    def propose(n_pending):
        with study() as opt:
            opt.run(lambda p: outcomes(**p), n_trials=7, progress=False)
            return [t.params for t in opt.ask_batch(1 + n_pending)]

    first, second = propose(1)
    assert propose(0) == [first]
    assert propose(1) == [first, second]
    assert max(abs(first[name] - second[name]) for name in SPACE) == pytest.approx(0.5, abs=0.45)
