"""Ray's ranges and choices mean what Ray draws from them, and come back as they were."""

import pytest

pytest.importorskip("ray.tune")

import numpy as np
from ray import tune
from ray.tune.search import sample

from hybridbo import Categorical, Float, Int
from hybridbo.errors import InvalidSpace
from hybridbo.integrations.ray_domains import Single, choices_of, domain_of, is_ordered, number_of

NUMBERS = [
    (tune.uniform(-1, 2), Float(-1, 2)),
    (tune.loguniform(1e-5, 1e-1), Float(1e-5, 1e-1, log=True)),
    (tune.quniform(0.0, 1.0, 0.1), Float(0.0, 1.0, step=0.1)),
    (tune.qloguniform(1e-4, 1e-1, 5e-5), Float(1e-4, 1e-1, step=5e-5, log=True)),
    (tune.randint(2, 9), Int(2, 8)),
    (tune.lograndint(1, 1025), Int(1, 1024, log=True)),
    (tune.qrandint(8, 64, 8), Int(8, 64, step=8)),
    (tune.qrandint(3, 10, 4), Int(4, 8, step=4)),
    (tune.qrandint(3, 10, 1), Int(3, 9)),
    (tune.qlograndint(4, 64, 4), Int(4, 64, step=4, log=True)),
]


@pytest.mark.parametrize(("domain", "parameter"), NUMBERS, ids=[repr(n[1]) for n in NUMBERS])
def test_a_range_of_ray_is_the_same_range_here(domain, parameter):
    assert number_of("x", domain) == parameter


@pytest.mark.parametrize(("domain", "parameter"), NUMBERS, ids=[repr(n[1]) for n in NUMBERS])
def test_what_ray_draws_is_allowed_and_reaches_both_ends_of_a_grid(domain, parameter):
    drawn = domain.sample(size=2000, random_state=0)
    assert [value for value in drawn if parameter.problem_of(value)] == []
    if parameter.n_values < 100:
        assert {parameter.round(value) for value in drawn} == {
            parameter.grid_value(i) for i in range(int(parameter.n_values))
        }


@pytest.mark.parametrize(
    ("domain", "value"), [(tune.uniform(2, 2), 2.0), (tune.randint(3, 4), 3), (tune.qrandint(5, 9, 4), 8)]
)
def test_a_range_of_one_value_is_that_value(domain, value):
    assert number_of("x", domain) == Single(value)


@pytest.mark.parametrize(
    ("domain", "remedy"),
    [
        (tune.randn(1.0, 2.0), r"tune\.uniform\(-5, 7\)"),
        (tune.qrandn(0.0, 1.0, 0.5), r"tune\.uniform\(-3, 3\)"),
        (tune.sample_from(lambda config: config["y"]), r"tune\.choice\(\["),
        (sample.Domain, "unknown here"),
    ],
)
def test_what_has_no_range_is_refused_with_the_remedy(domain, remedy):
    if domain is sample.Domain:
        domain = sample.Domain()
        domain.sampler = sample.Uniform()
    with pytest.raises(InvalidSpace, match=remedy) as caught:
        number_of("momentum", domain)
    assert "'momentum'" in str(caught.value)


def test_plain_choices_stand_for_themselves_and_once():
    assert choices_of(["a", 1, True, None, 1.0, "a", np.int64(7)]) == (["a", 1, True, None, 7],) * 2


class Anonymous:
    def __repr__(self):
        return "\n\x00" * 100


def test_any_other_choice_gets_a_readable_label_of_its_own():
    things = [
        [64, 64],
        {"kind": "sgd", "lr": tune.uniform(0, 1)},
        float("nan"),
        len,
        Anonymous(),
        Anonymous(),
        "[64, 64]",
    ]
    choices, kept = choices_of(things)
    assert kept == things
    assert choices[0].startswith("[64, 64] #")  # its own text is another choice
    assert choices[1] == "{'kind': 'sgd', 'lr': ...}"
    assert choices[-1] == "[64, 64]"
    assert Categorical(choices).problems() == []


@pytest.mark.parametrize(
    ("choices", "ordered"),
    [([16, 32, 64], True), ([3, 2, 1.5], True), ([1, 2], False), ([1, 3, 2], False), (["a", "b", "c"], False)],
)
def test_numbers_listed_by_size_are_ordered(choices, ordered):
    assert is_ordered(choices) is ordered


@pytest.mark.parametrize(("domain", "parameter"), NUMBERS, ids=[repr(n[1]) for n in NUMBERS])
def test_a_parameter_becomes_the_domain_that_it_came_from(domain, parameter):
    assert number_of("x", domain_of("x", parameter)) == parameter


def test_a_grid_that_ray_cannot_say_becomes_a_choice():
    assert domain_of("x", Int(1, 9, step=4)).categories == [1, 5, 9]
    assert domain_of("c", Categorical(["a", None])).categories == ["a", None]


def test_a_condition_cannot_become_a_domain():
    with pytest.raises(InvalidSpace, match=r"condition.*HybridSearcher itself"):
        domain_of("x", Float(0, 1, when={"c": ["a"]}))
