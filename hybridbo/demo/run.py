"""``hybridbo demo`` from start to end: choose a language model, search, score the held-out test split once, tell."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from importlib.resources import files

from hybridbo import owner
from hybridbo.demo.digits import DIRECTION, SPACE, TASK, Digits
from hybridbo.demo.summary import show_summary
from hybridbo.errors import StudyNotFound
from hybridbo.optimizer import Optimizer
from hybridbo.parameters import Params
from hybridbo.progress import one_line

STUDY = "digits"
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

_LIVE = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_SCORES = "test_scores"


def run_demo(trials: int, store: str, seed: int | None = None, llm: str | None = None) -> int:
    """Run the demo, or go on with it.

    Args:
        trials: How many trials the search has in all, those of earlier starts included.
        store: File of the search.
        seed: Seed; None takes that of a search begun earlier, and 0 for a new one.
        llm: Specification of the language model; None takes the live one that the environment names, else a recording.

    Returns:
        The exit status: 0, or 130 after Ctrl-C.

    Raises:
        MissingDependency: scikit-learn is not installed.
    """
    try:
        _search_and_tell(trials, store, seed, llm)
    except KeyboardInterrupt:
        given = ["--trials", str(trials), "--store", store]
        given += ["--seed", str(seed)] if seed is not None else []
        given += ["--llm", llm] if llm is not None else []
        _say(f"Stopped; nothing is lost. Go on with: hybridbo demo {shlex.join(given)}")
        return INTERRUPTED
    return 0


def _search_and_tell(trials: int, store: str, seed: int | None, llm: str | None) -> None:
    data = Digits()  # before the store is made: without scikit-learn nothing is left behind
    spec, about = choose_llm(llm, os.environ)
    seed = _seed_in(store) if seed is None else seed
    with Optimizer(SPACE, DIRECTION, task=TASK, study=STUDY, store=store, llm=spec, seed=seed) as opt:
        _say(opening(opt, trials, store))
        if not is_complete(opt, trials):
            _say(f"{about} It is {one_line(opt.llm)}." if spec == "auto" else about)
            opt.run(data, n_trials=trials)
        show_summary(sys.stdout, opt, final_scores(opt, data))
    _say(f"Every trial, with its reason: hybridbo show {shlex.quote(store)} {STUDY}")


def _seed_in(store: str) -> int:
    try:
        with Optimizer.load(store, STUDY, llm=None) as opt:
            return opt.seed
    except StudyNotFound:
        return 0


def choose_llm(llm: str | None, environment: Mapping[str, str]) -> tuple[str | None, str]:
    """Which language model the demo asks, and a sentence that says so.

    Args:
        llm: As given by the user; None if nothing was.
        environment: The environment variables.

    Returns:
        A specification for ``Optimizer(llm=...)`` and the sentence.
    """
    wanted = environment.get("HYBRIDBO_LLM", "").strip()
    for given, why in ((llm, "as asked for"), (wanted if wanted.lower() != "auto" else None, "as HYBRIDBO_LLM says")):
        if given:
            return None if given.lower() == "none" else given, f"Language model: {one_line(given)}, {why}."
    if found := [name for name in _LIVE if environment.get(name, "").strip()]:
        return "auto", f"Language model: asked live, since {found[0]} is set."
    recording = files("hybridbo") / "data" / "pipe_digits.json"
    return f"replay:{recording}", (
        "Language model: none is asked; the recorded reply of a real model to this very task is replayed. "
        "Set OPENAI_API_KEY or OPENAI_BASE_URL to ask a live one."
    )


def opening(opt: Optimizer, trials: int, store: str) -> str:
    """What the search is about to do: start, go on, or nothing since it is complete."""
    known = opt.trials
    done = [trial for trial in known if trial.state.is_finished]
    if is_complete(opt, trials):
        return f"The search in {store} is complete: {len(done)} trials."
    if not known:
        return f"A new search: {trials} trials of a digit classifier, kept in {store}."
    line = f"Going on with the search in {store}: {len(done)} of {trials} trials are done."
    flying = [trial for trial in known if not trial.state.is_finished]
    again = [str(trial.number) for trial in flying if owner.is_gone(trial.owner)]
    held = [str(trial.number) for trial in flying if not owner.is_gone(trial.owner)]
    line += f" Trial {', '.join(again)} was in flight and is offered again." if again else ""
    return line + (f" Trial {', '.join(held)} is held by another process, which may be elsewhere." if held else "")


def is_complete(opt: Optimizer, trials: int) -> bool:
    """Whether nothing is left to run."""
    return sum(1 for trial in opt.trials if trial.state.is_finished) >= trials


def final_scores(opt: Optimizer, data: Digits) -> dict[str, float]:
    """Accuracy on the test split: of ``"winner"``, and of ``"default"``, the configuration of trial 0.

    Each configuration is scored once in the life of a study; the scores are kept as an event and read back from there.
    """
    if opt.best is None:
        return {}
    chosen: dict[str, Params] = {"winner": opt.best.params, "default": opt.trials[0].params}
    for event in reversed(opt.events):
        if event.kind == _SCORES:
            known = json.loads(event.message)
            if known["winner_trial"] == opt.best.number:
                return {name: float(known[name]) for name in chosen}
    scores = {name: data.test_score(params) for name, params in chosen.items()}
    opt.note(_SCORES, json.dumps({"winner_trial": opt.best.number, **scores}), opt.best.number)
    return scores


def _say(line: str) -> None:
    """For the person in front of the screen; standard output is for the results."""
    from click import echo

    echo(line, err=True)
