import json
import math
import re
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces

from hybridbo import knowledge
from hybridbo.engine import Engine
from hybridbo.errors import SpaceExhausted, SurrogateError
from hybridbo.objective import Objective
from hybridbo.ports import ChatFailure, ChatReply
from hybridbo.settings import Settings
from hybridbo.space import Categorical, Float, Int, Space
from hybridbo.trial import History, Origin, Trial, TrialState

AT = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Settings.of({"gp": {"candidates": 64, "restarts": 1}})
SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True, default=3e-3),
        "layers": Int(1, 5),
        "optimizer": Categorical(["adam", "sgd"]),
        "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
    }
)
POINTS = [
    {"lr": 0.01, "layers": 2, "optimizer": "adam"},
    {"lr": 0.05, "layers": 3, "optimizer": "sgd", "momentum": 0.9},
    {"lr": 0.001, "layers": 1, "optimizer": "adam"},
]
REPLY = ChatReply(json.dumps({"configs": POINTS, "rationale": "Small steps first."}), "model")
SECRET = ChatFailure("BackendTimeout", "no reply within 60 s", "retry", asked="model")


def engine(space=SPACE, objective=None, settings=QUICK, **options):
    return Engine(space, objective or Objective.of("minimize"), settings, **options)


def drive(engine, history=None, answer=None, n=1, seed=0):
    """What the engine proposes, and what it asks for on the way; every request gets the same answer."""
    steps = engine.suggest(History() if history is None else history, n, np.random.default_rng([7, seed]))
    requests = []
    try:
        requests.append(next(steps))
        while True:
            requests.append(steps.send(answer))
    except StopIteration as stop:
        return stop.value, requests


def one(*args, **options):
    [proposal], _ = drive(*args, **options)
    return proposal


def trial(number, params, value=None, state=None, source="sobol", **values):
    """COMPLETE with a value, RUNNING without one, or the state that is given."""
    values = ({} if value is None else {"value": value}) | values
    state = state or (TrialState.COMPLETE if values else TrialState.RUNNING)
    return Trial(number, params, state, Origin(source, "."), AT, value=value, values=values)


def search(engine, objective, n, answer=None, seed=0):
    """The history of a search of ``n`` trials; an objective that returns None fails the trial."""
    trials = []
    for number in range(n):
        [proposal], _ = drive(engine, History.of(trials), answer, seed=[seed, number])
        value = objective(proposal.params)
        state = TrialState.FAILED if value is None else None
        trials.append(trial(number, proposal.params, value, state, proposal.origin.source))
    return trials


def sources(trials):
    return [t.origin.source for t in trials]


def loss(params):
    return (math.log10(params["lr"]) + 2.5) ** 2 + abs(params["layers"] - 4) + (params["optimizer"] == "adam")


# Order


def test_default_then_the_models_points_then_sobol_then_the_gp():
    trials = search(engine(has_llm=True), loss, 7, REPLY)
    assert sources(trials) == ["default", "llm", "llm", "sobol", "sobol", "gp", "gp"]
    assert trials[0].params == {"lr": 3e-3, "layers": knowledge.lookup("layers").default, "optimizer": "adam"}
    assert [t.params for t in trials[1:3]] == POINTS[:2]


def test_without_a_model_sobol_fills_the_seeds_and_nobody_is_asked():
    trials = search(engine(), loss, 6)
    assert sources(trials) == ["default", "sobol", "sobol", "sobol", "sobol", "gp"]
    assert drive(engine())[1] == []


def test_an_enqueued_configuration_comes_first_and_once():
    history = History.of([], [POINTS[1], POINTS[0]])
    proposals, requests = drive(engine(has_llm=True), history, REPLY, n=4)
    assert [p.origin.source for p in proposals] == ["user", "user", "default", "llm"]
    assert [p.params for p in proposals[:2]] == [POINTS[1], POINTS[0]]
    assert proposals[3].params == POINTS[2]  # the two others are pending
    assert len(requests) == 1


def test_a_default_that_the_user_has_enqueued_is_not_repeated():
    default = engine().default_params()
    assert one(engine(), History.of([trial(0, default, 1.0, source="user")])).origin.source == "sobol"


def test_a_declared_default_keeps_all_its_digits():
    space = Space({"x": Float(0, 1, default=1 / 3), "y": Float(0, 1, step=0.1, default=0.1 + 0.2)})
    assert one(engine(space)).params == {"x": 1 / 3, "y": 0.3}


