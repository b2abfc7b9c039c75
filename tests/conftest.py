"""What all tests share."""

import pytest

# the shipped contracts are test code: their asserts are to say what they compared
pytest.register_assert_rewrite(
    "hybridbo.testing.backend_contract",
    "hybridbo.testing.store_cases",
    "hybridbo.testing.store_contract",
    "hybridbo.testing.store_trials",
)


@pytest.fixture(autouse=True)
def no_live_model(monkeypatch):
    """No test reaches a live model, whatever the environment of the one who runs it."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HYBRIDBO_LLM"):
        monkeypatch.delenv(name, raising=False)
