import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import objectives

from hybridbo.errors import InvalidSettings, InvalidValue
from hybridbo.objective import Constraint, Objective, finite
from hybridbo.trial import Origin, Trial, TrialState

SINGLE = Objective.of("minimize")
SEVERAL = Objective.of(objectives={"error": "minimize", "speed": "maximize"}, constraints={"memory_gb": "<= 16"})


def complete(number, **values):
    value = values.get("value")
    return Trial(number, {}, TrialState.COMPLETE, Origin("sobol", "."), None, value=value, values=values)


@given(objectives())
def test_an_objective_is_a_value(objective):
    assert Objective.from_json(objective.to_json()) == objective
    assert Objective.from_json(objective.to_json()).to_json() == objective.to_json()
    assert pickle.loads(pickle.dumps(objective)) == objective
    assert hash(pickle.loads(pickle.dumps(objective))) == hash(objective)


def test_one_direction_is_one_objective_named_value():
    assert Objective.of() == SINGLE
    assert Objective.of("maximize").directions == (("value", "maximize"),)
    assert SINGLE.is_single
    assert not SEVERAL.is_single
    assert SEVERAL.names == ("error", "speed", "memory_gb")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"direction": "min"}, "direction 'min' of 'value' is unknown"),
        ({"direction": 3}, "direction 3"),
        ({"direction": "minimize", "objectives": {"a": "minimize"}}, "both given"),
        ({"objectives": {}}, "objectives is empty"),
        ({"objectives": ["error"]}, "objectives=['error'] is no dict"),
        ({"objectives": "error"}, "objectives='error' is no dict"),
        ({"objectives": {3: "minimize"}}, "objectives={3: 'minimize'} is no dict by name"),
        ({"objectives": {" ": "minimize"}}, "is no dict by name"),
        ({"objectives": {"error": "down"}}, "direction 'down' of 'error'"),
        ({"objectives": {"error": ["minimize"]}}, "of 'error' is unknown"),
        ({"constraints": ["m <= 3"]}, "constraints=['m <= 3'] is no dict"),
        ({"constraints": {"m": "< 3"}}, "constraint 'm': '< 3' is no bound"),
        ({"constraints": {"m": "<= many"}}, "'<= many' is no bound"),
        ({"constraints": {"m": "<= nan"}}, "'<= nan' is no bound"),
        ({"constraints": {"m": "<= inf"}}, "'<= inf' is no bound"),
        ({"constraints": {"m": 16}}, "16 is no bound"),
        ({"constraints": {"value": "<= 16"}}, "'value' is both an objective and a constraint"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments, problem):
    with pytest.raises(InvalidSettings) as caught:
        Objective.of(**arguments)
    assert problem in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "holds", "breaks"),
    [("<= 16", [16, -3], [16.5]), (">=0.5", [0.5, 9], [0.4]), ("  <=  -1e3 ", [-1000, -2000], [-999])],
)
def test_constraints(text, holds, breaks):
    bound = Constraint.parse("m", text)
    assert all(bound.violation(value) <= 0 for value in holds)
    assert all(bound.violation(value) > 0 for value in breaks)


class FakeTensor:
    """What torch gives: ``size`` is a method and ``item`` raises for several elements."""

    def __init__(self, *values):
        self._values = values

    def size(self):
        return len(self._values)

    def item(self):
        if len(self._values) != 1:
            raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")
        return self._values[0]


@pytest.mark.parametrize("told", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5]), FakeTensor(0.5)])
def test_any_make_of_number_can_be_told(told):
    outcome = SINGLE.outcome(told)
    assert outcome.state is TrialState.COMPLETE
    assert outcome.value == 0.5
    assert outcome.values == {"value": 0.5}
    assert type(outcome.value) is float


