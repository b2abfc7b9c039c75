import logging
import pickle
from dataclasses import asdict

import pytest

from hybridbo import Float, Optimizer, Space
from hybridbo.errors import InvalidState, InvalidValue, StoreBusy, TrialNotFound
from hybridbo.journal import Journal
from hybridbo.storage import open_store
from hybridbo.storage.memory import MemoryStore

SPACE = Space({"x": Float(0.0, 1.0)})


@pytest.fixture
def opt():
    with Optimizer(SPACE, llm=None, seed=0) as opt:
        yield opt


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_trial_logs_and_anybody_reads(opt):
    trial = opt.ask()
    assert trial.log(step=0, train_loss=1.0, val_loss=1.5)
    assert trial.log(step=1, train_loss=float("nan"))
    assert opt.curves(trial)["val_loss"] == [(0, 1.5)]
    [finding] = trial.findings
    assert (finding.kind, finding.metric, finding.step) == ("divergence", "train_loss", 1)
    assert opt.findings(trial.number) == trial.findings == opt.trials[0].findings
    done = opt.fail(trial, "diverged")
    assert done.findings == opt.training_findings[0] == (finding,)


def test_steps_count_by_themselves_from_the_last_one(opt):
    trial = opt.ask()
    trial.log(loss=3.0)
    trial.log(step=7, loss=2.0)
    trial.log(loss=1.0)
    assert opt.log(trial.number, loss=0.5)
    assert opt.curves(trial) == {"loss": [(0, 3.0), (7, 2.0), (8, 1.0), (9, 0.5)]}


def test_the_with_block_logs_too(opt):
    with opt.trial() as trial:
        assert trial.log(step=0, loss=1.0)
        assert opt.log(trial, step=1, loss=2.0)
        assert trial.findings == ()
        trial.value = 0.5
    assert opt.curves(0) == {"loss": [(0, 1.0), (1, 2.0)]}
    assert opt.best.findings == ()


@pytest.mark.parametrize("end", ["tell", "fail", "release", "close"])
def test_what_waits_is_written_before_the_trial_ends(tmp_path, end):
    opt = Optimizer(SPACE, llm=None, store=tmp_path / "s.db", seed=0)
    trial = opt.ask()
    for step in range(100):
        trial.log(step, loss=float(step))
    {
        "tell": lambda: opt.tell(trial.number, 0.5),
        "fail": lambda: opt.fail(trial, "!"),
        "release": lambda: opt.release(trial),
        "close": opt.close,
    }[end]()
    opt.close()
    with Optimizer.load(tmp_path / "s.db", llm=None) as again:
        assert len(again.curves(0)["loss"]) == 100


class Counting(MemoryStore):
    writes = 0

    def append_log(self, *args, **options):
        self.writes += 1
        return super().append_log(*args, **options)


def test_thousands_of_steps_are_few_writes_and_no_later_than_a_second():
    store, clock = Counting(), Clock()
    with Optimizer(SPACE, llm=None, store=store, seed=0) as opt:
        number = opt.ask().number
        journal = Journal(store, opt.study, clock)
        journal.log(number, 0, 0, {"loss": 1.0})
        assert store.writes == 1  # a slow training never waits
        for step in range(1, 5001):
            journal.log(number, 0, step, {"loss": 1.0})
        assert store.writes <= 1 + 5000 // 512
        before = store.writes
        clock.now = 1.0
        journal.log(number, 0, 6000, {"loss": 1.0})
        assert store.writes == before + 1
        assert store.get_log(opt.study, number)["loss"][-1] == (6000, 1.0)


def test_a_write_is_a_heartbeat(opt):
    trial = opt.ask(lease_s=60)
    before = opt.store.get_trial(opt.study, 0).lease_until
    trial.log(loss=1.0)
    after = opt.store.get_trial(opt.study, 0).lease_until
    assert after > before
    opt.log(0, loss=1.0)
    assert opt.store.get_trial(opt.study, 0).lease_until > after


