"""What a HybridSampler keeps in an Optuna study: system attributes of the study and of its trials.

Of the study: the LLM's calls (``hybridbo:call:...``), the seed where the user gave none, and what the beliefs weigh. Of
a trial: what was proposed, by whom and why (``hybridbo:proposal``), and what had to be given up on the way. Everything
else is rebuilt from the trials.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, get_args

from hybridbo.trial import Origin, Source

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from hybridbo.parameters import Params
    from hybridbo.ports import Event, LLMCall

PROPOSAL = "hybridbo:proposal"
INDEPENDENT = "hybridbo:independent:"
SEED = "hybridbo:seed"
TRUST = "hybridbo:trust"
STUDY = "hybridbo:study"  # of an exported study: its space, objective and settings
METRICS = "study:metric_names"  # Optuna's
FALLBACK = "hybridbo:fallback"
DELEGATED = "hybridbo:delegated"
CONSTRAINTS = "constraints"  # Optuna's: a list of what constraints_func returned, or constraints:NAME for each
_CALL = "hybridbo:call:"
_SETTLED = "+"  # behind the key of a call: its outcome, in place of what was kept before it was known
_MOST_CALLS = 10**6  # of one trial
_LONGEST = 60_000  # bytes of one attribute: a TEXT column of MySQL holds 65,535


@dataclass(frozen=True)
class Record:
    """What was proposed for a trial.

    Attributes:
        origin: Who proposed it, and why.
        params: What was proposed, as hybridbo calls it; the trial itself may differ where the user fixed something.
        notes: What was given up on the way, one sentence each.
        directions: Those of the study it was proposed in.
    """

    origin: Origin
    params: Params = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "source": self.origin.source,
            "reason": self.origin.reason,
            "predicted": [self.origin.predicted_mean, self.origin.predicted_sd],
            "params": dict(self.params),
            "notes": list(self.notes),
            "directions": list(self.directions),
        }


def record_of(trial: FrozenTrial) -> Record | None:
    """What was proposed for a trial; None if nothing was, or what is there cannot be read."""
    data = trial.system_attrs.get(PROPOSAL)
    if not isinstance(data, Mapping) or data.get("source") not in get_args(Source):
        return None
    try:
        origin = Origin(cast(Source, data["source"]), str(data["reason"]), *data["predicted"])
        return Record(origin, dict(data["params"]), tuple(data["notes"]), tuple(data["directions"]))
    except (KeyError, TypeError, ValueError):
        return None


def put_record(study: Study, trial: FrozenTrial, record: Record) -> None:
    """Keep what is proposed for a running trial."""
    put_trial(study, trial, PROPOSAL, record.to_data())


def put_trial(study: Study, trial: FrozenTrial, key: str, data: Any) -> None:
    """Keep something with a running trial."""
    study._storage.set_trial_system_attr(trial._trial_id, key, data)


def study_attrs(study: Study) -> dict[str, Any]:
    """All system attributes of the study."""
    return study._storage.get_study_system_attrs(study._study_id)


def put_study(study: Study, key: str, data: Any) -> None:
    """Keep something with the study."""
    study._storage.set_study_system_attr(study._study_id, key, data)


class StudyCalls:
    """The LLM's calls among the attributes of a study: all that a Consultant asks of a store.

    A call is cut into pieces that every storage can hold; its head, which is written last, says how many there are.

    Args:
        study: The study.
        events: Where events of the call under way are gathered.
    """

    def __init__(self, study: Study, events: list[Event]) -> None:
        self._study, self._events = study, events

    def transaction(self) -> AbstractContextManager[None]:
        """Optuna's storages have none: processes that ask in the same moment may each spend what is left."""
        return nullcontext()

    def record_call(self, study: str, call: LLMCall) -> int:  # noqa: ARG002  # the port names the study
        """Keep a call."""
        k = self._unused(call.trial_number)
        self._put(f"{_CALL}{call.trial_number}.{k}", call)
        return call.trial_number * _MOST_CALLS + k

    def settle_call(self, study: str, number: int, call: LLMCall) -> bool:  # noqa: ARG002  # as above
        """Keep the outcome of a call beside what was kept before it was known."""
        key = "{}{}.{}".format(_CALL, *divmod(number, _MOST_CALLS))
        attrs = study_attrs(self._study)
        if key not in attrs or f"{key}{_SETTLED}" in attrs:
            return False
        self._put(f"{key}{_SETTLED}", call)
        return True

    def _put(self, key: str, call: LLMCall) -> None:
        from hybridbo.storage.records import encode_call

        text = json.dumps(encode_call(call))
        pieces = [text[i : i + _LONGEST] for i in range(0, len(text), _LONGEST)]
        for number, piece in enumerate(pieces):
            put_study(self._study, f"{key}:{number}", piece)
        put_study(self._study, key, len(pieces))

    def get_calls(self, study: str) -> list[LLMCall]:  # noqa: ARG002  # as above
        """All calls that can be read, by trial."""
        from hybridbo.storage.records import decode_call

        attrs, calls = study_attrs(self._study), []
        for key in sorted(attrs):
            if key.startswith(_CALL) and isinstance(attrs[key], int) and f"{key}{_SETTLED}" not in attrs:
                try:
                    text = "".join(attrs[f"{key}:{number}"] for number in range(attrs[key]))
                    calls.append(decode_call({**json.loads(text), "id": _number(key)}))
                except (KeyError, TypeError, ValueError):
                    continue  # another program's, or a newer hybridbo's
        return sorted(calls, key=lambda call: call.trial_number)

    def record_event(self, study: str, event: Event) -> None:  # noqa: ARG002  # as above
        """Gather an event."""
        self._events.append(event)

    def get_events(self, study: str) -> list[Event]:  # noqa: ARG002  # as above
        """Those of the call under way: no others are kept."""
        return self._events

    def _unused(self, trial_number: int) -> int:
        attrs, k = study_attrs(self._study), 0
        while f"{_CALL}{trial_number}.{k}" in attrs:
            k += 1
        return k


def _number(key: str) -> int:
    """The number of a call, from its key."""
    trial_number, _, k = key.removeprefix(_CALL).removesuffix(_SETTLED).partition(".")
    return int(trial_number) * _MOST_CALLS + int(k)
