"""Which messages an account holds already, so that an import brings none of them again.

A message is known by its Message-ID and its size together; one without Message-ID by all its octets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Final

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.ids import BlobId
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore

STEP: Final = 2000
"""Messages looked at together: what is known of them is more than what is kept."""
_DIGEST_OCTETS: Final = 12


class KnownMessages:
    """What some mailboxes of an account hold; some tens of octets in memory for each message."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._seen: set[bytes] = set()
        self._nameless: dict[int, list[BlobId]] = defaultdict(list)
        """Messages without Message-ID, by size, whose octets nobody has looked at."""
        self._digests: set[bytes] = set()

    async def read(self, names: Sequence[str]) -> None:
        """Take in what mailboxes hold; those that are not there hold nothing. Errors: of the store."""
        for name in names:
            try:
                snapshot = await self._store.snapshot(name)
            except NoSuchMailbox:
                continue
            uids = list(snapshot.uids)
            for at in range(0, len(uids), STEP):
                some = UidSet.of(uids[at : at + STEP])
                for record in await self._store.fetch(snapshot.mailbox.mailbox_id, some, Wanted.ORDER):
                    message_id = record.order.message_id if record.order is not None else None
                    if message_id:
                        self._seen.add(_digest(message_id, record.size_octets))
                    else:
                        self._nameless[record.size_octets].append(record.blob_id)

    def has(self, message_id: str | None, size_octets: int) -> bool:
        """Whether a message of that name and size is there; False for one without name."""
        return bool(message_id) and _digest(message_id or "", size_octets) in self._seen

    async def has_octets(self, octets: bytes) -> bool:
        """Whether a message without name is there, octet for octet. Errors: of the store."""
        for blob_id in self._nameless.pop(len(octets), ()):
            (stored,) = await self._store.read_octets([OctetRange(blob_id, 0, len(octets))])
            self._digests.add(sha256(stored).digest())
        return sha256(octets).digest() in self._digests

    def add(self, message_id: str | None, octets: bytes) -> None:
        """Know one more."""
        if message_id:
            self._seen.add(_digest(message_id, len(octets)))
        else:
            self._digests.add(sha256(octets).digest())


def _digest(message_id: str, size_octets: int) -> bytes:
    return blake2b(f"{size_octets} {message_id}".encode("utf-8", "replace"), digest_size=_DIGEST_OCTETS).digest()
