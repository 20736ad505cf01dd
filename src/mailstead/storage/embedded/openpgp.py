"""`ports.openpgp.OpenpgpKeyring` in the account's file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import apsw
import msgspec

from mailstead.model.errors import LimitReached
from mailstead.model.ids import AccountId
from mailstead.model.openpgp import KEYS_MAX, KeySource, LockedSecret, OpenpgpKey
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import Writer

_ALL: Final = (
    "SELECT fingerprint, address, user_ids, public, secret, source, is_verified, added_s FROM openpgp_key"
    " ORDER BY secret IS NULL, address, added_s, fingerprint"
)


class EmbeddedOpenpgpKeyring:
    """A light handle on that of one account."""

    def __init__(self, account_id: AccountId, reader: Reader, writer: Writer) -> None:
        self._account_id = account_id
        self._reader = reader
        self._writer = writer

    async def keys(self) -> list[OpenpgpKey]:
        """See `OpenpgpKeyring.keys`."""
        return await self._reader.run(self._account_id, _keys)

    async def put(self, key: OpenpgpKey) -> None:
        """See `OpenpgpKeyring.put`."""
        await self._writer.run(self._account_id, lambda transaction: _put(transaction, key))

    async def remove(self, fingerprint: str) -> bool:
        """See `OpenpgpKeyring.remove`."""
        return await self._writer.run(self._account_id, lambda transaction: _remove(transaction, fingerprint))


def _keys(db: apsw.Connection) -> list[OpenpgpKey]:
    return [
        OpenpgpKey(
            fingerprint,
            address,
            tuple(msgspec.json.decode(user_ids, type=list[str])),
            public,
            datetime.fromtimestamp(added_s, UTC),
            KeySource(source),
            bool(is_verified),
            None if secret is None else msgspec.msgpack.decode(secret, type=LockedSecret),
        )
        for fingerprint, address, user_ids, public, secret, source, is_verified, added_s in select(db, _ALL)
    ]


def _put(transaction: Transaction, key: OpenpgpKey) -> None:
    db = transaction.db
    db.execute(
        "INSERT OR REPLACE INTO openpgp_key"
        " (fingerprint, address, user_ids, public, secret, source, is_verified, added_s)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.fingerprint,
            key.address,
            msgspec.json.encode(key.user_ids).decode(),
            key.public,
            None if key.secret is None else msgspec.msgpack.encode(key.secret),
            key.source.value,
            key.is_verified,
            int(key.added_at.timestamp()),
        ),
    )
    (count,) = select_one(db, "SELECT count(*) FROM openpgp_key")
    if count > KEYS_MAX:
        raise LimitReached(f"An account keeps at most {KEYS_MAX} keys")


def _remove(transaction: Transaction, fingerprint: str) -> bool:
    transaction.db.execute("DELETE FROM openpgp_key WHERE fingerprint = ?", (fingerprint,))
    return bool(transaction.db.changes())
