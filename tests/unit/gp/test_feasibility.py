import numpy as np
import pytest

from hybridbo.errors import SurrogateError
from hybridbo.gp import feasibility, model

GROUPS = np.array([0, 1])


def learn(good, bad):
    good, bad = np.array(good, dtype=float).reshape(-1, 2), np.array(bad, dtype=float).reshape(-1, 2)
    return feasibility.log_probability(good, bad, GROUPS, np.random.default_rng(0))


def test_it_learns_where_trials_fail():
    rng = np.random.default_rng(1)
    x = rng.random((16, 2))
    log_p = learn(x[x[:, 0] < 0.5], x[x[:, 0] >= 0.5])
    p = np.exp(log_p(np.array([[0.1, 0.5], [0.9, 0.5], [0.1, 0.1], [0.9, 0.9]])))
    assert p[[0, 2]].min() > 0.75
    assert p[[1, 3]].max() < 0.35
    assert ((p > 0) & (p <= 1)).all()


def test_one_failure_among_many_rules_out_its_neighbourhood_at_most():
    good = [[x, y] for x in (0.0, 0.3, 0.6) for y in (0.0, 0.5, 1.0)]
    p = np.exp(learn(good, [[1.0, 1.0]])(np.array([[1.0, 1.0], [0.1, 0.1]])))
    assert p[0] < p[1]
    assert p[1] > 0.8


@pytest.mark.parametrize(
    ("good", "bad"),
    [([], [[0.5, 0.5]]), ([], [[0.5, 0.5]] * 5), ([[0.5, 0.5]], [[0.5, 0.5]]), ([[0.5, 0.5]] * 3, [[0.5, 0.5]] * 30)],
    ids=["one failure", "failures in one place", "success and failure in one place", "mostly failures"],
)
def test_poor_data_give_finite_logarithms(good, bad):
    values = learn(good, bad)(np.random.default_rng(0).random((7, 2)))
    assert values.shape == (7,)
    assert np.isfinite(values).all()
    assert (values <= 0).all()


def test_a_single_point_may_be_asked_for():
    assert learn([[0.0, 0.0]], [[1.0, 1.0]])(np.array([[0.5, 0.5]])).shape == (1,)


def test_without_a_fit_the_priors_hyperparameters_serve(monkeypatch):
    def fail(*_, **__):
        raise SurrogateError("no.")

    monkeypatch.setattr(model, "fit", fail)
    p = learn([[0.0, 0.0]], [[1.0, 1.0]])(np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert p[0] > p[1]
