"""What one session sees of INBOX: fixed at log-in, as RFC 1939 demands, and small.

Spec: RFC 1939 §4 (a message number is assigned to each message at log-in), §5 (deletion marks), §7 (UIDL).
Some columns of numbers instead of records: 50,000 messages take about 1.5 MB, and a session may live for long.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice

from mailstead.model.errors import NoSuchMessage
from mailstead.model.ids import BlobId, MailboxId, UidValidity
from mailstead.model.mailbox import INBOX
from mailstead.model.message import MessageRecord, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore

FETCH_COUNT = 5_000
"""Records read at once while the maildrop is opened."""


class Maildrop:
    """The numbered messages of a session, and which of them are marked as deleted."""

    def __init__(self, mailbox_id: MailboxId, uidvalidity: UidValidity) -> None:
        self.mailbox_id = mailbox_id
        self._uidvalidity = uidvalidity
        self._uids = array("I")
        self._sizes = array("Q")
        self._header_sizes = array("Q")
        self._blob_ids = array("Q")
        self._deleted: set[int] = set()
        self._total_octets = 0

    @classmethod
    async def open(cls, store: AccountStore, messages_max: int) -> Maildrop:
        """Number the messages of INBOX, at most the oldest `messages_max` (attack row 56)."""
        snapshot = await store.snapshot(INBOX)
        maildrop = cls(snapshot.mailbox.mailbox_id, snapshot.mailbox.uidvalidity)
        uids = islice(snapshot.uids, messages_max)
        while piece := UidSet.of(islice(uids, FETCH_COUNT)):
            maildrop._add(await store.fetch(maildrop.mailbox_id, piece, Wanted.NARROW))
        return maildrop

    def _add(self, records: Iterable[MessageRecord]) -> None:
        for record in records:
            self._uids.append(record.uid)
            self._sizes.append(record.size_octets)
            self._header_sizes.append(record.header_octets)
            self._blob_ids.append(record.blob_id)
            self._total_octets += record.size_octets

    @property
    def message_count(self) -> int:
        """Messages that are not marked. Spec: RFC 1939 §5 (STAT)."""
        return len(self._uids) - len(self._deleted)

    @property
    def size_octets(self) -> int:
        """Their size together. Spec: RFC 1939 §5 (STAT)."""
        return self._total_octets - sum(self._sizes[index] for index in self._deleted)

    def scan_listing(self, number: int) -> str:
        """Spec: RFC 1939 §5 (LIST). Errors: NoSuchMessage."""
        return f"{number} {self._sizes[self._index(number)]}"

    def unique_id_listing(self, number: int) -> str:
        """Spec: RFC 1939 §7 (UIDL). Errors: NoSuchMessage."""
        return f"{number} {self._unique_id(self._index(number))}"

    def scan_listings(self) -> Iterator[str]:
        """All of them; marked messages are left out. Spec: RFC 1939 §5."""
        return (f"{index + 1} {self._sizes[index]}" for index in self._kept())

    def unique_id_listings(self) -> Iterator[str]:
        """All of them; marked messages are left out. Spec: RFC 1939 §7."""
        return (f"{index + 1} {self._unique_id(index)}" for index in self._kept())

    def octets_of(self, number: int) -> tuple[BlobId, int, int]:
        """Give blob, size and header size of a message. Errors: NoSuchMessage."""
        index = self._index(number)
        return BlobId(self._blob_ids[index]), self._sizes[index], self._header_sizes[index]

    def mark_deleted(self, number: int) -> None:
        """Spec: RFC 1939 §5 (DELE). Errors: NoSuchMessage."""
        self._deleted.add(self._index(number))

    def unmark_all(self) -> None:
        """Spec: RFC 1939 §5 (RSET)."""
        self._deleted.clear()

    @property
    def deleted_uids(self) -> UidSet:
        """What QUIT removes. Spec: RFC 1939 §6."""
        return UidSet.of(self._uids[index] for index in self._deleted)

    def _kept(self) -> Iterator[int]:
        return (index for index in range(len(self._uids)) if index not in self._deleted)

    def _unique_id(self, index: int) -> str:
        """1 to 70 characters that never change and never come again, as uidvalidity and uid do. Spec: RFC 1939 §7."""
        return f"{self._uidvalidity:08x}{self._uids[index]:08x}"

    def _index(self, number: int) -> int:
        if not 1 <= number <= len(self._uids) or number - 1 in self._deleted:
            raise NoSuchMessage("No such message")
        return number - 1
