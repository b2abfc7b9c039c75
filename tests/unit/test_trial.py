import dataclasses
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import origins, params, texts, trials

from hybridbo.errors import InvalidState
from hybridbo.trial import History, Origin, Outcome, Proposal, Trial, TrialState

START = datetime(2026, 1, 1, tzinfo=UTC)
proposals = st.builds(Proposal, params, origins, st.lists(texts).map(tuple))
outcomes = st.builds(Outcome, st.sampled_from(TrialState), st.just({"value": 1.0}), st.just(1.0), st.none() | texts)
histories = st.builds(History.of, st.lists(trials(), max_size=6), st.lists(params, max_size=2))


@given(st.one_of(origins, proposals, outcomes, trials(), histories))
def test_values_are_values(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert dataclasses.replace(value) == value
    assert hash(dataclasses.replace(value)) == hash(value)
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


@given(st.lists(trials(), max_size=12, unique_by=lambda t: t.number), st.lists(params, max_size=3))
def test_a_history_sorts_trials_by_what_can_be_learned_from_them(given, queued):
    history = History.of(given, queued)
    assert list(history.trials) == sorted(given, key=lambda t: t.number)
    assert len(history) == len(given)
    assert history.queued == tuple(queued)
    assert all(t.state in {TrialState.RUNNING, TrialState.STALE} for t in history.pending)
    assert all(t.values and t.state in {TrialState.COMPLETE, TrialState.PRUNED} for t in history.completed)
    assert all(t.state in {TrialState.FAILED, TrialState.PRUNED} and not t.values for t in history.failed)
    for group in (history.completed, history.pending, history.failed):
        assert list(group) == sorted(group, key=lambda t: t.number)


def test_states():
    assert [state for state in TrialState if not state.is_finished] == [TrialState.RUNNING, TrialState.STALE]
    assert TrialState("COMPLETE") == "COMPLETE"


def test_duration():
    trial = Trial(0, {}, TrialState.RUNNING, Origin("user", "."), START)
    assert trial.duration_s is None
    assert dataclasses.replace(trial, finished_at=START + timedelta(seconds=90)).duration_s == 90


def test_heartbeat_is_that_of_the_copy_in_this_process():
    beats = []
    trial = Trial(3, {}, TrialState.RUNNING, Origin("user", "."), START, heart=lambda: bool(beats.append(1)) or True)
    assert dataclasses.replace(trial, owner="me").heartbeat()
    assert beats == [1]
    travelled = pickle.loads(pickle.dumps(trial))
    assert travelled == trial
    with pytest.raises(InvalidState, match=r"trial 3 .*opt\.heartbeat\(trial\)"):
        travelled.heartbeat()
