"""Proposals for when the engine itself fails: whatever happens inside, the user's loop goes on."""

from __future__ import annotations

import logging

import numpy as np

from hybridbo import owner
from hybridbo.errors import SpaceExhausted, StoreBusy, StoreError, describe_error
from hybridbo.optimizer import Optimizer
from hybridbo.space import Space
from hybridbo.trial import History, Origin, Proposal, Trial

_logger = logging.getLogger(__name__)
_BLOCK, _BLOCKS = 64, 16


def ask(opt: Optimizer) -> Trial:
    """``opt.ask()``, or a Sobol point if the engine fails.

    Raises:
        SpaceExhausted: Every configuration of a finite space has been proposed.
        StoreError: The store cannot be read or written.
    """
    try:
        return opt.ask()
    except (SpaceExhausted, StoreError):
        raise
    except Exception as error:  # noqa: BLE001  # never fatal: whatever the engine does, the search goes on
        history = History.of(opt.trials)
        proposal = fill_in(opt.space, history, opt.seed, error)
    key, lease_s = opt.space.key(proposal.params), opt.settings.store.lease_s
    trial = opt.store.create_trial(
        opt.study, proposal, key=key, owner=owner.current(), seen=len(history), lease_s=lease_s
    )
    if trial is None:
        raise StoreBusy("another process has just started the same trial.", "Ask again.")
    opt.note("fallback", proposal.notes[0], trial.number)
    return trial


def fill_in(space: Space, history: History, seed: int, error: Exception) -> Proposal:
    """The next point of the study's Sobol sequence that has not been a trial, with the error in its reason.

    Raises:
        SpaceExhausted: Every configuration of a finite space has been a trial.
    """
    from scipy.stats import qmc  # half a second to import, and this is the rare case

    _logger.warning("the engine failed, a Sobol point fills in", exc_info=error)
    note = f"The engine failed ({describe_error(error)}); a Sobol point fills in."
    taken = {space.key(trial.params) for trial in history.trials}
    sequence = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed))
    for point in (point for _ in range(_BLOCKS) for point in sequence.random(_BLOCK)):
        params = space.decode(point)
        if space.key(params) not in taken:
            return Proposal(params, Origin("sobol", note), (note,))
    for params in space.configurations():
        if space.key(params) not in taken:
            return Proposal(params, Origin("sobol", note), (note,))
    raise SpaceExhausted("all configurations of the space have been proposed.", "The search is complete.")
