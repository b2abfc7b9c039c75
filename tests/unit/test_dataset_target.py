import numpy as np
import pytest

from hybridbo import describe

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(600, 2))


@pytest.mark.parametrize(
    ("y", "target", "classes"),
    [
        (["a", "b", "a"], "classification", 2),
        ([True, False, True], "classification", 2),
        ([0, 1, 2, 0, 1, 2], "classification", 3),
        ([0.0, 1.0, 1.0], "classification", 2),
        ([-1, 1, 1], "classification", 2),
        (list(range(100)) * 20, "classification", 100),
        ([1.5, 2.5, 1.5], "regression", None),
        (list(range(40)), "regression", None),
        ([18 + i % 60 for i in range(3000)], "regression", None),
    ],
)
def test_what_the_target_is(y, target, classes):
    facts = describe(np.arange(len(y))[:, None], y)
    assert (facts.target, facts.classes) == (target, classes)


def test_the_user_may_say_what_the_target_is():
    y = [1, 2, 3, 1, 2, 3]
    assert describe(y, y, target="regression").target == "regression"
    assert describe(y, [1.5, 2.5] * 3, target="classification").classes == 2


def test_classes_are_told_as_counts():
    facts = describe(np.arange(100), ["cat"] * 90 + ["dog"] * 10)
    assert (facts.classes, facts.smallest_class, facts.largest_class, facts.balance) == (2, 10, 90, 0.47)
    assert describe(np.arange(3), ["a"] * 3).balance is None


def test_several_targets_are_counted():
    facts = describe(TABLE, TABLE)
    assert (facts.target, facts.targets, facts.classes) == ("several", 2, None)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.exp(3 * TABLE[:, 0]), "long tail of large values"),
        (-np.exp(3 * TABLE[:, 0]), "long tail of small values"),
        (TABLE[:, 0], "about symmetric"),
        (np.maximum(TABLE[:, 0], 1.0), "half of the values are the same"),
    ],
)
def test_the_lean_of_a_number(y, words):
    assert describe(TABLE, y).skew == words


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_wrong_labels_are_estimated_from_above(share):
    labels = TABLE[:, 0] > 0
    flipped = labels ^ (RNG.random(600) < share)
    estimate = describe(TABLE, flipped).noise_at_most
    assert share * 0.9 <= estimate <= 2 * share + 0.1  # Cover and Hart: 2 p (1 - p), and the border between the two


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_the_noise_of_a_number_is_estimated_from_above(share):
    y = TABLE[:, 0] * np.sqrt(1 - share) + RNG.normal(size=600) * np.sqrt(share)
    assert share * 0.85 <= describe(TABLE, y).noise_at_most <= share + 0.1
    assert describe(TABLE, 1e6 * y + 1e7).noise_at_most == describe(TABLE, y).noise_at_most


def test_classes_are_no_noisier_than_guessing_the_largest_is_wrong():
    assert describe(TABLE, RNG.integers(0, 2, 600)).noise_at_most <= 0.5
    assert describe(TABLE, RNG.random(600) < 0.1).noise_at_most <= 0.13


def test_pure_noise_is_all_noise():
    assert describe(TABLE, RNG.normal(size=600)).noise_at_most > 0.9


@pytest.mark.parametrize(
    "table",
    [TABLE[:40], np.where(TABLE > 2, np.nan, TABLE), {"a": ["u", "v"] * 300}, np.ones((100, 3001))],
    ids=["few", "missing", "words", "wide"],
)
def test_noise_is_left_out_where_it_cannot_be_told(table):
    n = len(table["a"]) if isinstance(table, dict) else len(table)
    assert describe(table, np.arange(n) % 2).noise_at_most is None


def test_the_estimate_touches_no_global_seed():
    np.random.seed(1)  # noqa: NPY002  # the global state is what is looked at
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = describe(RNG.normal(size=(5000, 3)) * 0 + np.arange(5000)[:, None] % 7, np.arange(5000) % 3)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert first == describe(np.zeros((5000, 3)) + np.arange(5000)[:, None] % 7, np.arange(5000) % 3)
