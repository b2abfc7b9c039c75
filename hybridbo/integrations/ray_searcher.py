"""HybridSearcher: the search of Ray Tune, on one machine or a cluster.

An Optimizer in Ray's driver process proposes; Ray runs the trials wherever it has room. The study is the Optimizer's:
its store keeps every trial, reply and decision, and Ray's own files keep which of its trials is which.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from hybridbo.errors import (
    InvalidSettings,
    InvalidSpace,
    SpaceExhausted,
    StoreBusy,
    StudyMismatch,
)
from hybridbo.integrations.fallback import ask
from hybridbo.integrations.ray_domains import refuse_functions
from hybridbo.integrations.ray_ledger import Ledger, add, add_unknown, settle
from hybridbo.integrations.ray_results import Goal, Names, unnamed
from hybridbo.integrations.ray_space import RaySpace, is_searched
from hybridbo.integrations.ray_state import MEMORY, State, absolute, check_pickled
from hybridbo.optimizer import Optimizer
from hybridbo.ports import ChatBackend, TrialStore
from hybridbo.settings import Settings
from hybridbo.trial import Outcome, TrialState
from hybridbo.values import is_number, shown

_logger = logging.getLogger(__name__)
_MOST_BUSY = 10  # asks in a row that find the store busy, each as long as its time-out


class HybridSearcher(Searcher):
    """Searches with hybridbo inside Ray Tune: ``tune.TuneConfig(search_alg=HybridSearcher(), metric=..., mode=...)``.

    Args:
        space: A Space, a dict of parameters, or a dict of Ray's domains and constants; None takes the ``param_space``
            of the Tuner. With a space given here, leave ``param_space`` out, and give metric and mode here too.
        metric: Key of the result that is optimised, or a list of keys for several objectives; None takes TuneConfig's.
        mode: ``"min"`` or ``"max"``, or a list with one for each metric.
        task: What is tuned, on which data, by which metric: the language model's ground to stand on.
        llm: ``"auto"``, None, ``"openai:MODEL"``, ``"replay:FILE"``, or a ChatBackend that can be pickled: Ray writes
            it into the experiment's folder, with a key if it holds one. A specification holds none.
        seed: Seed of every proposal; None draws one for a new study.
        store: A path on the driver's machine, or ``":memory:"``: then the study lives in the files of Ray's experiment.
        study: Name of the study within the store; an existing one is resumed.
        points_to_evaluate: Configurations that are evaluated first; parameters left out get their default.
        max_concurrent: The most trials at once; None leaves that to Ray.
        settings: Settings, or a dict of them.

    Raises:
        UserError: Of the kind that says which argument is wrong, and the remedy.
        StudyMismatch: The study exists with another space, metric or mode.
    """

    def __init__(
        self,
        space: Any = None,
        *,
        metric: Names = None,
        mode: Names = None,
        task: str | None = None,
        llm: str | ChatBackend | None = "auto",
        seed: int | None = None,
        store: str | PathLike[str] | TrialStore = MEMORY,
        study: str = "default",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        max_concurrent: int | None = None,
        settings: Settings | dict[str, Any] | None = None,
    ) -> None:
        if max_concurrent is not None and (
            not is_number(max_concurrent) or max_concurrent != int(max_concurrent) or max_concurrent < 1
        ):
            raise InvalidSettings(f"max_concurrent={shown(max_concurrent)} is no positive integer.", "Give 1 or more.")
        self._goal = Goal.of(metric, mode)
        goal = self._goal
        super().__init__(*_as_ray(goal))
        self._space = None if space is None else RaySpace.of(space)
        self._options: dict[str, Any] = {
            "task": "" if task is None else task,
            "llm": llm,
            "seed": seed,
            "study": study,
            "settings": settings,
        }
        self._store = absolute(store)
        self._points = list(points_to_evaluate or ())
        self._max_concurrent = max_concurrent
        self._ledger = Ledger()
        self._running: set[str] = set()
        self._busy = 0
        self._opt: Optimizer | None = None
        if self._space is not None and goal is not None:
            self._opened()  # what is wrong is said here, not in the middle of Ray's start

    @property
    def optimizer(self) -> Optimizer:
        """The study: ``.best``, ``.trials``, ``.events`` and ``.llm_usage``.

        Raises:
            InvalidSpace: There is no space yet: it comes with the Tuner's ``param_space``.
            InvalidSettings: There is neither metric nor mode yet.
        """
        return self._opened()

    # What Ray calls ----------------------------------------------------------------------------------------------

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Take the space, metric and mode of a Tuner that were not given before.

        Returns:
            Whether that was possible: False where ``config`` has a space, and one is there already.

        Raises:
            InvalidSettings: Metric or mode are missing, or others than those given before.
            InvalidSpace: The space holds what cannot be searched.
        """
        told = Goal.of(metric, mode)
        if told and self._goal and told != self._goal:
            why = f"the Tuner says {told}, and HybridSearcher was given {self._goal}."
            raise InvalidSettings(why, "Give metric and mode in one place only.")
        refuse_functions(config)
        if is_searched(config):
            if self._space is not None and self._space.whole:
                return False
            self._space = self._agreed(RaySpace.of(config, whole=False))
        self._goal = self._goal or told
        self._metric, self._mode = _as_ray(self._goal)
        self._ledger.ending.stop = _criteria(spec.get("stop"))
        self._opened()
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The configuration of a new trial.

        Returns:
            A nested configuration; None if there are ``max_concurrent`` trials, or the store is busy: Ray asks again;
            ``Searcher.FINISHED`` if every configuration of a finite space has been proposed.

        Raises:
            StoreError: The store cannot be read or written.
        """
        opt = self._opened()
        if trial_id not in self._ledger.numbers:
            if self._max_concurrent is not None and len(self._running) >= self._max_concurrent:
                return None
            try:
                trial = ask(opt)
            except SpaceExhausted as error:
                opt.note("space_exhausted", error.message)
                return str(Searcher.FINISHED)
            except StoreBusy as error:
                self._wait(error)
                return None
            self._busy = 0
            self._ledger.begin(trial_id, trial.number)
        self._running.add(trial_id)
        return self._shape.to_config(opt.trials[self._ledger.numbers[trial_id]].params)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take in an intermediate result: the last one counts if the trial is stopped while it is paused."""
        self._running.add(trial_id)
        self._ledger.report(trial_id, result, self._aim, self._opened())

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002  # Ray's signature
        """Store how a trial ended.

        It is FAILED if Ray reports an error or the metric is missing or not finite, PRUNED with its last value if it
        was stopped before the iterations that others reach, and COMPLETE otherwise.
        """
        opt = self._opened()
        outcome = self._ledger.end(trial_id, result, self._aim, opt, error=error)
        self._running.discard(trial_id)
        if trial_id in self._ledger.numbers:
            settle(opt, self._ledger.numbers[trial_id], outcome)
        else:
            add_unknown(opt, self._shape, result, outcome)
        if outcome is None:
            self._ledger.numbers.pop(trial_id, None)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Take the limit of a ConcurrencyLimiter in place of one's own; the limiter enforces it, batches included."""
        self._max_concurrent = max_concurrent
        return False

    def add_evaluated_point(
        self,
        parameters: Mapping[str, Any],
        value: float,
        error: bool = False,  # noqa: FBT001, FBT002  # Ray's signature
        pruned: bool = False,  # noqa: FBT001, FBT002  # as above
        intermediate_values: Sequence[float] | None = None,
    ) -> None:
        """Add a trial that was run elsewhere.

        Raises:
            InvalidParams: The configuration is not in the space.
            InvalidValue: The value is no finite number, and ``error`` is not set.
        """
        del intermediate_values  # the last value is what counts
        opt = self._opened()
        outcome = Outcome(TrialState.FAILED, error="failed elsewhere") if error else opt.objective.outcome(value)
        if pruned and not error:
            outcome = Outcome(TrialState.PRUNED, outcome.values, outcome.value)
        add(opt, self._shape.to_params(parameters), outcome, "Evaluated elsewhere.")

    # Saved and restored ------------------------------------------------------------------------------------------

    def save(self, checkpoint_path: str) -> None:
        """Write the state of the search: which of Ray's trials is which, and the study itself if it is in memory."""
        opt = self._opt
        memory = opt.store if opt is not None and opt.store.location == MEMORY else None
        study = str(self._options["study"])
        State(self._space, self._goal, self._ledger, study, memory).write(Path(checkpoint_path))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from a saved state. With a store in a file, the trials are read from there.

        Raises:
            StudyMismatch: This searcher was given another space, metric, mode or study.
            StoreCorrupt: The file holds no state of a HybridSearcher.
        """
        state = State.read(Path(checkpoint_path))
        state.check(self._space, self._goal, str(self._options["study"]), self._store)
        self._space, self._goal = self._space or state.space, self._goal or state.goal
        self._metric, self._mode = _as_ray(self._goal)
        stop = state.ledger.ending.stop or self._ledger.ending.stop
        self._ledger, self._running = state.ledger, set()
        self._ledger.ending.stop = stop
        if state.memory is not None:
            self._store, self._opt = state.memory, None
        if self._space is not None and self._goal is not None:
            self._ledger.claim(self._opened())

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles a searcher before it is used: files are opened where it arrives."""
        state = {**self.__dict__, "_opt": None}
        if self._opt is not None and self._opt.store.location == MEMORY:
            state["_store"] = self._opt.store
        check_pickled("store", state["_store"], "Give a path.")
        check_pickled("llm", self._options["llm"], 'Give a specification such as "openai:MODEL".')
        return state

    # Inside ------------------------------------------------------------------------------------------------------

    @property
    def _shape(self) -> RaySpace:
        if self._space is None:
            remedy = "Give param_space=... to the Tuner, or a space to HybridSearcher."
            raise InvalidSpace("HybridSearcher has no space: nothing says what is searched.", remedy)
        return self._space

    @property
    def _aim(self) -> Goal:
        if self._goal is None:
            raise unnamed()
        return self._goal

    def _wait(self, error: StoreBusy) -> None:
        """Have Ray ask again later, unless that has gone on for too long."""
        self._busy += 1
        if self._busy >= _MOST_BUSY:
            raise error
        _logger.warning("no trial could be proposed yet: %s", error.message)

    def _agreed(self, space: RaySpace) -> RaySpace:
        """A space that comes again, as when an experiment is restored, has to be the same."""
        if self._space is not None and (rows := self._space.space.differences(space.space)):
            remedy = "Give the space that the search began with, or start another experiment with a new HybridSearcher."
            raise StudyMismatch(f"this search has begun with another space: {'; '.join(rows)}.", remedy)
        return space

    def _opened(self) -> Optimizer:
        if self._opt is None:
            shape, goal = self._shape, self._aim
            points = [shape.to_params(point) for point in self._points]
            opt = Optimizer(shape.space, store=self._store, **goal.arguments, **self._options)
            for point in points:
                opt.enqueue(point)
            self._opt = opt
        return self._opt


def _as_ray(goal: Goal | None) -> tuple[Any, Any]:
    """Metric and mode as Ray's Searcher keeps them: texts, or lists for several objectives."""
    if goal is None:
        return None, None
    return (goal.metric[0], goal.mode[0]) if goal.is_single else (list(goal.metric), list(goal.mode))


def _criteria(stop: Any) -> dict[str, float]:
    """The bounds among Ray's stopping criteria, which may be functions too."""
    return {key: bound for key, bound in stop.items() if is_number(bound)} if isinstance(stop, dict) else {}