def test_the_number_of_seed_trials_is_a_setting():
    few = Settings.of({"seed_trials": 2, "gp": {"candidates": 64, "restarts": 1}})
    assert sources(search(engine(settings=few), loss, 3)) == ["default", "sobol", "gp"]


def test_the_request_is_about_this_search():
    _, [request] = drive(engine(has_llm=True, task="Tune it."), History.of([trial(0, POINTS[0], 1.0)]), REPLY, n=2)
    assert request.task == "Tune it."
    assert request.space == SPACE.to_dict()


# When the model is of no help


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (SECRET, "BackendTimeout: no reply within 60 s"),
        (ChatReply("", "model"), "the reply is empty"),
        (ChatReply("Sorry, I can't.", "model"), "no complete JSON object"),
        (ChatReply('{"configs": []}', "model"), "an empty list"),
        (ChatReply('{"configs": [{"lr": 3}]}', "model"), "'lr'=3 is out of range"),
    ],
)
def test_a_sobol_point_fills_in_and_says_why(answer, why):
    trials = search(engine(has_llm=True), loss, 2, answer)
    proposal = one(engine(has_llm=True), History.of(trials), answer)
    assert proposal.origin.source == "sobol"
    assert why.replace("'", "") in proposal.origin.reason.replace("'", "")
    assert len(proposal.notes) == 1
    assert why.replace("'", "") in proposal.notes[0].replace("'", "")


def test_the_gp_goes_on_without_the_model_and_says_why():
    trials = search(engine(has_llm=True), loss, 5, SECRET)
    proposal = one(engine(has_llm=True), History.of(trials), SECRET)
    assert proposal.origin.source == "gp"
    assert "BackendTimeout" in proposal.origin.reason
    assert len(proposal.notes) == 1


def test_nothing_is_noted_when_nothing_went_wrong():
    trials = search(engine(has_llm=True), loss, 5, REPLY)
    assert one(engine(has_llm=True), History.of(trials), REPLY).notes == ()


def test_the_models_words_go_into_the_reason():
    [_, proposal], _ = drive(engine(has_llm=True), answer=REPLY, n=2)
    assert proposal.origin.reason == "Seed trial 2 of 5. Number 1 of the LLM's advice. Small steps first."


def test_the_reason_of_a_point_goes_before_that_of_the_whole():
    reasons = ["Known to be good.", *[""] * (len(POINTS) - 1)]
    data = {"configs": POINTS, "reasons": reasons, "rationale": "Small steps first."}
    answer = ChatReply(json.dumps(data), "model")
    [_, first, second], _ = drive(engine(has_llm=True), answer=answer, n=3)
    assert first.origin.reason.endswith("Number 1 of the LLM's advice. Known to be good.")
    assert second.origin.reason.endswith("Number 2 of the LLM's advice. Small steps first.")


# Repetitions


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FAILED, TrialState.PRUNED, TrialState.COMPLETE])
def test_what_has_been_a_trial_is_not_proposed_again(state):
    nearly = POINTS[0] | {"lr": 0.0100000001}  # the same on the grid
    value = 1.0 if state == "COMPLETE" else None
    history = History.of([trial(0, engine().default_params(), 1.0), trial(1, nearly, value, state)])
    assert one(engine(has_llm=True), history, REPLY).params == POINTS[1]


def test_a_batch_is_of_different_configurations():
    seeded = search(engine(has_llm=True), loss, 5, REPLY)
    for history in (History(), History.of(seeded)):
        proposals, _ = drive(engine(has_llm=True), history, REPLY, n=4)
        keys = {SPACE.key(p.params) for p in proposals} | {SPACE.key(t.params) for t in history.trials}
        assert len(keys) == 4 + len(history)


def test_a_batch_is_not_crowded():
    space, early = Space({"x": Float(0, 1)}), Settings.of({"seed_trials": 3, "gp": {"candidates": 64, "restarts": 1}})
    done = [trial(i, {"x": x}, value) for i, (x, value) in enumerate([(0.5, 0.0), (0.0, 1.0), (1.0, 1.0)])]
    [first, second], _ = drive(engine(space, settings=early), History.of(done), n=2)
    assert abs(first.params["x"] - second.params["x"]) > 0.05


