"""KerasTuner with hybridbo's search: six trainings of a small Keras model, one optimizer with a scope of its own.

Run it with `python examples/keras_tuner_oracle.py`. It needs `pip install keras-tuner six`, no key and no network.
"""

import os
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")  # hybridbo needs torch anyway; any other backend will do

import keras
import keras_tuner
import numpy as np

from hybridbo.integrations import HybridOracle

TASK = "Tune a small MLP that tells two interleaved spirals apart, 300 points; metric: validation accuracy."


def spirals() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    turn = np.sqrt(rng.uniform(0.05, 1, 400)) * 5
    arm = np.repeat([0, 1], 200)
    points = np.stack([turn * np.cos(turn + np.pi * arm), turn * np.sin(turn + np.pi * arm)], axis=1)
    order = rng.permutation(400)
    return (points / 5 + 0.03 * rng.normal(size=points.shape)).astype("float32")[order], arm[order]


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    width = hp.Int("width", 4, 128, sampling="log", default=16)
    layers = [keras.layers.Dense(width, activation=hp.Choice("activation", ["relu", "tanh"]))]
    layers += [keras.layers.Dense(width, activation="tanh") for _ in range(hp.Int("depth", 1, 3) - 1)]
    lr = hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-3)
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.0, 0.99)  # None while another optimizer is chosen
    optimizer = keras.optimizers.SGD(lr, momentum=momentum) if kind == "sgd" else keras.optimizers.Adam(lr)
    model = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> int:
    x, y = spirals()
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        # llm="auto" asks a language model if a key is set
        oracle = HybridOracle(objective="val_accuracy", max_trials=6, task=TASK, llm=None, seed=0)
        tuner = keras_tuner.Tuner(oracle, hypermodel=build, directory=folder, project_name="spirals")
        tuner.search(x[:300], y[:300], validation_data=(x[300:], y[300:]), epochs=6, batch_size=50, verbose=0)
        for trial_id, trial in sorted(oracle.trials.items()):
            source = oracle.origins[trial_id].source
            print(f"trial {trial_id}  {source:<7}  accuracy {trial.score:.3f}  {trial.hyperparameters.values}")
        default, best = oracle.trials["0"].score, oracle.get_best_trials()[0]
        print(f"default configuration: {default:.3f}; best of 6 trials: {best.score:.3f}")
    return 0 if best.score > default else 1  # what this example claims: searching paid


if __name__ == "__main__":
    sys.exit(main())
