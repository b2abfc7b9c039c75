import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces

from hybridbo.gp.acquire import maximise
from hybridbo.space import Categorical, Float, Int, Space


def best_first(score, space, seed=0, candidates=64, good=None):
    none = np.empty((0, len(space)))
    rng = np.random.default_rng(seed)
    return maximise(score, space, rng, candidates=candidates, good=none if good is None else good, drawn=none)


MIXED = Space(
    {
        "x": Float(0, 1),
        "kind": Categorical(["a", "b", "c"]),
        "n": Int(0, 100, when={"kind": ["c"]}),
        "y": Float(1e-3, 1, log=True, when={"kind": ["c"]}),
    }
)


def peak(u):
    """Largest at x=0.3, kind=c, n=80, y=0.1, which is a long way from anywhere."""
    best = MIXED.encode({"x": 0.3, "kind": "c", "n": 80, "y": 0.1})
    return -np.abs(u - best).sum(axis=1)


def test_the_maximum_of_a_mixed_conditional_space_is_found():
    for seed in range(3):
        params = next(best_first(peak, MIXED, seed))
        assert params["kind"] == "c"
        assert abs(params["x"] - 0.3) < 0.03
        assert abs(params["n"] - 80) <= 3
        assert abs(MIXED["y"].to_unit(params["y"]) - 2 / 3) < 0.03


def test_a_small_space_is_scored_whole():
    space = Space({"a": Int(0, 30), "b": Int(0, 30, when={"a": [3]})})
    wanted = {"a": 3, "b": 17}

    def needle(u):
        return (np.abs(u - space.encode(wanted)) < 1e-9).all(axis=1).astype(float)

    found = list(best_first(needle, space))
    assert found[0] == wanted
    assert len(found) == len({space.key(p) for p in found}) == space.size == 61


def test_it_looks_around_good_points():
    space = Space({f"x{i}": Float(0, 1) for i in range(12)})
    best = np.full(12, 0.9)

    def sharp(u):
        return -np.abs(u - best).max(axis=1)

    near = next(best_first(sharp, space, candidates=16, good=best[None] - 0.01))
    far = next(best_first(sharp, space, candidates=16))
    assert sharp(space.encode(near)[None]) > sharp(space.encode(far)[None])


@settings(max_examples=25)
@given(spaces(max_size=4), st.integers(0, 2**32))
def test_what_comes_out_is_valid_best_first_and_comes_once(space, seed):
    direction = np.random.default_rng(seed).normal(size=len(space))
    found = list(itertools.islice(best_first(lambda u: u @ direction, space, seed, candidates=16), 40))
    assert found
    assert len({space.key(params) for params in found}) == len(found)
    assert all(space.validate(params) == params for params in found)
    scores = [space.encode(params) @ direction for params in found]
    assert all(a >= b - 1e-4 * np.abs(direction).sum() for a, b in itertools.pairwise(scores))


def test_it_is_repeatable():
    assert next(best_first(peak, MIXED, 5)) == next(best_first(peak, MIXED, 5))


def test_what_is_fixed_is_never_moved():
    none, rng = np.empty((0, len(MIXED))), np.random.default_rng(0)
    fixed = {"kind": "c", "y": 0.5}
    found = maximise(peak, MIXED, rng, candidates=64, good=none, drawn=none, fixed=fixed)
    first = list(itertools.islice(found, 20))
    assert all((params["kind"], params["y"]) == ("c", 0.5) for params in first)
    assert abs(first[0]["x"] - 0.3) < 0.05


def test_what_is_fixed_is_kept_in_a_small_space_too():
    space, none = Space({"a": Int(0, 3), "b": Categorical(["x", "y"])}), np.empty((0, 2))
    found = maximise(
        lambda u: u[:, 0], space, np.random.default_rng(0), candidates=64, good=none, drawn=none, fixed={"b": "y"}
    )
    assert list(found) == [{"a": a, "b": "y"} for a in (3, 2, 1, 0)]


def test_the_last_digits_of_a_continuous_optimum_are_found_by_the_gradient():
    space = Space({"x": Float(0, 1), "kind": Categorical(["a", "b"]), "y": Float(0, 1), "n": Int(0, 10**6)})
    best = space.encode({"x": 0.1234567, "kind": "b", "y": 0.7654321, "n": 500_000})

    def bowl(u):
        return -((u - best) ** 2).sum(axis=1)

    params = next(best_first(bowl, space))
    assert params["kind"] == "b"
    assert abs(params["x"] - 0.1234567) < 1e-5
    assert abs(params["y"] - 0.7654321) < 1e-5


def test_the_gradient_stays_inside_the_space_and_off_inactive_parameters():
    space = Space(
        {"kind": Categorical(["a", "b"]), "x": Float(0, 1), "y": Float(0, 1, when={"kind": ["b"]}), "n": Int(1, 10**5)}
    )
    points = next(best_first(lambda u: u[:, 1] - (u[:, 0] > 0.5), space))
    assert points["x"] == 1.0
    assert points["kind"] == "a"
    assert "y" not in points


def test_the_gradient_does_not_move_what_is_fixed():
    space, none = Space({"x": Float(0, 1), "y": Float(0, 1), "n": Int(0, 10**6)}), np.empty((0, 3))
    rng = np.random.default_rng(0)
    found = maximise(lambda u: u.sum(axis=1), space, rng, candidates=64, good=none, drawn=none, fixed={"x": 0.25})
    params = next(found)
    assert (params["x"], params["y"]) == (0.25, 1.0)
