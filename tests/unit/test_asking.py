import threading

import numpy as np
import pytest

from hybridbo import Float, Int, Optimizer, errors, leases, owner
from hybridbo.asking import Asker, Holder
from hybridbo.engine import Engine
from hybridbo.objective import Objective
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.storage import open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

SPACE = Space({"x": Float(0.0, 1.0), "n": Int(1, 9)})
COMPLETE = Outcome(TrialState.COMPLETE, {"value": 1.0}, 1.0)


@pytest.fixture
def store():
    opt = Optimizer(SPACE, llm=None, seed=0, study="s")
    return opt.store


class Overtaken:
    """A store in which another process creates the same trial first, as often as told."""

    def __init__(self, store, times):
        self._store, self.times = store, times

    def __getattr__(self, name):
        return getattr(self._store, name)

    def create_trial(self, study, proposal, **rest):
        if self.times:
            self.times -= 1
            self._store.create_trial(study, proposal, **(rest | {"owner": "elsewhere"}))
        return self._store.create_trial(study, proposal, **rest)


def asker(store):
    return Asker(store, "s", Engine(SPACE, Objective.of(), Settings(), seed=0), None, 0)


def test_a_proposal_that_another_process_made_first_is_made_afresh(store):
    trial = asker(Overtaken(store, 3)).next(Holder("me"))
    trials = store.get_trials("s")
    assert [t.owner for t in trials] == ["elsewhere"] * 3 + ["me"]
    assert len({SPACE.key(t.params) for t in trials}) == 4
    assert trial == trials[-1]


class Slow:
    """A store in which others have always been faster, and which keeps what was proposed in vain."""

    def __init__(self, store, times):
        self._store, self.times, self.lost = store, times, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def create_trial(self, study, proposal, **rest):
        if len(self.lost) < self.times:
            self.lost.append(proposal.params)
            return None
        return self._store.create_trial(study, proposal, **rest)


def test_who_has_lost_a_race_does_not_run_it_again_side_by_side_with_the_others(store):
    for i in range(6):
        number = asker(store).next(Holder("me")).number
        store.finish_trial("s", number, Outcome(TrialState.COMPLETE, {"value": float(i)}, float(i)))
    slow = Slow(store, 4)
    last = asker(slow).next(Holder("me"))
    proposed = [SPACE.key(params) for params in (*slow.lost, last.params)]
    assert len(set(proposed)) >= 4  # though the history was the same each time


def test_being_overtaken_for_ever_is_an_error_to_retry(store):
    with pytest.raises(errors.StoreBusy) as caught:
        asker(Overtaken(store, 10_000)).next(Holder("me"))
    assert caught.value.advice == "retry"


def test_a_trial_given_back_is_offered_before_a_new_one(store):
    first, second = asker(store).next(Holder("me")), asker(store).next(Holder("me"))
    store.take_over("s", first.number, owner=owner.RELEASED, previous="me", attempt=0)
    again = asker(store).next(Holder("you"))
    assert (again.number, again.params, again.owner) == (first.number, first.params, "you")
    assert asker(store).next(Holder("you")).number == second.number + 1


def test_a_trial_given_back_over_and_over_never_fails(store):
    number = asker(store).next(Holder("me")).number
    for i in range(8):
        store.take_over("s", number, owner=owner.RELEASED, previous="me", attempt=2 * i)
        assert asker(store).next(Holder("me")).number == number
    assert store.get_trials("s")[0].state is TrialState.RUNNING


def test_two_optimizers_on_one_file_never_propose_the_same(tmp_path):
    def search():
        with Optimizer(SPACE, llm=None, seed=0, study="s", store=tmp_path / "a.db") as opt:
            for _ in range(4):
                trial = opt.ask()
                opt.tell(trial, trial.params["x"])

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = open_store(tmp_path / "a.db").get_trials("s")
    assert [trial.number for trial in trials] == list(range(12))
    assert len({SPACE.key(trial.params) for trial in trials}) == 12


def test_the_seed_and_the_number_make_the_trial(store):
    trials = [asker(store).next(Holder("me")) for _ in range(3)]
    engine = Engine(SPACE, Objective.of(), Settings(), seed=0)
    steps = engine.suggest(_history(trials[:2]), 1, np.random.default_rng(np.random.SeedSequence([0, 2])))
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value[0].params == trials[2].params


