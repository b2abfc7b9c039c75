import threading

import numpy as np
import pytest

from hybridbo import Float, Int, Optimizer, errors, owner
from hybridbo.asking import Asker, Holder
from hybridbo.engine import Engine
from hybridbo.objective import Objective
from hybridbo.settings import Settings
from hybridbo.space import Space
from hybridbo.storage import open_store
from hybridbo.trial import TrialState

SPACE = Space({"x": Float(0.0, 1.0), "n": Int(1, 9)})


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
