"""Settings of a search: frozen, and refusing what they do not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hybridbo.errors import InvalidSettings
from hybridbo.values import shown


# pydantic does not export the metaclass of its models
class _OurErrors(type(BaseModel)):  # type: ignore[misc]
    """Makes a direct call raise our error; parts given as dicts are validated by pydantic without coming here."""

    def __call__(cls, *args: Any, **given: Any) -> Any:
        try:
            return super().__call__(*args, **given)
        except ValidationError as error:
            where = "settings" if cls.__name__ == "Settings" else cls.__name__
            rows = [
                f"{'.'.join(map(str, (where, *e['loc'])))}={shown(e['input'])}: {_words(e)}" for e in error.errors()
            ]
            raise InvalidSettings("; ".join(rows) + ".", "See hybridbo.settings for what there is.") from None


def _words(row: Mapping[str, Any]) -> str:
    """What pydantic says of a value; our own words without its "Value error"."""
    return str(row["msg"]).removeprefix("Value error, ")


class _Settings(BaseModel, metaclass=_OurErrors):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Price(_Settings):
    """What a model costs per million tokens, in any currency: the same for all prices of a study."""

    prompt: float = Field(ge=0, description="for a million tokens sent")
    completion: float = Field(ge=0, description="for a million tokens received")


class LLMSettings(_Settings):
    """How the language model is asked."""

    points: int = Field(8, ge=1, le=50, description="configurations asked for in one request; spares included")
    timeout_s: float = Field(60.0, gt=0, description="deadline of one request, in seconds")
    retries: int = Field(1, ge=0, le=10, description="further attempts after a time-out or a fault of the server")
    max_failures: int = Field(3, ge=1, description="failed requests after which a study stops asking")
    temperature: float | None = Field(0.0, ge=0, le=2, description="None leaves it to the server")
    max_tokens: int = Field(4096, ge=64, description="longest reply, in tokens")
    max_calls: int | None = Field(None, ge=0, description="requests sent for the study; None for no limit")
    max_total_tokens: int | None = Field(
        None, ge=0, description="tokens sent and received for the study, with a guess at those that nobody reported"
    )
    max_cost: float | None = Field(None, ge=0, description="what the study may cost, in the currency of the prices")
    prices: dict[str, Price] = Field(
        {},
        description='by model, or by "*" for all others: {"MODEL": {"prompt": 0.15, "completion": 0.60}} per million',
    )
    max_ask_s: float | None = Field(
        None, gt=0, description="seconds that one ask may spend on the model: all calls, attempts and pauses of it"
    )
    breaker_failures: int | None = Field(
        2, ge=1, description="time-outs or faults of the server in a row after which it is left alone; None for never"
    )
    breaker_s: float = Field(300.0, ge=0, description="for how many seconds; then one call is tried")
    store_text: bool = Field(
        default=True, description="False keeps hashes of requests and replies in the store, and the advice as numbers"
    )
    consult: Literal["never", "stagnation"] | Annotated[int, Field(ge=1, strict=True)] = Field(
        "never",
        description="when to ask again after the seeds: never, when the search stagnates, or every so many trials",
    )
    patience: int = Field(6, ge=1, description="trials without an improvement that count as stagnation")
    consult_points: int = Field(4, ge=1, le=20, description="configurations asked for in a consultation")
    consult_share: float = Field(0.3, ge=0, le=0.3, description="of all trials, at most, may come from the LLM then")

    @field_validator("consult", mode="before")
    @classmethod
    def _is_a_rule(cls, value: object) -> object:
        """Refuse here what the union of types would refuse with a sentence for each of its types."""
        if value in {"never", "stagnation"} if isinstance(value, str) else type(value) is int and value >= 1:
            return value
        raise ValueError('allowed are "never", "stagnation" and a number of trials, an integer of 1 or more')

    @model_validator(mode="after")
    def _has_prices(self) -> Self:
        if self.max_cost is not None and not self.prices:
            raise ValueError('a limit of the cost needs prices={"MODEL": {"prompt": ..., "completion": ...}}')
        return self

    def __hash__(self) -> int:  # prices are a dict
        return hash(json.dumps(self.model_dump(), sort_keys=True))


class GPSettings(_Settings):
    """How the Gaussian process is fitted and its acquisition maximised."""

    candidates: int = Field(1024, ge=16, description="points at which the acquisition is evaluated before refining")
    restarts: int = Field(2, ge=1, description="starting points of the fit of the hyperparameters")
    deadline_s: float = Field(30.0, gt=0, description="seconds for one proposal, after which coarser ways are taken")
    cost_aware: bool = Field(
        default=False,
        description="divide the expected improvement by the expected duration; less so towards the end of the budget",
    )


class StoreSettings(_Settings):
    """How a study is kept, and what becomes of a trial whose worker is lost."""

    synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL",
        description="FULL keeps what was told through a power cut; NORMAL is faster and may lose the last results then",
    )
    lease_s: float | None = Field(
        86_400.0,
        gt=0,
        description="seconds without a heartbeat after which a trial's worker is taken for lost; None for never. "
        "opt.run sends heartbeats by itself, and holds its trial for at most ten minutes without one",
    )
    offers: int = Field(5, ge=0, description="how often a trial whose worker is lost is offered again")


class Settings(_Settings):
    """Settings of a search.

    Attributes:
        seed_trials: Trials before the Gaussian process takes over: the default, the LLM's points, Sobol points.
        budget: How many trials are planned, told to the LLM; None if unknown.
        llm: How the language model is asked.
        gp: How the Gaussian process is fitted.
        store: How the study is kept, and what becomes of lost workers.
    """

    seed_trials: int = Field(5, ge=1)
    budget: int | None = Field(None, ge=1)
    llm: LLMSettings = LLMSettings()
    gp: GPSettings = GPSettings()
    store: StoreSettings = StoreSettings()

    @classmethod
    def of(cls, given: Settings | dict[str, Any] | None) -> Self:
        """The Settings of an argument: Settings, a dict of them, or None for the defaults.

        Raises:
            InvalidSettings: Naming each unknown setting, or its value and what is allowed.
        """
        if isinstance(given, cls):
            return given
        if given is not None and not isinstance(given, dict):
            raise InvalidSettings(f"settings={shown(given)} is no dict.", "Give Settings, or a dict of them.")
        return cls(**{str(name): value for name, value in (given or {}).items()})
