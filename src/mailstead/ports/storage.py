"""The storage port: what every store must give, and the eight promises it must keep.

Every writing verb is one unit of work: it happens whole or not at all, and when it has returned, it survives a power
cut. (Why verbs and not an open transaction object: docs/adr/0002.) The promises, each a test in
`tests/contracts`:

1. One writer per account at a time.
2. UIDs in a mailbox only ascend and are never used twice; UIDVALIDITY changes only if that cannot be kept.
3. modseq ascends per account. A reader who has seen n will never later meet a change ≤ n that was not there.
4. When `append` has returned, the message survives a power cut.
5. A wake-up follows each commit, at least once, possibly merged, carrying no data. The adapter sends it.
6. A read sees one moment: each reading verb is one snapshot.
7. A queue item is leased to one worker; an expired lease returns it. (`ports.queue`)
8. Of two simultaneous creations of one address exactly one wins, and the loser gets `AddressTaken`.

Errors of all verbs, beside those named: StorageUnavailable, StorageFull (writing verbs), NoSuchAccount (account
verbs). None of them blocks the event loop.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailstead.model.address import Address
from mailstead.model.directory import (
    Account,
    Alias,
    AppPassword,
    Credentials,
    DkimKey,
    Domain,
    DomainTerms,
    KeyState,
    Target,
    Verifier,
)
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
from mailstead.model.people import CatchAllPassword, ObjectId
from mailstead.model.search import SearchKey
from mailstead.model.uidset import UidSet
from mailstead.ports.dav import DavStore, Sharing
from mailstead.ports.emails import Emails
from mailstead.ports.import_jobs import ImportJobs
from mailstead.ports.memory import Memory
from mailstead.ports.openpgp import OpenpgpKeyring
from mailstead.ports.people import Factors, People
from mailstead.ports.preferences import OwnerPreferences
from mailstead.ports.queue import Queue
from mailstead.ports.sealed import Sealed
from mailstead.ports.snoozes import Snoozes
from mailstead.ports.statistics import Statistics
from mailstead.ports.trace import Reports, Trace
from mailstead.ports.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong that `check` found in a store."""

    account_id: AccountId | None
    text: str


@dataclass(frozen=True, slots=True)
class CredentialChanges:
    """Whose rights changed, for those who hold something open by them."""

    latest: int
    """Ask again with this."""
    account_ids: frozenset[str]
    """Accounts that were removed or switched off, or had a password changed or removed; and owners
    (`model.people.owner_of`) of users that had anything of theirs changed or removed.
    """


