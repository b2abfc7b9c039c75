"""Ray's search spaces as a Space, and configurations both ways.

A ``param_space`` is a nested dict, with lists and tuples, of constants and domains. Its parameters get flat names
(``optimizer/lr``), and its shape is kept as a tree, which puts values back to where they belong. A choice between dicts
that hold domains of their own becomes a parameter with conditional children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

from ray.tune.search import sample

from hybridbo.errors import InvalidParams, InvalidSpace
from hybridbo.integrations.ray_domains import Single, choices_of, domain_of, is_ordered, number_of
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter, Params, is_number, plain, same_choice
from hybridbo.space import Space
from hybridbo.values import shown

Condition: TypeAlias = dict[str, tuple[Choice, ...]]


@dataclass(frozen=True)
class Constant:
    """A value that is not searched."""

    value: Any


@dataclass(frozen=True)
class Leaf:
    """The place of a parameter's value."""

    name: str


@dataclass(frozen=True)
class Options:
    """The place of a choice between things that are no plain values: each choice of the parameter stands for one."""

    name: str
    options: tuple[tuple[Choice, Node], ...]

    def node(self, choice: Choice) -> Node:
        """What a choice stands for."""
        return next(node for other, node in self.options if same_choice(choice, other))


@dataclass(frozen=True)
class Group:
    """A dict, list or tuple, by key or index."""

    kind: type[Any]
    items: tuple[tuple[Any, Node], ...]


Node: TypeAlias = Constant | Leaf | Options | Group

_ABSENT = object()
_ROUNDING = 1e-6  # of a step


@dataclass(frozen=True)
class RaySpace:
    """A Space and the shape of the configurations that Ray hands to a trainable.

    Attributes:
        space: What is searched, by flat names.
        shape: Where each value belongs.
        whole: Whether nobody else adds the constants to a configuration, as Ray does with those of ``param_space``.
    """

    space: Space
    shape: Node
    whole: bool = True

    @classmethod
    def of(cls, given: Any, *, whole: bool = True) -> Self:
        """The space of a Space, or of a dict of parameters, Ray's domains, constants, and dicts of them.

        Raises:
            InvalidSpace: Naming the parameter that cannot be searched, and the remedy.
        """
        if isinstance(given, Mapping) and not isinstance(given, dict):
            given = dict(given)  # a Space
        if not isinstance(given, dict):
            raise InvalidSpace(f"space={shown(given)} is no search space.", _EXAMPLE)
        found: dict[str, Parameter] = {}
        shape = _shape(_nested(given) if whole else given, (), {}, found)
        if not found:
            raise InvalidSpace("the space holds constants only: there is nothing to search.", _EXAMPLE)
        return cls(Space(found), shape, whole)

    def to_config(self, params: Params) -> dict[str, Any]:
        """The nested configuration of active parameters."""
        config = _fill(self.shape, params, whole=self.whole)
        return {} if config is _ABSENT else dict(config)

    def to_params(self, config: Mapping[str, Any]) -> Params:
        """The parameters in a nested configuration, which may be partial.

        Raises:
            InvalidParams: Something in it has no place in the space.
        """
        params: Params = {}
        _read(self.shape, _nested(dict(config)) if self.whole else config, "", params)
        return {name: self._on_grid(name, value) for name, value in params.items()}

    def _on_grid(self, name: str, value: Choice) -> Choice:
        """The value, without the rounding error of Ray's grids: 0.6000000000000001 is 0.6."""
        parameter = self.space[name]
        if parameter.problem_of(value) and isinstance(parameter, Float) and parameter.step and is_number(value):
            near = parameter.round(value)
            return near if abs(near - value) <= _ROUNDING * parameter.step else value  # type: ignore[operator]  # numbers
        return value


