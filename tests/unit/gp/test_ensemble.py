import numpy as np
import pytest

from hybridbo.gp.ensemble import Ensemble
from hybridbo.gp.process import Process

GROUPS = np.array([0, 1])
THETAS = np.array([[-1.0, 0.0, -4.0, 0.1], [0.3, 0.3, -2.0, -0.2], [0.0, 1.0, -6.0, 0.0]])
RNG = np.random.default_rng(0)
X, Y, AT = RNG.random((7, 2)), RNG.standard_normal(7), RNG.random((5, 2))


@pytest.fixture
def ensemble():
    return Ensemble.of(X, Y, GROUPS, THETAS)


def test_one_member_is_that_process():
    lone, process = Ensemble.of(X, Y, GROUPS, THETAS[:1]), Process.of(X, Y, GROUPS, THETAS[0])
    for one, other in zip(lone.predict(AT), process.predict(AT), strict=True):
        assert one == pytest.approx(other)
    assert lone.log_ei(AT, np.array([0.4])) == pytest.approx(process.log_ei(AT, 0.4))


def test_the_mixture_has_the_moments_of_its_members(ensemble):
    mean, variance = ensemble.predict(AT)
    parts = [one.predict(AT) for one in ensemble.members]
    assert mean == pytest.approx(np.mean([m for m, _ in parts], axis=0))
    second = np.mean([v + m**2 for m, v in parts], axis=0)
    assert variance == pytest.approx(second - mean**2)


def test_improvement_is_averaged_over_members_each_with_its_own_incumbent(ensemble):
    best = ensemble.best_means(X)
    each = [np.exp(one.log_ei(AT, b)) for one, b in zip(ensemble.members, best, strict=True)]
    assert np.exp(ensemble.log_ei(AT, best)) == pytest.approx(np.mean(each, axis=0))
    assert best == pytest.approx([one.predict(X)[0].max() for one in ensemble.members])


def test_a_probability_is_averaged_and_is_a_probability(ensemble):
    chances = np.exp(ensemble.log_positive(AT))
    assert chances == pytest.approx(np.mean([np.exp(one.log_positive(AT)) for one in ensemble.members], axis=0))
    assert ((chances > 0) & (chances < 1)).all()


def test_each_member_believes_its_own_prediction_of_a_pending_trial(ensemble):
    believing = ensemble.with_pending(X, Y, AT[:1])
    for before, after in zip(ensemble.members, believing.members, strict=True):
        (mean, variance), (new, less) = before.predict(AT[:1]), after.predict(AT[:1])
        assert new == pytest.approx(mean, abs=1e-6)
        assert less < variance


def test_the_chance_to_be_below_a_bound_is_averaged(ensemble):
    each = [np.exp(one.log_below(0.2, AT)) for one in ensemble.members]
    assert np.exp(ensemble.log_below(0.2, AT)) == pytest.approx(np.mean(each, axis=0))
