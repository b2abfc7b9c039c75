"""Events that a study has once, however often their cause comes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hybridbo.ports import Event


class _Events(Protocol):
    def get_events(self, study: str) -> Sequence[Event]: ...


class Once:
    """Remembers what a study has been told, and looks into the store for what other processes have told it."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str]] = set()

    def is_known(self, study: str, kind: str, message: str) -> bool:
        """Whether this process knows that it has been told."""
        return (study, kind, message) in self._known

    def is_news(self, store: _Events, study: str, kind: str, message: str) -> bool:
        """Whether the study has no such event yet; asked within the transaction that then records it.

        A transaction that is undone afterwards takes the event with it; the next process tells it then.
        """
        if self.is_known(study, kind, message):
            return False
        self._known.add((study, kind, message))
        return all((event.kind, event.message) != (kind, message) for event in store.get_events(study))
