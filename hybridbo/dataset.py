"""What may be told of a data set without telling any of its data: :func:`describe`.

The facts are counts, shares and words. No value of the features or the target is among them, no class label, no mean,
no bound; names of columns only where the user asks for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from hybridbo.dataset_columns import Columns, two_digits
from hybridbo.dataset_target import target_facts
from hybridbo.errors import InvalidData, InvalidSettings
from hybridbo.values import shown

__all__ = ["DatasetFacts", "describe", "in_task", "merged_task", "split_task"]

_MOST_NAMES, _LONGEST_NAME = 60, 60
_LONGEST_FACTS = 10_000  # characters as JSON: all the names there can be, and more
_ZERO_TELLS = {"scale_orders", "balance", "noise_at_most"}
_IN_TASK = re.compile(r"(?:\A|\n\n)Dataset: (\{.*\})\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class DatasetFacts:
    """Facts about a data set; None, zero or empty where there is nothing to tell.

    Attributes:
        rows: How many.
        features: Columns of X; cells of a row, where rows are images or sequences.
        kinds: How many of the features are ``"continuous"``, ``"integer"``, ``"binary"``, ``"categorical"``,
            ``"text"``, ``"date"``, ``"constant"`` or ``"empty"``.
        row_shape: The shape of a row, where rows are images or sequences.
        missing: Share of the cells of X that are missing or not finite.
        features_with_missing: How many features that concerns.
        density: Share of the cells of a sparse matrix that are stored.
        most_categories: Categories of the categorical feature with the most.
        scale_orders: Orders of magnitude between the standard deviations of the numeric features.
        target: ``"classification"``, ``"regression"`` or ``"several"`` targets; None without y.
        targets: Columns of y, where there are several.
        target_missing: Share of the targets that are missing or not finite.
        classes: How many.
        smallest_class: Rows in it.
        largest_class: Rows in it.
        balance: Entropy of the classes' shares, 1 for classes of the same size.
        skew: In words, which way the target of a regression leans.
        noise_at_most: An estimate from above: of the share of wrong labels, or of the part of the target's variance
            that no model explains. See :func:`hybridbo.dataset_target.noise_at_most`.
        names: Names of the columns, only if asked for.
    """

    rows: int
    features: int
    kinds: Mapping[str, int] = field(default_factory=dict, hash=False)
    row_shape: tuple[int, ...] = ()
    missing: float = 0.0
    features_with_missing: int = 0
    density: float | None = None
    most_categories: int | None = None
    scale_orders: int | None = None
    target: Literal["classification", "regression", "several"] | None = None
    targets: int | None = None
    target_missing: float = 0.0
    classes: int | None = None
    smallest_class: int | None = None
    largest_class: int | None = None
    balance: float | None = None
    skew: str | None = None
    noise_at_most: float | None = None
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain data, without those that have nothing to tell."""
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {key: value for key, value in data.items() if value or (key in _ZERO_TELLS and value is not None)}

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON in one line; :meth:`from_json` reads it back."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The facts of a JSON text.

        Raises:
            InvalidData: It holds no facts of this kind.
        """
        try:
            data = json.loads(text)
            known = {f.name for f in fields(cls)}
            if not isinstance(data, dict) or not {"rows", "features"} <= data.keys() <= known:
                raise ValueError("not the fields of DatasetFacts")
            given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
            return cls(**given)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidData(f"{shown(text)} holds no facts: {error}.", "Give what to_json() wrote.") from None

    def __str__(self) -> str:
        return "\n".join(f"{key.replace('_', ' ')}: {_words(value)}" for key, value in self.to_dict().items())


def describe(
    X: Any,  # noqa: N803  # what everybody calls the features
    y: Any = None,
    *,
    target: Literal["classification", "regression"] | None = None,
    names: bool = False,
) -> DatasetFacts:
    """Facts about a data set for ``Optimizer(..., data=describe(X, y))``, without any of its values.

    Args:
        X: Features, shape (rows, features) or (rows, ...): an array, a scipy sparse matrix, a DataFrame of pandas or
            polars, a dict of columns, or a list of rows. Nothing is changed.
        y: The target, shape (rows,) or (rows, targets); None for none.
        target: What y is; None to tell by looking: texts, booleans and few different integers are classes.
        names: Tell the names of the columns too. They are facts about the data, and may be somebody's secret.

    Returns:
        The facts: print them to see what a language model will be told.

    Raises:
        InvalidData: X or y cannot be read as a table, is empty, or the two differ in length.
        InvalidSettings: ``target`` is none of the two.
    """
    if target not in {None, "classification", "regression"}:
        raise InvalidSettings(f"target={shown(target)} is unknown.", 'Give "classification", "regression", or None.')
    columns = Columns.of(X, "X")
    told: dict[str, Any] = {}
    if y is not None:
        columns_y = Columns.of(y, "y")
        if columns_y.rows != columns.rows:
            raise InvalidData(f"X has {columns.rows} rows and y has {columns_y.rows}.", "Give a target for each row.")
        told = target_facts(columns, columns_y, target)
    tally = columns.tally()
    return DatasetFacts(
        rows=columns.rows,
        features=columns.width,
        kinds=tally.kinds,
        row_shape=columns.row_shape,
        missing=two_digits(tally.missing / (columns.rows * columns.width)),
        features_with_missing=tally.with_missing,
        density=columns.density,
        most_categories=tally.most_categories,
        scale_orders=tally.scale_orders,
        names=tuple(map(_short_name, columns.names[:_MOST_NAMES])) if names else (),
        **told,
    )


# As part of a task ------------------------------------------------------------------------------------------------
# The facts travel as the last paragraph of the task: what a study keeps, and what the stored replies are found by,
# is one text, and a study without facts is what it always was.


def in_task(task: str, data: DatasetFacts | None) -> str:
    """The task with the facts as its last paragraph; the task itself without facts.

    Raises:
        InvalidData: ``data`` is not what :func:`describe` returned.
    """
    if data is None:
        return task
    if not isinstance(data, DatasetFacts):
        raise InvalidData(f"data={shown(data)} is no DatasetFacts.", "Give data=hybridbo.describe(X, y).")
    return f"{task}\n\nDataset: {data.to_json()}" if task else f"Dataset: {data.to_json()}"


def split_task(task: str) -> tuple[str, DatasetFacts | None]:
    """The user's words and the facts of a task."""
    match = _IN_TASK.search(task)
    if match is None or len(match[1]) > _LONGEST_FACTS:  # none of ours; a prompt holds facts whole, words capped
        return task, None
    try:
        return task[: match.start()], DatasetFacts.from_json(match[1])
    except InvalidData:
        return task, None


def merged_task(given: str, stored: str) -> str:
    """The task that holds: words and facts as given now, either as stored where it was not given."""
    words, data = split_task(given)
    old_words, old_data = split_task(stored)
    return in_task(words or old_words, data or old_data)


def _short_name(name: str) -> str:
    return "".join(c if c.isprintable() else " " for c in name[:_LONGEST_NAME])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {kind}" for kind, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
