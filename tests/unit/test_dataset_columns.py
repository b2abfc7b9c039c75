import numpy as np
import pytest
from scipy import sparse

from hybridbo.dataset_columns import Columns, two_digits
from hybridbo.errors import InvalidData


def tally(table):
    return Columns.of(table, "X").tally()


def test_kinds_of_numeric_columns():
    table = np.array([[1.5, 1, 0, 7, np.nan], [2.5, 2, 1, 7, np.nan], [9.0, 3, 0, np.nan, np.nan]])
    counted = tally(table)
    assert counted.kinds == {"continuous": 1, "integer": 1, "binary": 1, "constant": 1, "empty": 1}
    assert (counted.missing, counted.with_missing) == (4, 2)


def test_a_wide_table_is_counted_in_blocks(monkeypatch):
    table = np.random.default_rng(0).normal(size=(50, 9)) * 10.0 ** np.arange(9)
    whole = tally(table)
    monkeypatch.setattr("hybridbo.dataset_columns._BLOCK", 100)
    assert tally(table) == whole
    assert whole.scale_orders == 8


def test_scales_need_two_columns():
    assert tally(np.arange(5.0)).scale_orders is None
    assert tally([["a"], ["b"]]).scale_orders is None


def test_a_list_of_mixed_rows_keeps_its_types():
    assert tally([[1, "a", True], [2, "b", False], [3, "c", None]]).kinds == {
        "integer": 1,
        "categorical": 1,
        "binary": 1,
    }


@pytest.mark.parametrize(
    "table",
    [
        np.ones((9, 2)) * 1j,
        [[1j, 2.0], [1.0, 2.0]],
        [["a", 2], [np.complex64(1), 3]],
        sparse.csr_matrix(np.eye(3) * 1j),
        {"a": np.ones(3) * 1j},
    ],
)
def test_complex_numbers_are_refused(table):
    with pytest.raises(InvalidData, match=r"X holds complex numbers.*imaginary parts"):
        Columns.of(table, "X")


def test_records_have_columns():
    table = np.array([(1.5, "a"), (2.5, "b")], dtype=[("x", "f8"), ("y", "U1")])
    columns = Columns.of(table, "X")
    assert (columns.width, columns.names) == (2, ("x", "y"))


@pytest.mark.parametrize(("share", "told"), [(0.123456, 0.12), (0.0, 0.0), (1.0, 1.0), (0.000456789, 0.00046)])
def test_two_digits(share, told):
    assert two_digits(share) == told
