"""Hypothesis strategies for the values of hybridbo, shared by the unit tests."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from hybridbo.errors import InvalidSpace
from hybridbo.objective import Constraint, Objective
from hybridbo.parameters import Categorical, Float, Int
from hybridbo.space import Space
from hybridbo.trial import Origin, Trial, TrialState

finite_floats = st.floats(allow_nan=False, allow_infinity=False)
# texts that UTF-8 can hold; what a store makes of the others is its own affair
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts.filter(lambda text: text != "" and text.isprintable())
choices = st.one_of(texts, st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.booleans(), st.none())


@st.composite
def continuous(draw):
    """A Float without a step, of any size."""
    size = 10.0 ** draw(st.integers(-250, 250) | st.integers(-8, 8))
    low, width = draw(st.floats(-10, 10)) * size, draw(st.floats(0.001, 100)) * size
    log = draw(st.booleans())
    if log:
        low = max(abs(low), size / 1000)
    return Float(low, low + width, log=log)


@st.composite
def stepped(draw):
    """A Float with a step, written with as many digits as people write."""
    step = draw(st.sampled_from([0.1, 0.05, 0.25, 0.3, 1e-3, 0.7, 1.0, 2.5, 1e-7, 1e6]))
    low = round(step * draw(st.integers(-40, 40)), 9)
    log = draw(st.booleans())
    if log:
        low = max(abs(low), step)
    return Float(low, round(low + step * draw(st.floats(1.01, 60)), 9), log=log, step=step)


@st.composite
def integers(draw):
    """An Int, of any step."""
    log = draw(st.booleans())
    low = draw(st.integers(1, 1000) if log else st.integers(-1000, 1000) | st.integers(-(10**9), 10**9))
    width = draw(st.integers(1, 60) | st.integers(1, 10**9))
    return Int(low, low + width, log=log, step=draw(st.integers(1, max(1, min(width, 50)))))


numerics = st.one_of(continuous(), stepped(), integers())
categoricals = st.builds(
    Categorical,
    st.lists(choices, min_size=1, max_size=6, unique_by=lambda c: (isinstance(c, bool), c)),
    ordered=st.booleans(),
)


def parent_values(parameter):
    """Values that a condition on the parameter may name."""
    if isinstance(parameter, Categorical):
        return st.sampled_from(parameter.choices)
    return st.integers(0, int(parameter.n_values) - 1).map(parameter.grid_value)


def _with(parameter, **changes):
    kept = {"default": parameter.default, "when": parameter.when} | changes
    if isinstance(parameter, Categorical):
        return Categorical(parameter.choices, ordered=parameter.ordered, **kept)
    return type(parameter)(parameter.low, parameter.high, log=parameter.log, step=parameter.step, **kept)


@st.composite
def spaces(draw, kinds=None, max_size=6):
    """A space of any kinds of parameters, with conditions on up to two parents that may have conditions themselves."""
    parameters = {}
    for name in draw(st.lists(names, min_size=1, max_size=max_size, unique=True)):
        parameter = draw(kinds if kinds is not None else st.one_of(numerics, categoricals))
        parents = [n for n, p in parameters.items() if p.n_values <= 1_000_000]
        when = {}
        for parent in draw(st.lists(st.sampled_from(parents), max_size=2, unique=True)) if parents else []:
            when[parent] = draw(st.lists(parent_values(parameters[parent]), min_size=1, max_size=3))
        default = draw(st.none() | st.floats(0, 1).map(parameter.from_unit))
        parameters[name] = _with(parameter, when=when or None, default=default)
    shuffled = draw(st.permutations(list(parameters)))  # a child may be declared before its parent
    try:
        return Space({name: parameters[name] for name in shuffled})
    except InvalidSpace as error:
        if "never hold together" in error.message:
            reject()
        raise


@st.composite
def spaces_and_points(draw, rows=1, **options):
    """A space, and points of its unit cube, shape (rows, d)."""
    space = draw(spaces(**options))
    # corners are drawn now and then; in between, anywhere
    corner = draw(st.sampled_from([None, None, None, None, 0.0, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    u = rng.random((rows, len(space)))
    return space, (u if corner is None else np.full_like(u, corner))


sources = st.sampled_from(["user", "default", "llm", "sobol", "gp"])
origins = st.builds(Origin, sources, texts, st.none() | finite_floats, st.none() | st.floats(0, 1e300))
directions = st.sampled_from(["minimize", "maximize"])


@st.composite
def objectives(draw):
    """One or several objectives, with or without constraints."""
    used = draw(st.lists(names.filter(str.strip), min_size=1, max_size=5, unique=True))
    cut = draw(st.integers(1, len(used)))
    bounds = tuple(Constraint(name, draw(st.sampled_from(["<=", ">="])), draw(finite_floats)) for name in used[cut:])
    return Objective(tuple((name, draw(directions)) for name in used[:cut]), bounds)


times = st.integers(0, 10**9).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
params = st.dictionaries(names, choices, max_size=4)


@st.composite
def trials(draw, number=st.integers(0, 1000)):
    """A trial of any state, as a store might hold it."""
    state = draw(st.sampled_from(list(TrialState)))
    has_value = state is TrialState.COMPLETE or (state is TrialState.PRUNED and draw(st.booleans()))
    value = draw(finite_floats) if has_value else None
    return Trial(
        number=draw(number),
        params=draw(params),
        state=state,
        origin=draw(origins),
        started_at=draw(times),
        value=value,
        values={"value": value} if has_value else {},
        error=draw(texts) if state is TrialState.FAILED else None,
        finished_at=draw(times) if state.is_finished else None,
        owner=draw(st.none() | texts),
    )
