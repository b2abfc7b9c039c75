"""Tables of whatever kind as columns, and what can be counted over the columns."""

from __future__ import annotations

import decimal
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybridbo.errors import InvalidData
from hybridbo.values import Array, shown

_NUMERIC = "biuf"  # NumPy's kinds of dtypes: booleans, integers, floats
_BLOCK = 4_000_000  # cells looked at at once
_LONG_TEXT = 30  # characters on average, from which differing texts are texts and no categories
_REMEDY = "Give a table: an array, a sparse matrix, a DataFrame, a dict of columns, or a list of rows of one length."
_REAL = "Give real and imaginary parts, or moduli and angles, as columns of their own."


class _ComplexNumbersError(Exception):
    """There are complex numbers, of which no order and no range can be told."""


@dataclass(frozen=True)
class Column:
    """A column that is no part of a numeric array: what is there of it, and how many values are missing."""

    present: Any
    missing: int


@dataclass
class Tally:
    """Counts over the columns of a table."""

    kinds: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    with_missing: int = 0
    most_categories: int | None = None
    deviations: list[float] = field(default_factory=list)

    @property
    def scale_orders(self) -> int | None:
        """Orders of magnitude between the largest and the smallest standard deviation of several columns."""
        positive = [sd for sd in self.deviations if 0.0 < sd < math.inf]
        return round(math.log10(max(positive) / min(positive))) if len(positive) > 1 else None

    def add(self, kind: str, missing: int, times: int = 1) -> None:
        """Count columns of a kind, each with so many missing values."""
        self.kinds[kind] = self.kinds.get(kind, 0) + times
        self.missing += missing * times
        self.with_missing += times if missing else 0


@dataclass(frozen=True)
class Columns:
    """A table.

    Attributes:
        rows: How many.
        width: Columns.
        array: The table as a numeric array, shape (rows, width); or as a sparse matrix; or None.
        columns: The columns, where there is no array.
        row_shape: The shape of a row with more than one dimension.
        names: Names of the columns, if they have any.
    """

    rows: int
    width: int
    array: Any = None
    columns: Sequence[Column] = ()
    row_shape: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Any, what: str) -> Self:
        """Any table.

        Raises:
            InvalidData: It is none, or empty.
        """
        try:
            found = cls._read(table)
        except InvalidData:
            raise
        except _ComplexNumbersError:
            raise InvalidData(f"{what} holds complex numbers.", _REAL) from None
        except Exception as error:  # noqa: BLE001  # whatever somebody else's table raises
            raise InvalidData(f"{what} cannot be read as a table: {type(error).__name__}.", _REMEDY) from None
        if not found.rows or not found.width:
            raise InvalidData(f"{what} is empty: {found.rows} rows, {found.width} columns.", _REMEDY)
        return found

    @classmethod
    def _read(cls, table: Any) -> Self:
        if hasattr(table, "tocsc") and hasattr(table, "nnz"):
            if table.dtype.kind == "c":
                raise _ComplexNumbersError
            return cls(table.shape[0], table.shape[1], array=table)
        if isinstance(table, Sequence) and table and all(isinstance(row, (list, tuple)) for row in table):
            return cls._of_series(list(zip(*table, strict=True)), [])
        found = _frame(table)
        return cls._of_array(np.asarray(table)) if found is None else cls._of_series(*found)

    @classmethod
    def _of_series(cls, series: Sequence[Any], names: Sequence[Any]) -> Self:
        rows = {len(one) for one in series}
        if len(rows) > 1:
            raise InvalidData("the columns differ in length.", _REMEDY)
        columns = [_column(one) for one in series]
        return cls(max(rows, default=0), len(columns), columns=columns, names=tuple(map(str, names)))

    @classmethod
    def _of_array(cls, array: Any) -> Self:
        if array.ndim == 0:
            raise InvalidData(f"{shown(type(array.item()).__name__)} is no table.", _REMEDY)
        if array.dtype.names:
            return cls._of_series([array[name] for name in array.dtype.names], array.dtype.names)
        if array.dtype.kind == "c":
            raise _ComplexNumbersError
        flat = array.reshape(len(array), math.prod(array.shape[1:]))
        if array.dtype.kind not in _NUMERIC:
            return cls._of_series(list(flat.T), []) if len(flat) else cls(0, flat.shape[1])
        return cls(flat.shape[0], flat.shape[1], array=flat, row_shape=array.shape[1:] if array.ndim > 2 else ())

    @property
    def is_sparse(self) -> bool:
        """Whether it is a sparse matrix."""
        return hasattr(self.array, "tocsc")

    @property
    def density(self) -> float | None:
        """Share of the cells that a sparse matrix stores; None for another table."""
        return two_digits(self.array.nnz / (self.rows * self.width)) if self.is_sparse else None

    def numeric(self) -> Array | None:
        """The table as floats, shape (rows, width), if every column is numeric and nothing missing, and not sparse."""
        if self.is_sparse:
            return None
        blocks = [self.array] if self.array is not None else [column.present for column in self.columns]
        if any(column.missing for column in self.columns) or any(b.dtype.kind not in _NUMERIC for b in blocks):
            return None
        table = np.column_stack(blocks).astype(np.float64)
        return table if np.isfinite(table).all() else None

    def tally(self) -> Tally:
        """Count over the columns."""
        tally = Tally()
        if self.is_sparse:
            _count_sparse(tally, self)
        elif self.array is not None:
            for block in _blocks(self.array):
                _count_numeric(tally, block)
        for column in self.columns:
            _count_column(tally, column)
        return tally


