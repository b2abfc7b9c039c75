"""hybridbo inside other tools: each module here adapts the engine to one of them.

Importing this package loads none of them: a name loads its module, and with it the tool, when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hybridbo.errors import MissingDependency

if TYPE_CHECKING:
    from hybridbo.integrations.search_cv import HybridSearchCV

__all__ = [
    "HybridSearchCV",
]

_HOMES = {  # the module, the top-level package that it needs, and the extra of hybridbo that installs it
    "HybridSearchCV": ("search_cv", "sklearn", "sklearn"),
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would believe in every misspelt name

    def __getattr__(name):  # noqa: ANN001, ANN202 - types are for the checker, which does not see this
        if name not in _HOMES:
            raise AttributeError(f"module 'hybridbo.integrations' has no attribute {name!r}")
        module, package, extra = _HOMES[name]
        try:
            value = getattr(import_module(f"hybridbo.integrations.{module}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != package:
                raise
            raise MissingDependency(f"{name} needs {package}.", f"pip install 'hybridbo[{extra}]'.") from error
        globals()[name] = value  # the next look-up is an ordinary one
        return value

    def __dir__():  # noqa: ANN202 - as above
        return sorted({*globals(), *__all__})
