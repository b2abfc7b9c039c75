"""How long a proposal may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hybridbo.errors import SurrogateError


class DeadlinePassed(SurrogateError):
    """The time for a proposal is up."""


@dataclass(frozen=True)
class Deadline:
    """The seconds of wall time that a proposal may take before cheaper rungs are taken.

    It is there for what nobody foresaw: an ask takes a hundredth of the default. Where it passes, proposals depend on
    the speed of the machine, and "same seed and history, same trial" does not hold.

    Attributes:
        seconds: How many, counted from when it was made.
        started: When that was, by the clock.
        clock: Seconds, never going back.
    """

    seconds: float
    started: float
    clock: Callable[[], float]

    @classmethod
    def of(cls, seconds: float) -> Deadline:
        """A deadline that runs from now."""
        return cls(seconds, time.monotonic(), time.monotonic)

    def is_past(self, share: float = 1.0) -> bool:
        """Whether more than ``share`` of the time is gone."""
        return self.clock() - self.started > share * self.seconds

    def check(self, share: float = 1.0) -> None:
        """Raise DeadlinePassed once more than ``share`` of the time is gone."""
        if self.is_past(share):
            raise DeadlinePassed(f"{share:.0%} of the {self.seconds:.3g} s that a proposal may take were used up.")
