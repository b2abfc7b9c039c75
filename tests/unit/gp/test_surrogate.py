import numpy as np
import pytest

from hybridbo.gp.features import encode
from hybridbo.gp.surrogate import Surrogate
from hybridbo.observe import Observations
from hybridbo.space import Float, Space

LINE = Space({"x": Float(0, 1)})
PLACES = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def learned(losses, **more):
    seen = Observations([{"x": x} for x in PLACES], np.array(losses, dtype=float), np.ones(6, dtype=bool), **more)
    return Surrogate.fit(LINE, seen, np.random.default_rng(0), restarts=1)


def at(*places):
    return encode(LINE, [{"x": x} for x in places])


def test_the_score_is_higher_where_more_is_to_be_gained():
    surrogate = learned([(x - 0.5) ** 2 for x in PLACES])
    scores = surrogate.score(at(0.5, 0.1, 0.95))
    assert np.isfinite(scores).all()
    assert scores.argmax() == 0
    assert surrogate.leaders[0].item() in {0.4, 0.6}


def test_a_pending_point_leaves_less_to_be_gained():
    free, busy = (
        learned([(x - 0.5) ** 2 for x in PLACES]),
        learned([(x - 0.5) ** 2 for x in PLACES], pending=[{"x": 0.5}]),
    )
    assert busy.score(at(0.5)) < free.score(at(0.5))
    assert (busy.incumbent >= free.incumbent).all()
    assert busy.incumbent.mean() > free.incumbent.mean()  # what it is believed to give has to be beaten too


def test_a_pending_point_is_believed_to_give_what_is_predicted():
    losses = [100 * x for x in PLACES]
    free, busy = learned(losses), learned(losses, pending=[{"x": 0.9}])
    assert busy.predict(at(0.9))[0] == pytest.approx(free.predict(at(0.9))[0], abs=1.0)
    assert free.predict(at(0.9))[0] > 60


def test_a_failure_lowers_the_score_around_it():
    losses = [1 - x for x in PLACES]
    assert learned(losses).log_p is None
    failed = learned(losses, failed=[{"x": 0.9}, {"x": 0.95}, {"x": 0.97}])
    assert failed.score(at(0.93)) < learned(losses).score(at(0.93)) - 0.3


def test_predictions_are_losses():
    surrogate = learned([100 * x for x in PLACES])
    mean, sd = surrogate.predict(at(0.5))
    assert mean == pytest.approx(50, abs=10)
    assert 0 < sd < 20


def test_many_observations_are_predicted_from_some_of_them(monkeypatch):
    losses = [100 * x for x in PLACES]
    whole = learned(losses, failed=[{"x": x} for x in (0.01, 0.02, 0.03)])
    monkeypatch.setattr("hybridbo.gp.subset.MOST_PREDICTED", 4)
    part = learned(losses, failed=[{"x": x} for x in (0.01, 0.02, 0.03)])
    assert (len(whole.process.members[0].x), len(part.process.members[0].x)) == (6, 4)
    assert part.leaders[0] == whole.leaders[0] == 0
    assert np.isfinite(part.score(at(*PLACES))).all()
    assert len(part.process.members[0].x) == 4