@pytest.mark.parametrize("answer", [None, ChatReply(json.dumps({"configs": [{"a": 1}, {"a": 2, "b": True}]}), "m")])
def test_a_finite_space_is_proposed_whole_and_then_exhausted(answer):
    space = Space({"a": Int(0, 2), "b": Categorical([True, False], when={"a": [1, 2]}), "c": Int(7, 8)})
    settings = Settings.of({"seed_trials": 3, "gp": {"candidates": 64, "restarts": 1}})
    full = engine(space, settings=settings, has_llm=answer is not None)
    trials = search(full, lambda p: p["a"] + p.get("b", 0), 10, answer)
    assert space.size == 10
    assert {space.key(t.params) for t in trials} == {space.key(p) for p in space.configurations()}
    with pytest.raises(SpaceExhausted, match="all 10 configurations"):
        drive(full, History.of(trials), answer)
    assert len(drive(full, History.of(trials[:8]), answer, n=5)[0]) == 2  # as many as are left


def test_an_exhausted_space_still_takes_what_the_user_wants():
    space = Space({"a": Int(0, 1)})
    done = [trial(0, {"a": 0}, 1.0), trial(1, {"a": 1}, 1.0)]
    assert one(engine(space), History.of(done, [{"a": 0}])).origin.source == "user"


def test_the_last_configurations_of_a_large_space_are_found():
    space = Space({"a": Int(0, 140), "b": Int(0, 140)})
    keep = [{"a": 3, "b": 77}, {"a": 139, "b": 2}]
    failed = [trial(i, p, None, TrialState.FAILED) for i, p in enumerate(space.configurations()) if p not in keep]
    assert one(engine(space), History.of(failed)).params in keep


# Repeatability


def test_the_same_seed_and_history_give_the_same_proposals():
    trials = search(engine(has_llm=True), loss, 5, REPLY)
    for history in (History(), History.of(trials[:4]), History.of(trials)):
        first, again = (drive(engine(has_llm=True), history, REPLY, n=2)[0] for _ in range(2))
        assert first == again


def test_another_seed_gives_another_search():
    history = History.of(search(engine(), loss, 5))
    assert one(engine(), history, seed=1).params != one(engine(), history, seed=2).params
    seeds = [search(engine(seed=seed), loss, 3)[1].params for seed in (1, 2)]
    assert seeds[0] != seeds[1]


def test_the_sobol_sequence_goes_on_where_it_was():
    space = Space({"a": Float(0, 1), "b": Float(0, 1)})  # nothing is published of these
    trials = search(engine(space), lambda params: params["a"], 5)
    encoded = np.array([space.encode(t.params) for t in trials[1:]])
    assert sorted(np.floor(encoded[:, 0] * 4)) == [0, 1, 2, 3]  # four points of one sequence: one in each quarter


def test_every_second_sobol_point_is_drawn_towards_published_beliefs():
    space = Space({"learning_rate": Float(1e-9, 1e3, log=True)})
    seeds = [search(engine(space, seed=seed), lambda params: 1.0, 5) for seed in range(20)]
    usual = np.array([[1e-4 <= t.params["learning_rate"] <= 1e-2 for t in trials[1:]] for trials in seeds]).mean(axis=0)
    assert (usual[[0, 2]] < 0.4).all()  # two of twelve decades
    assert (usual[[1, 3]] > 0.5).all()


def told(n, source, value, params):
    return replace(trial(n, params, value), origin=Origin(source, "."))


LINE = Space({"x": Float(0, 1, default=0.5)})
WORSE = [("default", 0.5, 0.5), ("llm", 0.9, 0.9), ("llm", 0.8, 0.8)]


def next_of(rows):
    """The next proposal after trials of (source, value or None for a failure, x), with advice still to be had.

    Of eight seed trials four may be the LLM's.
    """
    reply = ChatReply(
        json.dumps({"configs": [{"x": 0.95}], "prior": {"x": {"center": 0.9, "low": 0.8, "high": 1}}}), "m"
    )
    trials = [
        replace(trial(i, {"x": x}, state=TrialState.FAILED), origin=Origin(source, "."))
        if value is None
        else told(i, source, value, {"x": x})
        for i, (source, value, x) in enumerate(rows)
    ]
    return one(engine(LINE, has_llm=True, settings=Settings(seed_trials=8)), History.of(trials), reply)


def test_advice_that_loses_to_the_default_is_tried_against_a_sobol_point():
    proposal = next_of(WORSE)
    assert proposal.origin.source == "sobol"
    assert "no better than the default" in proposal.origin.reason
    assert next_of([WORSE[0], ("llm", 0.9, 0.9), ("llm", 0.4, 0.8)]).origin.source == "llm"


