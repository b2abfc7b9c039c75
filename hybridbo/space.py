"""A search space: named parameters, the conditions between them, and the way to the unit cube and back.

A configuration (``params``) is a dict that holds the active parameters only, in the order of the space. Encoded, it is
a point of the unit cube with one column per parameter; the column of an inactive parameter holds ``INACTIVE``, so that
two configurations that differ only in inactive parameters are one point.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridbo import space_checks, space_json
from hybridbo.errors import InvalidParams, InvalidSpace
from hybridbo.parameters import Array, Categorical, Choice, Float, Int, Parameter, Params, plain, same_choice
from hybridbo.values import shown

__all__ = ["INACTIVE", "Categorical", "Float", "Int", "Space", "SpaceLike"]

INACTIVE = 0.5
_MOST_COUNTED = 20_000  # a space with more configurations than this counts as infinite


class Space(Mapping[str, Parameter]):
    """A frozen mapping from parameter names to parameters.

    Args:
        parameters: ``{name: Float | Int | Categorical}``, in the order in which configurations list them.

    Raises:
        InvalidSpace: Naming every parameter that cannot be searched, why, and the remedy.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not isinstance(parameters, Mapping):
            raise InvalidSpace(f"a space is a dict of parameters, not {type(parameters).__name__}.", _EXAMPLE)
        if not parameters:
            raise InvalidSpace("the space is empty: there is nothing to search.", _EXAMPLE)
        if problems := space_checks.problems(parameters):
            raise InvalidSpace("; ".join(problems) + ".", "Correct the declaration of each parameter named.")
        self._parameters = dict(parameters)
        self._names = tuple(self._parameters)
        self._column = {name: i for i, name in enumerate(self._names)}
        self._order = space_checks.parents_first(self._parameters)
        self._size: float | None = None

    @classmethod
    def of(cls, space: SpaceLike) -> Space:
        """``space`` itself, or the Space of a plain dict."""
        return space if isinstance(space, Space) else cls(space)

    # Mapping -----------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.to_json() == other.to_json()

    def __repr__(self) -> str:
        return f"Space({self._parameters!r})"

    # Configurations ----------------------------------------------------------------------------------------------

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether ``name`` is active under the parents' values in ``params`` (inactive parents make it inactive)."""
        when = self._parameters[name].when or {}
        return self._holds(name, params) and all(self.is_active(parent, params) for parent in when)

    def validate(self, params: Mapping[str, Any]) -> Params:
        """Check a configuration.

        Args:
            params: A value for every active parameter. Values of inactive parameters are dropped.

        Returns:
            The active parameters in the order of the space, as plain Python values.

        Raises:
            InvalidParams: Naming every offending parameter, its value and what is allowed.
        """
        return self._checked(params, fill=None)

    def complete(self, params: Mapping[str, Any], defaults: Mapping[str, Choice] | None = None) -> Params:
        """Check a partial configuration and fill the active parameters that it leaves out.

        Args:
            params: Values for some parameters.
            defaults: Values for those left out; a parameter in neither gets its declared default, else its middle.

        Raises:
            InvalidParams: Naming every offending parameter, its value and what is allowed.
        """
        known = defaults or {}

        def fill(name: str, parameter: Parameter) -> Choice:
            declared = parameter.middle() if parameter.default is None else parameter.default
            return known.get(name, declared)

        return self._checked(params, fill=fill)

    def round(self, params: Mapping[str, Any]) -> Params:
        """The nearest configuration on the grid, inactive parameters dropped; ``params`` is valid."""
        return {name: self._parameters[name].round(params[name]) for name in self._names if name in params}

    def key(self, params: Mapping[str, Any]) -> str:
        """Canonical text of the configuration on the grid: equal for what counts as the same configuration."""
        return json.dumps(self.round(params), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def size(self) -> float:
        """How many different configurations there are; ``inf`` beyond 20,000 or with a continuous parameter."""
        if self._size is None:
            # each parameter is active somewhere, those without a condition everywhere: counting one by one is slow
            count = math.prod((p.n_values for p in self.values() if not p.when), start=1.0)
            count = max(count, *(p.n_values for p in self.values()))
            if count <= _MOST_COUNTED:
                count = sum(1 for _ in itertools.islice(self.configurations(), _MOST_COUNTED + 1))
            self._size = math.inf if count > _MOST_COUNTED else count
        return self._size

    def configurations(self, fixed: Mapping[str, Choice] | None = None) -> Iterator[Params]:
        """Every configuration once; for a parameter with infinitely many values, without end.

        Args:
            fixed: The only value of each parameter that it names.
        """
        yield from self._expand({}, 0, fixed or {})

    # Unit cube ---------------------------------------------------------------------------------------------------

    def encode(self, params: Mapping[str, Any]) -> Array:
        """The point of the unit cube, shape (d,), of a valid configuration."""
        u = np.full(len(self), INACTIVE)
        for name, value in params.items():
            u[self._column[name]] = self._parameters[name].to_unit(value)
        return u

    def decode(self, u: Array) -> Params:
        """The configuration on the grid nearest to ``u``, shape (d,); what is inactive there is left out."""
        params: Params = {}
        for name in self._order:
            if self._holds(name, params):
                params[name] = self._parameters[name].from_unit(float(u[self._column[name]]))
        return {name: params[name] for name in self._names if name in params}

    def pin(self, u: Array, fixed: Mapping[str, Choice]) -> Array:
        """Points of the unit cube, shape (n, d), moved to where the parameters that ``fixed`` names have its values."""
        if not fixed:
            return u
        out = u.copy()
        for name, value in fixed.items():
            out[:, self._column[name]] = self._parameters[name].to_unit(value)
        return out

    def snap(self, u: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Move points onto the grid, all at once.

        Args:
            u: Points of the unit cube, shape (n, d).

        Returns:
            The points with discrete columns in the middle of their cells and inactive ones at ``INACTIVE``, shape
            (n, d); and which columns are active, shape (n, d). Continuous columns are not rounded.
        """
        out = np.empty_like(u, dtype=np.float64)
        active = np.ones(u.shape, dtype=bool)
        for name in self._order:
            i, parameter = self._column[name], self._parameters[name]
            for parent, values in (parameter.when or {}).items():
                j, holder = self._column[parent], self._parameters[parent]
                cells = holder.cell_of(np.array([holder.to_unit(value) for value in values]))
                active[:, i] &= active[:, j] & np.isin(holder.cell_of(out[:, j]), cells)
            out[:, i] = np.where(active[:, i], parameter.snap_unit(u[:, i]), INACTIVE)
        return out, active

    # JSON --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The space as plain data, the content of :meth:`to_json`."""
        return {name: space_json.to_data(parameter) for name, parameter in self._parameters.items()}

    def to_json(self) -> str:
        """The space as canonical JSON text; :meth:`from_json` reads it back."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, data: str | bytes | Mapping[str, Any]) -> Space:
        """The space of a JSON text, or of the data it holds.

        Raises:
            InvalidSpace: Not JSON, an unknown type or key, or a space that cannot be searched.
        """
        return cls(space_json.read(data))

    def differences(self, other: Space) -> list[str]:
        """What is not the same in ``other``, one sentence per parameter; the order of parameters does not count."""
        mine, theirs = self.to_dict(), other.to_dict()
        rows = [f"parameter {name!r} is new" for name in theirs if name not in mine]
        rows += [f"parameter {name!r} is missing" for name in mine if name not in theirs]
        for name in mine:
            if name in theirs and mine[name] != theirs[name]:
                rows.append(f"parameter {name!r} was {json.dumps(mine[name])}, now {json.dumps(theirs[name])}")
        return rows

    # Inside ------------------------------------------------------------------------------------------------------

    def _holds(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether the conditions of ``name`` hold, where ``params`` has no inactive parameter."""
        return all(
            parent in params and any(same_choice(plain(params[parent]), value) for value in values)
            for parent, values in (self._parameters[name].when or {}).items()
        )

    def _checked(self, params: Mapping[str, Any], fill: Callable[[str, Parameter], Choice] | None) -> Params:
        if not isinstance(params, Mapping):
            raise InvalidParams(f"params is a dict, not {type(params).__name__}.", f"Give {', '.join(self._names)}.")
        bad = [f"{shown(n)}={shown(params[n])} is no parameter of this space" for n in params if n not in self]
        out: Params = {}
        for name in self._order:
            if not self._holds(name, out):
                continue
            parameter = self._parameters[name]
            if name not in params and fill is None:
                bad.append(f"{name!r} is missing; allowed: {parameter.describe()}")
                continue
            value = params[name] if name in params or fill is None else fill(name, parameter)
            if why := parameter.problem_of(value):
                bad.append(f"{name!r}={why}")
            else:
                out[name] = parameter.declared(value)
        if bad:
            raise InvalidParams("; ".join(bad) + ".", "Correct each parameter named.")
        return {name: out[name] for name in self._names if name in out}

    def _expand(self, params: Params, depth: int, fixed: Mapping[str, Choice]) -> Iterator[Params]:
        if depth == len(self._order):
            yield {name: params[name] for name in self._names if name in params}
            return
        name = self._order[depth]
        if not self._holds(name, params):
            yield from self._expand(params, depth + 1, fixed)
            return
        for value in [fixed[name]] if name in fixed else _values(self._parameters[name]):
            yield from self._expand({**params, name: value}, depth + 1, fixed)


SpaceLike: TypeAlias = Space | Mapping[str, Parameter]

_EXAMPLE = 'Give at least one parameter, for example {"lr": Float(1e-5, 1e-1, log=True)}.'


def _values(parameter: Parameter) -> Iterator[Choice]:
    """Every value once; of a continuous parameter, ever finer subdivisions of its range, without end."""
    if isinstance(parameter, Categorical):
        yield from parameter.choices
    elif parameter.step is None:
        # van der Corput's sequence: 1/2, 1/4, 3/4, 1/8, 5/8, ...
        yield from (parameter.from_unit(int(f"{i:b}"[::-1], 2) / 2.0 ** i.bit_length()) for i in itertools.count(1))
    else:
        yield from (parameter.grid_value(i) for i in range(int(parameter.n_values)))
