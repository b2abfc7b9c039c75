"""``opt.run(..., executor=...)`` with threads and with real process pools."""

import _thread
import multiprocessing
import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import objectives
import pytest

from hybridbo import Float, Int, Optimizer, TrialState, errors


def make(space=None, **changes):
    return Optimizer(
        space or {"x": Float(0.0, 1.0)}, **({"llm": None, "seed": 0, "settings": {"seed_trials": 99}} | changes)
    )


def processes(n=2):
    """A process pool whose processes share nothing with this one."""
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("forkserver"))


class Watcher:
    def __init__(self):
        self.running, self.most, self.ended, self.messages = set(), 0, [], []

    def started(self, trial):
        self.running.add(trial.number)
        self.most = max(self.most, len(self.running))

    def finished(self, trial, best, usage):
        self.running.remove(trial.number)
        self.ended.append(trial.number)

    def message(self, text):
        self.messages.append(text)


def states(opt):
    return [trial.state.value for trial in opt.trials]


# As without an executor ----------------------------------------------------------------------------------------------


def test_a_process_pool_evaluates_the_trials():
    opt, watcher = make(), Watcher()
    with processes() as pool:
        best = opt.run(objectives.value_of, 6, progress=watcher, executor=pool)
        assert pool.submit(int).result() == 0  # the user's pool is left as it was
    assert best == opt.best
    assert all(trial.value == trial.params["x"] for trial in opt.trials)
    assert sorted(watcher.ended) == [0, 1, 2, 3, 4, 5]


