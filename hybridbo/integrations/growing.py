"""Asking a language model about a space that grows: some libraries learn of their parameters trial by trial.

Every new shape of the space is a new question to a Consultant, so a model would be asked for ever. A few shapes are
asked about; what was said of an earlier one serves a later one, as far as its names are still known.
"""

from __future__ import annotations

from collections.abc import Sequence

from hybridbo.consult import Consultant
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.settings import LLMSettings

_MOST_TOPICS = 3


def answer_growing(
    consultant: Consultant, calls: Sequence[LLMCall], request: ChatRequest, trial_number: int, settings: LLMSettings
) -> ChatReply | ChatFailure:
    """The reply to a request, else the latest to an earlier one about the same study, else why there is none.

    Args:
        consultant: Answers a request about one space.
        calls: Those of the study so far.
        request: What the engine asks.
        trial_number: The trial that is about to be proposed.
        settings: After how many failures to stop asking.
    """
    calls = [call for call in calls if call.request.purpose == request.purpose]  # seeds are no answer to a consultation
    replies = {call.request.topic_hash: call.result for call in calls if isinstance(call.result, ChatReply)}
    topics = {call.request.topic_hash for call in calls} | {request.topic_hash}
    failures = sum(isinstance(call.result, ChatFailure) for call in calls)
    answer: ChatReply | ChatFailure = ChatFailure("BackendError", f"not asked again after {failures} failures")
    may_ask = len(topics) <= _MOST_TOPICS and failures < settings.max_failures
    if request.topic_hash in replies or may_ask:
        answer = consultant.answer(request, trial_number)
    if isinstance(answer, ChatFailure) and replies:
        return list(replies.values())[-1]
    return answer
