"""Messages sent over the API, in one encrypted file. Implements `ports.emails.Emails`."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.emails import Email, EmailOutcome, EmailQuery, EmailStatus
from mailstead.model.ids import AccountId
from mailstead.model.people import Listing, ObjectId, Page, UserId
from mailstead.storage.embedded.moments import moment_of, moment_or_none, us_of, us_or_none
from mailstead.storage.embedded.rows import one_moment, select, select_one
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

VERSION_1: Final = """
CREATE TABLE email (
    email_no INTEGER PRIMARY KEY,
    email_id TEXT NOT NULL UNIQUE,
    queue_id TEXT NOT NULL,
    account_id TEXT,
    user_id TEXT,
    domain TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    recipients TEXT NOT NULL,             -- JSON list
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    header BLOB NOT NULL,
    sent_at INTEGER NOT NULL,             -- all moments: microseconds since 1970
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    is_settled INTEGER NOT NULL,
    outcomes TEXT NOT NULL,               -- JSON of model.emails.EmailOutcome
    not_before INTEGER,
    require_tls INTEGER NOT NULL,
    dsn TEXT NOT NULL,                    -- JSON
    search_text TEXT NOT NULL             -- folded
) STRICT;
CREATE INDEX email_by_account ON email (account_id, created_at) WHERE account_id IS NOT NULL;
CREATE INDEX email_by_user ON email (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX email_by_domain ON email (domain, created_at);
CREATE INDEX email_by_message_id ON email (message_id);
CREATE INDEX email_unsettled ON email (email_id) WHERE is_settled = 0;
CREATE INDEX email_by_change ON email (updated_at);
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_COLUMNS: Final = (
    "email_id, queue_id, account_id, user_id, domain, mail_from, recipients, message_id, subject, {header}, sent_at,"
    " created_at, updated_at, status, outcomes, not_before, require_tls, dsn"
)
_WHOLE: Final = _COLUMNS.format(header="header")
_NARROW: Final = _COLUMNS.format(header="x'' AS header")
_SORTS: Final = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "date": "sent_at",
    "subject": "subject",
    "status": "status",
}

_encode = msgspec.json.Encoder().encode
_outcomes = msgspec.json.Decoder(tuple[EmailOutcome, ...]).decode


class EmbeddedEmails:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("emails", MIGRATIONS))

    async def add(self, email: Email) -> None:
        """See `Emails.add`."""
        row = _row(email)
        places = ", ".join("?" * len(row))
        await self._file.write(
            lambda unit: unit.db.execute(f"INSERT INTO email VALUES (NULL, {places})", row) and None, grows=True
        )

    async def remove(self, email_id: ObjectId) -> None:
        """See `Emails.remove`."""
        await self._file.write(
            lambda unit: unit.db.execute("DELETE FROM email WHERE email_id = ?", (email_id,)) and None
        )

    async def email(self, query: EmailQuery, id_or_message_id: str) -> Email | None:
        """See `Emails.email`."""

        def read(db: apsw.Connection) -> Email | None:
            where, values = _condition(query)
            for column in ("email_id", "message_id"):
                row = select_one(
                    db,
                    f"SELECT {_WHOLE} FROM email WHERE {column} = :wanted AND {where} ORDER BY email_no DESC LIMIT 1",
                    values | {"wanted": id_or_message_id},
                )
                if row is not None:
                    return _email(row)
            return None

        return await self._file.read(read)

    async def emails(self, query: EmailQuery, listing: Listing) -> Page[Email]:
        """See `Emails.emails`."""

        def read(db: apsw.Connection) -> Page[Email]:
            where, values = _condition(query)
            column = _SORTS.get(listing.sort.removeprefix("-"), "created_at")
            way = "ASC" if listing.sort and not listing.sort.startswith("-") else "DESC"
            with one_moment(db):
                (count,) = select_one(db, f"SELECT count(*) FROM email WHERE {where}", values)
                rows = select(
                    db,
                    f"SELECT {_NARROW} FROM email WHERE {where}"
                    f" ORDER BY {column} {way}, email_no {way} LIMIT :limit OFFSET :skipped",
                    values | {"limit": listing.limit, "skipped": listing.skipped_count},
                )
            return Page(tuple(map(_email, rows)), count)

        return await self._file.read(read)

    async def unsettled(self, after: ObjectId, limit: int) -> Sequence[Email]:
        """See `Emails.unsettled`."""
        sql = f"SELECT {_NARROW} FROM email WHERE is_settled = 0 AND email_id > ? ORDER BY email_id LIMIT ?"
        return await self._file.read(lambda db: [_email(row) for row in select(db, sql, (after, limit))])

    async def settle(
        self, email_id: ObjectId, status: EmailStatus, outcomes: Sequence[EmailOutcome], updated_at: datetime
    ) -> None:
        """See `Emails.settle`."""
        is_settled = not any(each.state in {"waiting", "held"} for each in outcomes)
        row = (status.value, is_settled, _encode(outcomes).decode(), us_of(updated_at), email_id)

        def work(unit: SideTransaction) -> None:
            unit.db.execute(
                "UPDATE email SET status = ?, is_settled = ?, outcomes = ?, updated_at = ? WHERE email_id = ?", row
            )

        await self._file.write(work)

    async def expire(self, before: datetime) -> int:
        """See `Emails.expire`."""

        def work(unit: SideTransaction) -> int:
            unit.db.execute("DELETE FROM email WHERE updated_at < ? AND is_settled = 1", (us_of(before),))
            return unit.db.changes()

        return await self._file.write(work)


