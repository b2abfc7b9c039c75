import copy
import dataclasses
import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

from hybridbo import Float, Optimizer, TrialState, errors, leases, owner


def make(**changes):
    return Optimizer({"x": Float(0.0, 1.0)}, **({"llm": None, "seed": 0} | changes))


def kinds(opt):
    return [(event.kind, event.trial_number) for event in opt.events]


def left_s(trial):
    return (trial.lease_until - datetime.now(UTC)).total_seconds()


def test_a_trial_that_was_asked_for_is_still_a_plain_value():
    trial = make().ask()
    assert dataclasses.asdict(trial)["params"] == trial.params
    for made in (copy.deepcopy(trial), pickle.loads(pickle.dumps(trial))):
        assert made == trial
        with pytest.raises(errors.InvalidState, match="heartbeat"):
            made.heartbeat()


def expired(opt):
    """A trial that has become STALE."""
    trial = opt.ask(lease_s=1e-9)
    opt.store.expire_lease(opt.study, trial.number)
    return trial


def test_the_lease_is_that_of_the_settings_unless_one_is_given():
    opt = make(settings={"store": {"lease_s": 100}})
    assert 90 < left_s(opt.ask()) <= 100
    assert 5 < left_s(opt.ask(lease_s=10)) <= 10
    assert opt.ask(lease_s=float("inf")).lease_until is None
    assert opt.ask(detached=True).lease_until is None
    assert 5 < left_s(opt.ask(detached=True, lease_s=10)) <= 10
    assert make(settings={"store": {"lease_s": None}}).ask().lease_until is None
    assert left_s(make().ask()) > 80_000


def test_a_heartbeat_extends_the_lease():
    opt = make(settings={"store": {"lease_s": 1000}})
    trial = opt.ask(lease_s=10)
    assert trial.heartbeat()
    assert 5 < left_s(opt.trials[0]) <= 10  # as long as the lease that was asked for
    assert opt.heartbeat(trial)
    assert 900 < left_s(opt.trials[0]) <= 1000
    assert opt.heartbeat(0, lease_s=50)
    assert 40 < left_s(opt.trials[0]) <= 50
    assert kinds(opt) == []


def test_a_heartbeat_of_what_has_ended_or_was_given_away_is_false():
    opt = make()
    ended, lost = opt.ask(), expired(opt)
    opt.tell(ended, 1.0)
    taken = opt.ask()
    assert (taken.number, taken.attempt) == (lost.number, 1)
    assert not ended.heartbeat()
    assert not lost.heartbeat()  # of this very process, and yet not of that attempt
    assert taken.heartbeat()
    with pytest.raises(errors.TrialNotFound):
        opt.heartbeat(7)


def test_a_heartbeat_brings_a_trial_back_that_nobody_has_been_given():
    opt = make()
    trial = expired(opt)
    assert opt.trials[0].state is TrialState.STALE
    assert opt.heartbeat(trial)
    assert opt.trials[0].state is TrialState.RUNNING
    assert kinds(opt) == [("trial_revived", 0)]
    assert opt.ask().number == 1


def test_a_late_value_is_accepted_and_noted():
    opt = make()
    trial = expired(opt)
    assert opt.tell(trial, 0.5).value == 0.5
    assert opt.tell(trial, 0.5).value == 0.5
    assert kinds(opt) == [("told_late", 0)]


def test_the_first_who_tells_is_believed():
    opt = make()
    first = expired(opt)
    second = opt.ask()
    assert opt.tell(first, 0.5).value == 0.5
    assert kinds(opt) == [("trial_offered_again", 0), ("told_late", 0)]
    assert opt.tell(second, 0.5).value == 0.5
    with pytest.raises(errors.TellConflict):
        opt.tell(second, 0.75)
    assert opt.trials[0].value == 0.5


def test_a_trial_given_back_by_who_has_lost_it_stays_where_it_is():
    opt = make()
    first = expired(opt)
    second = opt.ask()
    opt.release(first)
    assert opt.trials[0] == second
    opt.release(second)
    assert opt.trials[0].owner == owner.RELEASED
    assert kinds(opt)[-1] == ("trial_released", 0)


