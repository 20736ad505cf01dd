"""Imports from other providers, in one encrypted file. Implements `ports.import_jobs.ImportJobs`."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from mailstead.model.errors import Conflict
from mailstead.model.ids import AccountId, Uid, UidValidity
from mailstead.model.people import ObjectId
from mailstead.model.remote_imports import (
    ENDED,
    ImportJob,
    ImportReason,
    ImportStatus,
    MailboxImport,
    NotTaken,
    RemoteSecurity,
    RemoteServer,
)
from mailstead.storage.embedded.moments import moment_of, moment_or_none, us_of, us_or_none
from mailstead.storage.embedded.rows import one_moment, select, select_one
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

NOT_TAKEN_MAX: Final = 1000

VERSION_1: Final = """
CREATE TABLE job (
    account_id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    username TEXT NOT NULL,
    security TEXT NOT NULL,
    port INTEGER NOT NULL,
    by_labels INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at INTEGER NOT NULL,          -- all moments: microseconds since 1970
    updated_at INTEGER NOT NULL,
    due_at INTEGER,
    ended_at INTEGER,
    failure_count INTEGER NOT NULL,
    sealed_password BLOB NOT NULL,        -- empty: there is none any more
    lease TEXT NOT NULL,
    leased_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox (
    account_id TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    message_count INTEGER NOT NULL,
    size_octets INTEGER,
    by_labels INTEGER NOT NULL,
    uidvalidity INTEGER,
    last_uid INTEGER NOT NULL,
    imported_count INTEGER NOT NULL,
    imported_octets INTEGER NOT NULL,
    duplicate_count INTEGER NOT NULL,
    not_taken_count INTEGER NOT NULL,
    is_done INTEGER NOT NULL,
    PRIMARY KEY (account_id, position),
    UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE not_taken (
    account_id TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    position INTEGER NOT NULL,
    mailbox TEXT NOT NULL,
    uid INTEGER,
    seqnum INTEGER,
    reason TEXT NOT NULL,
    PRIMARY KEY (account_id, position)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_MAILBOX: Final = (
    "name, target, message_count, size_octets, by_labels, uidvalidity, last_uid, imported_count, imported_octets,"
    " duplicate_count, not_taken_count, is_done"
)
_JOB: Final = (
    "account_id, job_id, host, username, security, port, by_labels, status, reason, text, created_at, updated_at,"
    " due_at, ended_at, failure_count, sealed_password"
)
_ENDED: Final = "('cancelled', 'done')"
"""As `model.remote_imports.ENDED`."""


class EmbeddedImportJobs:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("imports", MIGRATIONS))

    async def add(self, job: ImportJob, *, lease: str = "", leased_until: datetime | None = None) -> None:
        """See `ImportJobs.add`."""

        def work(unit: SideTransaction) -> None:
            row = select_one(
                unit.db, f"SELECT 1 FROM job WHERE account_id = ? AND status NOT IN {_ENDED}", (job.account_id,)
            )
            if row is not None:
                raise Conflict("An import is under way; cancel it first, or wait until it has ended")
            _remove(unit.db, job.account_id)
            unit.db.execute(
                f"INSERT INTO job ({_JOB}, lease, leased_until) VALUES ({', '.join('?' * 18)})",
                (*_job_row(job), lease, us_of(leased_until) if leased_until is not None else 0),
            )
            unit.db.executemany(
                f"INSERT INTO mailbox (account_id, position, {_MAILBOX}) VALUES ({', '.join('?' * 14)})",
                [
                    (job.account_id, position, *_mailbox_row(mailbox))
                    for position, mailbox in enumerate(job.mailboxes)
                ],
            )  # fmt: skip
            _note(unit.db, job.account_id, job.not_taken)

        await self._file.write(work, grows=True, wakes=True)

    async def job(self, account_id: AccountId) -> ImportJob | None:
        """See `ImportJobs.job`."""

        def read(db: apsw.Connection) -> ImportJob | None:
            with one_moment(db):
                return _job(db, account_id)

        return await self._file.read(read)

    async def lease(
        self, now: datetime, until: datetime, lease: str, limit: int, passed_over: Sequence[AccountId] = ()
    ) -> list[ImportJob]:
        """See `ImportJobs.lease`."""

        def work(unit: SideTransaction) -> list[ImportJob]:
            found = select(
                unit.db,
                "SELECT account_id FROM job WHERE account_id NOT IN (SELECT value FROM json_each(:passed_over))"
                " AND leased_until <= :now AND (status = 'running' OR status = 'waiting' AND due_at <= :now)"
                " ORDER BY updated_at LIMIT :limit",
                {"now": us_of(now), "limit": limit, "passed_over": json.dumps(list(passed_over))},
            )
            for (account_id,) in found:
                unit.db.execute(
                    "UPDATE job SET status = 'running', lease = ?, leased_until = ?, updated_at = ?, due_at = NULL"
                    " WHERE account_id = ?",
                    (lease, us_of(until), us_of(now), account_id),
                )
            jobs = [_job(unit.db, account_id) for (account_id,) in found]
            return [job for job in jobs if job is not None]

        return await self._file.write(work)

    async def hold(self, job_id: ObjectId, lease: str, until: datetime) -> bool:
        """See `ImportJobs.hold`."""

        def work(unit: SideTransaction) -> bool:
            unit.db.execute(
                "UPDATE job SET leased_until = ? WHERE job_id = ? AND lease = ? AND status = 'running'",
                (us_of(until), job_id, lease),
            )
            return unit.db.changes() > 0

        return await self._file.write(work)

    async def advance(
        self, job_id: ObjectId, lease: str, now: datetime, mailbox: MailboxImport, not_taken: Sequence[NotTaken]
    ) -> bool:
        """See `ImportJobs.advance`."""

        def work(unit: SideTransaction) -> bool:
            row = select_one(
                unit.db,
                "UPDATE job SET updated_at = ?, failure_count = 0, reason = '', text = ''"
                " WHERE job_id = ? AND lease = ? AND status = 'running' RETURNING account_id",
                (us_of(now), job_id, lease),
            )
            if row is None:
                return False
            (account_id,) = row
            unit.db.execute(
                f"UPDATE mailbox SET ({_MAILBOX}) = ({', '.join('?' * 12)}) WHERE account_id = ? AND name = ?",
                (*_mailbox_row(mailbox), account_id, mailbox.name),
            )
            _note(unit.db, account_id, not_taken)
            return True

        return await self._file.write(work, grows=True)

    async def let_go(
        self,
        job_id: ObjectId,
        lease: str,
        now: datetime,
        status: ImportStatus,
        *,
        reason: ImportReason = ImportReason.NONE,
        text: str = "",
        due_at: datetime | None = None,
        has_failed: bool = False,
    ) -> bool:
        """See `ImportJobs.let_go`."""

        def work(unit: SideTransaction) -> bool:
            unit.db.execute(
                "UPDATE job SET status = :status, reason = :reason, text = :text, updated_at = :now, due_at = :due_at,"
                " ended_at = CASE WHEN :is_over THEN :now END, failure_count = failure_count + :failed,"
                " sealed_password = CASE WHEN :is_over THEN x'' ELSE sealed_password END, lease = '', leased_until = 0"
                " WHERE job_id = :job_id AND lease = :lease AND status = 'running'",
                {
                    "status": status.value,
                    "reason": reason.value,
                    "text": text,
                    "now": us_of(now),
                    "due_at": us_or_none(due_at),
                    "is_over": status in ENDED,
                    "failed": has_failed,
                    "job_id": job_id,
                    "lease": lease,
                },
            )
            return unit.db.changes() > 0

        return await self._file.write(work, wakes=True)

    async def set_waiting(self, job_id: ObjectId, now: datetime, sealed_password: bytes | None = None) -> bool:
        """See `ImportJobs.set_waiting`."""

        def work(unit: SideTransaction) -> bool:
            unit.db.execute(
                "UPDATE job SET status = 'waiting', reason = '', text = '', updated_at = :now, due_at = :now,"
                " failure_count = 0, sealed_password = coalesce(:password, sealed_password)"
                " WHERE job_id = :job_id AND status IN ('waiting', 'paused')",
                {"now": us_of(now), "password": sealed_password, "job_id": job_id},
            )
            return unit.db.changes() > 0

        return await self._file.write(work, grows=True, wakes=True)

    async def cancel(self, job_id: ObjectId, now: datetime) -> bool:
        """See `ImportJobs.cancel`."""

        def work(unit: SideTransaction) -> bool:
            unit.db.execute(
                "UPDATE job SET status = 'cancelled', reason = '', text = '', updated_at = :now, ended_at = :now,"
                " due_at = NULL, sealed_password = x'', lease = '', leased_until = 0"
                f" WHERE job_id = :job_id AND status NOT IN {_ENDED}",
                {"now": us_of(now), "job_id": job_id},
            )
            return unit.db.changes() > 0

        return await self._file.write(work, wakes=True)

    async def remove(self, account_id: AccountId) -> None:
        """See `ImportJobs.remove`."""
        await self._file.write(lambda unit: _remove(unit.db, account_id), wakes=True)

    async def forget_old(self, passwords_before: datetime, ended_before: datetime) -> int:
        """See `ImportJobs.forget_old`."""

        def work(unit: SideTransaction) -> int:
            unit.db.execute(
                "UPDATE job SET sealed_password = x''"
                " WHERE status = 'paused' AND updated_at < ? AND sealed_password <> x''",
                (us_of(passwords_before),),
            )
            count = unit.db.changes()
            gone = select(
                unit.db,
                f"SELECT account_id FROM job WHERE status IN {_ENDED} AND ended_at < ?",
                (us_of(ended_before),),
            )
            for (account_id,) in gone:
                _remove(unit.db, account_id)
            return count + len(gone)

        return await self._file.write(work)


def _remove(db: apsw.Connection, account_id: str) -> None:
    for table in ("not_taken", "mailbox", "job"):
        db.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))


