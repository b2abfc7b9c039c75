from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from hybridbo.errors import InvalidSettings
from hybridbo.policy import Standing, consultation, next_source, slack, trust
from hybridbo.settings import Settings
from hybridbo.trial import History, Origin, Trial, TrialState


def history(completed=0, failed=0, running=0, queued=()):
    states = [TrialState.COMPLETE] * completed + [TrialState.FAILED] * failed + [TrialState.RUNNING] * running
    return History.of(
        [
            Trial(i, {}, state, Origin("sobol", "."), None, values={"value": 1.0} if state == "COMPLETE" else {})
            for i, state in enumerate(states)
        ],
        queued,
    )


@pytest.mark.parametrize(
    ("past", "default_is_open", "has_llm", "source"),
    [
        (history(queued=[{}]), True, True, "user"),
        (history(9, queued=[{}]), False, True, "user"),
        (history(), True, True, "default"),
        (history(7), True, False, "default"),
        (history(1), False, True, "llm"),
        (history(1), False, False, "sobol"),
        (history(2, 1, 1), False, True, "llm"),
        (history(3, 1, 1), False, True, "gp"),
        (history(5), False, False, "gp"),
        (history(0, 5), False, True, "llm"),
        (history(0, 4, 3), False, False, "sobol"),
    ],
)
def test_the_order_of_the_sources(past, default_is_open, has_llm, source):
    decision = next_source(past, Settings(), default_is_open=default_is_open, has_llm=has_llm)
    assert decision.source == source
    assert decision.reason.endswith(".")


def test_the_number_of_seeds_is_a_setting():
    few, many = Settings(seed_trials=2), Settings(seed_trials=9)
    assert next_source(history(2), few, default_is_open=False, has_llm=False).source == "gp"
    assert next_source(history(8), many, default_is_open=False, has_llm=False).source == "sobol"


def test_a_belief_that_the_results_contradict_loses_its_weight():
    found = trust([3, 2, 1, 0, -1, -2], [6, 5, 4, 3, 2, 1])  # denser is worse
    assert found.weight == 0
    assert "contradict the belief (rank correlation +1.00)" in found.reason


def test_a_belief_that_is_neither_borne_out_nor_refuted_weighs_less():
    found = trust([3, 2, 1, 0, -1, -2], [6, 1, 5, 2, 3, 4])  # denser is a little worse
    assert 0.2 < found.weight < 0.7
    assert "do not bear out the belief (rank correlation +0." in found.reason


def test_the_llm_has_half_of_the_seeds():
    told = [Trial(i, {}, TrialState.COMPLETE, Origin("llm", "."), None, values={"value": 1.0}) for i in range(4)]
    for seeds, advised in ((2, 1), (5, 2), (8, 4)):
        settings = Settings(seed_trials=seeds)
        for n in range(min(seeds, len(told))):
            found = next_source(History.of(told[:n], ()), settings, default_is_open=False, has_llm=True)
            assert found.source == ("llm" if n < advised else "sobol")


def test_a_belief_that_the_results_bear_out_keeps_its_weight():
    found = trust([3, 2, 1, 0, -1, -2], [1, 2, 3, 4, 5, 6])
    assert found.weight == 1
    assert "do not contradict" in found.reason


@pytest.mark.parametrize(
    ("density", "losses"),
    [([], []), ([1], [2]), ([1, 2], [2, 1]), ([1, 2, 3, 4], [4, 3, 2, 1]), ([0] * 9, range(9)), (range(9), [1] * 9)],
)
def test_results_that_say_nothing_leave_the_belief_alone(density, losses):
    assert trust(list(density), list(losses)).weight == 1


def chance_of(density, losses):
    """That the losses, in some other order, would look as bad for the belief: counted."""
    orders = [spearmanr(density, order).statistic for order in permutations(losses)]
    return np.mean(np.array(orders) >= spearmanr(density, losses).statistic - 1e-12)


@pytest.mark.parametrize("losses", [*permutations([1, 2]), *permutations([1, 2, 3]), *permutations([4, 1, 1, 7])])
def test_fewer_than_five_results_are_tested_over_all_their_orders(losses):
    density = range(len(losses))
    weight = np.clip((chance_of(density, losses) - 0.15) / 0.5, 0, 1)
    assert trust(list(density), list(losses)).weight == pytest.approx(weight)


def test_two_results_can_take_some_of_the_weight_and_four_all_of_it():
    assert [trust(range(n), range(n)).weight for n in (2, 3, 4)] == pytest.approx([0.7, 1 / 30, 0.0])


