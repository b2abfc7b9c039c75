"""The Optimizer: ask, tell, fail, best. The one stateful class, and the only place where the parts are joined."""

from __future__ import annotations

import contextlib
import logging
import math
import operator
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Self

from hybridbo import accounting, altering, awaiting, executing, knowledge, leases, loop, owner, parts, proposing
from hybridbo.asking import Asker, Holder
from hybridbo.attribution import Attribution
from hybridbo.backends import get_backend
from hybridbo.consult import SWITCHED_ON, Consultant, LLMUsage, without_secrets
from hybridbo.dataset import DatasetFacts, in_task, merged_task
from hybridbo.engine import Engine
from hybridbo.errors import InvalidSettings, InvalidState, SpaceExhausted, TrialNotFound, describe_error
from hybridbo.findings import Finding
from hybridbo.guidance import TrustReport
from hybridbo.heap import growing
from hybridbo.journal import Journal
from hybridbo.opening import backend_name, checked_lease, checked_seed, new_record, objective_of, open_study
from hybridbo.parameters import Params
from hybridbo.ports import Alteration, ChatBackend, Event, StudyRecord, TrialStore
from hybridbo.settings import Settings
from hybridbo.space import Space, SpaceLike
from hybridbo.storage import open_store
from hybridbo.traininglog import Log
from hybridbo.trial import Outcome, Trial, TrialState
from hybridbo.values import is_number


