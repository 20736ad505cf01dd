"""`AccountStore` on one encrypted file: each verb is one hop to a reader thread or one unit of work of a writer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import apsw

from mailstead.model.filtering import Filtering, JunkCounts, JunkLesson, SieveScript, SieveText
from mailstead.model.flags import Flag, FlagOperation
from mailstead.model.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from mailstead.model.mailbox import Mailbox, Snapshot, Usage
from mailstead.model.message import (
    Appended,
    Changes,
    ConversationPage,
    Copied,
    Mark,
    MessageRecord,
    Newest,
    NewMessage,
    OctetRange,
    Stored,
    Wanted,
)
from mailstead.model.search import SearchKey
from mailstead.model.uidset import UidSet
from mailstead.ports.changebus import FILTERS
from mailstead.ports.dav import DavStore
from mailstead.ports.openpgp import OpenpgpKeyring
from mailstead.ports.snoozes import Snoozes
from mailstead.storage.embedded import (
    conversations,
    filters,
    junk,
    mailboxes,
    message_reads,
    message_writes,
    octets,
    rows,
    search,
    text_index,
)
from mailstead.storage.embedded.dav import EmbeddedDavStore
from mailstead.storage.embedded.openpgp import EmbeddedOpenpgpKeyring
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.snoozes import EmbeddedSnoozes
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import Writer

if TYPE_CHECKING:
    from mailstead.storage.embedded.indexer import Indexer

T = TypeVar("T")

INDEX_BATCH: Final = 200
"""Messages that one unit of work adds to the text index while a search waits; others may write in between."""
INDEXED_AT_ONCE_MAX: Final = 50
"""So few messages are indexed before a search for a page; it does not wait for more."""


class EmbeddedAccountStore:
    """A light handle on one account."""

    def __init__(self, account_id: AccountId, reader: Reader, writer: Writer, indexer: "Indexer") -> None:
        self.account_id = account_id
        self._reader = reader
        self._writer = writer
        self._indexer = indexer

    @property
    def dav(self) -> DavStore:
        """See `AccountStore.dav`."""
        return EmbeddedDavStore(self.account_id, self._reader, self._writer)

    @property
    def snoozes(self) -> Snoozes:
        """See `AccountStore.snoozes`."""
        return EmbeddedSnoozes(self.account_id, self._reader, self._writer)

    @property
    def openpgp(self) -> OpenpgpKeyring:
        """See `AccountStore.openpgp`."""
        return EmbeddedOpenpgpKeyring(self.account_id, self._reader, self._writer)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._reader.run(self.account_id, work)

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        return await self._writer.run(self.account_id, work)

    async def _change_filters(self, work: Callable[[Transaction], None], *, grows: bool = False) -> None:
        """Change what `filtering` gives; no mailbox changes by it, so watchers of the account sleep on."""
        await self._writer.run(self.account_id, work, grows=grows, wakes=False, topic=FILTERS)

    # reading

    async def mailboxes(self) -> list[Mailbox]:
        """See `AccountStore.mailboxes`."""
        return await self._read(mailboxes.mailboxes)

    async def mailbox(self, name: str) -> Mailbox:
        """See `AccountStore.mailbox`."""
        return await self._read(lambda db: mailboxes.mailbox(db, name))

    async def snapshot(self, name: str) -> Snapshot:
        """See `AccountStore.snapshot`."""
        return await self._read(lambda db: message_reads.snapshot(db, name))

    async def changes_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> Changes:
        """See `AccountStore.changes_since`."""
        return await self._read(lambda db: message_reads.changes_since(db, mailbox_id, modseq))

    async def vanished_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> UidSet:
        """See `AccountStore.vanished_since`."""
        return await self._read(lambda db: message_reads.vanished_since(db, mailbox_id, modseq))

    async def fetch(
        self, mailbox_id: MailboxId, uids: UidSet, wanted: Wanted, changed_since: ModSeq | None = None
    ) -> list[MessageRecord]:
        """See `AccountStore.fetch`."""
        return await self._read(lambda db: message_reads.fetch(db, mailbox_id, uids, wanted, changed_since))

    async def last_blob_id(self) -> BlobId:
        """See `AccountStore.last_blob_id`."""
        return await self._read(lambda db: BlobId(rows.account_row(db).next_content_id - 1))

    async def read_octets(self, ranges: Sequence[OctetRange]) -> list[bytes]:
        """See `AccountStore.read_octets`."""

        def read_all(db: apsw.Connection) -> list[bytes]:
            with rows.one_moment(db):
                return [octets.read(db, blob_id, start, stop) for blob_id, start, stop in ranges]

        return await self._read(read_all)

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> UidSet:
        """See `AccountStore.search`. Keys without text never touch the index."""
        if search.asks_text(key):
            while await self.index_some(INDEX_BATCH):
                pass
        return await self._read(lambda db: search.search(db, mailbox_id, key))

    async def newest(
        self, mailbox_ids: Sequence[MailboxId], key: SearchKey, skipped: int, limit: int, wanted: Wanted
    ) -> Newest:
        """See `AccountStore.newest`."""
        if search.asks_text(key):
            while await self.index_some(INDEX_BATCH):
                pass
        return await self._read(lambda db: message_reads.newest(db, mailbox_ids, key, skipped, limit, wanted))

    async def conversations(
        self,
        mailbox_ids: Sequence[MailboxId],
        beside_ids: Sequence[MailboxId],
        key: SearchKey,
        before: Mark | None,
        limit: int,
    ) -> ConversationPage:
        """See `AccountStore.conversations`."""
        waiting = 0
        if search.asks_text(key):
            waiting = await self.index_backlog()
            if 0 < waiting <= INDEXED_AT_ONCE_MAX:
                waiting = await self.index_some(INDEXED_AT_ONCE_MAX)
            if waiting:
                self._indexer.note(self.account_id)
        page = await self._read(lambda db: conversations.page(db, mailbox_ids, beside_ids, key, before, limit))
        return replace(page, unindexed_count=waiting)

    async def index_backlog(self) -> int:
        """See `AccountStore.index_backlog`."""
        return await self._read(text_index.backlog)

    async def index_some(self, limit: int) -> int:
        """See `AccountStore.index_some`. Reading and decoding hold no lock; only the insertion is a unit of work."""
        batch = await self._read(lambda db: text_index.prepare(db, limit))
        if not batch.texts and not batch.waiting_count:
            return 0

        def insert(transaction: Transaction) -> bool:
            text_index.insert(transaction, batch)
            return transaction.account.indexed_to >= batch.indexed_to

        is_reached = await self._writer.run(self.account_id, insert, wakes=False)
        # Whoever indexes beside us may have taken a smaller batch meanwhile: then some of ours still wait.
        return batch.waiting_count if is_reached else max(1, batch.waiting_count)

    async def usage(self) -> Usage:
        """See `AccountStore.usage`."""
        account = await self._read(rows.account_row)
        return Usage(
            size_octets=account.size_octets + account.dav_octets,
            message_count=account.message_count,
            mailbox_count=account.mailbox_count,
            quota_octets=account.quota_octets,
            quota_messages=account.quota_messages,
        )

    async def annotations(self, name: str | None) -> dict[str, bytes]:
        """See `AccountStore.annotations`."""
        return await self._read(lambda db: mailboxes.annotations(db, name))

    async def annotation_marks(self) -> dict[tuple[MailboxId, str], int]:
        """See `AccountStore.annotation_marks`."""
        return await self._read(mailboxes.annotation_marks)

    async def scripts(self) -> list[SieveScript]:
        """See `AccountStore.scripts`."""
        return await self._read(filters.scripts)

    async def script(self, name: str) -> bytes:
        """See `AccountStore.script`."""
        return await self._read(lambda db: filters.script(db, name))

    async def filtering(self) -> Filtering:
        """See `AccountStore.filtering`."""
        return await self._read(filters.filtering)

    async def preferences(self) -> dict[str, bytes]:
        """See `AccountStore.preferences`."""
        return await self._read(filters.preferences)

    async def remembered(self, kind: str, now: datetime) -> frozenset[str]:
        """See `AccountStore.remembered`."""
        return await self._read(lambda db: filters.remembered(db, kind, now))

    async def junk_counts(self, tokens: Sequence[int]) -> JunkCounts:
        """See `AccountStore.junk_counts`."""
        return await self._read(lambda db: junk.counts(db, tokens))

    async def junk_backlog(self, limit: int) -> list[JunkLesson]:
        """See `AccountStore.junk_backlog`."""
        return await self._read(lambda db: junk.backlog(db, limit))

    # writing

    async def put_script(self, name: str, octets: bytes) -> None:
        """See `AccountStore.put_script`."""
        await self._change_filters(lambda transaction: filters.put_script(transaction, name, octets), grows=True)

    async def exchange_script(self, before: SieveText | None, after: SieveText) -> None:
        """See `AccountStore.exchange_script`."""
        await self._change_filters(lambda transaction: filters.exchange_script(transaction, before, after), grows=True)

    async def delete_script(self, name: str) -> None:
        """See `AccountStore.delete_script`."""
        await self._change_filters(lambda transaction: filters.delete_script(transaction, name))

    async def rename_script(self, name: str, new_name: str) -> None:
        """See `AccountStore.rename_script`."""
        await self._change_filters(lambda transaction: filters.rename_script(transaction, name, new_name))

    async def activate_script(self, name: str | None) -> None:
        """See `AccountStore.activate_script`."""
        await self._change_filters(lambda transaction: filters.activate_script(transaction, name))

    async def set_preferences(self, values: Mapping[str, bytes | None]) -> None:
        """See `AccountStore.set_preferences`."""
        await self._change_filters(lambda transaction: filters.set_preferences(transaction, values))

    async def remember_first(self, kind: str, key: str, now: datetime, until: datetime) -> bool:
        """See `AccountStore.remember_first`."""
        return await self._writer.run(
            self.account_id, lambda transaction: filters.remember_first(transaction, kind, key, now, until), wakes=False
        )

    async def learn(self, lessons: Sequence[JunkLesson], counts: Mapping[int, tuple[int, int]]) -> None:
        """See `AccountStore.learn`."""
        await self._writer.run(
            self.account_id, lambda transaction: junk.learn(transaction, lessons, counts), wakes=False
        )

    async def forget_junk(self) -> None:
        """See `AccountStore.forget_junk`."""
        await self._writer.run(self.account_id, junk.forget, wakes=False)

    async def append(self, name: str, messages: Sequence[NewMessage], *, is_delivery: bool = False) -> list[Appended]:
        """See `AccountStore.append`."""
        appended = await self._writer.run(
            self.account_id,
            lambda transaction: message_writes.append(transaction, name, messages, is_delivery=is_delivery),
            grows=True,
        )
        self._indexer.note(self.account_id)
        return appended

    async def replace(self, mailbox_id: MailboxId, uid: Uid, name: str, message: NewMessage) -> Appended:
        """See `AccountStore.replace`."""
        appended = await self._writer.run(
            self.account_id,
            lambda transaction: message_writes.replace(transaction, mailbox_id, uid, name, message),
            grows=True,
        )
        self._indexer.note(self.account_id)
        return appended

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: UidSet,
        operation: FlagOperation,
        flags: Sequence[Flag],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        """See `AccountStore.store_flags`."""
        return await self._write(
            lambda transaction: message_writes.store_flags(
                transaction, mailbox_id, uids, operation, flags, unchanged_since
            )
        )

    async def expunge(self, mailbox_id: MailboxId, uids: UidSet | None, *, only_deleted: bool = True) -> UidSet:
        """See `AccountStore.expunge`."""
        return await self._write(
            lambda transaction: message_writes.expunge(transaction, mailbox_id, uids, only_deleted=only_deleted)
        )

    async def copy(self, mailbox_id: MailboxId, uids: UidSet, target: str) -> Copied:
        """See `AccountStore.copy`."""
        return await self._write(lambda transaction: message_writes.copy(transaction, mailbox_id, uids, target))

    async def move(self, mailbox_id: MailboxId, uids: UidSet, target: str) -> Copied:
        """See `AccountStore.move`."""
        return await self._write(lambda transaction: message_writes.move(transaction, mailbox_id, uids, target))

    async def create_mailbox(self, name: str, special_use: str | None = None) -> Mailbox:
        """See `AccountStore.create_mailbox`."""
        return await self._write(lambda transaction: mailboxes.create_mailbox(transaction, name, special_use))

    async def delete_mailbox(self, name: str) -> None:
        """See `AccountStore.delete_mailbox`."""
        await self._write(lambda transaction: mailboxes.delete_mailbox(transaction, name))

    async def rename_mailbox(self, name: str, new_name: str) -> None:
        """See `AccountStore.rename_mailbox`."""
        await self._write(lambda transaction: mailboxes.rename_mailbox(transaction, name, new_name))

    async def subscribe(self, name: str, *, is_subscribed: bool) -> None:
        """See `AccountStore.subscribe`."""
        await self._write(lambda transaction: mailboxes.subscribe(transaction, name, is_subscribed=is_subscribed))

    async def subscriptions(self) -> list[str]:
        """See `AccountStore.subscriptions`."""
        return await self._read(mailboxes.subscriptions)

    async def set_annotations(self, name: str | None, entries: dict[str, bytes | None]) -> None:
        """See `AccountStore.set_annotations`."""
        await self._write(lambda transaction: mailboxes.set_annotations(transaction, name, entries))
