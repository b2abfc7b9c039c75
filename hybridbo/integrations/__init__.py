"""hybridbo inside other tools: each module here adapts the engine to one of them.

Importing this package loads none of them: a name is loaded when it is first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hybridbo.errors import MissingDependency

if TYPE_CHECKING:
    from hybridbo.integrations.search_cv import HybridSearchCV

__all__ = ["HybridSearchCV"]

# the module behind a name, the package that it needs, and what to do where that cannot be imported
_HOMES = {
    "HybridSearchCV": ("search_cv", "sklearn", "Install it: pip install 'scikit-learn>=1.4'."),
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would believe in every misspelt name

    def __getattr__(name):  # noqa: ANN001, ANN202 - types are for the checker, which does not see this
        if name not in _HOMES:
            raise AttributeError(f"module 'hybridbo.integrations' has no attribute {name!r}")
        module, package, remedy = _HOMES[name]
        try:
            value = getattr(import_module(f"hybridbo.integrations.{module}"), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "hybridbo").partition(".")[0]
            if missing == "hybridbo":
                raise
            why = f"{name} needs {package}" + ("." if missing == package else f", which does not find {missing}.")
            raise MissingDependency(why, remedy) from error
        globals()[name] = value  # the next look-up is an ordinary one
        return value

    def __dir__():  # noqa: ANN202 - as above
        return sorted({*globals(), *__all__})
