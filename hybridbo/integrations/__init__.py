"""hybridbo inside other tools: each module here adapts the engine to one of them.

A name loads its module, and the tool behind it, when it is first used (PEP 562): importing this package loads neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridbo.integrations.ray_searcher import HybridSearcher

__all__ = ["HybridSearcher"]

_HOMES = {  # name: (module, what it is for, the extra that installs it)
    "HybridSearcher": ("ray_searcher", "Ray Tune", "ray"),
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would believe in every misspelt name

    def __getattr__(name):  # noqa: ANN001, ANN202 - types are for the checker, which does not see this
        if name not in _HOMES:
            raise AttributeError(f"module 'hybridbo.integrations' has no attribute {name!r}")
        module, tool, extra = _HOMES[name]
        try:
            value = getattr(import_module(f"hybridbo.integrations.{module}"), name)
        except ImportError as error:
            if (error.name or "").startswith("hybridbo"):
                raise
            from hybridbo.errors import MissingDependency

            why = f"{name} needs {tool}, which cannot be imported: {error}."
            raise MissingDependency(why, f"Install it with: pip install 'hybridbo[{extra}]'.") from error
        globals()[name] = value  # the next look-up is an ordinary one
        return value

    def __dir__():  # noqa: ANN202 - as above
        return sorted({*globals(), *__all__})