def _history(trials):
    from hybridbo.trial import History

    return History.of(trials)


# Lost workers and requests ---------------------------------------------------------------------------------------

OVER = 1e-9  # seconds of a lease that has run out when it is looked at


def kinds(store):
    return [(event.kind, event.trial_number) for event in store.get_events("s")]


def with_offers(store, offers):
    settings = Settings(store={"offers": offers})
    return Asker(store, "s", Engine(SPACE, Objective.of(), settings, seed=0), None, 0)


def test_a_trial_whose_lease_has_run_out_is_offered_again(store):
    first = asker(store).next(Holder("far/1/1", OVER))
    assert first.lease_until is not None
    again = asker(store).next(Holder("far/2/2", 60.0))
    assert (again.number, again.params, again.state) == (first.number, first.params, TrialState.RUNNING)
    assert (again.owner, again.attempt, again.lost) == ("far/2/2", 1, 1)
    assert kinds(store) == [("trial_stale", 0), ("trial_offered_again", 0)]
    assert asker(store).next(Holder("far/3/3")).number == 1


def test_a_trial_whose_lease_holds_or_has_no_end_stays_with_its_worker(store):
    assert [asker(store).next(Holder("far/1/1", lease_s)).number for lease_s in (60.0, None, 60.0)] == [0, 1, 2]
    assert kinds(store) == []


def test_an_expired_trial_is_offered_as_often_as_set_and_then_left_to_its_worker(store):
    for offers in range(3):
        trial = with_offers(store, 2).next(Holder("far/1/1", OVER))
        assert (trial.number, trial.lost) == (0, offers)
    assert with_offers(store, 2).next(Holder("far/1/1", 60.0)).number == 1
    stored = store.get_trial("s", 0)
    assert (stored.state, stored.lost) == (TrialState.STALE, 2)
    done = leases.finish(store, "s", 0, COMPLETE, stored.attempt)
    assert done.state is TrialState.COMPLETE
    assert kinds(store)[-1] == ("told_late", 0)


def test_without_offers_an_expired_trial_is_marked_and_a_new_one_made(store):
    with_offers(store, 0).next(Holder("far/1/1", OVER))
    assert with_offers(store, 0).next(Holder("far/1/1", OVER)).number == 1
    assert store.get_trial("s", 0).state is TrialState.STALE
    assert kinds(store) == [("trial_stale", 0)]


def test_a_dead_process_is_known_at_once_whatever_its_lease(store, monkeypatch):
    first = asker(store).next(Holder("here/1/1", 60.0))
    monkeypatch.setattr(owner, "is_gone", lambda name: name == "here/1/1")
    again = asker(store).next(Holder("here/2/2", 60.0))
    assert (again.number, again.lost) == (first.number, 1)
    assert kinds(store) == [("trial_offered_again", 0)]


def test_a_trial_that_kills_its_processes_has_failed(store, monkeypatch):
    monkeypatch.setattr(owner, "is_gone", lambda name: True)
    for lost in range(3):
        assert with_offers(store, 2).next(Holder("here/1/1")).lost == lost
    assert with_offers(store, 2).next(Holder("here/1/1")).number == 1
    assert store.get_trial("s", 0).error == "the process that evaluated it died 3 times"


def test_how_many_trials_nobody_waits_for(store, monkeypatch):
    monkeypatch.setattr(owner, "is_gone", lambda name: name in {"dead/1/1", owner.RELEASED})
    mine = with_offers(store, 1)
    for holder in (Holder("far/1/1", 60.0), Holder("far/1/1"), Holder("far/1/1", 60.0)):
        mine.next(holder)
    assert mine.n_started == 3
    store.take_over("s", 0, owner=owner.RELEASED, previous="far/1/1", attempt=0)
    store.take_over("s", 1, owner="dead/1/1", previous="far/1/1", attempt=0, lost=True)
    assert mine.n_started == 1
    store.renew_lease("s", 2, owner="far/1/1", attempt=0, lease_s=OVER)
    assert mine.n_started == 0
    store.take_over("s", 2, owner="far/1/1", previous="far/1/1", attempt=0, lost=True, lease_s=OVER)
    assert mine.n_started == 1  # its offer is used up


