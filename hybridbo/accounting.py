"""What is known of the LLM's part in a study, read from its store: nothing is asked, and nothing written."""

from __future__ import annotations

import numpy as np

from hybridbo.asking import Asker, run_steps
from hybridbo.guidance import TrustReport
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.stored import reply_to


def trust(asker: Asker) -> TrustReport:
    """How much beliefs steer the study at present, and why: see ``Optimizer.trust``."""
    calls = asker.store.get_calls(asker.study)
    steps = asker.engine.trust(asker.ledger.history(asker.store))
    with np.errstate(all="ignore"):  # the user's debugging aids are not for us
        return run_steps(steps, lambda request: _known(calls, request))


def _known(calls: list[LLMCall], request: ChatRequest) -> ChatReply | ChatFailure:
    """The stored reply, else the last failure, else that nobody has asked."""
    failed = [call.result for call in calls if call.request.topic_hash == request.topic_hash]
    last = failed[-1] if failed and isinstance(failed[-1], ChatFailure) else None
    return reply_to(calls, request) or last or ChatFailure("not asked", "no reply to the present question is stored")
