"""Settings of a search: frozen, and refusing what they do not know."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
            rows = [f"{'.'.join(map(str, (where, *e['loc'])))}={shown(e['input'])}: {e['msg']}" for e in error.errors()]
            raise InvalidSettings("; ".join(rows) + ".", "See hybridbo.settings for what there is.") from None


class _Settings(BaseModel, metaclass=_OurErrors):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LLMSettings(_Settings):
    """How the language model is asked."""

    points: int = Field(8, ge=1, le=50, description="configurations asked for in one request; spares included")
    timeout_s: float = Field(60.0, gt=0, description="deadline of one request, in seconds")
    retries: int = Field(1, ge=0, le=10, description="further attempts after a time-out or a fault of the server")
    max_failures: int = Field(3, ge=1, description="failed requests after which a study stops asking")
    temperature: float | None = Field(0.0, ge=0, le=2, description="None leaves it to the server")
    max_tokens: int = Field(4096, ge=64, description="longest reply, in tokens")
    consult: Literal["never", "stagnation"] | Annotated[int, Field(ge=1, strict=True)] = Field(
        "never",
        description="when to ask again after the seeds: never, when the search stagnates, or every so many trials",
    )
    patience: int = Field(6, ge=1, description="trials without an improvement that count as stagnation")
    consult_points: int = Field(4, ge=1, le=20, description="configurations asked for in a consultation")
    consult_share: float = Field(0.3, ge=0, le=0.3, description="of all trials, at most, may come from the LLM then")


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
