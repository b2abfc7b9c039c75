import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridbo.gp import subset


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 99))
def test_as_many_rows_as_asked_for_each_once_in_their_order(n, most, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 3, (n, 2)).astype(float), rng.normal(size=n)  # many rows are equal
    rows = subset.rows(x, y, most)
    assert len(rows) == min(n, most)
    assert (np.diff(rows) > 0).all()
    assert y.argmax() in rows


def test_the_best_half_is_kept():
    y = np.random.default_rng(0).normal(size=100)
    assert set(np.argsort(-y)[:10]) <= set(subset.rows(np.random.default_rng(1).random((100, 3)), y, 20))


def test_the_rest_is_spread():
    line = np.linspace(0, 1, 200)[:, None]
    rows = subset.rows(line, -line[:, 0], 18)
    rest = np.sort(line[rows, 0])[9:]
    assert rest[-1] == 1
    assert np.diff(np.append(line[rows, 0].min(), rest)).max() == pytest.approx(1 / 8, abs=0.04)


def test_the_order_of_the_rows_decides_nothing_but_ties():
    rng = np.random.default_rng(0)
    x, y, order = rng.random((80, 2)), rng.normal(size=80), rng.permutation(80)
    assert set(order[subset.rows(x[order], y[order], 30)]) == set(subset.rows(x, y, 30))
