"""A search with a language model as a program of its own, for tests that kill it or run two at once.

python llm_search.py STORE BASE_URL TRIALS SETTINGS [WAIT], the settings as JSON. It prints a line whenever a trial is
about to be asked for or was told; with WAIT it waits for a line on standard input before it asks for its first trial.
"""

import json
import sys

from hybridbo import Float, Int, Optimizer
from hybridbo.backends.openai_chat import OpenAIChat

SPACE = {"lr": Float(1e-5, 1e-1, log=True), "width": Int(16, 1024, log=True)}
KEY = "sk-canary-0123456789abcdef"


def optimizer(store, base_url, settings):
    return Optimizer(
        SPACE,
        task="Tune a network.",
        study="s",
        store=store,
        llm=OpenAIChat("m", base_url, KEY),
        seed=0,
        settings=settings,
    )


def search(store, base_url, trials, settings, say=lambda _: None):
    """Ask and tell until the study has that many finished trials."""
    with optimizer(store, base_url, settings) as opt:
        while sum(trial.state.is_finished for trial in opt.trials) < trials:
            say("asking")
            trial = opt.ask()
            opt.tell(trial, trial.params["lr"] + trial.params["width"] / 1e4)
            say("told")


if __name__ == "__main__":
    if len(sys.argv) > 5:
        print("ready", flush=True)
        sys.stdin.readline()
    search(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), lambda line: print(line, flush=True))