class Optimizer:
    """Finds good configurations of something expensive in few trials.

    Args:
        space: A Space, a plain dict of parameters, or what :func:`hybridbo.propose_space` returned.
        direction: ``"minimize"`` (the default) or ``"maximize"``.
        objectives: Instead of ``direction``: ``{name: direction}`` for several objectives.
        constraints: ``{name: "<= bound"}`` or ``">= bound"``: further outcomes that have to keep a bound.
        task: What is tuned, on which data, by which metric: the language model's ground to stand on.
        data: Facts about the data, from :func:`hybridbo.describe`: the language model is told them with the task.
        study: Name of the study within the store.
        store: A path, ``":memory:"``, or a TrialStore. An existing study of that name is resumed.
        llm: ``"auto"``, None, ``"openai:MODEL"``, ``"local:FILE.gguf"``, ``"replay:FILE"``, or a ChatBackend.
        seed: Seed of every proposal; None draws one for a new study and takes the stored one of an existing.
        settings: Settings, or a dict of them.

    Raises:
        UserError: Of the kind that says what is wrong with the arguments, and the remedy.
        StudyMismatch: The study exists with another space, direction or constraint.
        StoreError: The store cannot be opened.
    """

    def __init__(
        self,
        space: SpaceLike,
        direction: str | None = None,
        *,
        objectives: Mapping[str, str] | None = None,
        constraints: Mapping[str, str] | None = None,
        task: str = "",
        data: DatasetFacts | None = None,
        study: str = "default",
        store: str | PathLike[str] | TrialStore = ":memory:",
        llm: str | ChatBackend | None = "auto",
        seed: int | None = None,
        settings: Settings | dict[str, Any] | None = None,
    ) -> None:
        backend = get_backend(llm)
        direction, task = proposing.told(space, direction, objectives, task)
        record = new_record(
            space,
            objective_of(direction, objectives, constraints),
            study=study,
            task=in_task(task, data),
            llm=backend_name(backend),
            seed=checked_seed(seed),
            settings=settings,
        )
        opened = open_store(store)
        try:
            stored = open_study(opened, record)
        except BaseException:
            if opened is not store:
                opened.close()
            raise
        # what was given here holds for this Optimizer; what was not is as the study has it
        used = replace(
            stored,
            task=merged_task(record.task, stored.task),
            seed=stored.seed if seed is None else record.seed,
            settings=stored.settings if settings is None else record.settings,
        )
        self._join(_as_wanted(opened, store, used), used, backend)
        if used.seed != stored.seed:
            self.note("seed_changed", f"The study's seed is {stored.seed}; this Optimizer was given {used.seed}.")
        proposing.keep(space, self)

    @classmethod
    def load(
        cls,
        store: str | PathLike[str] | TrialStore,
        study: str = "default",
        *,
        llm: str | ChatBackend | None = "stored",
        seed: int | None = None,
    ) -> Self:
        """Open an existing study without giving its space.

        Args:
            store: Where it is.
            study: Its name.
            llm: ``"stored"`` for the specification that the study was made with; else as for the class.
            seed: None for the stored one.

        Raises:
            StudyNotFound: The store, or the study in it, does not exist.
        """
        opened = open_store(store, must_exist=True)
        try:
            stored = opened.get_study(study)
            backend = get_backend(stored.llm if llm == "stored" else llm)
            used = stored if seed is None else replace(stored, seed=checked_seed(seed) or 0)
        except BaseException:
            if opened is not store:
                opened.close()
            raise
        self = cls.__new__(cls)
        self._join(_as_wanted(opened, store, used), used, backend)
        return self

    def _join(self, store: TrialStore, record: StudyRecord, backend: ChatBackend | None) -> None:
        """Put the parts together."""
        self._asking = threading.RLock()
        self._run_before = False
        self._journal = Journal(store, record.name)
        self._put_together(store, record, backend)

    def _put_together(self, store: TrialStore, record: StudyRecord, backend: ChatBackend | None) -> None:
        if not (log := logging.getLogger("hybridbo")).handlers:
            log.addHandler(logging.NullHandler())  # silent until the user sets logging up; not done on import
        self.store, self.study, self.task, self.seed = store, record.name, record.task, record.seed
        self.space, self.objective = parts.space_of(record), parts.objective_of(record)
        self.settings = parts.settings_of(record)
        self.llm = backend_name(backend)
        consultant = None
        if backend is not None:
            consultant = Consultant(backend, store, record.name, self.space, self.settings.llm)
        engine = Engine(self.space, self.objective, self.settings, self.task, backend is not None, self.seed)
        added = altering.Completion.of(self.space, altering.spaces_of(store.get_alterations(record.name))).added
        self._asker = Asker(store, record.name, engine, consultant, self.seed, added, self._journal)
        self._record, self._backend = record, backend

    # Ask and tell ------------------------------------------------------------------------------------------------

    def ask(self, *, detached: bool = False, request_id: str | None = None, lease_s: float | None = None) -> Trial:
        """The next trial to evaluate.

        A trial whose worker is lost is offered again first: its process has died, or its lease has run out without a
        :meth:`heartbeat`. Otherwise the trial depends on the seed, the history and the LLM's stored replies alone.

        Args:
            detached: The trial outlives this process (the command line asks so): it has no lease unless one is given.
            request_id: Any text. Asking again under it, from another process too, returns the same trial, so that an
                ask whose answer was lost can be repeated.
            lease_s: Seconds without a heartbeat after which the worker is taken for lost; ``settings.store.lease_s``
                (a day) by default, ``math.inf`` for never.

        Raises:
            InvalidSettings: A request id that is no text, a lease that is not positive.
            SpaceExhausted: Every configuration of a finite space has been proposed.
            StudyMismatch: Another process has altered the space.
            StoreError: The store cannot be read or written.
        """
        return self._ask(awaiting.Gate(), detached, request_id, lease_s)

    async def ask_async(self, *, request_id: str | None = None, lease_s: float | None = None) -> Trial:
        """The trial that :meth:`ask` would give, without blocking the event loop.

        A thread does the work; a backend with a coroutine ``complete_async(request)`` is awaited in this loop. Several
        at once give different trials. Cancelled, it leaves no trial behind: nothing is stored, or what was is given
        back. A reply that was being waited for is recorded all the same when it comes, since it is paid for.

        Args:
            request_id: As for :meth:`ask`.
            lease_s: As for :meth:`ask`.

        Raises:
            UserError: As :meth:`ask`, and StoreError and SpaceExhausted likewise.
        """
        return await awaiting.in_thread(lambda gate: self._ask(gate, False, request_id, lease_s), self.release)

    def _ask(self, gate: awaiting.Gate, detached: bool, request_id: str | None, lease_s: float | None) -> Trial:  # noqa: FBT001
        lease_s = checked_lease(lease_s)
        if lease_s is None and not detached:
            lease_s = self.settings.store.lease_s
        holder = Holder(owner.DETACHED if detached else owner.current(), lease_s, request_id, gate)
        with self._asking:
            return self._asker.next(holder)

    def ask_batch(self, n: int) -> list[Trial]:
        """``n`` different trials to evaluate at once; fewer where a finite space ends.

        Raises:
            SpaceExhausted: Not even one configuration is left.
        """
        if not is_number(n) or n != int(n) or n < 1:
            raise InvalidSettings(f"n={n!r} is not a positive integer.", "Ask for 1 or more.")
        trials: list[Trial] = []
        for _ in range(int(n)):
            try:
                trials.append(self.ask())
            except SpaceExhausted:
                if not trials:
                    raise
                break
        return trials

    def tell(self, trial: Trial | loop.OpenTrial | int, value: float | Mapping[str, float]) -> Trial:
        """Store the value of a trial.

        Telling the same again changes nothing. A trial that was taken for lost may be told as well: the first who
        tells it is believed.

        Args:
            trial: The trial, or its number.
            value: A finite number, or a dict by name with several objectives or constraints.

        Returns:
            The trial as stored.

        Raises:
            InvalidValue: Not a finite number: call :meth:`fail`.
            TrialNotFound: No such trial.
            TellConflict: It ended before, and otherwise.
            StoreError: It cannot be stored now. A store in a file keeps it beside the file and merges it later; the
                error says where it is, and its ``kept`` is that path.
        """
        return self._finish(trial, self.objective.outcome(value))

    def fail(self, trial: Trial | loop.OpenTrial | int, reason: object = "") -> Trial:
        """Store that a trial failed; the search learns to keep away from its like.

        Args:
            trial: The trial, or its number.
            reason: What happened, in words.

        Raises:
            TrialNotFound: No such trial.
            TellConflict: It ended before, and otherwise.
            StoreError: It cannot be stored now. A store in a file keeps it beside the file and merges it later; the
                error says where it is, and its ``kept`` is that path.
        """
        text = without_secrets(str(reason)) or "no reason given"
        return self._finish(trial, Outcome(TrialState.FAILED, error=text))

    def _finish(self, trial: Trial | loop.OpenTrial | int, outcome: Outcome) -> Trial:
        attempt = trial.attempt if isinstance(trial, (Trial, loop.OpenTrial)) else None
        self._journal.close(_number(trial))
        done = leases.finish(self.store, self.study, _number(trial), outcome, attempt)
        return replace(done, diary=self._journal.page(done))

    def heartbeat(self, trial: Trial | loop.OpenTrial | int, lease_s: float | None = None) -> bool:
        """Tell the store that a trial is still being evaluated, which extends its lease.

        Args:
            trial: The trial, or its number: then for whoever holds it.
            lease_s: For how many seconds this is good; ``settings.store.lease_s`` by default.

        Returns:
            Whether the worker of this trial holds it still. False: it was taken for lost and another one has been
            given it, or it has ended.

        Raises:
            TrialNotFound: No such trial.
            StoreError: The store cannot be written.
        """
        if not isinstance(trial, Trial):
            trial = self.store.get_trial(self.study, _number(trial))
        given_s = checked_lease(lease_s)
        return self._asker.heart(trial, self.settings.store.lease_s if given_s is None else given_s)()

    def log(self, trial: Trial | loop.OpenTrial | int, /, step: float | None = None, **metrics: float) -> bool:
        """Add to the training log of a trial: :meth:`hybridbo.Trial.log` for whoever has but its number.

        Args:
            trial: The trial, or its number: then for whoever holds it, in another process too.
            step: An epoch, a batch, ...; by default one more than the last.
            **metrics: Numbers by any name.

        Returns:
            Whether the trial is still running, and with this worker if it was given as what ``ask()`` returned.

        Raises:
            InvalidValue: A step or a value that is no number.
            TrialNotFound: No such trial.
        """
        if isinstance(trial, loop.OpenTrial) or (isinstance(trial, Trial) and trial.diary is not None):
            return trial.log(step, **metrics)
        number = _number(trial)
        return self._journal.log(number, None, step, metrics, lambda: self._beats(number))

    def _beats(self, number: int) -> bool:
        """Extend the lease of a running trial that has one."""
        trial = self.store.get_trial(self.study, number)
        return trial.lease_until is None or self.heartbeat(number)

    def curves(self, trial: Trial | loop.OpenTrial | int) -> Log:
        """The training log of a trial: for each metric its points (step, value); empty if there is none.

        Raises:
            TrialNotFound: No such trial.
            StoreError: The store cannot be read.
        """
        return self._journal.read(_number(trial))

    def findings(self, trial: Trial | loop.OpenTrial | int) -> tuple[Finding, ...]:
        """What the training log of a trial shows; likewise."""
        return self._journal.findings(_number(trial))

    @property
    def training_findings(self) -> dict[int, tuple[Finding, ...]]:
        """What the training logs show, by number, of the trials that have one."""
        return self._asker.findings()

    def release(self, trial: Trial) -> None:
        """Give a RUNNING trial back: whoever asks next is offered it again."""
        self._journal.close(trial.number)
        leases.release(self.store, self.study, trial)

    def enqueue(self, params: Mapping[str, Any]) -> bool:
        """Have a configuration evaluated next, with origin ``"user"``.

        Args:
            params: A configuration; parameters left out get their default. Values of parameters that are inactive in it
                are left out, and an event says so.

        Returns:
            False if it is queued already or has been a trial: a script that is started again enqueues nothing twice.

        Raises:
            InvalidParams: Naming every offending parameter.
            StudyMismatch: Another process has altered the space.
        """
        complete = self.space.complete(params, knowledge.defaults(self.space))
        with self.store.transaction():
            self._asker.check_space()
            queued = self.store.enqueue(self.study, complete, key=self.space.key(complete))
            if queued and (idle := ", ".join(name for name in params if name not in complete)):
                self.note("inactive_dropped", f"Enqueued without {idle}: inactive where the others are as they are.")
        return queued

    def alter(self, space: SpaceLike) -> None:
        """Give the study another space: widen a range, add a choice, or add a parameter with a default.

        The trials so far stay as they are and are learned from: where they lack a parameter, they count as evaluated
        with its default. The old space is kept, see :attr:`alterations`. Other processes that hold the study can tell
        what they have asked for; their next ask raises StudyMismatch, since what they evaluate with may know nothing of
        a new parameter.

        Args:
            space: The whole new space.

        Raises:
            InvalidSpace: A trial so far would not belong to it, or a parameter is missing, of another type, or new and
                without a default; naming it. Nothing is changed then.
            StudyMismatch: Another process has altered the space.
        """
        with self._asking:
            new = Space.of(space)
            if altering.alter(self.store, self.study, self.space, new):
                self._put_together(self.store, replace(self._record, space=new.to_json()), self._backend)

    # Evaluating here ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def trial(self) -> Iterator[loop.OpenTrial]:
        """Ask, evaluate in the ``with`` block, tell: ``with opt.trial() as t: t.value = train(**t.params)``.

        An exception fails the trial and propagates; a value that is not finite fails it; Ctrl-C gives it back.
        """
        asked = self.ask(lease_s=leases.watched(self.settings.store.lease_s))
        handle = loop.OpenTrial(asked)
        try:
            with leases.renewing(asked):
                yield handle
            if handle.value is None and not self.store.get_trial(self.study, asked.number).state.is_finished:
                raise InvalidState(f"trial {asked.number} was given no value.", "Set trial.value in the with block.")
        except (Exception, SystemExit) as error:  # a training that exits has failed, and must not be offered for ever
            self.fail(asked, describe_error(error))
            raise
        except BaseException:
            self.release(asked)
            raise
        if handle.value is not None:
            loop.evaluate(self, asked, lambda _: handle.value)

    def run(
        self,
        objective: Callable[[Params], Any],
        n_trials: int | None = None,
        timeout: float | None = None,
        progress: bool | loop.Watcher = True,  # noqa: FBT001, FBT002  # docs: the public face names it so
        *,
        executor: Any = None,
        n_workers: int | None = None,
        trial_timeout: float | None = None,
    ) -> Trial | None:
        """Evaluate trials, one after the other in this process or several at once in an executor.

        Args:
            objective: From params to a value; an exception, or a value that is not finite, fails the trial.
            n_trials: How many. The first run of an Optimizer counts the trials that the study had when it was opened,
                so a script that was killed and is started again does what is left; a further run adds ``n_trials``.
            timeout: No trial is started after that many seconds.
            progress: Show progress on standard error; or a watcher of your own.
            executor: Anything with ``submit``: a ``concurrent.futures`` executor, a dask.distributed ``Client``, loky,
                mpi4py.futures. Or a function that makes one: it is ended with the run, and replaced when it breaks.
            n_workers: How many trials may be in flight; None for as many as the executor has workers.
            trial_timeout: Seconds after which a trial in the executor has failed. Its worker stays busy until it
                returns, unless the executor comes from a function and has processes: they are killed.

        Returns:
            The best trial; None if there is none, or several objectives.

        Raises:
            InvalidSettings: Neither limit is given, or one is not positive; the executor has no ``submit`` or takes
                no work; the objective cannot be sent to its workers.
            InvalidState: The executor broke, or all of its workers overran, and it cannot be replaced.
        """
        loop.check_run(objective, n_trials, timeout)
        if executor is None and (n_workers is not None or trial_timeout is not None):
            raise InvalidSettings("n_workers and trial_timeout need an executor.", "Give executor=, or drop them.")
        before = self.n_started if self._run_before else 0
        self._run_before = True
        target = math.inf if n_trials is None else before + int(n_trials)
        limits = executing.Limits(target, timeout, n_workers, trial_timeout)
        with contextlib.ExitStack() as stack:
            watcher = progress if not isinstance(progress, bool) else None
            if progress is True:
                from hybridbo.progress import Progress  # rich is for those who look

                watcher = stack.enter_context(Progress(self.objective, None if n_trials is None else int(target)))
            if executor is None:
                loop.run(self, objective, target, timeout, watcher)
            else:
                executing.run(self, objective, executor, limits, watcher)
        return self.incumbent

    # What is known -----------------------------------------------------------------------------------------------

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number. Only what has changed since the last time is read from the store."""
        with growing():
            return [trial.copied(self._journal.page(trial)) for trial in self._asker.ledger.trials(self.store)]

    @property
    def n_started(self) -> int:
        """How many trials there are that nobody has to be offered again."""
        return self._asker.n_started

    @property
    def best(self) -> Trial | None:
        """The best COMPLETE trial that keeps the constraints; None if there is none yet.

        Raises:
            InvalidState: There are several objectives, so no single best.
        """
        if not self.objective.is_single:
            raise InvalidState("a study with several objectives has no single best trial.", "Use opt.pareto_front.")
        return self.incumbent

    @property
    def incumbent(self) -> Trial | None:
        """The same as :attr:`best`, but None with several objectives."""
        best = self.objective.best(self._asker.ledger.trials(self.store))
        return best and best.copied(self._journal.page(best))

    @property
    def pareto_front(self) -> list[Trial]:
        """The COMPLETE trials that keep the constraints and that no other one beats in every objective."""
        return self.objective.pareto_front(self.trials)

    @property
    def events(self) -> Sequence[Event]:
        """What befell the study: fall-backs, trials offered again, failures of the LLM."""
        return self.store.get_events(self.study)

    @property
    def alterations(self) -> Sequence[Alteration]:
        """The changes of the space: the old one, the new one, and the first trial of it."""
        return self.store.get_alterations(self.study)

    @property
    def llm_usage(self) -> LLMUsage:
        """Calls, tokens, cost, rejected and repaired parts of replies, over the whole study."""
        return LLMUsage.of(self.store.get_calls(self.study), self.space, self.settings.llm)

    def switch_llm_on(self) -> None:
        """Let the language model be asked again, whatever came of the calls so far; the budget stays as it is.

        For when a refusal (401, 403, 404, a used-up quota) has switched it off for the study and what was wrong is put
        right elsewhere: with another key, address or model it is asked again without this.
        """
        self.note(SWITCHED_ON, "Somebody has switched the language model on.")

    @property
    def trust(self) -> TrustReport:
        """How much beliefs steer the search at present, whose they are and why; no language model is asked for it.

        ``opt.trust.weight`` is from 0 to 1, ``.reason`` a sentence or two, ``.standing`` how the LLM's configurations
        have done so far, ``.exponent`` the power that the acquisition gives them, ``.sources`` each source in turn. It
        is worked out from the stored trials and replies by the code that makes the next proposal.

        Raises:
            StoreError: The store cannot be read.
        """
        return accounting.trust(self._asker)

    def attribution(self) -> Attribution:
        """What each source of trials has brought, and whether the LLM's first configurations helped.

        The verdict compares them with as many random configurations, by draws from the Gaussian process that has seen
        all results, and with the default; see :mod:`hybridbo.attribution` for the method and what it cannot do. The
        model is fitted for it, which takes about as long as a proposal; no language model is asked.

        Returns:
            ``.verdict`` is ``"helped"``, ``"did not help"`` or ``"cannot tell yet"``, ``.reason`` says why,
            ``.sources`` counts, ``.counterfactual`` holds the evidence.

        Raises:
            StoreError: The store cannot be read.
        """
        return accounting.attribution(self._asker)

    def note(self, kind: str, message: str, trial_number: int | None = None) -> None:
        """Record an event."""
        self.store.record_event(self.study, Event(kind, message, trial_number))

    def close(self) -> None:
        """Release the store's file. The study stays as it is."""
        self._journal.close_all()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Optimizer(study={self.study!r}, store={self.store.location!r}, llm={self.llm!r})"


def _as_wanted(opened: TrialStore, given: object, record: StudyRecord) -> TrialStore:
    """The store as the study's settings have it; one that was given as an object stays as it is."""
    synchronous = parts.settings_of(record).store.synchronous
    if opened is given or synchronous == "FULL":
        return opened
    opened.close()
    return open_store(opened.location, synchronous=synchronous)


def _number(trial: Trial | loop.OpenTrial | int) -> int:
    if isinstance(trial, (Trial, loop.OpenTrial)):
        return trial.number
    try:
        if not isinstance(trial, bool) and (number := operator.index(trial)) >= 0:
            return number
    except TypeError:
        pass
    raise TrialNotFound(f"{trial!r} is neither a Trial nor a trial number.", "Give what ask() returned.")