def test_advice_that_loses_to_both_controls_is_cut_short_and_its_beliefs_weigh_nothing():
    lost = next_of([*WORSE, ("sobol", 0.3, 0.3)])
    assert lost.origin.source == "sobol"
    after = next_of([*WORSE, *(("sobol", x, x) for x in (0.3, 0.2, 0.1, 0.6, 0.4))])
    assert after.origin.source == "gp"
    assert "The LLM's beliefs weigh 0: The LLM's configurations have lost" in after.origin.reason


def test_beliefs_of_an_llm_that_loses_to_the_default_alone_weigh_a_third():
    doubted = next_of([*WORSE, *(("sobol", 0.85 + x, x) for x in (0.1, 0.2, 0.3, 0.4, 0.6))])
    assert "The LLM's beliefs weigh 0.33: 2 configurations of the LLM are no better" in doubted.origin.reason


def test_a_default_that_the_user_has_enqueued_is_a_control_too():
    enqueued = [("user", 0.5, 0.5), *WORSE[1:]]
    assert next_of(enqueued).origin.source == "sobol"
    assert "no better than the default" in next_of(enqueued).origin.reason
    own_guess = [("default", 0.95, 0.5), ("user", 0.1, 0.1), *WORSE[1:]]  # the user's other guesses are none
    assert next_of(own_guess).origin.source == "llm"


def test_points_of_an_llm_without_beliefs_are_candidates_all_the_same(monkeypatch):
    seen = []
    monkeypatch.setattr("hybridbo.gp.propose.propose", lambda space, seen_, guide, *_: seen.append(guide) or 1 / 0)
    space = Space({"zz": Float(0, 1)})
    named = [{"zz": x} for x in (0.1, 0.2, 0.3)]
    trials = [trial(i, {"zz": 0.5 + i / 20}, float(i)) for i in range(5)]
    one(engine(space, has_llm=True), History.of(trials), ChatReply(json.dumps({"configs": named}), "m"))
    assert [list(guide.points) for guide in seen] == [named]


def test_configurations_of_the_llm_that_fail_lose_too():
    crashed = [("default", 0.5, 0.5), ("llm", None, 0.9), ("llm", None, 0.8)]
    assert next_of(crashed).origin.source == "sobol"
    lost = next_of([*crashed, ("sobol", 0.6, 0.3)])
    assert "The LLM's configurations have lost" in lost.origin.reason


def test_failures_where_the_belief_is_dense_contradict_it():
    rows = [("default", 0.5, 0.5), ("llm", 0.4, 0.6), *(("gp", None, 0.8 + i / 50) for i in range(8))]
    assert "The LLM's beliefs weigh 0: The results contradict" in next_of(rows).origin.reason


# The surrogate


def completed(n=6, fn=loss):
    rng = np.random.default_rng(3)
    points = [SPACE.decode(u) for u in rng.random((n - 1, len(SPACE)))]
    return [trial(i, p, fn(p)) for i, p in enumerate([engine().default_params(), *points])]