def _note(db: apsw.Connection, account_id: str, not_taken: Sequence[NotTaken]) -> None:
    (count,) = select_one(db, "SELECT count(*) FROM not_taken WHERE account_id = ?", (account_id,))
    kept = not_taken[: max(0, NOT_TAKEN_MAX - count)]
    db.executemany(
        "INSERT INTO not_taken VALUES (?, ?, ?, ?, ?, ?)",
        [(account_id, count + number, *each) for number, each in enumerate(kept)],
    )


def _job_row(job: ImportJob) -> tuple[str | int | bytes | None, ...]:
    server = job.server
    return (
        job.account_id,
        job.job_id,
        server.host,
        server.username,
        server.security.value,
        server.port,
        job.by_labels,
        job.status.value,
        job.reason.value,
        job.text,
        us_of(job.created_at),
        us_of(job.updated_at),
        us_or_none(job.due_at),
        us_or_none(job.ended_at),
        job.failure_count,
        job.sealed_password,
    )


def _mailbox_row(mailbox: MailboxImport) -> tuple[str | int | None, ...]:
    return (
        mailbox.name,
        mailbox.target,
        mailbox.message_count,
        mailbox.size_octets,
        mailbox.by_labels,
        mailbox.uidvalidity,
        mailbox.last_uid,
        mailbox.imported_count,
        mailbox.imported_octets,
        mailbox.duplicate_count,
        mailbox.not_taken_count,
        mailbox.is_done,
    )


