"""An Optuna study of yours with one line changed: `sampler=HybridSampler(...)`.

The objective is define-by-run and has a condition, a constraint and failures; the study stays in its SQLite file, which
optuna-dashboard opens. The second half of the trials runs in a study that was loaded again, with a new sampler: it goes
on as if nothing had happened. It needs Optuna (`pip install 'hybridbo[optuna]'`), no key and no network.
"""

import math
import sys
import tempfile
from pathlib import Path

import optuna

from hybridbo.integrations import HybridSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    """Something like a validation error: best with SGD and much momentum, if it fits into memory."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    width = trial.suggest_int("width", 16, 1024, log=True)
    error = 0.05 * (math.log10(lr) + 2.2) ** 2 + 0.3 / math.log2(width)
    if trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd":
        error += 0.2 * (trial.suggest_float("momentum", 0.0, 0.99) - 0.9) ** 2 - 0.02
    if lr > 0.05:
        raise FloatingPointError("the loss diverged")
    if hasattr(trial, "set_constraint"):  # Optuna 5; before, give HybridSampler a constraints_func
        trial.set_constraint("memory", width - 512)
    return error


def search(storage: str, n_trials: int) -> optuna.Study:
    # llm="auto" asks a language model if a key is set; its reply stays in the study
    sampler = HybridSampler(task="Tune a small network; metric: error", llm=None, seed=0)
    study = optuna.create_study(study_name="net", storage=storage, sampler=sampler, load_if_exists=True)
    study.optimize(objective, n_trials=n_trials, catch=(FloatingPointError,))
    return study


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        search(f"sqlite:///{Path(folder, 'parts.db')}", 8)
        study = search(f"sqlite:///{Path(folder, 'parts.db')}", 8)  # as after a restart
        whole = search(f"sqlite:///{Path(folder, 'whole.db')}", 16)
        for trial in study.trials:
            origin = HybridSampler.origin(trial)
            value = "failed" if trial.value is None else f"{trial.value:.4f}"
            print(f"trial {trial.number:<2}  {origin.source if origin else '?':<7}  {value}  {trial.params}")
        default, best = study.trials[0].value, study.best_value
        same = [trial.params for trial in study.trials] == [trial.params for trial in whole.trials]
    print(f"default configuration: {default:.4f}; best of 16 trials: {best:.4f}; resumed, and the same trials: {same}")
    return 0 if same and best < default else 1


if __name__ == "__main__":
    sys.exit(main())