def test_a_request_is_answered_with_the_same_trial_for_ever(store):
    first = asker(store).next(Holder("me", None, "r"))
    assert asker(store).next(Holder("me", None, "other")).number == 1
    assert asker(store).next(Holder("you", None, "r")) == first
    done = store.finish_trial("s", 0, COMPLETE)
    assert asker(store).next(Holder("me", None, "r")) == done
    assert len(store.get_trials("s")) == 2


def test_a_request_repeated_after_a_crash_has_its_trial_back(store, monkeypatch):
    first = asker(store).next(Holder("here/1/1", 60.0, "r"))
    monkeypatch.setattr(owner, "is_gone", lambda name: name == "here/1/1")
    again = asker(store).next(Holder("here/2/2", 60.0, "r"))
    assert (again.number, again.owner, again.attempt) == (first.number, "here/2/2", 1)
    assert asker(store).next(Holder("here/3/3")).number == 1


def test_a_request_may_be_answered_with_a_trial_offered_again(store):
    asker(store).next(Holder("far/1/1", OVER, "first"))
    again = asker(store).next(Holder("far/2/2", 60.0, "second"))
    assert again.number == 0
    for request_id in ("first", "second"):
        assert asker(store).next(Holder("far/3/3", None, request_id)).number == 0


@pytest.mark.parametrize("request_id", ["", 7, "x" * 201, "lone \udc80"])
def test_a_request_id_that_is_none_is_refused(store, request_id):
    with pytest.raises(errors.InvalidSettings, match="request_id="):
        asker(store).next(Holder("me", None, request_id))
    assert store.get_trials("s") == []


def test_one_request_by_many_threads_is_one_trial(tmp_path):
    def ask():
        with Optimizer(SPACE, llm=None, seed=0, study="s", store=tmp_path / "a.db") as opt:
            seen.append(opt.ask(request_id="r").number)

    Optimizer(SPACE, llm=None, seed=0, study="s", store=tmp_path / "a.db").close()
    seen = []
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [0] * 6


class Failing:
    """A store of which one method fails."""

    def __init__(self, store, name):
        self._store, self._name = store, name

    def __getattr__(self, name):
        if name == self._name:
            raise errors.StoreError("disk full")
        return getattr(self._store, name)


@pytest.mark.parametrize("broken", ["record_event", "bind_request"])
def test_an_offer_is_made_with_its_event_and_its_request_or_not_at_all(store, broken):
    asker(store).next(Holder("far/1/1", OVER))
    store.expire_lease("s", 0)
    before = store.get_trial("s", 0)
    with pytest.raises(errors.StoreError, match="disk full"):
        asker(Failing(store, broken)).next(Holder("far/2/2", 60.0, "r"))
    assert store.get_trial("s", 0) == before
    assert kinds(store) == []


def test_quick_proposals_are_made_where_nobody_can_overtake(store):
    inside = []

    class Watching:
        def __getattr__(self, name):
            return getattr(store, name)

        def create_trial(self, *args, **rest):
            inside.append(store._is_writing and len(store.get_trials("s")))
            return store.create_trial(*args, **rest)

        def get_changes(self, study, since):
            changes = store.get_changes(study, since)
            if not store._is_writing:  # somebody else is faster between the last look and the proposal
                store.create_trial("s", Proposal({"x": 0.123, "n": 1}, Origin("sobol", "")), key="k", owner="", seen=99)
            return changes

    trial = asker(Watching()).next(Holder("me"))
    assert inside == [trial.number]


def test_a_point_that_another_process_made_since_the_keys_were_is_left_out(store):
    first = asker(store)
    assert first.next(Holder("me")).number == 0
    expected = asker(store).next(Holder("you"))  # the Sobol point that `first` does not have a key of
    stored = store._studies["s"].trials[1]
    store._studies["s"].trials[1] = (*stored[:5], "gp", *stored[6:])  # nor does it count as one
    assert expected.origin.source == "sobol"
    trial = first.next(Holder("me"))
    assert trial.number == 2
    assert trial.params != expected.params