def test_a_trial_without_a_lease_is_given_none(opt):
    trial = opt.ask(detached=True)
    assert opt.log(trial.number, loss=1.0)
    assert opt.store.get_trial(opt.study, 0).lease_until is None


def test_a_worker_that_has_lost_its_trial_is_told_so(opt, caplog):
    lost = opt.ask()
    opt.release(lost)
    mine = opt.ask()
    assert mine.number == lost.number
    with caplog.at_level(logging.WARNING):
        assert not lost.log(loss=1.0)
    assert "given to another worker" in caplog.text
    assert mine.log(loss=2.0)
    assert opt.curves(0) == {"loss": [(0, 2.0)]}
    opt.tell(mine, 0.5)
    assert not opt.log(0, loss=3.0)
    assert opt.curves(0) == {"loss": [(0, 2.0)]}


def test_a_copy_from_elsewhere_says_what_to_call(opt):
    copy = pickle.loads(pickle.dumps(opt.ask()))
    for use in (lambda: copy.log(loss=1.0), lambda: copy.findings):
        with pytest.raises(InvalidState, match=r"opt\.log\(trial"):
            use()
    assert opt.log(copy, loss=1.0)
    assert opt.findings(copy) == ()


def test_a_trial_can_still_be_made_a_dict(opt):
    assert asdict(opt.ask())["number"] == 0


def test_nothing_is_kept_of_what_is_refused(opt):
    trial = opt.ask()
    for bad in ({"loss": "1"}, {"loss": 1.0, "acc": None}, {}):
        with pytest.raises(InvalidValue):
            trial.log(**bad)
    with pytest.raises(InvalidValue):
        trial.log(step=-1, loss=1.0)
    with pytest.raises(TrialNotFound):
        opt.log(99, loss=1.0)
    assert opt.curves(trial) == {}


class Busy(MemoryStore):
    is_busy = False

    def append_log(self, *args, **options):
        if self.is_busy:
            raise StoreBusy("somebody else is writing.")
        return super().append_log(*args, **options)


def test_a_store_that_is_busy_stops_no_training_and_loses_nothing(caplog):
    store, clock = Busy(), Clock()
    with Optimizer(SPACE, llm=None, store=store, seed=0) as opt:
        number, journal = opt.ask().number, Journal(store, opt.study, clock)
        store.is_busy = True
        with caplog.at_level(logging.WARNING):
            assert journal.log(number, 0, 0, {"loss": 1.0})
        assert "cannot be written yet" in caplog.text
        store.is_busy = False
        clock.now = 2.0
        journal.log(number, 0, 1, {"loss": 2.0})
        assert store.get_log(opt.study, number) == {"loss": [(0, 1.0), (1, 2.0)]}
        store.is_busy = True
        clock.now = 4.0
        journal.log(number, 0, 2, {"loss": 3.0})
        with caplog.at_level(logging.WARNING):
            journal.close(number)
        assert "1 values of the log of trial 0 could not be written, and are lost" in caplog.text


def test_a_store_of_its_own_process_sees_what_another_has_logged(tmp_path):
    with (
        Optimizer(SPACE, llm=None, store=tmp_path / "s.db", seed=0) as one,
        Optimizer(SPACE, llm=None, store=open_store(tmp_path / "s.db"), seed=0) as other,
    ):
        trial = one.ask()
        trial.log(step=0, loss=float("inf"))
        assert [f.kind for f in other.findings(trial.number)] == ["divergence"]
        assert other.log(trial.number, loss=1.0)
        assert one.curves(trial)["loss"][-1] == (1, 1.0)


def test_a_log_of_no_trial_is_refused_and_forgotten():
    with Optimizer({"x": Float(0, 1)}, llm=None, seed=0) as opt:
        trial = opt.ask()
        with pytest.raises(TrialNotFound):
            opt.log(99, 1, loss=1.0)
        trial.log(step=0, loss=1.0)
        assert opt.training_findings is not None  # looks at every log