def _job(db: apsw.Connection, account_id: str) -> ImportJob | None:
    row = select_one(db, f"SELECT {_JOB} FROM job WHERE account_id = ?", (account_id,))
    if row is None:
        return None
    _, job_id, host, username, security, port, by_labels, status, reason, text, *others = row
    created_at, updated_at, due_at, ended_at, failure_count, sealed_password = others
    mailboxes = select(db, f"SELECT {_MAILBOX} FROM mailbox WHERE account_id = ? ORDER BY position", (account_id,))
    not_taken = select(
        db, "SELECT mailbox, uid, seqnum, reason FROM not_taken WHERE account_id = ? ORDER BY position", (account_id,)
    )
    return ImportJob(
        job_id=ObjectId(job_id),
        account_id=AccountId(account_id),
        server=RemoteServer(host, username, RemoteSecurity(security), port),
        created_at=moment_of(created_at),
        updated_at=moment_of(updated_at),
        mailboxes=tuple(_mailbox(each) for each in mailboxes),
        by_labels=bool(by_labels),
        status=ImportStatus(status),
        reason=ImportReason(reason),
        text=text,
        due_at=moment_or_none(due_at),
        ended_at=moment_or_none(ended_at),
        failure_count=failure_count,
        sealed_password=sealed_password,
        not_taken=tuple(NotTaken._make(each) for each in not_taken),
    )


def _mailbox(row: Any) -> MailboxImport:
    name, target, message_count, size_octets, by_labels, uidvalidity, last_uid, *counts, is_done = row
    imported_count, imported_octets, duplicate_count, not_taken_count = counts
    return MailboxImport(
        name=name,
        target=target,
        message_count=message_count,
        size_octets=size_octets,
        by_labels=bool(by_labels),
        uidvalidity=UidValidity(uidvalidity) if uidvalidity is not None else None,
        last_uid=Uid(last_uid),
        imported_count=imported_count,
        imported_octets=imported_octets,
        duplicate_count=duplicate_count,
        not_taken_count=not_taken_count,
        is_done=bool(is_done),
    )