@pytest.mark.parametrize(
    "told",
    [math.nan, math.inf, -math.inf, None, "0.5", True, 1j, [0.5], np.array([1.0, 2.0]), np.nan, np.bool_(True), 10**400,
     FakeTensor(1, 2), FakeTensor(math.nan), object],
)  # fmt: skip
def test_what_is_not_a_finite_number_is_refused_with_the_remedy(told):
    with pytest.raises(InvalidValue, match=r"value=.* is not a finite number\. Call opt\.fail"):
        SINGLE.outcome(told)


def test_the_message_of_a_refused_value_stays_short():
    with pytest.raises(InvalidValue) as caught:
        finite("value", np.zeros(10_000))
    assert len(str(caught.value)) < 200


def test_several_outcomes_are_told_as_a_dict():
    outcome = SEVERAL.outcome({"memory_gb": 9, "speed": 12.0, "error": 0.1})
    assert outcome.values == {"error": 0.1, "speed": 12.0, "memory_gb": 9.0}
    assert outcome.value is None
    assert Objective.of(constraints={"m": "<= 3"}).outcome({"value": 1, "m": 2}).value == 1


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (0.1, "0.1 is one value"),
        ({"error": 0.1, "speed": 1}, "'memory_gb' is missing"),
        ({"error": 0.1, "speed": 1, "memory_gb": 1, "loss": 2}, "'loss' is no objective or constraint"),
        ({"error": 0.1, "speed": math.nan, "memory_gb": 1}, "speed=nan is not a finite number"),
    ],
)
def test_a_wrong_dict_names_the_value(told, problem):
    with pytest.raises(InvalidValue) as caught:
        SEVERAL.outcome(told)
    assert problem in caught.value.message
    assert caught.value.hint


def test_losses_turn_every_objective_to_smaller_is_better():
    assert SEVERAL.losses({"error": 0.1, "speed": 5, "memory_gb": 1}) == (0.1, -5)


def test_the_best_is_the_earliest_of_equals_and_complete():
    trials = [complete(0, value=3.0), complete(2, value=1.0), complete(1, value=1.0)]
    running = Trial(3, {}, TrialState.RUNNING, Origin("gp", "."), None)
    pruned = Trial(4, {}, TrialState.PRUNED, Origin("gp", "."), None, value=0.0, values={"value": 0.0})
    assert SINGLE.best([*trials, running, pruned]).number == 1
    assert Objective.of("maximize").best(trials).number == 0
    assert SINGLE.best([running]) is None


def test_the_best_keeps_the_constraints():
    objective = Objective.of(constraints={"m": "<= 3"})
    assert objective.best([complete(0, value=1.0, m=4.0), complete(1, value=2.0, m=3.0)]).number == 1
    assert objective.best([complete(0, value=1.0, m=4.0)]) is None


def test_several_objectives_have_no_best_but_a_front():
    trials = [
        complete(0, error=0.1, speed=1.0, memory_gb=1.0),
        complete(1, error=0.2, speed=2.0, memory_gb=1.0),
        complete(2, error=0.2, speed=1.5, memory_gb=1.0),  # beaten by 1
        complete(3, error=0.0, speed=9.0, memory_gb=99.0),  # breaks the constraint
        complete(4, error=0.1, speed=1.0, memory_gb=2.0),  # as good as 0
    ]
    assert [t.number for t in SEVERAL.pareto_front(reversed(trials))] == [0, 1, 4]
    assert SEVERAL.best(trials) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(pairs):
    objective = Objective.of(objectives={"a": "minimize", "b": "minimize"})
    trials = [complete(i, a=float(a), b=float(b)) for i, (a, b) in enumerate(pairs)]

    def beats(p, q):
        return p != q and p[0] <= q[0] and p[1] <= q[1]

    front = [i for i, p in enumerate(pairs) if not any(beats(q, p) for q in pairs)]
    assert [t.number for t in objective.pareto_front(trials)] == front


def test_differences():
    assert SINGLE.differences(SINGLE) == []
    assert SINGLE.differences(Objective.of("maximize")) == ["the objectives were minimize value, now maximize value"]
    assert SINGLE.differences(Objective.of(constraints={"m": "<= 3"})) == ["the constraints have changed"]
