from datetime import UTC, datetime

from hybridbo import owner
from hybridbo.claims import claim, claimed_by
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, LLMCall
from hybridbo.stored import UNSETTLED

REQUEST = ChatRequest("consult:10", "t", {"x": {}}, "s", "u")


def test_a_call_names_the_process_that_makes_it():
    assert claimed_by(LLMCall(REQUEST, ChatFailure(UNSETTLED, claim()), 0, datetime.now(UTC))) == owner.current()
    assert claimed_by(LLMCall(REQUEST, ChatReply("{}", "m"), 0, datetime.now(UTC))) == ""