def test_n_trials_counts_what_the_study_had_and_is_never_exceeded(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        make(store=tmp_path / "a.db").run(objectives.value_of, 3, progress=False, executor=pool)
        opt = make(store=tmp_path / "a.db")
        opt.run(objectives.value_of, 5, progress=False, executor=pool)
        assert len(opt.trials) == 5
        opt.run(objectives.value_of, 2, progress=False, executor=pool)
        assert len(opt.trials) == 7


def test_exceptions_and_rubbish_fail_the_trial_and_the_run_goes_on():
    answers = iter([RuntimeError("no\nmemory"), float("nan"), None, float("inf"), SystemExit(1), 1.0])

    def objective(_):
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    opt = make()
    with ThreadPoolExecutor(1) as pool:
        opt.run(objective, 6, progress=False, executor=pool)
    assert states(opt) == ["FAILED"] * 5 + ["COMPLETE"]
    assert opt.trials[0].error == "RuntimeError: no memory"
    assert "nan" in opt.trials[1].error
    assert opt.trials[4].error == "SystemExit: 1"


def test_exceptions_of_other_processes_arrive():
    opt = make()
    with processes() as pool:
        opt.run(objectives.fail_in_the_middle, 8, progress=False, executor=pool)
        opt.run(objectives.leave, 1, progress=False, executor=pool)
    failed = [trial for trial in opt.trials[:8] if trial.state is TrialState.FAILED]
    assert failed == [trial for trial in opt.trials[:8] if 0.3 < trial.params["x"] < 0.7]
    assert {trial.error for trial in failed} == {"RuntimeError: no memory"}
    assert opt.trials[8].error == "SystemExit: 3"


def test_the_run_ends_with_the_space():
    opt, watcher = make({"x": Int(1, 3)}), Watcher()
    with ThreadPoolExecutor(2) as pool:
        opt.run(objectives.value_of, 10, progress=watcher, executor=pool)
    assert states(opt) == ["COMPLETE"] * 3
    assert [event.kind for event in opt.events] == ["space_exhausted"]
    assert "all 3 configurations" in watcher.messages[-1]


def test_several_objectives():
    opt = make(objectives={"a": "minimize", "b": "maximize"})
    with ThreadPoolExecutor(2) as pool:
        best = opt.run(lambda p: {"a": p["x"], "b": p["x"]}, 4, progress=False, executor=pool)
    assert best is None
    assert states(opt) == ["COMPLETE"] * 4


# Asynchronous --------------------------------------------------------------------------------------------------------


class Gate:
    """An objective whose evaluations end when the test says so, by number of the call."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.let_go = [threading.Event() for _ in range(20)]
        self.calls, self.lock = 0, threading.Lock()

    def __call__(self, params):
        with self.lock:
            mine, self.calls = self.calls, self.calls + 1
        self.begun.release()
        assert self.let_go[mine].wait(60)
        return params["x"]


def in_a_thread(function, *args, **options):
    done = Future()
    done.set_running_or_notify_cancel()

    def work():
        try:
            done.set_result(function(*args, **options))
        except BaseException as error:  # noqa: BLE001  # for whoever waits
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done


def test_a_new_trial_begins_when_one_ends_and_knows_of_it():
    gate, opt = Gate(), make()
    with ThreadPoolExecutor(3) as pool:
        running = in_a_thread(opt.run, gate, 5, progress=False, executor=pool)
        for _ in range(3):
            assert gate.begun.acquire(timeout=60)
        assert len(opt.trials) == 3  # as many as there are workers, and no more
        gate.let_go[1].set()
        assert gate.begun.acquire(timeout=60)  # the fourth begins though the first still runs
        assert states(opt) == ["RUNNING", "COMPLETE", "RUNNING", "RUNNING"]
        for event in gate.let_go:
            event.set()
        running.result(60)
    assert states(opt) == ["COMPLETE"] * 5


def test_n_workers_bounds_the_trials_in_flight():
    opt, watcher = make(), Watcher()
    with ThreadPoolExecutor(4) as pool:
        opt.run(objectives.value_of, 6, progress=watcher, executor=pool, n_workers=1)
    assert watcher.most == 1
    assert watcher.ended == [0, 1, 2, 3, 4, 5]


def test_timeout_starts_no_further_trial_and_waits_for_those_in_flight():
    gate, opt = Gate(), make()
    with ThreadPoolExecutor(2) as pool:
        running = in_a_thread(opt.run, gate, timeout=0.2, progress=False, executor=pool)
        for _ in range(2):
            assert gate.begun.acquire(timeout=60)
        threading.Event().wait(0.3)  # the time is up
        for event in gate.let_go:
            event.set()
        running.result(60)
    assert states(opt) == ["COMPLETE"] * 2


def test_a_task_that_somebody_cancels_is_evaluated_again():
    opt = make()
    with ThreadPoolExecutor(1) as pool:
        fickle = Fickle(pool)
        opt.run(objectives.value_of, 2, progress=False, executor=fickle, n_workers=1)
    assert fickle.submitted == 4  # the objective on trial, a task that was cancelled, two that were not
    assert states(opt) == ["COMPLETE"] * 2


class Fickle:
    """An executor that cancels its second task."""

    def __init__(self, pool):
        self.pool, self.submitted = pool, 0

    def submit(self, function, *args):
        self.submitted += 1
        if self.submitted == 2:
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future
        return self.pool.submit(function, *args)


# Interrupted ---------------------------------------------------------------------------------------------------------


def test_interrupted_run_gives_its_trials_back():
    gate, opt = Gate(), make()
    pool = ThreadPoolExecutor(2)

    def interrupt_when_both_run():
        for _ in range(2):
            gate.begun.acquire(timeout=60)
        _thread.interrupt_main()

    threading.Thread(target=interrupt_when_both_run, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        opt.run(gate, 5, progress=False, executor=pool)
    for event in gate.let_go:
        event.set()
    pool.shutdown()
    assert states(opt) == ["RUNNING", "RUNNING"]
    assert sorted(opt.ask().number for _ in range(2)) == [0, 1]
    hearts = [thread for thread in threading.enumerate() if thread.name == "hybridbo-heartbeat"]
    for thread in hearts:
        thread.join(60)
    assert not any(thread.is_alive() for thread in hearts)


def test_ctrl_c_that_a_worker_saw_first_interrupts_the_run():
    def interrupted(_):
        raise KeyboardInterrupt

    opt = make()
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        opt.run(interrupted, 5, progress=False, executor=pool)
    assert states(opt) == ["RUNNING"]
    assert opt.ask().number == 0


# Time-outs -----------------------------------------------------------------------------------------------------------


def test_a_trial_that_overruns_has_failed_and_its_thread_stays_busy():
    gate, opt, watcher = Gate(), make(), Watcher()
    for event in gate.let_go[1:]:
        event.set()
    with ThreadPoolExecutor(2) as pool:
        opt.run(gate, 5, progress=watcher, executor=pool, trial_timeout=1.0)
        gate.let_go[0].set()
    assert sorted(states(opt)) == ["COMPLETE"] * 4 + ["FAILED"]
    failed = next(trial for trial in opt.trials if trial.state is TrialState.FAILED)
    assert failed.error == "took longer than trial_timeout=1 s"
    assert [(event.kind, event.trial_number) for event in opt.events] == [("worker_busy", None)]
    assert f"Trial {failed.number} overran" in opt.events[0].message


def test_when_all_workers_overrun_the_run_ends_with_the_remedy():
    gate, opt = Gate(), make()
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(errors.InvalidState, match=r"all 2 workers.*cannot end them.*executor=lambda"):
            opt.run(gate, 5, progress=False, executor=pool, trial_timeout=0.1)
        for event in gate.let_go:
            event.set()
    assert states(opt) == ["FAILED"] * 2


def test_an_overdue_worker_that_returns_is_used_again():
    gate, opt = Gate(), make()
    for event in gate.let_go[2:]:
        event.set()

    class LetsGo(Watcher):
        def finished(self, trial, best, usage):
            super().finished(trial, best, usage)
            gate.let_go[trial.number].set()

    with ThreadPoolExecutor(1) as pool:
        opt.run(gate, 4, progress=LetsGo(), executor=pool, trial_timeout=0.7)
    assert states(opt) == ["FAILED", "FAILED", "COMPLETE", "COMPLETE"]  # and what it returned was dropped


def test_the_clock_of_a_trial_does_not_run_while_it_waits_for_a_worker():
    opt, release = make(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = None

        class Busy:
            """Somebody else's task comes between the probe and the first trial."""

            count = 0

            def submit(self, function, *args):
                self.count += 1
                if self.count == 2:
                    pool.submit(release.wait, 60)
                return pool.submit(function, *args)

        running = in_a_thread(
            opt.run, objectives.value_of, 1, progress=False, executor=Busy(), n_workers=1, trial_timeout=0.5
        )
        threading.Event().wait(0.8)
        release.set()
        running.result(60)
    assert states(opt) == ["COMPLETE"]


def test_a_pool_of_our_own_making_is_replaced_when_a_trial_overruns(tmp_path):
    made = []

    def factory():
        made.append(processes(2))
        return made[-1]

    opt = make()
    opt.run(partial(objectives.hang_at_first, folder=tmp_path), 5, progress=False, executor=factory, trial_timeout=3)
    assert sorted(states(opt)) == ["COMPLETE"] * 4 + ["FAILED"]
    assert len(made) in {1, 2}  # one, if the others had all begun before the first was overdue
    assert all(is_over(pool) for pool in made)
    assert "worker_busy" not in {event.kind for event in opt.events}


def test_pools_whose_workers_all_hang_are_killed_one_after_the_other():
    made = []

    def factory():
        made.append(processes(1))
        return made[-1]

    opt = make()
    opt.run(objectives.hang, 2, progress=False, executor=factory, trial_timeout=0.3)
    assert states(opt) == ["FAILED"] * 2
    assert len(made) == 2
    assert all(is_over(pool) for pool in made)


def is_over(pool):
    """Whether the pool takes no work and has no process left."""
    with pytest.raises(RuntimeError):
        pool.submit(int)
    left = list((pool._processes or {}).values())
    for process in left:
        process.join(30)
    return not any(process.is_alive() for process in left)


# Crashes -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def test_a_worker_that_is_killed_fails_the_trials_of_its_pool_and_ends_the_run(fifo):
    opt = make()
    pool = processes(2)
    with pytest.raises(errors.InvalidState, match="executor=lambda: ProcessPoolExecutor"):
        opt.run(partial(objectives.die_beside_another, folder=fifo), 9, progress=False, executor=pool)
    pool.shutdown()
    assert states(opt) == ["FAILED"] * 2
    for trial in opt.trials:
        assert trial.error.startswith(
            "a worker died, with trials 0, 1 in flight; which of them it died of is not known"
        )
        assert "BrokenProcessPool" in trial.error


def test_with_a_function_that_makes_pools_only_the_deadly_trial_fails_and_the_run_goes_on(fifo):
    opt = make()
    opt.run(partial(objectives.die_beside_another, folder=fifo), 6, progress=False, executor=lambda: processes(2))
    failed = [trial for trial in opt.trials if trial.state is TrialState.FAILED]
    assert [repr(trial.params["x"]) for trial in failed] == [(fifo / "first").read_text()]
    assert "the worker died: BrokenProcessPool" in failed[0].error
    assert sorted(states(opt)) == ["COMPLETE"] * 5 + ["FAILED"]
    notes = [event.message for event in opt.events if event.kind == "suspect"]
    assert sorted(note[:7] for note in notes) == ["Trial 0", "Trial 1"]


class Breaking:
    """A pool that breaks as CPython 3.11's may, when a task comes in just then."""

    _max_workers = 2

    def __init__(self, *, forgets):
        self._broken, self.forgets, self.submitted = False, forgets, 0

    def submit(self, function, *args):
        self.submitted += 1
        if self.submitted == 1:
            future = Future()
            future.set_result(True)
            return future
        if self._broken or not self.forgets:
            raise OSError("handle is closed")
        self._broken = True
        return Future()  # nobody will ever end it

    def shutdown(self, wait):
        assert not wait


@pytest.mark.parametrize("forgets", [False, True])
def test_a_pool_that_breaks_while_a_task_comes_in_is_replaced(forgets):
    made = []

    def factory():
        made.append(ThreadPoolExecutor(2) if made else Breaking(forgets=forgets))
        return made[-1]

    opt = make()
    opt.run(objectives.value_of, 4, progress=False, executor=factory)
    assert states(opt)[1:] == ["COMPLETE"] * 3
    assert len(made) == 2


def test_a_broken_pool_inside_the_objective_is_an_ordinary_failure():
    from concurrent.futures.process import BrokenProcessPool

    def objective(params):
        raise BrokenProcessPool("in the objective")

    opt = make()
    with ThreadPoolExecutor(2) as pool:
        opt.run(objective, 3, progress=False, executor=pool)
    assert {trial.error for trial in opt.trials} == {"BrokenProcessPool: in the objective"}


def test_a_pool_shut_down_in_the_middle_ends_the_run_and_leaves_no_trial_behind():
    pool = ThreadPoolExecutor(1)

    def objective(params):
        pool.shutdown(wait=False)
        return params["x"]

    opt = make()
    with pytest.raises(errors.InvalidState, match=r"takes no more work.*shutdown"):
        opt.run(objective, 3, progress=False, executor=pool)
    assert opt.trials[0].state is TrialState.COMPLETE
    assert opt.ask().number == 1  # asked for, not evaluated, given back


# Wrong uses ----------------------------------------------------------------------------------------------------------


def check_refused(match, objective=objectives.value_of, **arguments):
    opt = make()
    with pytest.raises(errors.InvalidSettings, match=match):
        opt.run(objective, 3, progress=False, **arguments)
    assert opt.trials == []


def test_an_objective_that_cannot_be_pickled_costs_no_trial():
    with processes(1) as pool:
        check_refused("cannot be sent.*top level of a module.*loky or Dask", lambda p: 0.0, executor=pool)


def test_an_objective_that_the_workers_cannot_import_costs_no_trial():
    with processes(1) as pool:
        objective = partial(objectives.value_of)
        objective.__setstate__((Unloadable(), (), {}, {}))
        check_refused("cannot be sent", objective, executor=pool)


class Unloadable:
    """Pickles, and cannot be read back."""

    def __call__(self, params):
        return 0.0

    def __reduce__(self):
        return (int, ("no number",))


@pytest.mark.parametrize("executor", [4, "processes", object()])
def test_what_has_no_submit_is_refused(executor):
    check_refused("no submit method.*ProcessPoolExecutor", executor=executor)


def test_a_function_that_makes_no_executor_is_refused():
    check_refused("executor.. has no submit|executor\\(\\)=None has no submit", executor=lambda: None)
    check_refused("executor\\(\\) raised ZeroDivisionError", executor=lambda: 1 / 0)


def test_an_executor_that_is_shut_down_is_refused():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    check_refused("takes no work.*shutdown.*not shut down", executor=pool)


def test_an_executor_that_does_not_tell_its_size_needs_n_workers():
    class Plain:
        def submit(self, function, *args):
            future = Future()
            future.set_result(function(*args))
            return future

    check_refused(r"how many workers.*n_workers=", executor=Plain())
    opt, watcher = make(), Watcher()
    opt.run(objectives.value_of, 3, progress=watcher, executor=Plain(), n_workers=2)
    assert states(opt) == ["COMPLETE"] * 3
    assert watcher.most == 1  # what has ended is told before the next trial is asked for


@pytest.mark.parametrize(
    "limits", [{"n_workers": 0}, {"n_workers": 1.5}, {"n_workers": "2"}, {"trial_timeout": 0}, {"trial_timeout": "1s"}]
)
def test_limits_that_are_no_numbers_are_refused(limits):
    with ThreadPoolExecutor(1) as pool:
        check_refused(next(iter(limits)), executor=pool, **limits)


@pytest.mark.parametrize("limits", [{"n_workers": 2}, {"trial_timeout": 3}])
def test_limits_of_an_executor_without_one_are_refused(limits):
    check_refused("need an executor", **limits)


def test_a_class_is_a_function_that_makes_executors():
    opt = make()
    opt.run(objectives.value_of, 3, progress=False, executor=ThreadPoolExecutor)
    assert states(opt) == ["COMPLETE"] * 3