def test_the_lease_of_a_watched_trial_is_short():
    assert leases.watched(None) is None
    assert leases.watched(5.0) == 5.0
    assert leases.watched(86_400.0) == 600.0


def beaten(trial, times, lease_s=0.05):
    """Renew a trial whose heart is our own until it has beaten so often."""
    beats, enough = [], threading.Event()

    def heart():
        beats.append(1)
        if len(beats) >= times:
            enough.set()
        return answers(len(beats))

    def answers(n):
        if n == 2:
            raise errors.StoreBusy("locked")
        return True

    leased = dataclasses.replace(trial, heart=heart, lease_until=datetime.now(UTC) + timedelta(seconds=lease_s))
    with leases.renewing(leased):
        assert enough.wait(20)
    return beats


def test_heartbeats_are_sent_while_the_block_runs_and_a_fault_does_not_end_them():
    assert len(beaten(make().ask(), times=4)) >= 4
    for thread in threading.enumerate():
        if thread.name == "hybridbo-heartbeat":
            thread.join(20)
            assert not thread.is_alive()


def test_without_a_lease_no_thread_is_started():
    trial = make(settings={"store": {"lease_s": None}}).ask()
    with leases.renewing(trial):
        assert not [thread for thread in threading.enumerate() if thread.name == "hybridbo-heartbeat"]


def test_a_run_holds_its_trial_for_longer_than_its_lease(tmp_path):
    opt = make(store=tmp_path / "a.db", settings={"store": {"lease_s": 0.5}})
    rival = make(store=tmp_path / "a.db")
    seen = []

    def objective(params):
        first = rival.trials[0].lease_until
        while rival.trials[0].lease_until == first:  # until a heartbeat has come
            threading.Event().wait(0.005)
        seen.append(rival.trials[0].lease_until > first)
        return params["x"]

    opt.run(objective, 1, progress=False)
    assert seen == [True]
    assert rival.trials[0].state is TrialState.COMPLETE
    opt.close()
    rival.close()


def test_a_run_whose_trial_another_worker_has_told_goes_on():
    opt = make(seed=1)

    def objective(params):
        number = opt.trials[-1].number
        if number == 1:
            held = opt.trials[1]
            opt.store.take_over(opt.study, 1, owner="far/1/1", previous=held.owner, attempt=held.attempt, lost=True)
            opt.store.finish_trial(opt.study, 1, opt.objective.outcome(99.0))
        return 0.5

    opt.run(objective, 3, progress=False)
    assert [trial.value for trial in opt.trials] == [0.5, 99.0, 0.5]
    assert [kind for kind, number in kinds(opt) if number == 1] == ["told_too_late"]


def test_a_run_whose_objective_tells_something_else_itself_is_a_conflict():
    opt = make()

    def objective(_):
        opt.tell(0, 1.0)
        return 2.0

    with pytest.raises(errors.TellConflict):
        opt.run(objective, 1, progress=False)


def test_the_context_has_a_heartbeat_and_a_short_lease():
    opt = make()
    with opt.trial() as trial:
        assert 500 < left_s(opt.trials[0]) <= 600
        assert trial.heartbeat()
        trial.value = 1.0
    assert opt.trials[0].value == 1.0


@pytest.mark.parametrize("wrong", [-1, 0, "60", True, float("nan"), -float("inf")])
def test_a_lease_that_is_none_is_refused_with_what_is_right_for_the_call(wrong):
    opt = make()
    trial = opt.ask()
    for call in (lambda: opt.ask(lease_s=wrong), lambda: opt.heartbeat(trial, wrong)):
        with pytest.raises(errors.InvalidSettings, match=r"lease_s=.* is not a positive number of seconds") as caught:
            call()
        assert caught.value.hint == "Give one, math.inf for a lease without an end, or leave it out for the default."
    assert len(opt.trials) == 1