def _condition(query: EmailQuery) -> tuple[str, dict[str, str | int]]:
    """Give whose emails are wanted and which of them; what is looked for stands for itself (attack row 75)."""
    values: dict[str, str | int] = {}
    conditions: list[str] = []
    if query.domains is not None:
        owners = ["0"]
        if query.account_id is not None:
            owners.append("account_id = :account_id")
            values["account_id"] = query.account_id
        if query.user_id is not None:
            owners.append("user_id = :user_id")
            values["user_id"] = query.user_id
        if query.domains:
            owners.append("domain IN (SELECT value FROM json_each(:domains))")
            values["domains"] = json.dumps(list(query.domains))
        conditions.append(f"({' OR '.join(owners)})")
    if query.domain:
        conditions.append("domain = :domain")
        values["domain"] = query.domain
    if query.text:
        conditions.append("instr(search_text, :text) > 0")
        values["text"] = query.text.casefold()
    if query.is_scheduled is not None and query.now is not None:
        conditions.append(f"{'' if query.is_scheduled else 'NOT '}(is_settled = 0 AND ifnull(not_before > :now, 0))")
        values["now"] = us_of(query.now)
    return " AND ".join(conditions) or "1", values


def _row(email: Email) -> tuple[str | int | bytes | None, ...]:
    texts = (email.subject, email.mail_from, *email.recipients, email.message_id)
    return (
        email.email_id,
        email.queue_id,
        email.account_id,
        email.user_id,
        email.domain,
        email.mail_from,
        json.dumps(email.recipients),
        email.message_id,
        email.subject,
        email.header,
        us_of(email.sent_at),
        us_of(email.created_at),
        us_of(email.updated_at),
        email.status.value,
        email.is_settled,
        _encode(email.outcomes).decode(),
        us_or_none(email.not_before),
        email.require_tls,
        json.dumps(dict(email.dsn)),
        "\n".join(texts).casefold(),
    )


def _email(row: Sequence[Any]) -> Email:
    (
        email_id, queue_id, account_id, user_id, domain, mail_from, recipients, message_id, subject, header, sent_at,
        created_at, updated_at, status, outcomes, not_before, require_tls, dsn,
    ) = row  # fmt: skip
    return Email(
        email_id=ObjectId(email_id),
        queue_id=queue_id,
        account_id=None if account_id is None else AccountId(account_id),
        user_id=None if user_id is None else UserId(ObjectId(user_id)),
        domain=domain,
        mail_from=mail_from,
        recipients=tuple(json.loads(recipients)),
        message_id=message_id,
        subject=subject,
        header=header,
        sent_at=moment_of(sent_at),
        created_at=moment_of(created_at),
        updated_at=moment_of(updated_at),
        status=EmailStatus(status),
        outcomes=_outcomes(outcomes),
        not_before=moment_or_none(not_before),
        require_tls=bool(require_tls),
        dsn=json.loads(dsn),
    )
