"""Who consults the language model: of processes that have the same question, one asks it, and the others go on.

The seeds wait for their answer, since nothing else is known; a consultation is asked beside a search that has a model
of its own and need not wait. The claim is the call itself, which the Consultant stores before it is made and within the
transaction that has found that it may be: where nobody may be asked, nothing is claimed.
"""

from __future__ import annotations

from hybridbo import owner
from hybridbo.ports import ChatFailure, LLMCall

BUSY = ChatFailure("BackendBusy", "another process is consulting the language model")
"""In place of an answer that another process will have."""

_UNDER_WAY = "not answered yet; asked by "


def claim() -> str:
    """The message of a call that this process is about to make."""
    return f"{_UNDER_WAY}{owner.current()}"


def claimed_by(call: LLMCall) -> str:
    """The process that makes an unsettled call; empty for any other."""
    return call.result.message.removeprefix(_UNDER_WAY) if isinstance(call.result, ChatFailure) else ""
