"""What is read piece by piece is what a full reading gives."""

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridbo.ledger import Ledger
from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store
from hybridbo.trial import History, Origin, Outcome, Proposal, TrialState

COMPLETE = Outcome(TrialState.COMPLETE, {"value": 1.0}, 1.0)


class Counting:
    """A store that counts the trials it hands over."""

    def __init__(self, store):
        self._store, self.read = store, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get_changes(self, study, since):
        changes = self._store.get_changes(study, since)
        self.read += len(changes.trials)
        return changes

    def get_trials(self, study):
        raise AssertionError("reads all of them")


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    store = open_store(":memory:" if request.param == "memory" else tmp_path / "a.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    yield store
    store.close()


def create(store, x, source="sobol"):
    proposal = Proposal({"x": x}, Origin(source, ""))
    return store.create_trial("s", proposal, key=str(x), owner="o", seen=2**40, lease_s=1e-9).number


def check(ledger, store):
    """The ledger is what a reading of all trials would make of them."""
    trials = store.get_trials("s")
    assert ledger.trials(store) == trials
    assert ledger.unfinished(store) == [trial for trial in trials if not trial.state.is_finished]
    history = ledger.history(store, [{"x": 9}])
    expected = History.of(trials, [{"x": 9}])
    assert history == expected
    assert history.digest == expected.digested(lambda params: str(params["x"]))
    assert ledger.n_trials == len(trials)


STEPS = st.lists(st.tuples(st.sampled_from("cccffxtr"), st.integers(0, 9)), max_size=25)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.integers(1, 4))
def test_any_changes_are_followed(store, steps, pace):
    study = f"s{len(store.list_studies())}"
    store.create_study(StudyRecord(study, "{}", "{}"))
    ledger, n = Ledger(study, lambda params: str(params["x"])), 0
    for i, (step, at) in enumerate(steps):
        number = at % max(n, 1)
        if step == "c" or n == 0:
            proposal = Proposal({"x": i}, Origin("sobol" if at % 2 else "gp", ""))
            store.create_trial(study, proposal, key=str(i), owner="o", seen=2**40, lease_s=1e-9)
            n += 1
        elif step == "f" and not store.get_trial(study, number).state.is_finished:
            outcomes = (COMPLETE, Outcome(TrialState.FAILED, error="e"), Outcome(TrialState.PRUNED))
            store.finish_trial(study, number, outcomes[at % 3])
        elif step == "x":
            store.expire_lease(study, number)
        elif step == "t":
            store.take_over(study, number, owner="o", previous="o", attempt=store.get_trial(study, number).attempt)
        elif step == "r":
            ledger.refresh(store)
        if i % pace == 0:
            trials = store.get_trials(study)
            assert ledger.trials(store) == trials
            assert ledger.history(store) == History.of(trials)
    trials = store.get_trials(study)
    assert ledger.history(store).digest == History.of(trials).digested(lambda params: str(params["x"]))


def test_what_is_known_is_not_read_again(store):
    counting, ledger = Counting(store), Ledger("s", lambda params: str(params["x"]))
    for x in range(10):
        create(store, x)
    ledger.history(counting)
    assert counting.read == 10
    store.finish_trial("s", 3, COMPLETE)
    create(store, 10)
    ledger.history(counting)
    ledger.trials(counting)
    assert counting.read == 12
    check(ledger, store)


def test_another_process_is_seen_at_once(tmp_path):
    stores = [open_store(tmp_path / "a.db") for _ in range(2)]
    stores[0].create_study(StudyRecord("s", "{}", "{}"))
    ledger = Ledger("s", lambda params: str(params["x"]))
    for x in range(3):
        create(stores[x % 2], x)
        check(ledger, stores[0])
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET params = '{\"x\": 7}' WHERE number = 1",
        "UPDATE trials SET source = 'gp' WHERE number = 1",
        "DELETE FROM trials WHERE number = 2; UPDATE trials SET reason = 'r' WHERE number = 0",
    ],
)
def test_what_a_person_changes_by_hand_is_seen(tmp_path, change):
    store = open_store(tmp_path / "a.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    ledger = Ledger("s", lambda params: str(params["x"]))
    for x in range(3):
        create(store, x)
    check(ledger, store)
    conn = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    conn.executescript(change)
    conn.close()
    if "DELETE" in change:
        create(store, 5)
    check(ledger, store)
    store.close()


def test_a_store_that_has_been_set_back_is_read_anew(store):
    ledger = Ledger("s", lambda params: str(params["x"]))
    for x in range(3):
        create(store, x)
    check(ledger, store)
    other = open_store(":memory:")
    other.create_study(StudyRecord("s", "{}", "{}"))
    create(other, 8)
    check(ledger, other)


class Taciturn(Counting):
    """A store that tells no keys."""

    def get_changes(self, study, since):
        return replace(super().get_changes(study, since), keys={})


def test_keys_that_the_store_tells_are_not_made(store):
    ledger = Ledger("s", lambda params: 1 / 0)
    for x in range(3):
        create(store, x)
    assert ledger.history(store).digest.keys == {"0", "1", "2"}
    store.finish_trial("s", 1, COMPLETE)
    create(store, 3)
    digest = ledger.history(store, in_haste=True).digest
    assert (digest.keys, digest.n_keyed) == ({"0", "1", "2", "3"}, 4)


def test_behind_a_trial_without_a_key_all_are_made(tmp_path):
    store = open_store(tmp_path / "a.db")
    store.create_study(StudyRecord("s", "{}", "{}"))
    for x in range(4):
        create(store, x)
    conn = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    conn.execute("UPDATE trials SET params = '{\"x\": 7}', content_sum = NULL WHERE number = 1")
    conn.close()
    ledger = Ledger("s", lambda params: str(params["x"]))
    digest = ledger.history(store, in_haste=True).digest
    assert (digest.keys, digest.n_keyed) == ({"0"}, 1)
    assert ledger.history(store).digest.keys == {"0", "7", "2", "3"}
    check(ledger, store)
    store.close()


def test_in_haste_no_keys_are_made_and_the_digest_says_which_are_there(store):
    ledger, made = Ledger("s", lambda params: made.append(params["x"]) or str(params["x"])), []
    full, store = store, Taciturn(store)
    for x in range(3):
        create(store, x)
    ledger.history(store)
    create(store, 3)
    history = ledger.history(store, in_haste=True)
    assert (made, len(history), history.digest.n_keyed) == ([0, 1, 2], 4, 3)
    assert (history.digest.keys, history.digest.n_sobol) == ({"0", "1", "2"}, 4)
    check(ledger, full)