class Directory(Protocol):
    """Domains, accounts, addresses, aliases, credentials. Addresses are found by `Address.key`."""

    async def domains(self) -> list[Domain]:
        """All domains by name."""

    async def domain(self, name: str) -> Domain | None:
        """One domain."""

    async def add_domain(self, domain: Domain) -> None:
        """Errors: DomainExists."""

    async def remove_domain(self, name: str) -> None:
        """Errors: NoSuchDomain; DomainInUse while accounts or aliases have addresses in it."""

    async def set_terms(self, name: str, terms: DomainTerms) -> None:
        """Errors: NoSuchDomain."""

    async def accounts(self, domain: str | None = None) -> list[Account]:
        """All accounts, or those of one domain, by address."""

    async def account(self, account_id: AccountId) -> Account | None:
        """One account by its key."""

    async def find(self, address: Address) -> Account | Alias | None:
        """Who has exactly this address; plus-addressing is the use case's.

        Patterns and the catch-all are found by `patterns`, not here.
        """

    async def patterns(self, domain: str) -> list[Alias]:
        """The aliases of a domain that are patterns, in the order of their creation, then its catch-all."""

    async def add_account(
        self, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Insert if absent; the store is made by `Accounts.create`. Errors: AddressTaken, NoSuchDomain."""

    async def remove_account(self, account_id: AccountId) -> None:
        """Errors: NoSuchAccount. Its address is free at once; its data is removed by `Accounts.delete`."""

    async def set_quota(self, account_id: AccountId, quota_octets: int | None) -> None:
        """Errors: NoSuchAccount."""

    async def set_forwarding(self, account_id: AccountId, forward_to: Sequence[Target], *, keeps_copy: bool) -> None:
        """Errors: NoSuchAccount."""

    async def set_sending_limit(self, account_id: AccountId, sending_limit: int | None) -> None:
        """Errors: NoSuchAccount."""

    async def set_enabled(self, account_id: AccountId, *, is_enabled: bool, disabled_code: int | None) -> None:
        """Let nobody log in, and (with a code) take no mail; or let in again. Errors: NoSuchAccount."""

    async def turn_into_account(
        self, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Make the alias of that address an account, at one moment; its profile stays. Errors: NoSuchAlias."""

    async def turn_into_alias(self, account_id: AccountId, alias: Alias) -> None:
        """Make an account an alias of the same address, at one moment; its profile stays, its data is left alone.

        Errors: NoSuchAccount; NotAllowed, when the account is also a user who administers.
        """

    async def addresses_of(self, account_id: AccountId) -> list[Address]:
        """The main address and every alias that leads only to this account: what a log-in may send as."""

    async def add_alias(self, alias: Alias) -> None:
        """Insert if absent. Errors: AddressTaken, NoSuchDomain."""

    async def replace_alias(self, alias: Alias) -> None:
        """Change an alias; its address stays. Errors: NoSuchAlias."""

    async def remove_alias(self, address: Address) -> None:
        """Errors: NoSuchAlias."""

    async def rename_alias(self, address: Address, alias: Alias) -> None:
        """Give the alias of an address another one, and what else `alias` says; its profile goes with it.

        Errors: NoSuchAlias, AddressTaken.
        """

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        """All aliases, or those of one domain, by address."""

    async def credentials(self, address: Address) -> Credentials | None:
        """All verifiers of the enabled account whose main address this is.

        ``*@domain`` is no account, but has those of the domain's catch-all (for ``smtp`` only); its `AccountId` is the
        same text, and `account` gives it, too.
        """

    async def catch_all_passwords(self, domain: str) -> list[CatchAllPassword]:
        """By creation."""

    async def add_catch_all_password(
        self, password: CatchAllPassword, scram_salt: bytes, scram_iteration_count: int, verifier: Verifier
    ) -> None:
        """All of a domain have one salt. Errors: NoSuchDomain, LimitReached; TryAgainLater, if the salt is another."""

    async def remove_catch_all_password(self, domain: str, password_id: ObjectId) -> None:
        """Errors: NoSuchKey."""

    async def credential_changes(self, since: int) -> CredentialChanges:
        """Whose log-ins may be good no more, after `since` (0: ever)."""

    async def set_password(
        self, account_id: AccountId, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Replace the main password; a new salt makes SCRAM unavailable to old app passwords.

        Errors: NoSuchAccount; AccountLocked, of a sealed account: its password is replaced (`replace_password`).
        """

    async def replace_password(self, account_id: AccountId, old: Verifier, new: Verifier) -> bool:
        """Replace the main password's verifier by one with the same salt, if it still is `old`; whether it was."""

    async def add_app_password(
        self,
        account_id: AccountId,
        label: str,
        scopes: frozenset[str],
        verifier: Verifier,
        *,
        networks: tuple[str, ...] = (),
        expires_at: datetime | None = None,
    ) -> AppPassword:
        """Errors: NoSuchAccount, LimitReached."""

    async def note_app_password_use(self, app_password_ids: Sequence[int], day: str) -> None:
        """Write the day of the last use (ISO 8601); those that are gone are passed over."""

    async def remove_app_password(self, account_id: AccountId, app_password_id: int) -> None:
        """Errors: NoSuchAccount."""

    async def dkim_keys(self, domain: str) -> list[DkimKey]:
        """All signing keys of a domain, oldest first."""

    async def add_dkim_keys(self, keys: Sequence[DkimKey]) -> None:
        """Add all or none. Errors: NoSuchDomain; AddressTaken, when the domain has such a selector."""

    async def set_dkim_states(self, domain: str, states: Mapping[str, KeyState]) -> None:
        """Change the states of keys by selector, all at once. Errors: NoSuchKey."""

    async def remove_dkim_key(self, domain: str, selector: str) -> None:
        """Errors: NoSuchKey."""


class AccountStore(Protocol):
    """One account: mailboxes, messages, change log, filters. A light handle; files open behind it as needed."""

    @property
    def dav(self) -> DavStore:
        """Its calendars and address books."""

    @property
    def snoozes(self) -> Snoozes:
        """Its messages that wait to come back."""

    @property
    def openpgp(self) -> OpenpgpKeyring:
        """Its keys of OpenPGP."""

    # reading, each one snapshot

    async def mailboxes(self) -> list[Mailbox]:
        """All mailboxes by name, INBOX first; with names that exist only as parents (`is_selectable` False)."""

    async def mailbox(self, name: str) -> Mailbox:
        """One mailbox by its normal name. Errors: NoSuchMailbox."""

    async def snapshot(self, name: str) -> Snapshot:
        """A mailbox with its UIDs, for SELECT. Errors: NoSuchMailbox (also when not selectable)."""

    async def changes_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> Changes:
        """All that happened in the mailbox after `modseq`. A mailbox that is gone is said so, not an error."""

    async def vanished_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> UidSet:
        """UIDs expunged after `modseq`, for QRESYNC. Errors: NoSuchMailbox."""

    async def fetch(
        self, mailbox_id: MailboxId, uids: UidSet, wanted: Wanted, changed_since: ModSeq | None = None
    ) -> list[MessageRecord]:
        """Records by ascending UID; vanished ones are skipped. Errors: NoSuchMailbox."""

    async def read_octets(self, ranges: Sequence[OctetRange]) -> list[bytes]:
        """The pieces asked for, in order; the caller keeps a call to a few MiB. Errors: NoSuchMessage."""

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> UidSet:
        """UIDs that match, with the text index caught up first. Errors: NoSuchMailbox."""

    async def newest(
        self, mailbox_ids: Sequence[MailboxId], key: SearchKey, skipped: int, limit: int, wanted: Wanted
    ) -> Newest:
        """A page of what matches in some mailboxes, by internaldate, newest first; of equal ones the higher UID.

        All at one moment, with the text index caught up first. A mailbox that is gone is passed over.
        """

    async def conversations(
        self,
        mailbox_ids: Sequence[MailboxId],
        beside_ids: Sequence[MailboxId],
        key: SearchKey,
        before: Mark | None,
        limit: int,
    ) -> ConversationPage:
        """A page of the threads that have a match in some mailboxes, each where its newest match stands, newest first.

        `before` is the mark of the last conversation of the page before; what arrives meanwhile moves nothing. A thread
        is given with its messages in `mailbox_ids` and `beside_ids`. A search does not wait for a long backlog of the
        text index: it says how long it is, and sees to it that it gets shorter. A mailbox that is gone is passed over.
        """

    async def last_blob_id(self) -> BlobId:
        """The highest key of octets given so far: what is appended later has a higher one, copies keep theirs."""

    async def index_backlog(self) -> int:
        """How many messages the text index has not seen yet."""

    async def index_some(self, limit: int) -> int:
        """Index up to `limit` waiting messages in one unit of work; gives how many still wait."""

    async def usage(self) -> Usage:
        """What the account holds and may hold."""

    async def annotations(self, name: str | None) -> dict[str, bytes]:
        """Annotations of a mailbox, or of the account (None). Spec: RFC 5464. Errors: NoSuchMailbox."""

    async def annotation_marks(self) -> dict[tuple[MailboxId, str], int]:
        """For each annotation, by mailbox (0: the account's) and entry, a number that is another when its value is.

        Good for comparing within one process only.
        """

    async def scripts(self) -> list[SieveScript]:
        """All Sieve scripts by name. Spec: RFC 5804 §2.7."""

    async def script(self, name: str) -> bytes:
        """A script's text. Errors: NoSuchScript."""

    async def filtering(self) -> Filtering:
        """What a delivery must know before it files a message: the active script, preferences, mailboxes. One hop."""

    async def preferences(self) -> dict[str, bytes]:
        """Settings of the account that filters use (vacation, junk …), by key."""

    async def junk_counts(self, tokens: Sequence[int]) -> JunkCounts:
        """How often these tokens (64-bit hashes, signed) were in good and in junk messages."""

    async def junk_backlog(self, limit: int) -> list[JunkLesson]:
        r"""Messages that came into or went out of a mailbox of special use \Junk by a person's hand, not learned yet.

        The last move counts; throwing away (into \Trash) says nothing. A lesson goes with its message.
        """

    # writing, each one unit of work

    async def put_script(self, name: str, octets: bytes) -> None:
        """Make or replace a script; the caller has checked it. Errors: LimitReached."""

    async def exchange_script(self, before: SieveText | None, after: SieveText) -> None:
        """Put a script and make it the active one, if `before` is that and says what it said (None: none is active).

        Another name than before is that of a new script. Errors: PreconditionFailed; ScriptExists, LimitReached.
        """

    async def delete_script(self, name: str) -> None:
        """Errors: NoSuchScript, ScriptActive."""

    async def rename_script(self, name: str, new_name: str) -> None:
        """Errors: NoSuchScript, ScriptExists."""

    async def activate_script(self, name: str | None) -> None:
        """Make one script the active one; None: none is. Errors: NoSuchScript."""

    async def set_preferences(self, values: Mapping[str, bytes | None]) -> None:
        """Set (None: remove) settings."""

    async def remember_first(self, kind: str, key: str, now: datetime, until: datetime) -> bool:
        """Remember a fact until then; False if it was remembered already. What has run out is forgotten. Atomic."""

    async def remembered(self, kind: str, now: datetime) -> frozenset[str]:
        """All keys of a kind that have not run out."""

    async def learn(self, lessons: Sequence[JunkLesson], counts: Mapping[int, tuple[int, int]]) -> None:
        """Add to the counts of tokens (good, junk; may be negative) and take the lessons off the backlog.

        Errors: TryAgainLater, when a lesson was learned by others, said anew, or went with its message: ask again.
        """

    async def forget_junk(self) -> None:
        """Forget all that was learned about junk, and the lessons that wait; mail stays where it is."""

    async def append(self, name: str, messages: Sequence[NewMessage], *, is_delivery: bool = False) -> list[Appended]:
        r"""Append all or none; what a delivery puts into \Junk is no lesson (`junk_backlog`).

        Errors: NoSuchMailbox, OverQuota, LimitReached (keywords).
        """

    async def replace(self, mailbox_id: MailboxId, uid: Uid, name: str, message: NewMessage) -> Appended:
        """Append to `name` and expunge `uid` in one unit. Spec: RFC 8508. Errors: as append; NoSuchMessage."""

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: UidSet,
        operation: FlagOperation,
        flags: Sequence[Flag],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        """Change flags; a message whose flags do not change keeps its modseq. Errors: NoSuchMailbox, LimitReached."""

    async def expunge(self, mailbox_id: MailboxId, uids: UidSet | None, *, only_deleted: bool = True) -> UidSet:
        r"""Remove messages (None: all) that have \Deleted, or regardless of it; gives the removed.

        Errors: NoSuchMailbox.
        """

    async def copy(self, mailbox_id: MailboxId, uids: UidSet, target: str) -> Copied:
        """Copy messages; octets are shared, flags and internaldate kept.

        Errors: NoSuchMailbox, OverQuota, LimitReached.
        """

    async def move(self, mailbox_id: MailboxId, uids: UidSet, target: str) -> Copied:
        """Move messages in one unit. Errors: NoSuchMailbox (either), LimitReached."""

    async def create_mailbox(self, name: str, special_use: str | None = None) -> Mailbox:
        """Make a mailbox and its missing parents. Errors: MailboxExists, BadMailboxName, LimitReached."""

    async def delete_mailbox(self, name: str) -> None:
        """Remove with its messages; children stay.

        Errors: NoSuchMailbox, NotAllowed (INBOX), MailboxHasChildren (name only).
        """

    async def rename_mailbox(self, name: str, new_name: str) -> None:
        """Rename with children; INBOX moves its messages instead. Spec: RFC 9051 §6.3.6.

        Errors: NoSuchMailbox, MailboxExists, BadMailboxName.
        """

    async def subscribe(self, name: str, *, is_subscribed: bool) -> None:
        """Subscribe or not; a subscription may name what is not there."""

    async def subscriptions(self) -> list[str]:
        """All subscribed names, also of mailboxes that are not there."""

    async def set_annotations(self, name: str | None, entries: dict[str, bytes | None]) -> None:
        """Set (None: remove) annotations. Errors: NoSuchMailbox, LimitReached."""


class Accounts(Protocol):
    """Account stores by key."""

    async def create(
        self, account_id: AccountId, mailboxes: Sequence[tuple[str, str | None]], quota_octets: int | None = None
    ) -> None:
        """Make the store with these mailboxes (name, special_use), all subscribed."""

    async def delete(self, account_id: AccountId) -> None:
        """Remove the store for good; nothing happens if it is not there."""

    async def ids(self) -> list[AccountId]:
        """All account stores that are there, whether the directory knows them or not."""

    def of(self, account_id: AccountId) -> AccountStore:
        """A handle; costs nothing, opens nothing."""

    async def set_quota(self, account_id: AccountId, quota_octets: int | None) -> None:
        """The same number as in the directory, beside the counters."""


class Storage(Protocol):
    """The whole store."""

    @property
    def directory(self) -> Directory:
        """Domains, accounts, addresses, aliases, credentials."""

    @property
    def accounts(self) -> Accounts:
        """Per account: mailboxes, messages, change log."""

    @property
    def sharing(self) -> Sharing:
        """What accounts share with each other and with the world."""

    @property
    def sealed(self) -> Sealed:
        """Accounts whose keys only their owners have, and the mail that waits for them."""

    @property
    def people(self) -> People:
        """Who administers, what the API tells of domains and addresses, what was done."""

    @property
    def factors(self) -> Factors:
        """Second factors, sessions of browsers, links with providers."""

    @property
    def queue(self) -> Queue:
        """Mail that waits to go out."""

    @property
    def memory(self) -> Memory:
        """Small facts that run out."""

    @property
    def trace(self) -> Trace:
        """Where messages went."""

    @property
    def emails(self) -> Emails:
        """What was sent over the API."""

    @property
    def import_jobs(self) -> ImportJobs:
        """Imports from other providers."""

    @property
    def reports(self) -> Reports:
        """What others report about our domains."""

    @property
    def statistics(self) -> Statistics:
        """Figures by hour and by day."""

    @property
    def wakeups(self) -> Wakeups:
        """Which account has something to do when."""

    @property
    def preferences(self) -> OwnerPreferences:
        """How owners want the web to be."""

    def check(self) -> AsyncIterator[Finding]:
        """Check every account store: UID order, uidnext, modseq, counts, quota counters, blobs referenced and present.

        And the queue: items, recipients, octets and what is due fit together.

        Whether directory and account stores fit together is asked by `usecases.checks`.
        """

    async def close(self) -> None:
        """Finish what is promised and close all files."""
