"""Who consults the language model: of processes that have the same question, one asks it, and the others go on.

The seeds wait for their answer, since nothing else is known; a consultation is asked beside a search that has a model
of its own and need not wait. A claim is an event of the study. It counts as long as an answer may come, and a process
claims a question once: how often a question that fails is asked again is the Consultant's affair.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hybridbo import owner
from hybridbo.llm.history import is_consultation
from hybridbo.ports import ChatReply, ChatRequest, Event, TrialStore

_KIND = "llm_consulted"
_MORE_S = 30.0  # for pauses between attempts, and for a slow store


class Claims:
    """Takes turns with other processes at one study.

    Args:
        store: Where the study is.
        study: Its name.
    """

    def __init__(self, store: TrialStore, study: str) -> None:
        self._store, self._study = store, study
        self._done: set[str] = set()  # answered, or claimed by this process

    def is_taken(self, request: ChatRequest) -> bool:
        """Whether another process is asking this; if nobody has, it is this one's from now on.

        Args:
            request: The question; only consultations are claimed.
        """
        topic = request.topic_hash
        if not is_consultation(request.purpose) or topic in self._done:
            return False
        message = f"{request.purpose} ({topic[:12]}) by "
        with self._store.transaction():
            calls = [call for call in self._store.get_calls(self._study) if call.request.topic_hash == topic]
            calls = [call for call in calls if not call.is_unsettled]  # those under way have no answer yet
            if any(isinstance(call.result, ChatReply) for call in calls):
                self._done.add(topic)
                return False
            made = [e for e in self._store.get_events(self._study) if e.kind == _KIND and e.message.startswith(message)]
            is_open = len(made) > len(calls) and _is_alive(made[-1], request)
            if not is_open:
                self._store.record_event(self._study, Event(_KIND, message + owner.current()))
                self._done.add(topic)
            return is_open


def _is_alive(claim: Event, request: ChatRequest) -> bool:
    """Whether an answer may still come: the process is there, as far as is known, and has not had all of its time."""
    if owner.is_gone(claim.message.rpartition(" by ")[2]):
        return False
    patience = request.timeout_s * (request.retries + 1) + _MORE_S
    return claim.at is None or datetime.now(UTC) - claim.at < timedelta(seconds=patience)
