"""SMAC3's HyperparameterOptimizationFacade with its defaults, for deterministic scenarios.

By default it trains its forest once for eight proposals, starts with a quarter of the budget from a Sobol sequence,
and draws every fifth proposal at random. ``crash_cost`` is infinite by default, which its logarithm of the costs turns
into NaN; so failures are told as CRASHED with the worst cost so far.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ConfigSpace import AndConjunction, Categorical, Configuration, ConfigurationSpace, Float, InCondition, Integer
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.outside import wire
from benchmarks.outside.axes import Axis

_SOURCES = {"Initial": "sobol", "Random": "random", "Acquisition": "smac", "Local": "smac"}


class Smac:
    """See wire.Peer."""

    def __init__(self, along: Mapping[str, Axis], seed: int, budget: int) -> None:
        self._axes, self._space = along, space(along)
        self._folder = tempfile.TemporaryDirectory()  # it writes its scenario down
        scenario = Scenario(
            self._space, deterministic=True, n_trials=budget, seed=seed, output_directory=Path(self._folder.name)
        )
        self._trial_seed: int | None = (
            0  # one for all trials: SMAC's own choice, or that of the trials it is given first
        )
        self._facade = HyperparameterOptimizationFacade(scenario, overwrite=True, logging_level=False)

    def ask(self) -> tuple[TrialInfo, dict[str, float], str]:
        """See wire.Peer."""
        info = self._facade.ask()
        self._trial_seed = info.seed
        origin = str(info.config.origin)
        source = next((name for start, name in _SOURCES.items() if origin.startswith(start)), origin)
        return info, {name: float(x) for name, x in dict(info.config).items()}, source

    def adopt(self, point: Mapping[str, float]) -> TrialInfo:
        """See wire.Peer."""
        values = {name: x if self._axes[name].kind == "float" else int(x) for name, x in point.items()}
        return TrialInfo(Configuration(self._space, values=values), seed=self._trial_seed)

    def tell(self, handle: TrialInfo, loss: float, *, failed: bool) -> None:
        """See wire.Peer."""
        status = StatusType.CRASHED if failed else StatusType.SUCCESS
        self._facade.tell(handle, TrialValue(cost=loss, status=status), save=False)


def space(along: Mapping[str, Axis]) -> ConfigurationSpace:
    """The space in SMAC's words; a parameter below several parents needs all of them."""
    out = ConfigurationSpace()
    out.add([_parameter(axis) for axis in along.values()])
    for name, axis in along.items():
        wanted = [InCondition(out[name], out[p], [int(x) for x in allowed]) for p, allowed in axis.when.items()]
        if wanted:
            out.add(wanted[0] if len(wanted) == 1 else AndConjunction(*wanted))
    return out


def _parameter(axis: Axis) -> Any:
    if axis.kind == "choice":
        return Categorical(axis.name, list(range(int(axis.high) + 1)))
    if axis.kind == "int":
        return Integer(axis.name, (int(axis.low), int(axis.high)), log=axis.log)
    return Float(axis.name, (float(axis.low), float(axis.high)), log=axis.log)


if __name__ == "__main__":
    wire.serve(Smac, "smac", "ConfigSpace")
