"""hybridbo inside other tools: each module here adapts the engine to one of them.

Importing this package loads none of them: a name is loaded when it is first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hybridbo.errors import MissingDependency

if TYPE_CHECKING:
    from hybridbo.integrations.keras_oracle import HybridOracle
    from hybridbo.integrations.optuna_export import export_to_optuna
    from hybridbo.integrations.optuna_import import import_from_optuna
    from hybridbo.integrations.optuna_sampler import HybridSampler
    from hybridbo.integrations.ray_searcher import HybridSearcher
    from hybridbo.integrations.search_cv import HybridSearchCV

__all__ = [
    "HybridOracle",
    "HybridSampler",
    "HybridSearchCV",
    "HybridSearcher",
    "export_to_optuna",
    "import_from_optuna",
]

# the module behind a name, the package that it needs, and what to do where that cannot be imported
_HOMES = {
    "HybridOracle": (
        "keras_oracle",
        "keras_tuner",
        "Install both: pip install 'keras-tuner>=1.4.7' six; and let KERAS_BACKEND name a backend that is installed.",
    ),
    "HybridSampler": ("optuna_sampler", "optuna", "Install it: pip install 'optuna>=4.6'."),
    "HybridSearchCV": ("search_cv", "sklearn", "Install it: pip install 'scikit-learn>=1.4'."),
    "HybridSearcher": ("ray_searcher", "ray", "Install it: pip install 'ray[tune]>=2.40'."),
    "export_to_optuna": ("optuna_export", "optuna", "Install it: pip install 'optuna>=4.6'."),
    "import_from_optuna": ("optuna_import", "optuna", "Install it: pip install 'optuna>=4.6'."),
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
