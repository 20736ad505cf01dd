"""`ports.people.Factors` in the directory's file: second factors, sessions of browsers, links with providers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.errors import Conflict, FactorExists, LimitReached
from mailstead.model.people import Factor, FactorKind, ObjectId, OidcLink, WebSession
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.profile_writes import note_rights_change
from mailstead.storage.embedded.rows import select, select_one

FACTORS_MAX: Final = 100
"""Of one owner, recovery codes among them."""
SESSIONS_MAX: Final = 100
"""Of one owner; one more, and the one that was seen least lately ends."""

_FACTOR: Final = (
    "SELECT factor_id, owner, kind, label, created_at_s, last_used_at_s, secret, public_key, counter, is_confirmed"
    " FROM factor"
)
_SESSION: Final = (
    "SELECT session_id, owner, created_at_s, expires_at_s, last_seen_at_s, peer, program, fingerprint, strong_at_s"
    " FROM web_session"
)


class EmbeddedFactors:
    """Factors and sessions are remembered by the directory: each log-in, each page of the web asks for them."""

    def __init__(self, directory: EmbeddedDirectory) -> None:
        self._directory = directory

    async def factors(self, owner: str) -> list[Factor]:
        """See `Factors.factors`."""
        return list(await self._directory.recall(("factors", owner), _factors, owner))

    async def passkey(self, credential_id: bytes) -> Factor | None:
        """See `Factors.passkey`."""
        return await self._directory.look_up(_passkey, credential_id)

    async def add_factors(self, factors: Sequence[Factor]) -> None:
        """See `Factors.add_factors`."""
        await self._directory.change(_add_factors, tuple(factors))

    async def use_factor(self, factor_id: ObjectId, counter_before: int, counter: int, now: datetime) -> bool:
        """See `Factors.use_factor`."""
        return await self._directory.change(_use_factor, factor_id, counter_before, counter, now)

    async def remove_factors(self, owner: str, factor_ids: Sequence[ObjectId] | None, kind: FactorKind | None) -> int:
        """See `Factors.remove_factors`."""
        return await self._directory.change(_remove_factors, owner, factor_ids, kind)

    async def sessions(self, owner: str) -> list[WebSession]:
        """See `Factors.sessions`."""
        return await self._directory.look_up(_sessions, owner, self._directory.now())

    async def session(self, token_hash: bytes) -> WebSession | None:
        """See `Factors.session`."""
        found = await self._directory.recall(("session", token_hash), _session_of, token_hash)
        return found if found is not None and self._directory.now() < found.expires_at else None

    async def put_session(self, session: WebSession, token_hash: bytes) -> None:
        """See `Factors.put_session`."""
        await self._directory.change(_put_session, session, token_hash)

    async def note_session_use(self, session_id: ObjectId, token_hash: bytes, seen_at: datetime, peer: str) -> None:
        """See `Factors.note_session_use`."""
        await self._directory.change(_note_session_use, session_id, token_hash, seen_at, peer)

    async def remove_sessions(self, owner: str, session_ids: Sequence[ObjectId] | None = None) -> None:
        """See `Factors.remove_sessions`."""
        await self._directory.change(_remove_sessions, owner, session_ids)

    async def expire_sessions(self, now: datetime) -> int:
        """See `Factors.expire_sessions`. A look first: most of the time none has run out."""
        if not await self._directory.look_up(_has_old_session, now):
            return 0
        return await self._directory.change(_expire_sessions, now)

    async def oidc_owner(self, issuer: str, subject: str) -> str | None:
        """See `Factors.oidc_owner`."""
        return await self._directory.recall(("oidc", issuer, subject), _oidc_owner, issuer, subject)

    async def link_oidc(self, issuer: str, subject: str, owner: str, now: datetime) -> None:
        """See `Factors.link_oidc`."""
        await self._directory.change(_link_oidc, issuer, subject, owner, now)

    async def unlink_oidc(self, owner: str, issuer: str) -> None:
        """See `Factors.unlink_oidc`."""
        await self._directory.change(_unlink_oidc, owner, issuer)

    async def oidc_links(self, owner: str) -> list[OidcLink]:
        """See `Factors.oidc_links`."""
        return await self._directory.look_up(_oidc_links, owner)


def _factors(db: apsw.Connection, owner: str) -> tuple[Factor, ...]:
    found = select(db, f"{_FACTOR} WHERE owner = ? ORDER BY created_at_s, factor_id", (owner,))
    return tuple(_factor(row) for row in found)


def _passkey(db: apsw.Connection, credential_id: bytes) -> Factor | None:
    row = select_one(db, f"{_FACTOR} WHERE kind = 'passkey' AND secret = ?", (credential_id,))
    return None if row is None else _factor(row)


def _factor(row: Any) -> Factor:
    factor_id, owner, kind, label, created_at_s, last_used_at_s, secret, public_key, counter, is_confirmed = row
    return Factor(
        ObjectId(factor_id),
        owner,
        FactorKind(kind),
        label,
        _moment(created_at_s),
        _moment_or_none(last_used_at_s),
        bytes(secret),
        bytes(public_key),
        counter,
        bool(is_confirmed),
    )


def _add_factors(db: apsw.Connection, factors: Sequence[Factor]) -> None:
    for factor in factors:
        try:
            db.execute(
                "INSERT INTO factor (factor_id, owner, kind, label, created_at_s, last_used_at_s, secret, public_key,"
                " counter, is_confirmed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    factor.factor_id,
                    factor.owner,
                    factor.kind.value,
                    factor.label,
                    int(factor.created_at.timestamp()),
                    _seconds_or_none(factor.last_used_at),
                    factor.secret,
                    factor.public_key,
                    factor.counter,
                    int(factor.is_confirmed),
                ),
            )
        except apsw.ConstraintError:
            raise FactorExists from None
    for owner in {factor.owner for factor in factors}:
        (count,) = select_one(db, "SELECT count(*) FROM factor WHERE owner = ?", (owner,))
        if count > FACTORS_MAX:
            raise LimitReached(f"At most {FACTORS_MAX} second factors; remove one first")
        note_rights_change(db, owner)


def _use_factor(db: apsw.Connection, factor_id: ObjectId, counter_before: int, counter: int, now: datetime) -> bool:
    fresh = select_one(db, "SELECT owner FROM factor WHERE factor_id = ? AND NOT is_confirmed", (factor_id,))
    if fresh is not None:
        note_rights_change(db, fresh[0])
    db.execute(
        "UPDATE factor SET counter = ?, last_used_at_s = ?, is_confirmed = 1 WHERE factor_id = ? AND counter = ?",
        (counter, int(now.timestamp()), factor_id, counter_before),
    )
    return bool(db.changes())


def _remove_factors(
    db: apsw.Connection, owner: str, factor_ids: Sequence[ObjectId] | None, kind: FactorKind | None
) -> int:
    db.execute(
        "DELETE FROM factor WHERE owner = ?1 AND (?2 IS NULL OR factor_id IN (SELECT value FROM json_each(?2)))"
        " AND (?3 IS NULL OR kind = ?3)",
        (owner, _json(factor_ids), None if kind is None else kind.value),
    )
    return db.changes()


def _sessions(db: apsw.Connection, owner: str, now: datetime) -> list[WebSession]:
    found = select(
        db,
        f"{_SESSION} WHERE owner = ? AND expires_at_s > ? ORDER BY created_at_s DESC, session_id",
        (owner, int(now.timestamp())),
    )
    return [_session(row) for row in found]


def _session_of(db: apsw.Connection, token_hash: bytes) -> WebSession | None:
    row = select_one(db, f"{_SESSION} WHERE token_hash = ?", (token_hash,))
    return None if row is None else _session(row)


def _session(row: Any) -> WebSession:
    session_id, owner, created_at_s, expires_at_s, last_seen_at_s, peer, program, fingerprint, strong_at_s = row
    return WebSession(
        ObjectId(session_id),
        owner,
        _moment(created_at_s),
        _moment(expires_at_s),
        _moment(last_seen_at_s),
        peer,
        program,
        bytes(fingerprint),
        _moment_or_none(strong_at_s),
    )


def _put_session(db: apsw.Connection, session: WebSession, token_hash: bytes) -> None:
    db.execute(
        "INSERT INTO web_session (session_id, token_hash, owner, created_at_s, expires_at_s, last_seen_at_s, peer,"
        " program, fingerprint, strong_at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE"
        " SET token_hash = excluded.token_hash, expires_at_s = excluded.expires_at_s,"
        " last_seen_at_s = excluded.last_seen_at_s, peer = excluded.peer, program = excluded.program,"
        " fingerprint = excluded.fingerprint, strong_at_s = excluded.strong_at_s WHERE owner = excluded.owner",
        (
            session.session_id,
            token_hash,
            session.owner,
            int(session.created_at.timestamp()),
            int(session.expires_at.timestamp()),
            int(session.last_seen_at.timestamp()),
            session.peer,
            session.program,
            session.fingerprint,
            _seconds_or_none(session.strong_at),
        ),
    )
    db.execute(
        "DELETE FROM web_session WHERE session_id IN (SELECT session_id FROM web_session WHERE owner = ?1"
        " ORDER BY session_id = ?2 DESC, last_seen_at_s DESC LIMIT -1 OFFSET ?3)",
        (session.owner, session.session_id, SESSIONS_MAX),
    )
    if db.changes():
        note_rights_change(db, session.owner)


def _note_session_use(
    db: apsw.Connection, session_id: ObjectId, token_hash: bytes, seen_at: datetime, peer: str
) -> None:
    db.execute(
        "UPDATE web_session SET last_seen_at_s = ?, peer = ? WHERE session_id = ? AND token_hash = ?",
        (int(seen_at.timestamp()), peer, session_id, token_hash),
    )


def _remove_sessions(db: apsw.Connection, owner: str, session_ids: Sequence[ObjectId] | None) -> None:
    db.execute(
        "DELETE FROM web_session WHERE owner = ?1 AND (?2 IS NULL OR session_id IN (SELECT value FROM json_each(?2)))",
        (owner, _json(session_ids)),
    )
    note_rights_change(db, owner)


def _has_old_session(db: apsw.Connection, now: datetime) -> bool:
    old = select_one(db, "SELECT 1 FROM web_session WHERE expires_at_s <= ? LIMIT 1", (int(now.timestamp()),))
    return old is not None


def _expire_sessions(db: apsw.Connection, now: datetime) -> int:
    db.execute("DELETE FROM web_session WHERE expires_at_s <= ?", (int(now.timestamp()),))
    return db.changes()


def _oidc_owner(db: apsw.Connection, issuer: str, subject: str) -> str | None:
    row = select_one(db, "SELECT owner FROM oidc_link WHERE issuer = ? AND subject = ?", (issuer, subject))
    return None if row is None else str(row[0])


def _link_oidc(db: apsw.Connection, issuer: str, subject: str, owner: str, now: datetime) -> None:
    if _oidc_owner(db, issuer, subject) == owner:
        return
    try:
        db.execute(
            "INSERT INTO oidc_link (issuer, subject, owner, created_at_s) VALUES (?, ?, ?, ?)",
            (issuer, subject, owner, int(now.timestamp())),
        )
    except apsw.ConstraintError:
        raise Conflict("That identity, or one of the same provider, is linked already") from None


def _unlink_oidc(db: apsw.Connection, owner: str, issuer: str) -> None:
    db.execute("DELETE FROM oidc_link WHERE owner = ? AND issuer = ?", (owner, issuer))
    if db.changes():
        note_rights_change(db, owner)


def _oidc_links(db: apsw.Connection, owner: str) -> list[OidcLink]:
    found = select(db, "SELECT issuer, subject, created_at_s FROM oidc_link WHERE owner = ? ORDER BY issuer", (owner,))
    return [OidcLink(issuer, subject, _moment(created_at_s)) for issuer, subject, created_at_s in found]


def _json(ids: Sequence[ObjectId] | None) -> str | None:
    return None if ids is None else msgspec.json.encode(list(ids)).decode()


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment_or_none(seconds: int | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)


def _seconds_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
