"""`ports.dav.Sharing` in the directory's file: it goes with the accounts that it speaks of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.dav import (
    Access,
    CollectionId,
    CollectionKind,
    CollectionTraits,
    Delegate,
    PublicLink,
    PushRegistration,
    Share,
    Subscription,
)
from mailstead.model.errors import CollectionExists, LimitReached, NoSuchAccount, NoSuchShare
from mailstead.model.ids import AccountId
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.rows import select, select_one

LINKS_MAX: Final = 200
"""Public links of one account."""
PUSHES_MAX: Final = 500
"""Registrations for push of one account: devices times collections."""

_SHARE: Final = "SELECT owner_id, collection_id, kind, sharee_id, access, name, traits, is_accepted FROM share"
_LINK: Final = "SELECT token_hash, owner_id, collection_id, created_at_s, expires_at_s, hides_details FROM public_link"
_SUBSCRIPTION: Final = "SELECT owner_id, collection_id, url, interval_s, next_at_s, failure FROM subscription"

_PUSH: Final = (
    "SELECT push_id, watcher_id, owner_id, collection_id, url, public_key, auth_secret, expires_at_s"
    " FROM push_registration"
)


class EmbeddedSharing:
    """Reads through what the directory remembers, as homes are listed often."""

    def __init__(self, directory: EmbeddedDirectory) -> None:
        self._directory = directory

    async def shares_of(self, owner_id: AccountId) -> list[Share]:
        """See `Sharing.shares_of`."""
        return list(await self._directory.recall(("shares of", owner_id), _shares, "owner_id", owner_id))

    async def shares_with(self, sharee_id: AccountId) -> list[Share]:
        """See `Sharing.shares_with`."""
        return list(await self._directory.recall(("shares with", sharee_id), _shares, "sharee_id", sharee_id))

    async def put_share(self, share: Share) -> None:
        """See `Sharing.put_share`."""
        await self._directory.change(_put_share, share)

    async def remove_share(self, owner_id: AccountId, collection_id: CollectionId, sharee_id: AccountId) -> None:
        """See `Sharing.remove_share`."""
        await self._directory.change(_remove_share, owner_id, collection_id, sharee_id)

    async def delegates_of(self, owner_id: AccountId) -> list[Delegate]:
        """See `Sharing.delegates_of`."""
        return list(await self._directory.recall(("delegates of", owner_id), _delegates, "owner_id", owner_id))

    async def delegated_to(self, delegate_id: AccountId) -> list[Delegate]:
        """See `Sharing.delegated_to`."""
        found = await self._directory.recall(("delegated to", delegate_id), _delegates, "delegate_id", delegate_id)
        return list(found)

    async def set_delegate(self, owner_id: AccountId, delegate_id: AccountId, access: Access | None) -> None:
        """See `Sharing.set_delegate`."""
        await self._directory.change(_set_delegate, owner_id, delegate_id, access)

    async def links_of(self, owner_id: AccountId) -> list[PublicLink]:
        """See `Sharing.links_of`."""
        return await self._directory.look_up(_links_of, owner_id)

    async def link(self, token_hash: bytes) -> PublicLink | None:
        """See `Sharing.link`."""
        return await self._directory.look_up(_link_of, token_hash)

    async def put_link(self, link: PublicLink) -> None:
        """See `Sharing.put_link`."""
        await self._directory.change(_put_link, link)

    async def remove_link(self, token_hash: bytes) -> None:
        """See `Sharing.remove_link`."""
        await self._directory.change(_remove_link, token_hash)

    async def expire_links(self, now: datetime) -> int:
        """See `Sharing.expire_links`. A look first: most of the time none has run out."""
        if not await self._directory.look_up(_count_old, "public_link", now):
            return 0
        return await self._directory.change(_remove_old, "public_link", now)

    async def subscriptions_of(self, owner_id: AccountId) -> list[Subscription]:
        """See `Sharing.subscriptions_of`."""
        return await self._directory.look_up(_subscriptions_of, owner_id)

    async def due_subscriptions(self, now: datetime, until: datetime, limit: int) -> list[Subscription]:
        """See `Sharing.due_subscriptions`. A look first: most of the time nothing is due."""
        if not await self._directory.look_up(_due, now, 1):
            return []
        return await self._directory.change(_take_due, now, until, limit)

    async def put_subscription(self, subscription: Subscription) -> None:
        """See `Sharing.put_subscription`."""
        await self._directory.change(_put_subscription, subscription)

    async def forget_collection(self, owner_id: AccountId, collection_id: CollectionId) -> None:
        """See `Sharing.forget_collection`."""
        await self._directory.change(_forget_collection, owner_id, collection_id)

    async def put_push(self, push: PushRegistration) -> None:
        """See `Sharing.put_push`."""
        await self._directory.change(_put_push, push)

    async def remove_push(self, push_id: str) -> None:
        """See `Sharing.remove_push`."""
        await self._directory.change(_remove_push, push_id)

    async def push(self, push_id: str) -> PushRegistration | None:
        """See `Sharing.push`."""
        return next((each for each in await self.pushes() if each.push_id == push_id), None)

    async def pushes(self) -> list[PushRegistration]:
        """See `Sharing.pushes`."""
        return list(await self._directory.recall(("pushes",), _pushes))

    async def expire_pushes(self, now: datetime) -> int:
        """See `Sharing.expire_pushes`. A look first."""
        if not await self._directory.look_up(_count_old, "push_registration", now):
            return 0
        return await self._directory.change(_remove_old, "push_registration", now)


def _shares(db: apsw.Connection, column: str, account_id: AccountId) -> tuple[Share, ...]:
    found = select(db, f"{_SHARE} WHERE {column} = ? ORDER BY owner_id, collection_id, sharee_id", (account_id,))
    return tuple(_share(row) for row in found)


def _share(row: Any) -> Share:
    owner_id, collection_id, kind, sharee_id, access, name, traits, is_accepted = row
    return Share(
        AccountId(owner_id),
        CollectionId(collection_id),
        CollectionKind(kind),
        AccountId(sharee_id),
        Access(access),
        name,
        msgspec.json.decode(traits, type=CollectionTraits),
        bool(is_accepted),
    )


def _put_share(db: apsw.Connection, share: Share) -> None:
    _must_be_there(db, share.owner_id, share.sharee_id)
    key = (share.owner_id, share.collection_id, share.sharee_id)
    other = select_one(
        db,
        "SELECT 1 FROM share WHERE sharee_id = ? AND kind = ? AND name = ?"
        " AND NOT (owner_id = ? AND collection_id = ?)",
        (share.sharee_id, share.kind.value, share.name, share.owner_id, share.collection_id),
    )
    if other is not None:
        raise CollectionExists(name=share.name)
    db.execute(
        "INSERT OR REPLACE INTO share (owner_id, collection_id, sharee_id, kind, access, name, traits, is_accepted)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *key,
            share.kind.value,
            share.access.value,
            share.name,
            msgspec.json.encode(share.traits).decode(),
            int(share.is_accepted),
        ),
    )


def _remove_share(db: apsw.Connection, owner_id: AccountId, collection_id: CollectionId, sharee_id: AccountId) -> None:
    db.execute(
        "DELETE FROM share WHERE owner_id = ? AND collection_id = ? AND sharee_id = ?",
        (owner_id, collection_id, sharee_id),
    )
    if not db.changes():
        raise NoSuchShare


def _delegates(db: apsw.Connection, column: str, account_id: AccountId) -> tuple[Delegate, ...]:
    found = select(
        db,
        f"SELECT owner_id, delegate_id, access FROM delegate WHERE {column} = ? ORDER BY owner_id, delegate_id",  # noqa: S608  # our own words
        (account_id,),
    )
    return tuple(Delegate(AccountId(owner), AccountId(delegate), Access(access)) for owner, delegate, access in found)


def _set_delegate(db: apsw.Connection, owner_id: AccountId, delegate_id: AccountId, access: Access | None) -> None:
    _must_be_there(db, owner_id, delegate_id)
    db.execute("DELETE FROM delegate WHERE owner_id = ? AND delegate_id = ?", (owner_id, delegate_id))
    if access is not None:
        db.execute("INSERT INTO delegate VALUES (?, ?, ?)", (owner_id, delegate_id, access.value))


def _links_of(db: apsw.Connection, owner_id: AccountId) -> list[PublicLink]:
    found = select(db, f"{_LINK} WHERE owner_id = ? ORDER BY created_at_s, token_hash", (owner_id,))
    return [_link(row) for row in found]


def _link_of(db: apsw.Connection, token_hash: bytes) -> PublicLink | None:
    row = select_one(db, f"{_LINK} WHERE token_hash = ?", (token_hash,))
    return None if row is None else _link(row)


def _link(row: Any) -> PublicLink:
    token_hash, owner_id, collection_id, created_at_s, expires_at_s, hides_details = row
    return PublicLink(
        bytes(token_hash),
        AccountId(owner_id),
        CollectionId(collection_id),
        _moment(created_at_s),
        None if expires_at_s is None else _moment(expires_at_s),
        bool(hides_details),
    )


def _put_link(db: apsw.Connection, link: PublicLink) -> None:
    _must_be_there(db, link.owner_id)
    (count,) = select_one(db, "SELECT count(*) FROM public_link WHERE owner_id = ?", (link.owner_id,))
    if count >= LINKS_MAX:
        raise LimitReached(f"An account has at most {LINKS_MAX} public links")
    db.execute(
        "INSERT OR REPLACE INTO public_link VALUES (?, ?, ?, ?, ?, ?)",
        (
            link.token_hash,
            link.owner_id,
            link.collection_id,
            int(link.created_at.timestamp()),
            None if link.expires_at is None else int(link.expires_at.timestamp()),
            int(link.hides_details),
        ),
    )


def _remove_link(db: apsw.Connection, token_hash: bytes) -> None:
    db.execute("DELETE FROM public_link WHERE token_hash = ?", (token_hash,))
    if not db.changes():
        raise NoSuchShare


def _subscriptions_of(db: apsw.Connection, owner_id: AccountId) -> list[Subscription]:
    found = select(db, f"{_SUBSCRIPTION} WHERE owner_id = ? ORDER BY collection_id", (owner_id,))
    return [_subscription(row) for row in found]


def _subscription(row: Any) -> Subscription:
    owner_id, collection_id, url, interval_s, next_at_s, failure = row
    return Subscription(AccountId(owner_id), CollectionId(collection_id), url, interval_s, _moment(next_at_s), failure)


def _due(db: apsw.Connection, now: datetime, limit: int) -> list[Subscription]:
    at_s = int(now.timestamp())
    found = select(db, f"{_SUBSCRIPTION} WHERE next_at_s <= ? ORDER BY next_at_s LIMIT ?", (at_s, limit))
    return [_subscription(row) for row in found]


def _take_due(db: apsw.Connection, now: datetime, until: datetime, limit: int) -> list[Subscription]:
    due = _due(db, now, limit)
    for each in due:
        db.execute(
            "UPDATE subscription SET next_at_s = ? WHERE owner_id = ? AND collection_id = ?",
            (int(until.timestamp()), each.owner_id, each.collection_id),
        )
    return due


def _put_subscription(db: apsw.Connection, subscription: Subscription) -> None:
    _must_be_there(db, subscription.owner_id)
    db.execute(
        "INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?, ?, ?)",
        (
            subscription.owner_id,
            subscription.collection_id,
            subscription.url,
            subscription.interval_s,
            int(subscription.next_at.timestamp()),
            subscription.failure,
        ),
    )


def _forget_collection(db: apsw.Connection, owner_id: AccountId, collection_id: CollectionId) -> None:
    for table in ("share", "public_link", "subscription", "push_registration"):
        db.execute(
            f"DELETE FROM {table} WHERE owner_id = ? AND collection_id = ?",  # noqa: S608  # our own words
            (owner_id, collection_id),
        )


def _count_old(db: apsw.Connection, table: str, now: datetime) -> int:
    statement = f"SELECT count(*) FROM {table} WHERE expires_at_s <= ?"  # noqa: S608  # our own words
    (count,) = select_one(db, statement, (int(now.timestamp()),))
    return int(count)


def _remove_old(db: apsw.Connection, table: str, now: datetime) -> int:
    db.execute(f"DELETE FROM {table} WHERE expires_at_s <= ?", (int(now.timestamp()),))  # noqa: S608  # our own words
    return db.changes()


def _pushes(db: apsw.Connection) -> tuple[PushRegistration, ...]:
    found = select(db, f"{_PUSH} ORDER BY push_id", ())
    return tuple(_push(row) for row in found)


def _push(row: Any) -> PushRegistration:
    push_id, watcher_id, owner_id, collection_id, url, public_key, auth_secret, expires_at_s = row
    return PushRegistration(
        push_id,
        AccountId(watcher_id),
        AccountId(owner_id),
        CollectionId(collection_id),
        url,
        bytes(public_key),
        bytes(auth_secret),
        _moment(expires_at_s),
    )


def _put_push(db: apsw.Connection, push: PushRegistration) -> None:
    _must_be_there(db, push.watcher_id, push.owner_id)
    db.execute("DELETE FROM push_registration WHERE push_id = ?", (push.push_id,))
    (count,) = select_one(db, "SELECT count(*) FROM push_registration WHERE watcher_id = ?", (push.watcher_id,))
    if count >= PUSHES_MAX:
        raise LimitReached(f"An account has at most {PUSHES_MAX} registrations for push")
    db.execute(
        "INSERT OR REPLACE INTO push_registration VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            push.push_id,
            push.watcher_id,
            push.owner_id,
            push.collection_id,
            push.url,
            push.public_key,
            push.auth_secret,
            int(push.expires_at.timestamp()),
        ),
    )


def _remove_push(db: apsw.Connection, push_id: str) -> None:
    db.execute("DELETE FROM push_registration WHERE push_id = ?", (push_id,))


def _must_be_there(db: apsw.Connection, *account_ids: AccountId) -> None:
    for account_id in account_ids:
        if select_one(db, "SELECT 1 FROM account WHERE account_id = ?", (account_id,)) is None:
            raise NoSuchAccount


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
