"""Who consults the language model: of processes that have the same question, one asks it, and the others go on.

The seeds wait for their answer, since nothing else is known; a consultation is asked beside a search that has a model
of its own and need not wait. The claim is the call itself, which the Consultant stores before it is made and within the
transaction that has found that it may be: where nobody may be asked, nothing is claimed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hybridbo import owner
from hybridbo.breaker import is_under_way
from hybridbo.llm.history import is_consultation
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall, TrialStore

BUSY = ChatFailure("BackendBusy", "another process is consulting the language model")
"""In place of an answer that another process will have."""

_UNDER_WAY = "not answered yet; asked by "


def claim() -> str:
    """The message of a call that this process is about to make."""
    return f"{_UNDER_WAY}{owner.current()}"


def claimed_by(call: LLMCall) -> str:
    """The process that makes an unsettled call; empty for any other."""
    return call.result.message.removeprefix(_UNDER_WAY) if isinstance(call.result, ChatFailure) else ""


class Claims:
    """Looks whether a question is being asked elsewhere, before the Consultant of this process looks for itself.

    Args:
        store: Where the study is.
        study: Its name.
    """

    def __init__(self, store: TrialStore, study: str) -> None:
        self._store, self._study = store, study

    def is_taken(self, request: ChatRequest) -> bool:
        """Whether another process is asking this, and an answer may still come.

        Args:
            request: The question; only consultations are claimed.
        """
        if not is_consultation(request.purpose):
            return False
        calls = self._store.get_calls(self._study)
        same = [call for call in calls if call.request.topic_hash == request.topic_hash]
        if any(isinstance(call.result, ChatReply) for call in same):
            return False
        return any(is_under_way(call, datetime.now(UTC)) and _is_elsewhere(claimed_by(call)) for call in same)


def _is_elsewhere(process: str) -> bool:
    return process != owner.current() and not owner.is_gone(process)
