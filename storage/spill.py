"""Finished results that a store could not take: kept beside it, and merged when it can be written again.

A result may have cost hours, and the disk it belongs on may be full, gone, damaged or locked. It is then appended to
``search.db-spill.jsonl``, one line of JSON a result, synced before the error is raised; where that folder cannot be
written, to a folder of the user's own among the temporary files. Whoever opens the store next merges it, under the
rules of a tell. A line that cannot be merged (its study is gone, its trial has ended otherwise) goes to
``search.db-spill-rejected.jsonl``, so that nothing is lost, and nothing is in the way.

The file is locked while it is appended to and while it is merged: a line cannot slip in between reading and removing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from hybridbo.errors import HybridboError, StoreError
from hybridbo.storage import faults, rows, texts
from hybridbo.storage.side_files import append, check_private, lines, locked, make_private
from hybridbo.trial import Outcome, TrialState

_log = logging.getLogger("hybridbo.storage")

Reject: TypeAlias = "Callable[[Sequence[Result]], None]"


@dataclass(frozen=True)
class Result:
    """How a trial ended, and by what it is known again.

    Attributes:
        study: Name of the study.
        number: Number of the trial.
        outcome: As settled by :func:`hybridbo.storage.rows.settled`.
        at: When it was told, as the store writes times.
        why: What kept it out of the store.
        created_at: When the study was created; None if that could not be found out.
        started_at: When the trial was started; None likewise.
        params: Its configuration, as JSON text; None likewise.
    """

    study: str
    number: int
    outcome: Outcome
    at: str
    why: str
    created_at: str | None = None
    started_at: str | None = None
    params: str | None = None

    def to_line(self) -> str:
        """One line of JSON."""
        end = self.outcome
        data = {**vars(self), "outcome": {"state": end.state, "values": dict(end.values), "value": end.value}}
        data["outcome"]["error"] = end.error and texts.encode_text(end.error)
        data["why"] = texts.encode_text(self.why)
        data["params"] = None if self.params is None else json.loads(self.params)
        return texts.to_json({"format": 1, **data}) + "\n"

    @classmethod
    def of_line(cls, line: bytes) -> Result:
        """The result of a line.

        Raises:
            ValueError: The line is none that :meth:`to_line` wrote.
        """
        try:
            data = json.loads(line)
            end = data["outcome"]
            error = end["error"] and texts.decode_text(end["error"])
            outcome = Outcome(TrialState(end["state"]), end["values"], end["value"], error)
            kept = {key: data[key] for key in ("study", "number", "at", "why", "created_at", "started_at")}
            params = None if data["params"] is None else texts.encode_params(data["params"])
            texts.decode_time(kept["at"])
            if not isinstance(kept["study"], str) or rows.trial_number(kept["number"]) is None:
                raise ValueError("it names no trial")
            kept["why"] = texts.decode_text(kept["why"])
            return cls(outcome=rows.settled(outcome), params=params, **kept)
        except (KeyError, TypeError, AttributeError, RecursionError, HybridboError) as error:
            raise ValueError(str(error)) from error


class Spill:
    """The spill files of one store.

    Args:
        path: The store's file.
    """

    def __init__(self, path: Path) -> None:
        self.beside = path.with_name(f"{path.name}-spill.jsonl")
        self.rejected = path.with_name(f"{path.name}-spill-rejected.jsonl")
        self._path = path
        self._kept: dict[str, Path] = {}

    @property
    def elsewhere(self) -> Path:
        """The file that is used where the store's folder cannot be: the same one for every process of this user."""
        user = os.getuid() if hasattr(os, "getuid") else "user"
        name = hashlib.sha256(os.fsencode(self._path)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"hybridbo-spill-{user}", f"{self._path.name}-{name}.jsonl")

    @property
    def waiting(self) -> list[Path]:
        """The files that hold results; usually none."""
        return [place for place in (self.beside, self.elsewhere) if os.path.exists(place)]  # noqa: PTH110 - fast

    @property
    def has_kept(self) -> bool:
        """Whether this object has kept a result that has not been merged since."""
        return bool(self._kept)

    def keep(self, result: Result, error: StoreError) -> StoreError:
        """Keep a result, and say where in an error of the same kind as the one that made it necessary."""
        told = f"trial {result.number} of study {result.study!r} is {faults.ending(result.outcome)}"
        message = f"{told}, which could not be stored: {error.message}"
        try:
            place = self._keep(result)
        except OSError as trouble:
            hint = f"{error.hint} Then tell it again: it is kept nowhere else ({trouble})."
            return type(error)(message, hint)
        _log.warning("%s It is kept in %s.", message, place)
        hint = f"{error.hint} The result is kept in {place} and will be merged: nothing has to be told again."
        kept = type(error)(message, hint)
        kept.kept = str(place)
        return kept

    def _keep(self, result: Result) -> Path:
        same = texts.to_json([result.study, result.number, *rows.encode_outcome(result.outcome)])
        place = self._kept.get(same)
        if place is not None and place.exists():  # told again while the trouble lasts
            return place
        problems = []
        for place in (self.beside, self.elsewhere):
            try:
                if place is not self.beside:
                    make_private(place.parent)
                append(place, result.to_line().encode())
            except OSError as error:
                problems.append(f"{place}: {error.strerror or error}")
                continue
            self._kept[same] = place
            return place
        raise OSError("; ".join(problems))

    def merge(self, take: Callable[[Sequence[Result], Reject], None]) -> None:
        """Merge every waiting file; what goes wrong is logged, and the file then waits for the next time.

        Args:
            take: Stores results in one transaction. It is given them, and a function to call with those that cannot be
                stored before the transaction ends.
        """
        for place in self.waiting:
            try:
                if place != self.beside:
                    check_private(place.parent)
                with locked(place, wait_s=0.0) as fd:
                    self._merge(fd, take)
                    place.unlink()
            except (BlockingIOError, FileNotFoundError):
                _log.info("%s is merged by another process.", place)
            except (OSError, StoreError) as error:
                _log.warning("%s could not be merged, and is kept: %s", place, error)
        self._kept = {same: place for same, place in self._kept.items() if place.exists()}

    def _merge(self, fd: int, take: Callable[[Sequence[Result], Reject], None]) -> None:
        good: list[Result] = []
        broken: list[bytes] = []
        for line in lines(fd):
            try:
                good.append(Result.of_line(line))
            except ValueError as error:
                _log.warning("%s: a line cannot be read (%s); it is moved to %s.", self.beside, error, self.rejected)
                broken.append(line)
        if broken:
            self._reject(broken)
        if good:
            take(good, lambda results: self._reject([result.to_line().encode() for result in results]))

    def _reject(self, lines: Sequence[bytes]) -> None:
        if lines:
            append(self.rejected, b"".join(line.rstrip(b"\n") + b"\n" for line in lines))


def read(place: Path) -> list[Result]:
    """The results that a spill file holds, unreadable lines left out."""
    out = []
    for line in place.read_bytes().splitlines():
        with suppress(ValueError):
            out.append(Result.of_line(line))
    return out