def param_space(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """A Space as a ``param_space`` of Ray's own domains, for Ray's other searchers.

    Raises:
        InvalidSpace: A parameter has a condition, which Ray's domains cannot say.
    """
    return _nested({name: domain_of(name, parameter) for name, parameter in Space.of(space).items()})


def is_searched(value: Any) -> bool:
    """Whether there is anything to be searched, or refused, within a dict, list or tuple."""
    if isinstance(value, (sample.Domain, Float, Int, Categorical)):
        return True
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("grid_search", "eval"):
        return True
    parts = value.values() if isinstance(value, dict) else value if type(value) in (list, tuple) else ()
    return any(is_searched(part) for part in parts)


_EXAMPLE = 'Give ranges, for example {"lr": tune.loguniform(1e-5, 1e-1)} as param_space.'


# From Ray ---------------------------------------------------------------------------------------------------------


def _nested(config: dict[Any, Any]) -> dict[Any, Any]:
    """``{"a/b": 1}`` as ``{"a": {"b": 1}}``: so do Ray's own searchers with a space of flat names."""
    out: dict[Any, Any] = {}
    for key, value in config.items():
        *parents, last = key.split("/") if isinstance(key, str) else [key]
        place = out
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InvalidSpace(f"{key!r} and {parent!r} are both given a value.", "Rename one of them.")
        if last in place:
            raise InvalidSpace(f"parameter {key!r} is given twice.", "Remove one of them.")
        place[last] = dict(value) if isinstance(value, dict) else value
    return out


def _shape(value: Any, path: tuple[str, ...], when: Condition, found: dict[str, Parameter]) -> Node:
    """The shape of ``value``, whose parameters are added to ``found``."""
    name = "/".join(path)
    if isinstance(value, (Float, Int, Categorical)):
        return _leaf(name, replace(value, when={**when, **(value.when or {})} or None), found)
    if isinstance(value, sample.Categorical):
        if value.is_grid():
            raise _grid(name)
        return _choice(value.categories, path, when, found)
    if isinstance(value, sample.Domain):
        number = number_of(name, value)
        return Constant(number.value) if isinstance(number, Single) else _leaf(name, _under(number, when), found)
    if isinstance(value, dict) and len(value) == 1 and "grid_search" in value:
        raise _grid(name)
    if isinstance(value, dict) and len(value) == 1 and "eval" in value:
        raise InvalidSpace(f"parameter {name!r} is drawn by an expression.", "Compute it in the trainable.")
    if is_searched(value):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        nodes = tuple((key, _shape(part, (*path, str(key)), when, found)) for key, part in items)
        return Group(dict if isinstance(value, dict) else type(value), nodes)
    return Constant(value)


def _choice(categories: Sequence[Any], path: tuple[str, ...], when: Condition, found: dict[str, Parameter]) -> Node:
    choices, kept = choices_of(categories)
    if len(choices) == 1:
        return _shape(kept[0], path, when, found)
    name = "/".join(path)
    leaf = _leaf(name, _under(Categorical(choices, ordered=is_ordered(choices)), when), found)
    if all(plain(category) is choice for category, choice in zip(kept, choices, strict=True)):
        return leaf
    options = []
    for i, (choice, category) in enumerate(zip(choices, kept, strict=True)):
        options.append((choice, _shape(category, (*path, str(i)), {**when, name: (choice,)}, found)))
    return Options(name, tuple(options))


def _leaf(name: str, parameter: Parameter, found: dict[str, Parameter]) -> Leaf:
    if name in found:
        raise InvalidSpace(f"parameter {name!r} is given twice.", "Rename one of them.")
    found[name] = parameter
    return Leaf(name)


def _under(parameter: Parameter, when: Condition) -> Parameter:
    return replace(parameter, when=when or None)


def _grid(name: str) -> InvalidSpace:
    remedy = "Write tune.choice([...]) with the same values; or run the grid with Ray's own BasicVariantGenerator."
    return InvalidSpace(f"parameter {name!r} is a grid_search, which runs every value and searches nothing.", remedy)


# Configurations ---------------------------------------------------------------------------------------------------


def _fill(node: Node, params: Params, *, whole: bool) -> Any:
    """The value at a place; ``_ABSENT`` for an inactive parameter, and for a constant unless ``whole``."""
    if isinstance(node, Constant):
        return node.value if whole else _ABSENT
    if isinstance(node, Leaf):
        return params.get(node.name, _ABSENT)
    if isinstance(node, Options):
        return _fill(node.node(params[node.name]), params, whole=True) if node.name in params else _ABSENT
    # a list is replaced as a whole where Ray merges configurations, so it has to be complete
    parts = [(key, _fill(part, params, whole=whole or node.kind is not dict)) for key, part in node.items]
    kept = {key: part for key, part in parts if part is not _ABSENT}
    if node.kind is dict:
        return kept if kept or whole else _ABSENT
    return node.kind(kept.values())


def _read(node: Node, value: Any, path: str, params: Params) -> None:
    """Add what ``value`` says of the parameters at ``node``."""
    if isinstance(node, Leaf):
        params[node.name] = plain(value)
    elif isinstance(node, Options):
        for choice, option in node.options:
            inner: Params = {}
            if _fits(option, value, inner):
                params.update({node.name: choice, **inner})
                return
        raise InvalidParams(f"{path}={shown(value)} is none of the choices.", "Give one of those in the space.")
    elif isinstance(node, Group):
        for key, part in _parts(node, value, path):
            _read(dict(node.items)[key], part, f"{path}/{key}".lstrip("/"), params)


def _parts(node: Group, value: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """The parts of a dict or list that has the shape of a group."""
    if not isinstance(value, dict if node.kind is dict else (list, tuple)):
        raise InvalidParams(f"{path or 'config'}={shown(value)} is no {node.kind.__name__}.", _AS_SPACE)
    known = {key for key, _ in node.items}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        if key not in known:
            raise InvalidParams(f"{f'{path}/{key}'.lstrip('/')!r} is no parameter of this space.", _AS_SPACE)
        yield key, part


_AS_SPACE = "Give a configuration of the same shape as the space."


def _fits(node: Node, value: Any, params: Params) -> bool:
    """Whether ``value`` is what a choice stands for; its own parameters are added to ``params``."""
    if isinstance(node, Constant):
        return _equal(node.value, value)
    if isinstance(node, Group):
        items = value.items() if isinstance(value, dict) else enumerate(value) if type(value) in (list, tuple) else ()
        parts = dict(items)
        return parts.keys() == {key for key, _ in node.items} and all(
            _fits(part, parts[key], params) for key, part in node.items
        )
    try:
        _read(node, value, "", params)
    except InvalidParams:
        return False
    return True


def _equal(a: Any, b: Any) -> bool:
    try:
        return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
    except Exception:  # noqa: BLE001  # arrays compare element by element, and others may refuse
        return a is b
