"""HybridOracle with real Keras models, and with a tuner that knows no Keras."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

# before anything imports Keras: the backend that hybridbo needs anyway, and a home that is not the user's
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(Path(tempfile.gettempdir(), "hybridbo-keras")))
pytest.importorskip("keras_tuner")

import keras
import keras_tuner

from hybridbo.integrations import HybridOracle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # KerasTuner's locks look a thread up in a way that Python has renamed
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    # KerasTuner loads the weights of its best model into one whose optimizer has not run
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
    # Keras hands torch's parameters to NumPy in a way that NumPy has changed
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


def build(hp):
    """A model whose second layer is there in one scope only."""
    layers = [keras.Input((2,)), keras.layers.Dense(hp.Int("width", 4, 32, sampling="log"), activation="tanh")]
    kind = hp.Choice("kind", ["plain", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        if kind == "deep":
            layers.append(keras.layers.Dense(hp.Int("second", 4, 16), activation=hp.Choice("act", ["relu", "tanh"])))
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    lr = hp.Float("lr", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(lr), loss="mse", metrics=["mae"])
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (80, 2)).astype("float32")
    return x, x[:, :1] * x[:, 1:]


def search(folder, data, objective="val_loss", max_trials=6, **options):
    x, y = data
    keras.utils.set_random_seed(0)
    oracle = HybridOracle(objective=objective, max_trials=max_trials, llm=None, seed=0)
    found = keras_tuner.Tuner(oracle, hypermodel=build, directory=str(folder), project_name="xor", **options)
    found.search(x[:60], y[:60], validation_data=(x[60:], y[60:]), epochs=2, batch_size=20, verbose=0)
    return found


def tried(tuner):
    return [tuner.oracle.trials[key].hyperparameters.values for key in tuner.oracle.start_order]


def test_a_tuner_finds_the_scopes_searches_them_and_goes_on_after_a_reload(data, tmp_path):
    tuner = search(tmp_path, data)
    assert {hp.name for hp in tuner.oracle.get_space().space} == {"width", "kind", "second", "act", "lr"}
    assert {values["kind"] for values in tried(tuner)} == {"plain", "deep"}
    assert all(("second" in values) == (values["kind"] == "deep") for values in tried(tuner))
    assert [origin.source for origin in tuner.oracle.origins.values()][-1] == "gp"
    best = tuner.get_best_models()[0]
    assert best.predict(data[0][:3], verbose=0).shape == (3, 1)
    again = search(tmp_path, data, max_trials=8)
    assert tried(again)[:6] == tried(tuner)
    assert len(again.oracle.trials) == 8
    assert len(search(tmp_path, data, max_trials=3, overwrite=True).oracle.trials) == 3


def test_several_objectives_are_added_up(data, tmp_path):
    objectives = [keras_tuner.Objective("val_loss", "min"), keras_tuner.Objective("val_mae", "min")]
    tuner = search(tmp_path, data, objective=objectives, max_trials=2)
    for trial in tuner.oracle.trials.values():
        told = [trial.metrics.get_best_value(name) for name in ("val_loss", "val_mae")]
        assert trial.score == pytest.approx(sum(told), rel=0.2)  # each best of the two epochs, and the best sum


def test_each_trial_may_be_executed_more_than_once(data, tmp_path):
    tuner = search(tmp_path, data, max_trials=2, executions_per_trial=2)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2


def test_scikit_learn_models_are_tuned_by_kerastuners_own_tuner(tmp_path):
    pytest.importorskip("pandas")
    from sklearn.datasets import make_classification
    from sklearn.neighbors import KNeighborsClassifier

    def knn(hp):
        return KNeighborsClassifier(hp.Int("k", 1, 20), weights=hp.Choice("weights", ["uniform", "distance"]))

    oracle = HybridOracle(objective=keras_tuner.Objective("score", "max"), max_trials=6, llm=None, seed=0)
    tuner = keras_tuner.SklearnTuner(oracle=oracle, hypermodel=knn, directory=str(tmp_path), project_name="knn")
    tuner.oracle.verbose = 0
    tuner.search(*make_classification(120, random_state=0))
    assert len(oracle.trials) == 6
    assert tuner.get_best_models()[0].predict(np.zeros((1, 20))).shape == (1,)
