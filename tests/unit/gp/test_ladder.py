import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import lapack

from hybridbo import Float, Int, Optimizer
from hybridbo.errors import SurrogateError
from hybridbo.gp import deadline, model
from hybridbo.gp.deadline import Deadline
from hybridbo.gp.ladder import RUNGS, Sample, Task, clean, climb, merge, prepare, winsorise
from hybridbo.gp.process import Process
from hybridbo.observe import Observations
from hybridbo.space import Categorical, Space
from hybridbo.storage.memory import MemoryStore
from hybridbo.trial import Origin, Proposal

SPACE = Space({"x": Float(0, 1), "n": Int(1, 9), "kind": Categorical(["a", "b"])})
NEVER = Deadline(math.inf, 0.0, lambda: 0.0)


# Through the public face: every rung, seen in the origin of the trial and in the events of the study ---------------


def searched(store=":memory:", n=7, **settings):
    """An Optimizer whose next trial is the Gaussian process's."""
    settings = {"gp": {"candidates": 32, "restarts": 1} | settings}
    opt = Optimizer(SPACE, store=store, llm=None, seed=0, settings=settings)
    for _ in range(n):
        trial = opt.ask()
        opt.tell(trial, (trial.params["x"] - 0.3) ** 2 + 0.01 * trial.params["n"])
    return opt


def taken(opt, *sentences, source="gp"):
    """The next trial, whose origin and events hold the sentences, and no others."""
    known = len(opt.store.get_events(opt.study))
    trial = opt.ask()
    events = opt.store.get_events(opt.study)[known:]
    assert [event.kind for event in events] == ["fallback"] * len(sentences)
    for sentence, event in zip(sentences, events, strict=True):
        assert sentence in event.message
        assert event.message in trial.origin.reason
        assert event.trial_number == trial.number
    assert trial.origin.source == source
    assert SPACE.validate(trial.params) == trial.params
    return trial


def broken(times, error=None):
    """Process.of, which fails that many times."""
    count, real = itertools.count(), Process.of

    def of(*args):
        if next(count) < times:
            raise error or SurrogateError("no factor.")
        return real(*args)

    return of


def test_no_rung_is_told_of_when_none_was_taken():
    taken(searched())


@pytest.mark.parametrize(
    "changes",
    [{"value": math.nan, "values": {"value": math.nan}}, {"value": math.inf, "values": {"value": math.inf}}]
    + [{"params": p} for p in ({"x": 0.5}, {"x": 7.0, "n": 1, "kind": "a"}, {"x": "much", "n": 1, "kind": "a"})]
    + [{"params": {"x": 0.5, "n": 1, "kind": "a", "further": 1}}, {"params": {"x": math.nan, "n": 1, "kind": "c"}}],
)
def test_clean(changes):
    class Spoilt(MemoryStore):
        def get_changes(self, study, since):
            read = super().get_changes(study, since)
            return replace(read, trials=[replace(t, **changes) if t.number == 3 else t for t in read.trials])

    taken(searched(Spoilt()), "1 of 7 trials left out: not finite, or outside the space")


def test_winsorise(monkeypatch):
    monkeypatch.setattr("hybridbo.gp.surrogate.targets", lambda losses: np.where(losses == losses.min(), 1e30, -losses))
    taken(searched(), "1 of 7 targets pulled in to 10 standard deviations")


def test_merge():
    opt = searched()
    proposal = Proposal({"x": 0.47, "n": 5, "kind": "a"}, Origin("sobol", "."))
    for number, value in [(7, 0.1), (8, 0.7)]:  # two processes at once may do that
        opt.store.create_trial(opt.study, proposal, key=SPACE.key(proposal.params), owner="me", seen=number)
        opt.tell(number, value)
    taken(opt, "9 trials merged into 8")


@pytest.mark.parametrize("error", [SurrogateError("no."), np.linalg.LinAlgError("no"), FloatingPointError("no")])
def test_jitter(error, monkeypatch):
    opt = searched()
    monkeypatch.setattr(Process, "of", broken(2, error))
    taken(opt, "a jitter of 1e-05 was added to the covariance", "a jitter of 1e-04 was added to the covariance")


def test_jitter_when_the_cholesky_itself_fails(monkeypatch):
    opt, first = searched(), {}
    monkeypatch.setattr(model, "MOST_MEMBERS", 1)  # one noise, so one diagonal

    def dpotrf(a, **options):
        """Finds no factor where the diagonal is as the noise alone makes it."""
        first.setdefault("diagonal", a[0, 0])
        return lapack.dpotrf(a, **options) if a[0, 0] > first["diagonal"] else (a, 3)

    monkeypatch.setattr("hybridbo.gp.process.lapack", SimpleNamespace(dpotrf=dpotrf, dpotrs=lapack.dpotrs))
    taken(opt, "has no Cholesky factor (row 3)); a jitter of 1e-05 was added to the covariance")


def test_refit(monkeypatch):
    opt = searched()
    monkeypatch.setattr(Process, "of", broken(4))
    taken(opt, "1e-05", "1e-04", "1e-03", "the fit was made again from the centre of the priors")


@pytest.mark.parametrize("thetas", [None, np.full((8, 5), math.nan)], ids=["raises", "is not finite"])
def test_refit_after_a_fit_that_failed(thetas, monkeypatch):
    opt = searched()

    def sample(*_, **__):
        if thetas is None:
            raise SurrogateError("no starting point led anywhere.")
        return thetas

    monkeypatch.setattr(model, "sample", sample)
    taken(opt, "The fit failed")
    assert "made again from the centre" in opt.trials[-1].origin.reason


