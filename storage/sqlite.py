"""A trial store in one SQLite file, which processes and threads may share.

Every change is one write transaction (BEGIN IMMEDIATE), so what it read is still true when it writes: numbers have no
gaps, one of several rivals wins, and a process killed at any moment leaves the file as it was before or after.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlite_utils import Database

from hybridbo.ports import Changes, Event, StudyRecord
from hybridbo.storage import faults, records, rows, statements, sums, texts
from hybridbo.storage.rescue import Rescue
from hybridbo.storage.sqlite_base import SqliteBase, insert
from hybridbo.storage.sqlite_file import SqliteFile
from hybridbo.traininglog import Log
from hybridbo.trial import Outcome, Proposal, Trial


class SqliteStore(SqliteBase):
    """A store in a file; see :func:`hybridbo.storage.open_store`.

    Args:
        path: The file; created if it is not there.
        timeout_s: How long to wait for another process that writes, in seconds; StoreBusy is raised after that.
        synchronous: ``"FULL"`` or ``"NORMAL"``.

    Raises:
        StoreError: The file cannot be opened; its kinds say why.
    """

    def __init__(self, path: str, *, timeout_s: float = 30.0, synchronous: str = "FULL") -> None:
        super().__init__(SqliteFile(path, timeout_s=timeout_s, synchronous=synchronous))
        self._read: dict[str, tuple[rows.Fields, StudyRecord]] = {}
        self._rescue = Rescue(self._file, self._finish, self.record_event)
        self._rescue.merge()
        self._tell_of_missing_wal()

    # Studies -----------------------------------------------------------------------------------------------------

    def create_study(self, record: StudyRecord) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        row = records.encode_study(record)
        with self._file.reading() as db:
            found = list(db.query(statements.STUDY, [record.name]))
        if not found:
            with self._file.writing() as db:
                found = list(db.query(statements.STUDY, [record.name]))  # again: another process may have been faster
                if not found:
                    self._see_that_none_is_there(db, record.name)
                    insert(db, "studies", row)
                    if self._file.is_wal_missing:  # it may have been there, in what is missing
                        self.record_event(record.name, Event("wal_missing", faults.wal_missing(self.location)))
        return self._study(found or [row])

    def get_study(self, study: str) -> StudyRecord:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = db.conn.execute(statements.STUDY, (texts.clean(study),)).fetchone()
            if found is None:
                raise self._not_found(db, study)
            if (known := self._read.get(study)) is not None and known[0] == found:  # every ask looks at it
                return known[1]
            names = [column[0] for column in db.conn.execute(statements.STUDY, ("",)).description]
        record = self._study([dict(zip(names, found, strict=True))])
        self._read[study] = found, record
        return record

    def list_studies(self) -> list[StudyRecord]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            found = list(db.query("SELECT * FROM studies ORDER BY id"))
        return self._decoded(records.decode_study, "studies", found)

    # Trials ------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._rescue.keeping(), self._file.writing():
            yield

    def create_trial(
        self, study: str, proposal: Proposal, *, key: str, owner: str, seen: int, lease_s: float | None = None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        content, key = rows.encode_proposal(proposal), texts.clean(key)
        with self._file.writing() as db:
            number = self._count(db, study)
            if number > seen and db.conn.execute(statements.SAME_KEY, (study, seen, key)).fetchone():
                return None
            if proposal.origin.source == "user" and not db.conn.execute(statements.TAKE_QUEUED, (study, key)).rowcount:
                return None
            row = rows.new_trial(number, content, owner, lease_s)
            db.conn.execute(statements.CREATE, (study, key, *row, rows.content_sum(study, key, row)))
        return self._running(study, rows.decode_trial(row))

    def take_over(
        self,
        study: str,
        number: int,
        *,
        owner: str,
        previous: str | None,
        attempt: int,
        lost: bool = False,
        lease_s: float | None = None,
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        until, holder = rows.encode_lease(lease_s, texts.now()), rows.encode_owner(previous)
        fields = (texts.clean(owner), int(lost), until, holder, attempt)
        taken = self._change(study, number, statements.TAKE_OVER, fields)
        return taken and self._running(study, taken)

    def renew_lease(
        self, study: str, number: int, *, owner: str | None, attempt: int, lease_s: float | None
    ) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        until = rows.encode_lease(lease_s, texts.now())
        return self._change(study, number, statements.RENEW, (until, rows.encode_owner(owner), attempt))

    def expire_lease(self, study: str, number: int) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._change(study, number, statements.EXPIRE, (texts.encode_time(texts.now()),))

    def finish_trial(self, study: str, number: int, outcome: Outcome) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        outcome = rows.settled(outcome)
        with self._rescue.keeping() as told:
            told.append((study, number, outcome))
            return self._finish(study, number, outcome, texts.encode_time(texts.now()))

    def add_trials(self, study: str, trials: Sequence[Trial], *, keys: Sequence[str]) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.writing() as db:
            added = [rows.added_trial(number, trial) for number, trial in enumerate(trials, self._count(db, study))]
            for row, key in zip(added, map(texts.clean, keys), strict=True):
                signed = rows.content_sum(study, key, row), rows.outcome_sum(study, row)
                db.conn.execute(statements.ADD, (study, key, *row, *signed))
        return [rows.decode_trial(row) for row in added]

    def get_trial(self, study: str, number: int) -> Trial:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.reading() as db:
            row = self._get(db, study, number)
        return self._trials([row])[0]

    def get_trials(self, study: str) -> list[Trial]:
        """See :class:`~hybridbo.ports.TrialStore`."""
        return self._trials(self._whole(study, statements.GET_ALL))

    def get_changes(self, study: str, since: int) -> Changes:
        """See :class:`~hybridbo.ports.TrialStore`."""
        found = self._all(statements.GET_CHANGED, study, since) if since > 0 else []
        if found:  # the last change known is there still, or has been followed by another
            news = [row[1:] for row in found if row[0] > since]
            return Changes(found[-1][0], self._trials(news), keys=rows.keys_of(news))
        found = self._whole(study, statements.GET_COUNTED)
        counter = max((row[-1] for row in found), default=0)
        trials = self._trials([row[:-1] for row in found])
        return Changes(counter, trials, is_complete=True, keys=rows.keys_of(found))

    # Training logs -----------------------------------------------------------------------------------------------

    def append_log(self, study: str, number: int, log: Log, *, attempt: int | None = None) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        n = rows.trial_number(number)
        with self._file.writing() as db:
            found = db.conn.execute(statements.OPEN_ATTEMPT, (texts.clean(study), n)).fetchone()
            if found is None:
                self._get(db, study, number)  # is there, or is not
            if found is None or n is None or attempt not in (None, found[0]):
                return False
            self._append_log(db, study, n, found[0], log)
        return True

    def get_log(self, study: str, number: int) -> Log:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.snapshot() as db:
            found = self._logged(db, study, self._get(db, study, number)[0])
        return self._decoded(records.whole_log, "logs", [found])[0]

    # Requests ----------------------------------------------------------------------------------------------------

    def find_request(self, study: str, request_id: str) -> Trial | None:
        """See :class:`~hybridbo.ports.TrialStore`."""
        found = self._all(statements.FIND_REQUEST, study, texts.clean(request_id))
        return self._trials(found)[0] if found else None

    def bind_request(self, study: str, request_id: str, number: int) -> bool:
        """See :class:`~hybridbo.ports.TrialStore`."""
        with self._file.writing() as db:
            row = self._get(db, study, number)
            binding = (texts.clean(study), texts.clean(request_id), row[0])
            return db.conn.execute(statements.BIND_REQUEST, (*binding, sums.checksum(*binding))).rowcount > 0

    # Helpers -----------------------------------------------------------------------------------------------------

    def _get(self, db: Database, study: str, number: int) -> rows.Fields:
        found: rows.Fields | None = db.conn.execute(
            statements.GET, (texts.clean(study), rows.trial_number(number))
        ).fetchone()
        if found is None:
            if db.conn.execute(statements.IS_THERE, (texts.clean(study), rows.trial_number(number))).fetchone():
                raise faults.damaged_index(self.location)
            raise faults.trial_not_found(study, number, self._count(db, study))
        return found

    def _change(self, study: str, number: int, sql: str, values: rows.Fields) -> Trial | None:
        """The trial as an UPDATE has left it; None if its condition does not hold."""
        n = rows.trial_number(number)
        with self._file.writing() as db:
            changed = db.conn.execute(sql, (texts.clean(study), n, *values)).fetchall()
            if not changed:
                self._get(db, study, number)  # is there, or is not
        return self._trials(changed)[0] if changed else None

    def _finish(self, study: str, number: int, outcome: Outcome, at: str) -> Trial:
        """Store a settled outcome as told at ``at``."""
        fields = (*rows.encode_outcome(outcome), at)
        end = (*fields, sums.checksum(texts.clean(study), rows.trial_number(number), *fields))
        with self._file.writing():
            trial = self._change(study, number, statements.FINISH, end) or self.get_trial(study, number)
        if not rows.is_same_outcome(trial, outcome):
            raise faults.tell_conflict(study, trial, outcome)
        return trial

    def _whole(self, study: str, sql: str) -> list[rows.Fields]:
        """All trials of a study by number, none of them missing: the table is held against its index."""
        with self._file.snapshot() as db:
            found = db.conn.execute(sql, (texts.clean(study),)).fetchall()
            count = self._count(db, study)
        found.sort(key=_number)
        for number, row in enumerate(found):
            if row[0] != number:
                raise faults.missing_trial(self.location, study, number)
        if len(found) != count:
            raise faults.missing_trial(self.location, study, min(len(found), count))
        return found

    def _running(self, study: str, trial: Trial) -> Trial:
        self._rescue.remember_trial(study, trial)
        return trial

    def _study(self, found: Sequence[rows.Row]) -> StudyRecord:
        record = self._decoded(records.decode_study, "studies", found)[0]
        self._rescue.remember_study(record.name, found[0]["created_at"])
        return record

    def _trials(self, found: Sequence[rows.Fields]) -> list[Trial]:
        try:
            return rows.decode_stored(found)
        except faults.UNREADABLE as error:
            raise faults.unreadable_row(self.location, "trials", error) from error


_number = operator.itemgetter(0)
