import inspect
import pickle
import re

import pytest

from hybridbo import errors
from hybridbo.errors import HybridboError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, HybridboError)]


def drawn_tree():
    """Each class of the docstring's drawing with its parent and the advice beside it, if any."""
    parents, rows = {0: "HybridboError"}, {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│ ]*)[├└]── (\w+)\s+.*?(retry|give up|fall back)?$", line)
        if match:
            depth = len(match[1]) // 4 + 1
            parents[depth] = match[2]
            rows[match[2]] = (parents[depth - 1], match[3])
    return rows


def test_the_tree_is_the_one_drawn():
    drawn = {name: parent for name, (parent, _) in drawn_tree().items()}
    real = {c.__name__: c.__mro__[1].__name__ for c in CLASSES if c is not HybridboError}
    assert drawn == real


def test_the_advice_is_the_one_drawn():
    for name, (parent, advice) in drawn_tree().items():
        inherited = getattr(errors, parent).advice
        assert getattr(errors, name).advice == (advice or inherited), name


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_an_error_survives_pickling_and_shows_its_hint(error):
    back = pickle.loads(pickle.dumps(error("lr=3 is out of range.", "Lower it.")))
    assert type(back) is error
    assert (back.message, back.hint, back.advice) == ("lr=3 is out of range.", "Lower it.", error.advice)
    assert str(back) == "lr=3 is out of range. Lower it."
    assert str(error("lr=3 is out of range.")) == "lr=3 is out of range."


def test_user_errors_are_value_errors():
    assert issubclass(errors.UserError, ValueError)
    assert not issubclass(errors.BackendError, ValueError)