def test_defaults(monkeypatch):
    def fit(*_, **__):
        raise SurrogateError("no starting point led anywhere.")

    opt = searched()
    monkeypatch.setattr(model, "sample", fit)
    monkeypatch.setattr(model, "fit", fit)
    trial = taken(opt, "made again from the centre of the priors", "that the priors expect were used")
    assert trial.origin.predicted_mean is not None


def test_sobol(monkeypatch):
    opt = searched()
    monkeypatch.setattr(Process, "of", broken(99))
    trial = taken(opt, "The Gaussian process failed (SurrogateError: The model failed (no factor)", source="sobol")
    for rung in RUNGS[1:]:
        assert rung.said in trial.origin.reason
    assert trial.origin.reason.endswith("a Sobol point fills in.")


def test_without_a_model_of_failures_the_search_goes_on(monkeypatch):
    def log_probability(*_):
        raise np.linalg.LinAlgError("singular")

    opt = searched()
    opt.fail(opt.ask(), "out of memory")
    monkeypatch.setattr("hybridbo.gp.feasibility.log_probability", log_probability)
    taken(opt, "LinAlgError: singular); every place counts as equally likely to succeed")


def test_no_time_for_a_fit(monkeypatch):
    opt = searched(deadline_s=10)
    clock = itertools.chain([0.0], itertools.repeat(6.0))
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    taken(opt, "There was no time left for a fit; the hyperparameters that the priors expect were used")


def test_a_fit_that_takes_too_long_is_broken_off(monkeypatch):
    opt = searched(deadline_s=10)
    clock = itertools.chain([0.0, 0.0, 1.0, 2.0], itertools.repeat(6.0))
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    taken(opt, "The fit failed (50% of the 10 s that a proposal may take were used up); the hyperparameters that the")


def test_no_time_for_anything():
    taken(searched(deadline_s=1e-9), "100% of the 1e-09 s that a proposal may take were used up", source="sobol")


def test_the_deadline_changes_nothing_before_it_passes():
    assert taken(searched(deadline_s=5)).params == taken(searched(deadline_s=5000)).params


# The rungs by themselves ------------------------------------------------------------------------------------------


def seen(losses, params=None, **more):
    params = params if params is not None else [{"x": i / 10, "n": 1, "kind": "a"} for i in range(len(losses))]
    return Observations(params, np.array(losses, dtype=float), np.ones(len(losses), dtype=bool), **more)


def test_what_is_clean_is_left_alone():
    observed = seen([1, 2, 3], pending=[{"x": 0, "n": 1, "kind": "b"}])
    assert clean(SPACE, observed) == (observed, ())


def test_losses_without_a_partner_are_left_out():
    observed = seen([1, 2, 3])
    left, said = clean(SPACE, replace(observed, params=[*observed.params, {"x": 1, "n": 1, "kind": "a"}]))
    assert left.losses.tolist() == [1, 2, 3]
    assert len(said) == 1


def test_pending_and_failed_configurations_are_cleaned_too():
    stranger, friend = {"y": 1}, {"x": 0, "n": 1, "kind": "b"}
    left, said = clean(SPACE, seen([1], pending=[stranger, friend], failed=[stranger]))
    assert (list(left.pending), list(left.failed)) == ([friend], [])
    assert said == ("2 of 4 trials left out: not finite, or outside the space",)


def test_nothing_left_is_an_error():
    with pytest.raises(SurrogateError, match="none of 2 values"):
        clean(SPACE, seen([math.nan, math.inf]))


def sample(y, x=None):
    y = np.array(y, dtype=float)
    x = np.arange(len(y))[:, None] if x is None else np.array(x)[:, None]
    return Sample(x.astype(float), y, np.ones(len(y), dtype=bool), np.arange(len(y)))


def test_winsorising_moves_what_is_far_and_nothing_else():
    moved, said = winsorise(sample([1e30, -math.inf, 2, -9.5]))
    assert moved.y.tolist() == [10, -10, 2, -9.5]
    assert said.startswith("2 of 4")
    assert winsorise(sample([1, 2]))[1] == ""
    with pytest.raises(SurrogateError, match="not finite"):
        winsorise(sample([math.nan, 1]))


def test_places_are_merged_in_their_order_with_the_mean():
    before = replace(sample([1, 5, 3, 7, 2], [4, 2, 4, 2, 9]), feasible=np.array([True, True, False, True, False]))
    after, said = merge(before)
    assert after.x[:, 0].tolist() == [4, 2, 9]
    assert after.y.tolist() == [2, 6, 2]
    assert after.feasible.tolist() == [False, True, False]  # of one of two, too few
    assert after.rows.tolist() == [0, 1, 4]
    assert said.startswith("5 trials merged into 3")
    assert merge(after) == (after, "")


def test_the_data_go_through_all_steps():
    after, said = prepare(sample([1e300, 1, 2], [1, 1, 2]))
    assert after.y.tolist() == [5.5, 2]
    assert len(said) == 2


def task(deadline=NEVER):
    rng = np.random.default_rng(0)
    return Task(rng.random((8, 2)), rng.normal(size=8), np.array([0, 1]), rng, 1, deadline)


def test_the_first_rung_that_holds_is_taken():
    assert climb(task(), lambda theta, jitter: jitter) == (0.0, ())


def test_rungs_add_more_and_more_jitter_and_end():
    tried = []

    def condition(theta, jitter):
        tried.append(jitter)
        raise SurrogateError("no.")

    with pytest.raises(SurrogateError, match=r"the priors expect were used\. The model failed"):
        climb(task(), condition)
    assert len(tried) == len(RUNGS)
    assert tried == sorted(tried)


def test_defects_are_not_climbed_over():
    def condition(theta, jitter):
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        climb(task(), condition)
