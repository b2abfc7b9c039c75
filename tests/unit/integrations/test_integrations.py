"""The names of hybridbo.integrations load their library when they are used, and say what to install without it."""

import json
import subprocess
import sys

import pytest

import hybridbo.integrations
from hybridbo.errors import MissingDependency

LIBRARIES = {
    "HybridOracle": ("keras_tuner", "pip install 'keras-tuner"),
    "HybridSampler": ("optuna", "pip install 'optuna"),
    "HybridSearchCV": ("sklearn", "pip install 'scikit-learn"),
    "HybridSearcher": ("ray", "pip install 'ray[tune]"),
    "export_to_optuna": ("optuna", "pip install 'optuna"),
    "import_from_optuna": ("optuna", "pip install 'optuna"),
}


def python(code, cwd):
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_library(tmp_path):
    code = "import json, sys, hybridbo.integrations; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(python(code, tmp_path))}
    loaded = {name for name in loaded - sys.stdlib_module_names if not name.startswith("__")}  # and editable finders
    assert loaded <= {"hybridbo", "_virtualenv", "_distutils_hack"}


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_without_its_library_a_name_says_what_to_install(name, tmp_path):
    library, remedy = LIBRARIES[name]
    code = f"""
import sys
sys.modules[{library!r}] = None
try:
    from hybridbo.integrations import {name}
except Exception as error:
    print(type(error).__name__, error)
"""
    said = python(code, tmp_path)
    assert said.startswith(MissingDependency.__name__)
    assert remedy in said


def test_every_name_is_tried_here():
    assert set(hybridbo.integrations.__all__) == set(LIBRARIES)


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_each_name_is_the_one_of_its_module(name):
    pytest.importorskip(LIBRARIES[name][0])
    assert getattr(hybridbo.integrations, name).__name__ == name
    assert name in dir(hybridbo.integrations)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'HybridSearchr'"):
        hybridbo.integrations.HybridSearchr  # noqa: B018 - looking it up is the test
