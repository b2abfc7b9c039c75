"""`import hybridbo` costs nothing and changes nothing. Each check runs in an interpreter of its own."""

import json
import subprocess
import sys
import time

import pytest

import hybridbo

PUBLIC = {
    "Categorical",
    "DatasetFacts",
    "Float",
    "HybridboError",
    "Int",
    "LLMSettings",
    "Optimizer",
    "Origin",
    "Settings",
    "Space",
    "SpaceProposal",
    "Trial",
    "TrialState",
    "__version__",
    "describe",
    "errors",
    "propose_space",
}


def python(code, cwd):
    """Standard output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""


def loaded_by(statement, cwd):
    """Top-level names of the modules that a statement loads."""
    return set(json.loads(python(LOADED.format(statement=statement), cwd)))


def test_importing_loads_nothing_but_the_standard_library(tmp_path):
    assert loaded_by("import hybridbo", tmp_path) - sys.stdlib_module_names == {"hybridbo"}


def test_the_check_above_sees_a_heavy_import(tmp_path):
    assert "numpy" in loaded_by("import hybridbo, numpy", tmp_path)


@pytest.mark.parametrize("name", sorted(PUBLIC - {"Optimizer"}))
def test_values_load_neither_torch_nor_openai(name, tmp_path):
    heavy = {"torch", "botorch", "gpytorch", "openai", "optuna", "pandas", "sklearn"}
    assert not loaded_by(f"from hybridbo import {name}", tmp_path) & heavy


def seconds(code, cwd):
    start = time.perf_counter()
    python(code, cwd)
    return time.perf_counter() - start


def test_importing_is_quick(tmp_path):
    runs = [(seconds("pass", tmp_path), seconds("import hybridbo", tmp_path)) for _ in range(7)]
    base, with_import = map(min, zip(*runs, strict=True))  # the least disturbed run of each
    assert with_import - base < 0.4


# What an import could change behind a user's back. The libraries underneath are imported first: what they do to the
# process is theirs, and only the difference that hybridbo makes is looked at.
GLOBALS = """
import importlib, logging, os, pkgutil, random, signal, sys, threading, warnings
import botorch, botorch.models, botorch.optim, click, gpytorch, numpy, openai, pydantic, rich.console, rich.live
import rich.progress, scipy.stats, sqlite_utils, threadpoolctl, torch
os.environ.update(KERAS_BACKEND="torch", KERAS_HOME=os.getcwd())  # Keras writes into the home folder
for optional in ("keras_tuner", "ray.tune", "sklearn.model_selection"):
    try:
        importlib.import_module(optional)
    except ImportError:  # not installed, or Keras has no backend here
        pass

def state():
    return {
        "random": hash(random.getstate()),
        "numpy random": hash(str(numpy.random.get_state())),
        "torch random": torch.random.get_rng_state().sum().item(),
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch dtype": torch.get_default_dtype(),
        "torch settings": (torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled()),
        "numpy errors": numpy.geterr(),
        "numpy print": str(numpy.get_printoptions()),
        "warnings": list(warnings.filters),
        "handlers": [list(logging.getLogger(name).handlers) for name in (None, "hybridbo")],
        "levels": [logging.getLogger(name).level for name in (None, "hybridbo")],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
        "threads": threading.active_count(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(),
    }

before = state()
"""
EVERY_MODULE = """
import hybridbo
names = [found.name for found in pkgutil.walk_packages(hybridbo.__path__, "hybridbo.")]
assert "hybridbo.storage" in names and "hybridbo.backends" in names, names
for name in names:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ImportError as error:  # a module for a package that is not installed here
            if (error.name or "hybridbo").startswith(("hybridbo", "backends", "storage")):
                raise
"""
COMPARE = """
after = state()
print([key for key in before if before[key] != after[key]])
"""


def test_importing_every_module_touches_nothing_global(tmp_path):
    assert python(GLOBALS + EVERY_MODULE + COMPARE, tmp_path).strip() == "[]"


CHANGES = """
torch.set_num_threads(torch.get_num_threads() + 1)
torch.manual_seed(1)
logging.getLogger("hybridbo").addHandler(logging.NullHandler())
"""


def test_the_check_above_sees_changes(tmp_path):
    seen = python(GLOBALS + CHANGES + COMPARE, tmp_path).strip()
    assert seen == "['torch random', 'torch threads', 'handlers']"


def test_public_names_are_these_and_all_resolve():
    assert set(hybridbo.__all__) == PUBLIC
    assert len(hybridbo.__all__) == len(PUBLIC)
    assert set(dir(hybridbo)) >= PUBLIC
    for name in hybridbo.__all__:
        assert getattr(hybridbo, name) is not None


def test_lazy_names_are_the_ones_of_their_modules():
    from hybridbo.errors import InvalidSpace
    from hybridbo.space import Space

    assert hybridbo.Space is Space
    assert hybridbo.errors.InvalidSpace is InvalidSpace


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Optimiser'"):
        hybridbo.Optimiser  # noqa: B018 - looking it up is the test
