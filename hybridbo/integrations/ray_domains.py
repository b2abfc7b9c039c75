"""One range or choice of Ray Tune (``tune.uniform`` and its kin) as a parameter of hybridbo, and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.search import sample

from hybridbo.errors import InvalidSpace
from hybridbo.parameters import Categorical, Choice, Float, Int, Parameter, is_number, plain, same_choice

_FEWEST_ORDERED = 3  # of two choices, no order can be told
_LONGEST_LABEL = 60
_MARK = "__fn_ph"  # of ray.tune.impl.placeholder
_ON_GRID = 1e-9  # of a step


@dataclass(frozen=True)
class Single:
    """A range or choice that leaves one value: nothing to search."""

    value: Any


def number_of(name: str, domain: sample.Domain) -> Float | Int | Single:
    """A numeric domain as a parameter.

    Ray draws from ``tune.randint`` and ``tune.lograndint`` without the upper end; a quantised range holds the multiples
    of ``q`` between its ends, both included, but for ``tune.qrandint(..., q=1)``, which is without its upper end.

    Raises:
        InvalidSpace: It has no bounds, is a function, or is unknown here.
    """
    sampler, q = domain.get_sampler(), None
    if isinstance(sampler, sample.Quantized):
        sampler, q = sampler.get_sampler(), sampler.q
    if isinstance(domain, sample.Function):
        raise _drawn_by_function(name)
    if isinstance(sampler, sample.Normal):
        low, high = sampler.mean - 3 * sampler.sd, sampler.mean + 3 * sampler.sd
        remedy = f"Give a range, for example tune.uniform({low:g}, {high:g})."
        raise InvalidSpace(f"parameter {name!r} is drawn from a normal distribution, which has no bounds.", remedy)
    log = isinstance(sampler, sample.LogUniform)
    if isinstance(domain, sample.Integer):
        return _int(domain.lower, domain.upper, q, log=log)
    if isinstance(domain, sample.Float) and (log or isinstance(sampler, sample.Uniform)):
        return _float(domain.lower, domain.upper, q, log=log)
    what = f"{type(domain).__name__} drawn by {type(sampler).__name__}"
    raise InvalidSpace(
        f"parameter {name!r} is a {what}, which is unknown here.", "Use a range or a choice of ray.tune."
    )


def _is_function(value: Any) -> bool:
    """Whether it is a ``tune.sample_from``, or what Ray's Tuner puts in the place of one before a searcher sees it."""
    is_mark = isinstance(value, tuple) and len(value) == 2 and value[0] == _MARK  # (mark, hash)
    return is_mark or isinstance(value, sample.Function)


def _drawn_by_function(name: str) -> InvalidSpace:
    return InvalidSpace(f"parameter {name!r} is drawn by a function, so its range is unknown.", _FUNCTION)


def refuse_functions(config: Any, path: tuple[str, ...] = ()) -> None:
    """Refuse what Ray would draw by itself, unseen by the search.

    Raises:
        InvalidSpace: Naming the parameter, and what to do instead.
    """
    if _is_function(config):
        raise _drawn_by_function("/".join(path))
    parts = config.categories if isinstance(config, sample.Categorical) else config
    items = parts.items() if isinstance(parts, dict) else enumerate(parts) if type(parts) in (list, tuple) else ()
    for key, part in items:
        refuse_functions(part, (*path, str(key)))


def choices_of(categories: Sequence[Any]) -> tuple[list[Choice], list[Any]]:
    """The choices of a parameter that stand for Ray's categories, and those categories, without repetitions.

    A text, a finite number, a boolean or None stands for itself, anything else (a list, a dict, a class) for a label.
    """
    values = [plain(category) for category in categories]
    plains = [value for value in values if not Categorical([value]).problems()]  # no label may look like one of them
    choices: list[Choice] = []
    kept: list[Any] = []
    for category, value in zip(categories, values, strict=True):
        if Categorical([value]).problems():
            choices.append(_label(category, [*choices, *plains]))
            kept.append(category)
        elif not any(same_choice(value, other) for other in choices):
            choices.append(value)
            kept.append(value)
    return choices, kept


def is_ordered(choices: Sequence[Choice]) -> bool:
    """Whether the choices are numbers listed by size: what lies between two of them is then worth knowing."""
    if len(choices) < _FEWEST_ORDERED or not all(is_number(choice) for choice in choices):
        return False
    steps = [b - a for a, b in itertools.pairwise(choices)]  # type: ignore[operator]  # numbers
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def domain_of(name: str, parameter: Parameter) -> sample.Domain:
    """A parameter of hybridbo as one of Ray's domains.

    Raises:
        InvalidSpace: It has a condition, which Ray's domains cannot say.
    """
    if parameter.when:
        remedy = "Pass the space to HybridSearcher itself, and leave param_space out."
        raise InvalidSpace(f"parameter {name!r} has a condition, which no domain of Ray can say.", remedy)
    if isinstance(parameter, Categorical):
        return tune.choice(list(parameter.choices))
    if isinstance(parameter, Int) and parameter.step == 1:
        return (tune.lograndint if parameter.log else tune.randint)(parameter.low, parameter.high + 1)
    if parameter.step is None:
        return (tune.loguniform if parameter.log else tune.uniform)(parameter.low, parameter.high)
    if abs(math.remainder(parameter.low / parameter.step, 1.0)) > _ON_GRID:  # Ray's grids hold multiples of q alone
        return tune.choice([parameter.grid_value(i) for i in range(int(parameter.n_values))])
    kinds = {
        (True, False): tune.qrandint,
        (True, True): tune.qlograndint,
        (False, False): tune.quniform,
        (False, True): tune.qloguniform,
    }
    return kinds[isinstance(parameter, Int), parameter.log](parameter.low, parameter.top, parameter.step)


_FUNCTION = (
    "Compute it in the trainable; or write what depends on a choice into that choice, as in "
    "tune.choice([{'kind': 'a'}, {'kind': 'b', 'x': tune.uniform(0, 1)}])."
)


def _int(low: float, high: float, q: float | None, *, log: bool) -> Int | Single:
    if q is None or q == 1:
        first, last, step = int(low), int(high) - 1, 1
    else:
        first, last, step = math.ceil(low / q) * int(q), math.floor(high / q) * int(q), int(q)
    return Single(first) if first == last else Int(first, last, step=step, log=log)


def _float(low: float, high: float, q: float | None, *, log: bool) -> Float | Single:
    # a narrower range than a step holds one multiple: Ray has checked that both ends are multiples
    return Single(float(low)) if low == high else Float(low, high, step=q, log=log)


def _label(category: Any, taken: Sequence[Choice]) -> str:
    """A printable text for a category, different from those taken."""
    try:
        text = " ".join(repr(_outline(category)).split())
        text.encode()
    except Exception:  # noqa: BLE001  # somebody else's __repr__
        text = type(category).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    text = text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 3] + "..."
    return text if text not in taken else f"{text} #{len(taken)}"


class _Dots:
    """Shown in place of what is not told."""

    def __repr__(self) -> str:
        return "..."


def _outline(category: Any) -> Any:
    """The category with ``...`` in place of its own ranges and choices."""
    if isinstance(category, dict):
        return {key: _outline(value) for key, value in category.items()}
    if type(category) in (list, tuple):
        return type(category)(_outline(value) for value in category)
    return _Dots() if isinstance(category, sample.Domain) else category
