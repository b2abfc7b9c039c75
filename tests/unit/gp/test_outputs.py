import math

import numpy as np
import pytest

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.ladder import Task
from hybridbo.gp.outputs import Output, Places

X = np.linspace(0, 1, 6)[:, None]
Y = np.array([-1.5, -1.0, -0.4, 0.4, 1.0, 1.5])


def task(x=X, y=Y, deadline=math.inf, **more):
    return Task(x, y, np.array([0]), np.random.default_rng(0), 1, Deadline.of(deadline), **more)


def test_an_output_is_predicted():
    output = Output.fit(task(), "y")
    mean, sd = output.at(np.array([[0.5], [1.0]]))
    assert abs(mean[0]) < 0.2
    assert (sd > 0).all()
    assert output.notes == ()


@pytest.mark.parametrize("most", [1, 5])
def test_there_is_a_process_for_each_draw(most):
    output = Output.fit(task(most=most), "y")
    assert len({tuple(one.theta) for one in output.ensemble.members}) == most


def test_what_is_believed_leaves_the_mean_and_less_doubt():
    output = Output.fit(task(X[:3], Y[:3]), "y")
    believing = output.believing(np.array([[0.9]]))
    for before, after in zip(output.ensemble.members, believing.ensemble.members, strict=True):
        (mean, variance), (believed, less) = before.predict(np.array([[0.9]])), after.predict(np.array([[0.9]]))
        np.testing.assert_allclose(believed, mean, atol=1e-6)
        assert less < variance / 2
    assert output.believing(np.empty((0, 1))) is output


def test_a_fit_that_fails_is_noted(monkeypatch):
    def fail(*_, **__):
        raise SurrogateError("no.")

    for way in ("fit", "sample"):
        monkeypatch.setattr(model, way, fail)
    output = Output.fit(task(), "a constraint")
    assert output.notes[0].startswith("Of a constraint: The fit failed (no)")
    assert np.isfinite(output.at(X)[0]).all()


def test_without_time_for_a_fit_the_priors_serve():
    output = Output.fit(task(deadline=-1.0), "y")
    assert "no time left" in output.notes[0]
    np.testing.assert_array_equal(output.ensemble.members[0].theta, model.prior_centre(1))


def test_places_are_in_order_of_appearance():
    places = Places.of(np.array([[0.5], [0.1], [0.5], [0.9]]))
    assert places.rows.tolist() == [0, 1, 3]
    assert places.place.tolist() == [0, 1, 0, 2]
    assert places.mean(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [2, 2, 4]
    assert places.mean(np.ones((4, 2))).tolist() == [[1, 1]] * 3
