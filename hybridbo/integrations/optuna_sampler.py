"""HybridSampler: the search of hybridbo inside an Optuna study.

Importing this module loads Optuna and nothing that Optuna does not load itself; NumPy's and PyTorch's weight comes with
the first proposal that needs it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from hybridbo.errors import InvalidValue, StudyMismatch, describe_error
from hybridbo.values import shown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from hybridbo.integrations.optuna_asking import Asker
    from hybridbo.parameters import Parameter
    from hybridbo.ports import ChatBackend
    from hybridbo.settings import Settings
    from hybridbo.trial import Origin

__all__ = ["HybridSampler"]

_logger = logging.getLogger(__name__)


class HybridSampler(BaseSampler):
    """Optuna's studies, hybridbo's search: a language model opens it, a Gaussian process takes over.

    ``optuna.create_study(sampler=HybridSampler())`` is all there is to change. What hybridbo needs it finds in the
    study, and what it has to keep it keeps there, so any process that opens the study goes on as the last one would
    have: a proposal depends on the seed, the trial's number and the trials before it.

    Args:
        task: What is tuned, on which data, by which metric: the language model's ground to stand on.
        llm: ``"auto"``, None, ``"openai:MODEL"``, ``"replay:FILE"``, or a ChatBackend.
        seed: Seed of every proposal; None draws one and keeps it in the study.
        search_space: A Space, or a dict of Optuna's distributions: lets the language model speak before the first
            trial, and conditions be told rather than guessed.
        settings: Settings, or a dict of them.
        constraints_func: From a finished trial to its constraints, kept where 0 or less. ``trial.set_constraint`` of
            Optuna 5 needs no such function.
        independent_sampler: Samples what no trial has told yet, and takes over where something here fails; by default a
            RandomSampler, except that a parameter's first value is its default.

    Raises:
        UserError: Of the kind that says what is wrong with the arguments, and the remedy.
    """

    def __init__(
        self,
        *,
        task: str | None = None,
        llm: str | ChatBackend | None = "auto",
        seed: int | None = None,
        search_space: Mapping[str, Parameter] | Mapping[str, BaseDistribution] | None = None,
        settings: Settings | dict[str, Any] | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "task": task,
            "llm": llm,
            "seed": seed,
            "search_space": search_space,
            "settings": settings,
        }
        self._constraints_func = constraints_func
        self._independent_sampler = independent_sampler
        self._told = False
        self._lock = threading.RLock()
        self._asker: Asker | None = None
        _ = self._ask  # wrong arguments are told here and now

    # What Optuna calls -------------------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is sampled together: the given space, or what the trials so far show of it.

        Raises:
            StudyMismatch: The study's trials and this sampler do not belong together.
        """
        whole = _whole(study)
        try:
            trials = whole.get_trials(deepcopy=False)
            self._ask.refuse(whole, trials)
            return self._ask.plan(trials).distributions
        except StudyMismatch:
            raise
        except Exception as error:  # noqa: BLE001  # never fatal: the study goes on
            self._degrade(whole, trial, f"The search space could not be told ({describe_error(error)})", error)
            return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A proposal for the parameters of the search space; empty where Optuna is to sample each by itself."""
        whole = _whole(study)
        with self._lock:  # threads of one process ask one after the other, and see what the one before was given
            try:
                return self._ask.propose(whole, trial, search_space, _fixed(study, trial))
            except Exception as error:  # noqa: BLE001  # never fatal: the study goes on
                self._degrade(whole, trial, f"The proposal failed ({describe_error(error)})", error)
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value for one parameter: its default if no trial has had it yet, else one drawn at random."""
        sampler = self._independent_sampler
        if sampler is None:
            try:
                first = self._first_value(_whole(study), trial, param_name, param_distribution)
                if first is not None:
                    return first[0]
                sampler = RandomSampler(seed=self._ask.seed_for(_whole(study), trial, param_name))
            except Exception as error:  # noqa: BLE001  # as above
                self._degrade(_whole(study), trial, f"{param_name!r} has no value ({describe_error(error)})", error)
                sampler = RandomSampler()
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Nothing here; the independent sampler may want it."""
        if self._independent_sampler is not None:
            self._independent_sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Keep the constraints of the trial, and tell of parameters that were proposed and never asked for."""
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)
        if state in (TrialState.COMPLETE, TrialState.PRUNED) and self._constraints_func is not None:
            self._keep_constraints(_whole(study), trial)
        if state in (TrialState.COMPLETE, TrialState.FAIL) and self._arguments["search_space"] is not None:
            self._tell_unused(trial, state)

    def reseed_rng(self) -> None:
        """Nothing to reseed: proposals depend on the trial's number, so parallel workers never draw the same.

        An ``independent_sampler`` of yours is reseeded.
        """
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    # What users ask ----------------------------------------------------------------------------------------------

    @staticmethod
    def origin(trial: FrozenTrial) -> Origin | None:
        """Who proposed a trial of a study, and why; None if hybridbo did not."""
        from hybridbo.integrations.optuna_attrs import record_of

        record = record_of(trial)
        return record.origin if record else None

    # Inside ------------------------------------------------------------------------------------------------------

    @property
    def _ask(self) -> Asker:
        if self._asker is None:
            from hybridbo.integrations.optuna_asking import make_asker

            self._asker = make_asker(**self._arguments)
        return self._asker

    def _first_value(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> tuple[Any] | None:
        """The value of a parameter that no trial has had yet; None if there is none."""
        from hybridbo.integrations.optuna_asking import default_value, is_first

        if not is_first(trial, study.get_trials(deepcopy=False), name):
            return None
        return default_value(name, distribution)

    def _degrade(self, study: Study, trial: FrozenTrial, reason: str, error: Exception | None = None) -> None:
        """Say, and keep with the trial, that Optuna's independent sampling takes over."""
        from hybridbo.integrations.optuna_attrs import FALLBACK, put_trial

        text = f"{reason}; its parameters are sampled independently."
        _logger.warning("trial %d: %s", trial.number, text, exc_info=error)
        try:
            put_trial(study, trial, FALLBACK, text)
        except Exception as trouble:  # the storage itself is in trouble, which Optuna will tell
            _logger.warning("trial %d: the reason could not be kept", trial.number, exc_info=trouble)

    def _keep_constraints(self, study: Study, trial: FrozenTrial) -> None:
        """Evaluate ``constraints_func`` and keep what it says where every sampler and plot of Optuna looks for it.

        Raises:
            InvalidValue: It returned no sequence of numbers, or NaN.
        """
        from hybridbo.integrations.optuna_attrs import CONSTRAINTS, put_trial

        assert self._constraints_func is not None  # noqa: S101  # for mypy: asked before
        found = None
        try:
            found = _numbers(self._constraints_func(trial))
        finally:
            put_trial(study, trial, CONSTRAINTS, found)

    def _tell_unused(self, trial: FrozenTrial, state: TrialState) -> None:
        from hybridbo.integrations.optuna_attrs import record_of

        record = record_of(trial)
        unused = [name for name in record.params if name not in trial.params] if record else []
        if not unused or self._told:
            return
        self._told = True
        what = f"trial {trial.number} did not suggest {', '.join(unused)}, which search_space= has"
        remedy = "leave it out there, or give it the condition under which it is suggested"
        if state is TrialState.FAIL:
            what = f"trial {trial.number} failed before it suggested {', '.join(unused)}"
            remedy = "where Optuna says that a distribution differs, declare it in search_space= as the objective does"
        _logger.warning("%s: %s", what, remedy)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_asker")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._asker = threading.RLock(), None


def _whole(study: Study) -> Study:
    """The study itself where a pruner shows one of its brackets: one search learns from all of them."""
    whole: Study = getattr(study, "_study", study)
    return whole


def _numbers(returned: Any) -> list[float]:
    """What ``constraints_func`` returned.

    Raises:
        InvalidValue: No sequence of numbers, or one with NaN.
    """
    remedy = "Return a sequence with a number for each constraint, such as [x - 1.0]: 0 or less where it is kept."
    try:
        found = [float(value) for value in returned]
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue(f"constraints_func returned {shown(returned)}.", remedy) from None
    if isinstance(returned, (str, bytes)) or any(map(math.isnan, found)):
        raise InvalidValue(f"constraints_func returned {shown(returned)}.", remedy)
    return found


def _fixed(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    """Values that are decided already: by PartialFixedSampler, or by ``study.enqueue_trial``."""
    fixed: dict[str, Any] = {}
    sampler: Any = study.sampler
    while sampler is not None:
        fixed = {**(getattr(sampler, "_fixed_params", None) or {}), **fixed}
        sampler = getattr(sampler, "_base_sampler", None)
    return fixed | (trial.system_attrs.get("fixed_params") or {})
