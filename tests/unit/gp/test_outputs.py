import numpy as np

from hybridbo.errors import SurrogateError
from hybridbo.gp import model
from hybridbo.gp.features import Features
from hybridbo.gp.outputs import Output, Places
from hybridbo.space import Float, Space

FEATURES = Features.of(Space({"x": Float(0, 1)}))
X = np.linspace(0, 1, 6)[:, None]
Y = np.array([-1.5, -1.0, -0.4, 0.4, 1.0, 1.5])


def test_an_output_is_predicted():
    output = Output.fit(X, Y, FEATURES, np.random.default_rng(0), 1, "y")
    mean, sd = output.at(np.array([[0.5], [1.0]]))
    assert abs(mean[0]) < 0.2
    assert (sd > 0).all()
    assert output.notes == ()


def test_what_is_believed_leaves_the_mean_and_less_doubt():
    output = Output.fit(X[:3], Y[:3], FEATURES, np.random.default_rng(0), 1, "y")
    believing = output.believing(np.array([[0.9]]))
    (mean, sd), (believed, less) = output.at(np.array([[0.9]])), believing.at(np.array([[0.9]]))
    np.testing.assert_allclose(believed, mean, atol=1e-6)
    assert less < sd / 2
    assert output.believing(np.empty((0, 1))) is output


def test_a_fit_that_fails_is_noted(monkeypatch):
    def fail(*_, **__):
        raise SurrogateError("no.")

    monkeypatch.setattr(model, "fit", fail)
    output = Output.fit(X, Y, FEATURES, np.random.default_rng(0), 1, "a constraint")
    assert "The fit of a constraint failed" in output.notes[0]
    assert np.isfinite(output.at(X)[0]).all()


def test_places_are_in_order_of_appearance():
    places = Places.of(np.array([[0.5], [0.1], [0.5], [0.9]]))
    assert places.rows.tolist() == [0, 1, 3]
    assert places.place.tolist() == [0, 1, 0, 2]
    assert places.mean(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [2, 2, 4]
    assert places.mean(np.ones((4, 2))).tolist() == [[1, 1]] * 3
