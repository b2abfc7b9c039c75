"""hybridbo: good configurations of something expensive, in few trials.

A language model names the first few configurations from its general knowledge, a Gaussian process takes over and owns
the uncertainty, and every trial, reply and decision is kept in one SQLite file.

Importing this package is free: a public name loads the module behind it when it is first used (PEP 562), and nothing
global is touched, neither seeds nor threads, default dtypes, loggers or warnings.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridbo import errors
    from hybridbo.dataset import DatasetFacts, describe
    from hybridbo.errors import HybridboError
    from hybridbo.optimizer import Optimizer
    from hybridbo.parameters import Categorical, Float, Int
    from hybridbo.proposing import SpaceProposal, propose_space
    from hybridbo.settings import LLMSettings, Settings
    from hybridbo.space import Space
    from hybridbo.trial import Origin, Trial, TrialState

__all__ = [
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
]

__version__ = "0.1.0"

_HOMES = {
    "Categorical": "parameters",
    "DatasetFacts": "dataset",
    "Float": "parameters",
    "HybridboError": "errors",
    "Int": "parameters",
    "LLMSettings": "settings",
    "Optimizer": "optimizer",
    "Origin": "trial",
    "Settings": "settings",
    "Space": "space",
    "SpaceProposal": "proposing",
    "Trial": "trial",
    "TrialState": "trial",
    "describe": "dataset",
    "propose_space": "proposing",
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would believe in every misspelt name

    def __getattr__(name):  # noqa: ANN001, ANN202 - types are for the checker, which does not see this
        if name == "errors":
            return import_module("hybridbo.errors")
        if name not in _HOMES:
            raise AttributeError(f"module 'hybridbo' has no attribute {name!r}")
        value = getattr(import_module(f"hybridbo.{_HOMES[name]}"), name)
        globals()[name] = value  # the next look-up is an ordinary one
        return value

    def __dir__():  # noqa: ANN202 - as above
        return sorted({*globals(), *__all__})