@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(allow_nan=False, allow_infinity=False)), max_size=30))
def test_any_finite_results_give_a_weight_and_a_reason(rows):
    found = trust(np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
    assert 0 <= found.weight <= 1
    assert found.reason.endswith(".")


def test_losses_at_the_ends_of_the_range_of_floats():
    assert trust([0.0, 1.0, 2.0, 3.0, 4.0], [1.7e308, -1.7e308, 0.0, 1.0, 1e300]).weight == pytest.approx(0.7)


# Consultations


def told(*values, sources=None):
    """Complete trials of these values; None fails one."""
    sources = sources or ["sobol"] * 5 + ["gp"] * len(values)
    trials = [
        Trial(
            i, {}, TrialState.FAILED if value is None else TrialState.COMPLETE, Origin(sources[i], "."), None,
            values={} if value is None else {"value": value},
        )
        for i, value in enumerate(values)
    ]  # fmt: skip
    return History.of(trials), {i: np.inf if value is None else value for i, value in enumerate(values)}


def due(rule, *values, standing=Standing(), sources=None, **settings):
    past, merits = told(*values, sources=sources)
    return consultation(past, Settings.of({"llm": {"consult": rule, **settings}}), merits, llm=standing)


FALLING = [float(20 - i) for i in range(20)]


@pytest.mark.parametrize(
    ("rule", "values", "at"),
    [
        ("never", FALLING, None),
        (5, FALLING[:4], None),  # seeds
        (5, FALLING[:5], 5),
        (5, FALLING[:9], 5),
        (5, FALLING[:10], 10),
        (7, FALLING[:20], 19),
        ("stagnation", FALLING, None),
        ("stagnation", [1.0, *[2.0] * 6], 7),
        ("stagnation", [1.0, *[2.0] * 5], None),
        ("stagnation", [1.0, *[2.0] * 11], 7),
        ("stagnation", [1.0, *[2.0] * 12], 13),
        ("stagnation", [5.0, *[6.0] * 9, 1.0, *[6.0] * 5], None),  # an improvement starts the count again
        ("stagnation", [5.0, *[6.0] * 9, 4.999, *[6.0] * 2], 13),  # polishing does not
        ("stagnation", [None] * 7, None),
        ("stagnation", [1.0, *[None] * 6], 7),
    ],
)
def test_when_the_llm_is_consulted(rule, values, at):
    found = due(rule, *values)
    assert found.at == at
    assert found.reason.endswith(".") or at is None


def test_an_llm_that_has_lost_is_not_consulted():
    found = due(1, *FALLING, standing=Standing("lost", "It lost."))
    assert (found.at, found.reason) == (None, "No consultation: It lost.")


@given(st.lists(st.sampled_from(["llm", "gp"]), min_size=5, max_size=60), st.floats(0, 0.3))
def test_it_never_has_more_than_its_share(sources, share):
    found = due(1, *map(float, range(len(sources))), sources=sources, consult_share=share)
    after = (sources.count("llm") + 1) / (len(sources) + 1)
    assert (found.at is None) == (after > share)


def test_more_than_three_tenths_cannot_be_set():
    with pytest.raises(InvalidSettings, match="consult_share"):
        Settings.of({"llm": {"consult_share": 0.31}})
    for rule in (0, -1, True, 2.5, "often", "5"):
        with pytest.raises(InvalidSettings, match="consult"):
            Settings.of({"llm": {"consult": rule}})


def test_the_slack_shrinks_with_the_values():
    sizes = [slack(*told(*FALLING[:n]), 5) for n in range(1, 20)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[9] == pytest.approx(2.0)
    assert sizes[-1] < sizes[0] / 15


def test_the_slack_is_earned():
    sources = ["default", *["sobol"] * 4, "gp", "llm", "gp", "llm"]
    useless = slack(*told(1.0, *[2.0] * 8, sources=sources), 5)
    useful = slack(*told(9.0, *[8.0] * 5, 7.0, 8.0, 6.0, sources=sources), 5)
    seeds = slack(*told(1.0, *[2.0] * 8, sources=["default", "llm", "llm", *["gp"] * 6]), 5)
    assert useful == seeds == 3 * useless == pytest.approx(20 / 9)


def test_the_first_point_of_a_consultation_counts():
    sources = ["default", *["sobol"] * 4, "llm"]  # before the first of the Gaussian process's own
    assert slack(*told(1.0, *[2.0] * 5, sources=sources), 5) == pytest.approx(20 / 6 / 2)


def test_trials_that_run_are_no_stagnation():
    past, merits = told(1.0, *[2.0] * 5)
    running = [Trial(6 + i, {}, TrialState.RUNNING, Origin("gp", "."), None) for i in range(9)]
    settings = Settings.of({"llm": {"consult": "stagnation"}})
    assert consultation(History.of([*past.trials, *running]), settings, merits).at is None


def test_a_doubtful_llm_has_less_slack():
    assert due(1, *FALLING, standing=Standing("doubtful", "!")).slack == pytest.approx(due(1, *FALLING).slack / 3)


def test_who_has_no_language_model_does_not_pay_for_counting_its_trials():
    class Long(tuple):
        __slots__ = ()

        def __iter__(self):
            raise AssertionError("walked through all trials")

    history = History(completed=Long([1] * 5))
    assert next_source(history, Settings(seed_trials=9), default_is_open=False, has_llm=False).source == "sobol"
