"""What was done, and what was answered: the parts of `ports.people.People` that only grow and run out.

Nothing here is remembered by the directory, so its writes do not make it forget.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.errors import IdempotencyMismatch, TryAgainLater
from mailstead.model.people import AuditEntry, Listing, Page
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.listings import bounds_of
from mailstead.storage.embedded.rows import select_one, select_packed

CLAIM_S: Final = 300
"""After so long, whoever has claimed an idempotency key is taken to be gone."""
_COLUMNS: Final = "entry_id, at_s, actor, peer, verb, object, domain, details"


class EmbeddedAudit:
    """The audit log and idempotency keys."""

    def __init__(self, directory: EmbeddedDirectory) -> None:
        self._directory = directory

    async def note(self, entries: Sequence[AuditEntry]) -> None:
        """See `People.note`."""
        if entries:
            await self._directory.change_aside(_note, tuple(entries))

    async def audit(
        self, listing: Listing, *, domains: Sequence[str] | None = None, actor: str = "", verb: str = ""
    ) -> Page[AuditEntry]:
        """See `People.audit`."""
        return await self._directory.look_up(_audit, listing, domains, actor, verb)

    async def forget_audit(self, before: datetime) -> int:
        """See `People.forget_audit`. A look first: most of the time there is nothing so old."""
        if not await self._directory.look_up(_has_older, before):
            return 0
        return await self._directory.change_aside(_forget_audit, before)

    async def first_answer(self, caller: str, key: str, request_hash: bytes, now: datetime, until: datetime) -> bytes:
        """See `People.first_answer`."""
        return await self._directory.change_aside(_first_answer, (caller, key), request_hash, now, until)

    async def keep_answer(self, caller: str, key: str, answer: bytes) -> None:
        """See `People.keep_answer`."""
        await self._directory.change_aside(_keep_answer, caller, key, answer)


def _note(db: apsw.Connection, entries: Sequence[AuditEntry]) -> None:
    db.executemany(
        "INSERT INTO audit (at_s, actor, peer, verb, object, domain, details, search_text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                int(entry.at.timestamp()),
                entry.actor,
                entry.peer,
                entry.verb,
                entry.object,
                entry.domain,
                msgspec.json.encode(dict(entry.details)).decode(),
                f"{entry.actor}\n{entry.verb}\n{entry.object}".casefold(),
            )
            for entry in entries
        ],
    )


def _audit(
    db: apsw.Connection, listing: Listing, domains: Sequence[str] | None, actor: str, verb: str
) -> Page[AuditEntry]:
    conditions, parameters = ["TRUE"], dict[str, int | str]()
    if domains is not None:
        conditions.append("domain IN (SELECT value FROM json_each(:domains))")
        parameters["domains"] = msgspec.json.encode(list(domains)).decode()
    if actor:
        conditions.append("actor = :actor")
        parameters["actor"] = actor
    if verb:
        conditions.append("substr(verb, 1, length(:verb)) = :verb")
        parameters["verb"] = verb
    if listing.text:
        conditions.append("instr(search_text, :text) > 0")
        parameters["text"] = listing.text.casefold()
    where = f"FROM audit WHERE {' AND '.join(conditions)}"
    (count,) = select_one(db, f"SELECT count(*) {where}", parameters)
    limit, offset = bounds_of(listing)
    page = f"FROM (SELECT * {where} ORDER BY entry_id DESC LIMIT :limit OFFSET :offset)"
    found = select_packed(db, _COLUMNS, page, parameters | {"limit": limit, "offset": offset}, "ORDER BY entry_id DESC")
    return Page(tuple(_entry(row) for row in found), count)


def _entry(row: Any) -> AuditEntry:
    entry_id, at_s, actor, peer, verb, object_, domain, details = row
    at = datetime.fromtimestamp(at_s, UTC)
    return AuditEntry(
        entry_id, at, actor, peer, verb, object_, domain, msgspec.json.decode(details, type=dict[str, str])
    )


def _has_older(db: apsw.Connection, before: datetime) -> bool:
    return select_one(db, "SELECT 1 FROM audit WHERE at_s < ? LIMIT 1", (int(before.timestamp()),)) is not None


def _forget_audit(db: apsw.Connection, before: datetime) -> int:
    db.execute("DELETE FROM audit WHERE at_s < ?", (int(before.timestamp()),))
    return db.changes()


def _first_answer(
    db: apsw.Connection, name: tuple[str, str], request_hash: bytes, now: datetime, until: datetime
) -> bytes:
    now_s = int(now.timestamp())
    db.execute("DELETE FROM idempotency WHERE expires_at_s <= ?", (now_s,))
    row = select_one(
        db, "SELECT request_hash, answer, claimed_at_s FROM idempotency WHERE caller = ? AND key = ?", name
    )
    if row is not None:
        known_hash, answer, claimed_at_s = row
        if known_hash != request_hash:
            raise IdempotencyMismatch
        if answer is not None:
            return bytes(answer)
        if now_s < claimed_at_s + CLAIM_S:
            raise TryAgainLater("The same request is under way")
    db.execute(
        "INSERT OR REPLACE INTO idempotency (caller, key, request_hash, answer, claimed_at_s, expires_at_s)"
        " VALUES (?, ?, ?, NULL, ?, ?)",
        (*name, request_hash, now_s, int(until.timestamp())),
    )
    return b""


def _keep_answer(db: apsw.Connection, caller: str, key: str, answer: bytes) -> None:
    if answer:
        db.execute("UPDATE idempotency SET answer = ? WHERE caller = ? AND key = ?", (answer, caller, key))
    else:
        db.execute("DELETE FROM idempotency WHERE caller = ? AND key = ? AND answer IS NULL", (caller, key))