def two_digits(share: float) -> float:
    """A share as it is told: two significant digits."""
    return float(f"{share:.2g}")


def _frame(table: Any) -> tuple[list[Any], list[Any]] | None:
    """The columns of a DataFrame, a Series or a dict of columns, and their names; told by what they can do."""
    if isinstance(table, Mapping):
        return list(table.values()), list(table)
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        return [table.iloc[:, i] for i in range(table.shape[1])], list(table.columns)
    if hasattr(table, "get_columns"):
        return list(table.get_columns()), list(table.columns)
    return ([table], []) if hasattr(table, "dropna") or hasattr(table, "drop_nulls") else None


def _column(values: Any) -> Column:
    """A column of whatever kind; its missing values are counted and left out."""
    keep = getattr(values, "dropna", None) or getattr(values, "drop_nulls", None)
    present = np.asarray(keep().to_numpy() if keep else values)
    if keep is None and (present.ndim != 1 or present.dtype.kind not in _NUMERIC + "Mm"):
        present = np.fromiter(values, dtype=object, count=len(values))  # 1 and "a" stay 1 and "a"
    missing = len(values) - len(present)
    if present.dtype.kind not in _NUMERIC + "Mm":
        there = [value for value in present if not _is_missing(value)]
        missing += len(present) - len(there)
        present = _typed(there)
    finite = _is_finite(present)
    return Column(present[finite], missing + int(len(present) - finite.sum()))


def _is_finite(values: Any) -> NDArray[np.bool_]:
    out = np.ones(len(values), dtype=bool)
    if values.dtype.kind in "Mm":
        out &= ~np.isnat(values)
    elif values.dtype.kind == "f":
        out &= np.isfinite(values)
    return out


def _is_missing(value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return is_nan or value is None or type(value).__name__ in {"NAType", "NaTType"}  # those are pandas'


def _typed(values: list[Any]) -> Any:
    """Numbers as an array of numbers, anything else as an array of objects."""
    if values and all(isinstance(value, (numbers.Real, decimal.Decimal, np.bool_)) for value in values):
        return np.array([_as_float(value) for value in values])
    if any(isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real) for value in values):
        raise _ComplexNumbersError
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return 1e308 if value > 0 else -1e308


def _blocks(array: Any) -> Iterator[Array]:
    width = max(1, _BLOCK // len(array))
    for start in range(0, array.shape[1], width):
        yield array[:, start : start + width].astype(np.float64)


def _count_numeric(tally: Tally, block: Array) -> None:
    """Columns of numbers, shape (n, k), all at once."""
    lost = ~np.isfinite(block)
    block[lost] = np.nan
    low, high = np.fmin.reduce(block, axis=0), np.fmax.reduce(block, axis=0)
    two = (lost | (block == low) | (block == high)).all(axis=0)
    whole = (lost | (block == np.floor(block))).all(axis=0)
    for j, missing in enumerate(lost.sum(axis=0)):
        kind = "integer" if whole[j] else "continuous"
        if two[j]:
            kind = "empty" if np.isnan(low[j]) else "constant" if low[j] == high[j] else "binary"
        tally.add(kind, int(missing))
        if kind in {"integer", "continuous"}:
            column = block[~lost[:, j], j]
            with np.errstate(over="ignore", invalid="ignore"):
                tally.deviations.append(float(np.std(column)))


def _count_sparse(tally: Tally, columns: Columns) -> None:
    """A sparse matrix as one: its columns are of one kind, and looking at each of 100,000 would take long."""
    stored = np.asarray(columns.array.tocsc().data, dtype=np.float64)
    there = stored[np.isfinite(stored)]
    kind = "continuous" if (there != np.floor(there)).any() else "integer"
    if there.size and (there == there[0]).all():
        kind = "binary"
    tally.add(kind, 0, columns.width)
    tally.missing = stored.size - there.size


def _count_column(tally: Tally, column: Column) -> None:
    values = column.present
    if values.dtype.kind in _NUMERIC and len(values):
        before = tally.missing
        _count_numeric(tally, values[:, None].astype(np.float64))
        tally.missing = before + column.missing
        tally.with_missing += bool(column.missing)
        return
    kind, categories = _kind_of(values)
    tally.add(kind, column.missing)
    if kind == "categorical":
        tally.most_categories = max(tally.most_categories or 0, categories)


def _kind_of(values: Any) -> tuple[str, int]:
    """The kind of a column that is not numeric, and how many different values it has."""
    if not len(values):
        return "empty", 0
    if values.dtype.kind in "Mm":
        return "date", 0
    different = len({value if isinstance(value, str) else repr(value) for value in values})
    if different <= 2:
        return ("constant", "binary")[different - 1], different
    texts = [len(value) for value in values if isinstance(value, str)]
    is_text = texts and sum(texts) / len(texts) > _LONG_TEXT and different > len(values) / 2
    return ("text" if is_text else "categorical"), different
