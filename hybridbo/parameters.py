"""Float, Int and Categorical: one parameter each, with its range, scale, grid, default and condition.

A parameter is a frozen value. It is checked when it is put into a :class:`~hybridbo.space.Space`, not when it is made,
because only the space knows its name, and an error has to name the parameter.

Every parameter maps its values onto the unit interval: ``to_unit`` and ``from_unit``. A continuous parameter maps its
ends to 0 and 1. A parameter with a grid (an Int, a step, choices) gives each of its values a cell and maps the value to
the middle of the cell, so that uniform draws are uniform over the values. ``from_unit`` returns values of a grid only:
continuous values are rounded to about a millionth of the range, which is what "the same configuration" means here.
``from_unit(to_unit(v)) == v`` holds exactly for every value that ``round`` returns.
"""

from __future__ import annotations

from typing import TypeAlias

from hybridbo.categorical import Categorical
from hybridbo.numeric import Float, Int
from hybridbo.values import Array, Choice, Condition, Params, is_number, plain, same_choice

__all__ = [
    "Array",
    "Categorical",
    "Choice",
    "Condition",
    "Float",
    "Int",
    "Parameter",
    "Params",
    "is_number",
    "plain",
    "same_choice",
]

Parameter: TypeAlias = Float | Int | Categorical