@pytest.mark.parametrize("error", [SurrogateError("no luck."), RuntimeError("singular"), SpaceExhausted("all found")])
def test_a_sobol_point_fills_in_when_the_surrogate_fails(error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr("hybridbo.gp.propose.propose", fail)
    proposal = one(engine(), History.of(completed()))
    assert proposal.origin.source == "sobol"
    assert type(error).__name__ in proposal.notes[0]
    assert proposal.notes[0] in proposal.origin.reason
    assert (proposal.origin.predicted_mean, proposal.origin.predicted_sd) == (None, None)


def test_predictions_are_in_the_users_units_and_direction():
    low = one(engine(), History.of(completed()))
    high = one(engine(objective=Objective.of("maximize")), History.of(completed(fn=lambda p: 1000 - loss(p))))
    assert low.params == high.params  # the same problem upside down
    assert high.origin.predicted_mean == pytest.approx(1000 - low.origin.predicted_mean, rel=1e-5)
    assert high.origin.predicted_sd == pytest.approx(low.origin.predicted_sd, rel=1e-3)
    assert low.origin.predicted_sd > 0
    assert 0 <= low.origin.predicted_mean < max(loss(t.params) for t in completed())


def test_several_objectives_and_constraints():
    objective = Objective.of(objectives={"error": "minimize", "speed": "maximize"}, constraints={"memory": "<= 3"})
    trials = [
        trial(t.number, t.params, error=loss(t.params), speed=t.params["lr"], memory=float(t.params["layers"]))
        for t in completed()
    ]
    proposal = one(engine(objective=objective), History.of(trials))
    assert proposal.origin.source == "gp"
    assert proposal.origin.predicted_mean is None  # a weighed sum has no unit
    assert SPACE.validate(proposal.params) == proposal.params


def test_a_constraint_keeps_the_search_where_it_holds():
    space = Space({"x": Float(0, 1)})
    objective = Objective.of("minimize", constraints={"c": "<= 0.5"})
    trials = [trial(i, {"x": x}, value=1 - x, c=x) for i, x in enumerate([0.5, 0.1, 0.3, 0.45, 0.7, 0.85, 1.0])]
    chosen = one(engine(space, objective), History.of(trials))
    assert chosen.params["x"] < 0.7


def test_failures_are_learned_from_and_never_repeated():
    space = Space({"x": Float(0, 1), "y": Float(0, 1)})

    def crashes_on_the_right(params):
        return None if params["x"] > 0.5 else -params["x"] + params["y"]

    trials = search(engine(space), crashes_on_the_right, 14)
    assert sources(trials)[5:] == ["gp"] * 9
    late = trials[9:]
    assert sum(t.state is TrialState.COMPLETE for t in late) >= 2  # the best values lie at the border itself
    best = [min((t.value for t in part if t.value is not None), default=1.0) for part in (trials[:5], trials[5:])]
    assert best[1] < best[0]


def test_a_search_in_which_everything_fails_goes_on_with_sobol():
    trials = search(engine(), lambda _: None, 8)
    assert sources(trials) == ["default"] + ["sobol"] * 7


def test_a_contradicted_belief_is_dropped_and_it_says_so():
    space = Space({"x": Float(0, 1)})
    beliefs = {"x": {"center": 0.1, "low": 0.05, "high": 0.15}}
    answer = ChatReply(json.dumps({"configs": [{"x": 0.1}], "beliefs": beliefs}), "model")
    places = [0.5, 0.1, 0.05, 0.15, 0.2, 0.6, 0.8]
    wrong = [trial(i, {"x": x}, abs(x - 0.8)) for i, x in enumerate(places)]
    right = [trial(i, {"x": x}, abs(x - 0.1)) for i, x in enumerate(places)]
    assert (
        "beliefs weigh 0: The results contradict"
        in one(engine(space, has_llm=True), History.of(wrong), answer).origin.reason
    )
    assert "The LLM's beliefs weigh 1" in one(engine(space, has_llm=True), History.of(right), answer).origin.reason


def test_it_beats_random_search_on_a_mixed_conditional_function():
    space = Space(
        {
            "kind": Categorical(["bowl", "line"]),
            "x": Float(0, 1),
            "y": Float(1e-4, 1, log=True, when={"kind": ["bowl"]}),
            "n": Int(1, 20, when={"kind": ["line"]}),
        }
    )

    def fn(params):
        value = 4 * (params["x"] - 0.7) ** 2
        if params["kind"] == "bowl":
            return value + (math.log10(params["y"]) + 2.6) ** 2 / 2
        return value + 0.5 + 0.1 * abs(params["n"] - 8)

    rng = np.random.default_rng(0)
    random = np.median([min(fn(space.decode(u)) for u in rng.random((20, 4))) for _ in range(100)])
    found = [min(t.value for t in search(engine(space, seed=seed), fn, 20, seed=seed)) for seed in (1, 2)]
    assert max(found) < random / 5


# Any space


@settings(max_examples=15)
@given(spaces(max_size=5), st.integers(0, 2**32))
def test_whatever_the_space_every_proposal_is_valid_and_new(space, seed):
    settings = Settings.of({"seed_trials": 3, "gp": {"candidates": 16, "restarts": 1}})
    rng, trials = np.random.default_rng(seed), []
    for number in range(5):
        try:
            [proposal], _ = drive(engine(space, settings=settings), History.of(trials), seed=seed)
        except SpaceExhausted:
            assert len(trials) == space.size
            return
        assert space.validate(proposal.params) == proposal.params
        assert space.key(proposal.params) not in {space.key(t.params) for t in trials}
        assert not proposal.notes
        trials.append(trial(number, proposal.params, float(rng.normal()), source=proposal.origin.source))


def test_while_nothing_keeps_the_constraints_the_chance_to_keep_them_is_sought():
    space = Space({"x": Float(0, 1)})
    objective = Objective.of("minimize", constraints={"c": "<= 0.1"})
    trials = [trial(i, {"x": x}, value=1 - x, c=x) for i, x in enumerate([0.5, 0.4, 0.6, 0.8, 0.9, 1.0])]
    chosen = one(engine(space, objective), History.of(trials))
    assert chosen.params["x"] < 0.4
    assert "None of 6 trials keeps the constraints" in chosen.origin.reason
    assert chosen.origin.predicted_mean is None


def test_pruned_trials_that_lack_a_constraint_are_left_out():
    space = Space({"x": Float(0, 1)})
    objective = Objective.of("minimize", constraints={"c": "<= 0.9"})
    trials = [trial(i, {"x": x}, value=x, c=x) for i, x in enumerate([0.5, 0.4, 0.6, 0.8, 0.9])]
    pruned = trial(5, {"x": 0.7}, value=0.7, state=TrialState.PRUNED)
    assert one(engine(space, objective), History.of([*trials, pruned])).origin.source == "gp"


def test_when_all_seeds_have_failed_the_rest_of_the_advice_is_used():
    reply = ChatReply(json.dumps({"configs": [{"x": x / 10} for x in range(8)]}), "m")
    space = Space({"x": Float(0, 1)})
    failed = [trial(i, {"x": 0.05 + i / 10}, state=TrialState.FAILED) for i in range(5)]
    failed.append(trial(5, engine(space).default_params(), state=TrialState.FAILED))
    assert one(engine(space, has_llm=True), History.of(failed), reply).origin.source == "llm"


def test_equal_values_are_no_ground_for_a_model():
    trials = search(engine(), lambda _: 1.0, 9)
    assert sources(trials)[5:] == ["sobol"] * 4
    proposal = one(engine(), History.of(trials))
    assert proposal.notes == ("All 9 values are equal: there is nothing to model",)
    assert proposal.origin.reason == f"{proposal.notes[0]}; a Sobol point fills in."


def test_equal_values_with_failures_beside_them_are_ground_for_a_model_of_failures():
    space = Space({"x": Float(0, 1), "y": Float(0, 1)})
    trials = search(engine(space), lambda p: None if p["x"] > 0.4 else 1.0, 30)
    failed = [t.state is TrialState.FAILED for t in trials]
    assert set(sources(trials)[6:]) == {"gp"}
    assert sum(failed[10:]) < 8  # of twenty; twelve by chance


def test_debugging_aids_of_the_user_change_nothing():
    trials = search(engine(), loss, 6)
    expected = one(engine(), History.of(trials))
    with np.errstate(all="raise"):
        assert one(engine(), History.of(trials)) == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one(engine(), History.of(trials)) == expected
    with torch.device("meta"):
        assert one(engine(), History.of(trials)) == expected
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        assert one(engine(), History.of(trials)) == expected
    finally:
        torch.set_default_dtype(before)


# Several objectives, constraints, costs

PAIR = Objective.of(objectives={"a": "minimize", "b": "maximize"}, constraints={"c": "<= 1"})


def pairs(values, **kinds):
    rng = np.random.default_rng(5)
    params = [SPACE.decode(u) for u in rng.random((len(values), len(SPACE)))]
    told = [dict(zip("abc", v, strict=False)) for v in values]
    return [trial(i, params[i], **told[i], **kinds) for i in range(len(values))]


PLAIN = [(i % 4, i % 3, i / 4) for i in range(8)]
MULTI_TROUBLE = {
    "plain": (PLAIN, "hypervolume of 2 objectives"),
    "one trial": (PLAIN[:1], "hypervolume"),
    "a constant objective": ([(1.0, b, c) for _, b, c in PLAIN], "hypervolume"),
    "nothing feasible": ([(a, b, 2 + c) for a, b, c in PLAIN], "None of 8 trials keeps"),
    "huge values": ([(a * 5e307, -b * 5e307, c * 8e307) for a, b, c in PLAIN], "hypervolume|None of 8"),
    "an outlier": ([(1e300, 1e300, 1e300), *PLAIN], "hypervolume"),
}


@pytest.mark.parametrize(("values", "why"), list(MULTI_TROUBLE.values()), ids=list(MULTI_TROUBLE))
def test_several_objectives_are_modelled_whatever_their_values(values, why):
    few = Settings.of({"seed_trials": 1, "gp": {"candidates": 16, "restarts": 1}})
    failed = trial(len(values), SPACE.decode(np.full(4, 0.3)), state=TrialState.FAILED)
    default = trial(len(values) + 1, engine().default_params(), state=TrialState.RUNNING)
    proposal = one(engine(objective=PAIR, settings=few), History.of([*pairs(values), failed, default]))
    assert (proposal.origin.source, proposal.notes) == ("gp", ())
    assert re.search(why, proposal.origin.reason)
    assert proposal.origin.predicted_mean is None


def test_trials_that_lack_an_objective_are_no_ground_for_a_model():
    pruned = pairs([(1.0,)] * 6, state=TrialState.PRUNED)
    default = trial(6, engine().default_params(), state=TrialState.FAILED)
    proposal = one(engine(objective=PAIR), History.of([*pruned, default]))
    assert proposal.origin.source == "sobol"
    assert proposal.notes == ("No trial has every one of a, b, c yet, so there is nothing to model",)
    assert "No trial has every one of a, b, c" in proposal.origin.reason


def test_more_objectives_than_can_be_computed_are_weighed_at_random():
    names = dict.fromkeys("pqrst", "minimize")
    trials = [
        trial(t.number, t.params, **{name: float(i * t.number % 5) for i, name in enumerate(names)})
        for t in completed(8)
    ]
    proposal = one(engine(objective=Objective.of(objectives=names)), History.of(trials))
    assert "5 of them are weighed at random (ParEGO)" in proposal.origin.reason


@pytest.mark.parametrize(("budget", "words"), [(None, "power of 1: no budget"), (10, "power of 0.8: 6 of 10")])
def test_durations_count_on_request(budget, words):
    def timed(t):
        return replace(t, finished_at=AT + timedelta(seconds=1 + 100 * (t.params["optimizer"] == "sgd")))

    history = History.of([timed(t) for t in completed(6)])
    aware = Settings.of({"budget": budget, "gp": {"candidates": 64, "restarts": 1, "cost_aware": True}})
    assert words in one(engine(settings=aware), history).origin.reason
    assert "duration" not in one(engine(), history).origin.reason


@pytest.mark.parametrize(
    ("budget", "seconds", "words"),
    [
        (None, (1, 1), "Durations do not count: fewer than three"),
        (6, (1, 100), "Durations do not count any more: 6 of 6"),
    ],
)
def test_a_reason_does_not_claim_durations_that_do_not_count(budget, seconds, words):
    def timed(t):
        return replace(t, finished_at=AT + timedelta(seconds=seconds[t.params["optimizer"] == "sgd"]))

    aware = Settings.of({"budget": budget, "gp": {"candidates": 64, "restarts": 1, "cost_aware": True}})
    reason = one(engine(settings=aware), History.of([timed(t) for t in completed(6)])).origin.reason
    assert words in reason
    assert "Divided" not in reason


@pytest.mark.parametrize("n_done", [0, 1, 3, 7])
def test_what_is_fixed_is_kept_whoever_proposes(n_done):
    fixed = {"optimizer": "sgd", "layers": 4}
    past = search(engine(has_llm=True), loss, n_done, REPLY)
    proposal = one(engine(fixed=fixed, has_llm=True), History.of(past), REPLY)
    assert {name: proposal.params[name] for name in fixed} == fixed
    assert "momentum" in proposal.params
    assert proposal.origin.source == {0: "default", 1: "llm", 3: "sobol", 7: "gp"}[n_done]


def test_a_space_that_is_used_up_where_something_is_fixed_is_exhausted():
    space = Space({"x": Float(0, 1), "k": Categorical(["a", "b"])})
    past = History.of([trial(n, {"x": 0.5, "k": k}, value=float(n)) for n, k in enumerate("ab")])
    with pytest.raises(SpaceExhausted):
        drive(engine(space, fixed={"x": 0.5}), past)
    assert drive(engine(space, fixed={"k": "a"}), past)[0][0].params["k"] == "a"


def test_a_search_has_one_default_however_its_space_grows():
    past = History.of([trial(0, {"layers": 3, "optimizer": "adam", "lr": 0.01}, value=1.0, source="default")])
    assert one(engine(), past).origin.source == "sobol"
