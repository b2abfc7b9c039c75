from hybridbo.tables import usage_data, usage_rows
from hybridbo.usage import LLMUsage

USAGE = LLMUsage(3, 2, prompt_tokens=1100, completion_tokens=500, lost=1, max_calls=5, calls_left=2, max_cost=1.5)


def test_limits_are_those_that_are_set():
    assert LLMUsage().limits == {}
    assert USAGE.limits == {"calls": (5, 2), "cost": (1.5, None)}


def test_they_are_shown_and_exported():
    rows = dict(usage_rows("openai:m", USAGE))
    assert rows["lost"] == "1 calls: their tokens and cost are not known"
    assert (rows["calls left"], rows["cost left"]) == ("2 of 5", "unknown of 1.5")
    assert "tokens left" not in rows
    data = usage_data(USAGE)
    assert data["lost"] == 1
    assert data["limits"] == {"calls": {"limit": 5, "left": 2}, "cost": {"limit": 1.5, "left": None}}
