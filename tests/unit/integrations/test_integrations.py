"""The package of integrations: nothing is loaded before it is used, and what is missing is named."""

import sys

import pytest

from hybridbo import integrations
from hybridbo.errors import MissingDependency


def test_names_resolve_and_are_listed():
    assert set(integrations.__all__) <= set(dir(integrations))
    assert integrations.HybridSearchCV.__name__ == "HybridSearchCV"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'HybridGridCV'"):
        integrations.HybridGridCV  # noqa: B018  # looking it up is the test


def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("hybridbo.integrations.search")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(integrations), "HybridSearchCV", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    monkeypatch.setitem(sys.modules, "sklearn.exceptions", None)
    with pytest.raises(MissingDependency, match=r"HybridSearchCV needs sklearn.*pip install 'scikit-learn>=1\.4'"):
        integrations.HybridSearchCV  # noqa: B018  # looking it up is the test
