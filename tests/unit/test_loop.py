import math

import pytest

from hybridbo import Float, Int, Optimizer, TrialState, errors
from hybridbo.testing import ScriptedBackend


def make(space=None, **changes):
    return Optimizer(space or {"x": Float(0.0, 1.0)}, **({"llm": None, "seed": 0} | changes))


class Watcher:
    def __init__(self):
        self.seen = []

    def started(self, trial):
        self.seen.append(("started", trial.number))

    def finished(self, trial, best, usage):
        self.seen.append(("finished", trial.number, best and best.number, usage.calls))

    def message(self, text):
        self.seen.append(("message", text))


def test_run_counts_what_the_study_had(tmp_path):
    make(store=tmp_path / "a.db").run(lambda p: p["x"], 3, progress=False)
    opt = make(store=tmp_path / "a.db")
    opt.run(lambda p: p["x"], 5, progress=False)
    assert len(opt.trials) == 5
    opt.run(lambda p: p["x"], 2, progress=False)
    assert len(opt.trials) == 7


def test_run_returns_the_best():
    opt = make()
    assert opt.run(lambda p: p["x"], 4, progress=False) == opt.best


def test_exceptions_and_rubbish_fail_the_trial_and_the_run_goes_on():
    answers = iter([RuntimeError("no\nmemory"), float("nan"), None, "text", 1.0, {"a": 1}])

    def objective(_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    opt = make()
    opt.run(objective, 6, progress=False)
    assert [t.state.value for t in opt.trials] == ["FAILED"] * 4 + ["COMPLETE", "FAILED"]
    assert opt.trials[0].error == "RuntimeError: no memory"
    assert "nan" in opt.trials[1].error
    assert opt.best.number == 4


def test_run_ends_with_the_space():
    watcher = Watcher()
    opt = make({"a": Int(1, 2)})
    opt.run(lambda p: p["a"], 10, progress=watcher)
    assert len(opt.trials) == 2
    assert [event.kind for event in opt.events] == ["space_exhausted"]
    assert watcher.seen[:2] == [("started", 0), ("finished", 0, 0, 0)]
    assert "all 2 configurations" in watcher.seen[-1][1]


def test_timeout_starts_no_further_trial():
    opt = make()
    opt.run(lambda p: p["x"], timeout=1e-9, progress=False)
    assert opt.trials == []


@pytest.mark.parametrize("limits", [{}, {"n_trials": 0}, {"n_trials": True}, {"timeout": -1}, {"n_trials": "3"}])
def test_limits_that_stop_nothing_are_refused(limits):
    with pytest.raises(errors.InvalidSettings):
        make().run(lambda p: p["x"], **limits, progress=False)


def test_interrupted_run_gives_its_trial_back():
    def interrupt(_):
        raise KeyboardInterrupt

    opt = make()
    with pytest.raises(KeyboardInterrupt):
        opt.run(interrupt, 3, progress=False)
    assert opt.trials[0].state is TrialState.RUNNING
    again = opt.ask()
    assert (again.number, again.params) == (0, opt.trials[0].params)
    opt.run(lambda p: p["x"], 1, progress=False)
    assert len(opt.trials) == 2


def test_context_tells_the_value():
    opt = make()
    with opt.trial() as trial:
        trial.value = trial.params["x"]
    assert opt.trials[0].state is TrialState.COMPLETE
    assert opt.trials[0].value == opt.trials[0].params["x"]


def test_context_with_several_objectives():
    opt = make(objectives={"a": "minimize", "b": "minimize"})
    with opt.trial() as trial:
        trial.values = {"a": 1.0, "b": 2.0}
    assert opt.trials[0].values == {"a": 1.0, "b": 2.0}


def test_context_fails_the_trial_and_propagates():
    opt = make()
    with pytest.raises(ZeroDivisionError), opt.trial():
        _ = 1 / 0
    assert opt.trials[0].error == "ZeroDivisionError: division by zero"


def test_context_without_a_value_says_so():
    opt = make()
    with pytest.raises(errors.InvalidState, match=r"trial\.value"), opt.trial():
        pass
    assert opt.trials[0].state is TrialState.FAILED


def test_context_with_nan_fails_the_trial():
    opt = make()
    with opt.trial() as trial:
        trial.value = float("nan")
    assert opt.trials[0].state is TrialState.FAILED


def test_context_interrupted_gives_the_trial_back():
    opt = make()
    with pytest.raises(KeyboardInterrupt), opt.trial():
        raise KeyboardInterrupt
    assert opt.ask().number == 0


def test_context_told_inside_is_fine():
    opt = make()
    with opt.trial() as trial:
        opt.tell(trial, 0.5)
    assert opt.trials[0].value == 0.5


def test_run_with_several_objectives():
    watcher = Watcher()
    opt = make(objectives={"a": "minimize", "b": "maximize"})
    assert opt.run(lambda p: {"a": p["x"], "b": p["x"]}, 2, progress=watcher) is None
    assert ("finished", 1, None, 0) in watcher.seen


def test_silent_by_default(capfd):
    def objective(_):
        raise RuntimeError("no memory")

    make().run(objective, 2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_exit_in_the_objective_is_a_failed_trial():
    def leave(_):
        raise SystemExit(1)

    opt = make()
    opt.run(leave, 2, progress=False)
    assert [trial.error for trial in opt.trials] == ["SystemExit: 1"] * 2


def test_an_exception_that_cannot_be_written_fails_the_trial():
    class Mute(Exception):
        def __str__(self):
            raise ZeroDivisionError

    def objective(_):
        raise Mute

    opt = make()
    opt.run(objective, 1, progress=False)
    assert opt.trials[0].error == "Mute"


class Busy:
    """A store that another process holds for a while."""

    def __init__(self, store, times, error):
        self._store, self.times, self.error = store, times, error

    def __getattr__(self, name):
        return getattr(self._store, name)

    def finish_trial(self, *args):
        if self.times:
            self.times -= 1
            raise self.error
        return self._store.finish_trial(*args)


def test_a_value_waits_for_a_busy_store():
    opt = make()
    opt.store = Busy(opt.store, 3, errors.StoreBusy("locked"))
    opt.run(lambda p: 0.25, 1, progress=False)
    assert opt.trials[0].value == 0.25


@pytest.mark.parametrize("error", [errors.StoreBusy("locked"), errors.StoreError("full", "Free some space.")])
def test_a_value_that_cannot_be_stored_stands_in_the_error(error):
    opt = make()
    opt.store = Busy(opt.store, 99, error)
    with pytest.raises(type(error), match=r"trial 0 gave 0\.25.*opt\.tell\(0, 0\.25\)"):
        opt.run(lambda p: 0.25, 1, progress=False)


def test_whoever_watches_is_told_of_fallbacks():
    watcher = Watcher()
    opt = make(llm=ScriptedBackend([errors.BackendUnavailable("connection refused")] * 9))
    opt.run(lambda p: p["x"], 2, progress=watcher)
    told = [text for kind, text, *_ in watcher.seen if kind == "message"]
    assert any("connection refused" in text and text.startswith("note on trial 1: ") for text in told)


@pytest.mark.parametrize(
    "limits", [{"n_trials": 1.5}, {"n_trials": math.inf}, {"n_trials": math.nan}, {"timeout": math.nan}]
)
def test_limits_that_are_no_numbers_of_trials_or_seconds_are_refused(limits):
    with pytest.raises(errors.InvalidSettings, match=next(iter(limits))):
        make().run(lambda p: p["x"], **limits, progress=False)


def test_an_objective_that_is_no_function_is_refused():
    with pytest.raises(errors.InvalidSettings, match="cannot be called"):
        make().run(0.5, 3, progress=False)


def test_context_that_exits_fails_the_trial():
    opt = make()
    with pytest.raises(SystemExit), opt.trial():
        raise SystemExit(1)
    assert opt.trials[0].error == "SystemExit: 1"
    assert opt.ask().number == 1
