"""Ask and tell inside a training loop of your own: a small neural network in numpy, eight trials, no language model.

Run it with `python examples/ask_tell.py`. It needs no key and no network.
"""

import sys

import numpy as np

from hybridbo import Categorical, Float, Int, Optimizer

SPACE = {
    "lr": Float(1e-4, 1.0, log=True, default=1e-3),
    "width": Int(2, 64, log=True, default=16),
    "momentum": Float(0.0, 0.99, default=0.0),
    "activation": Categorical(["tanh", "relu"]),
}


@np.errstate(all="ignore")  # a learning rate that is too large ends in NaN, which the search is told as a failure
def train(lr: float, width: int, momentum: float, activation: str) -> float:
    """Validation error of a network with one hidden layer that learns sin(3x)."""
    act = np.tanh if activation == "tanh" else lambda z: np.maximum(z, 0)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    weights = [rng.normal(size=(1, width)), np.zeros(width), rng.normal(size=(width, 1)) / np.sqrt(width), np.zeros(1)]
    speed = [np.zeros_like(w) for w in weights]
    x_train, y_train, x_valid, y_valid = x[:192], y[:192], x[192:], y[192:]
    for _ in range(300):
        hidden = act(x_train @ weights[0] + weights[1])
        delta = (hidden @ weights[2] + weights[3] - y_train) / len(x_train)
        slope = 1 - hidden**2 if activation == "tanh" else hidden > 0
        back = delta @ weights[2].T * slope
        gradients = [x_train.T @ back, back.sum(0), hidden.T @ delta, delta.sum(0)]
        speed = [momentum * v - lr * gradient for v, gradient in zip(speed, gradients, strict=True)]
        weights = [w + v for w, v in zip(weights, speed, strict=True)]
    hidden = act(x_valid @ weights[0] + weights[1])
    return float(np.mean((hidden @ weights[2] + weights[3] - y_valid) ** 2))


def main() -> int:
    # store="search.db" instead of ":memory:" keeps the search; llm="auto" asks a language model if a key is set
    with Optimizer(SPACE, direction="minimize", study="net", store=":memory:", llm=None, seed=0) as opt:
        for _ in range(8):
            trial = opt.ask()
            error = train(**trial.params)
            if np.isfinite(error):
                opt.tell(trial, error)
            else:
                opt.fail(trial, "the loss diverged")
            print(f"trial {trial.number}  {trial.origin.source:<7}  error {error:.4f}  {trial.params}")
        default, best = opt.trials[0], opt.best
        if best is None or default.value is None:
            return 1
        print(f"default configuration: {default.value:.4f}; best of 8 trials: {best.value:.4f}, {best.params}")
        return 0 if best.value < default.value else 1  # what this example claims: searching paid


if __name__ == "__main__":
    sys.exit(main())
