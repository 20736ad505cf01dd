"""Calendars, address books and what is in them: the words of the house for WebDAV's collections and resources.

Spec: RFC 4918 (collection, resource), RFC 4791 (calendars), RFC 6352 (address books), RFC 6578 (sync).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple, NewType

from mailstead.model.ids import AccountId, ModSeq

CollectionId = NewType("CollectionId", int)
"""Key of one collection inside its account; never used again."""

ResourceId = NewType("ResourceId", int)
"""Key of one resource inside its account; stays when it is changed, never used again."""

CALENDAR_COMPONENTS: Final = ("VEVENT", "VTODO", "VJOURNAL", "VAVAILABILITY")
"""What may be in a calendar. Spec: RFC 5545 §3.6; RFC 7953 §3.1."""

TEXT_MAX: Final = 16 * 1024
"""Characters of `ResourceFacts.text`; one that is so long has been cut."""


class CollectionKind(Enum):
    """What a collection holds."""

    CALENDAR = "calendar"
    ADDRESSBOOK = "addressbook"
    INBOX = "inbox"
    """Scheduling messages that came in; one per account. Spec: RFC 6638 §2.2."""


@dataclass(frozen=True, slots=True)
class CollectionTraits:
    """What its owner may say about a collection."""

    display_name: str = ""
    display_name_language: str = ""
    """Of xml:lang; empty: not said."""
    description: str = ""
    color: str = ""
    """As a client sent it: ``#RRGGBB`` or ``#RRGGBBAA``."""
    order: int | None = None
    """Where Apple's clients put it in their list."""
    timezone: str = ""
    """A VCALENDAR with one VTIMEZONE. Spec: RFC 4791 §5.2.2."""
    timezone_id: str = ""
    """Spec: RFC 7809 §5.2."""
    components: tuple[str, ...] = ()
    """Which components may be put in; empty: all. Fixed when it is made. Spec: RFC 4791 §5.2.3."""
    is_transparent: bool = False
    """Its events do not make the owner busy. Spec: RFC 6638 §9.1."""
    availability: str = ""
    """A VCALENDAR with VAVAILABILITY components (of an inbox). Spec: RFC 7953 §7.2."""
    default_calendar: str = ""
    """Into which calendar of the account invitations go (of an inbox); empty: the first. Spec: RFC 6638 §9.2."""
    dead: Mapping[str, str] = field(default_factory=dict)
    """Properties that only clients understand: Clark name (``{namespace}name``) to the whole element as XML, with all
    namespaces it needs. Spec: RFC 4918 §4.4."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A calendar, an address book, or the inbox for scheduling."""

    collection_id: CollectionId
    kind: CollectionKind
    name: str
    """Its segment in paths: unique among those of its kind in the account, never changes."""
    traits: CollectionTraits
    modseq: ModSeq
    """Highest of all changes of its resources; what the sync token tells."""
    traits_modseq: ModSeq
    """Highest change of its traits."""
    resource_count: int
    size_octets: int
    source_url: str = ""
    """Of a subscription: where its events come from; nobody else writes it. Empty: it is none."""


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """What is computed once, when an object is put, so that queries need not read it."""

    uid: str
    component: str
    """``VEVENT``, ``VTODO``, ``VJOURNAL``, ``VFREEBUSY``, ``VAVAILABILITY``; of a contact ``VCARD``."""
    first_s: int | None = None
    """No instance begins before this moment (Unix time); None: it has no beginning in time.

    Floating times and whole days are taken at their earliest in any zone, UTC+14; ends at their latest, UTC-12."""
    last_s: int | None = None
    """No instance ends after this; None: it never ends, or has no place in time."""
    is_dated: bool = False
    """Whether it has a place in time at all; a task without any date has none, and matches always."""
    is_recurring: bool = False
    is_exact: bool = False
    """One instance, in UTC or a zone: [first_s, last_s) is that very instance."""
    is_group: bool = False
    """Of a contact. Spec: RFC 6350 §6.1.4."""
    summary: str = ""
    """For lists: SUMMARY, or FN. At most 200 characters."""
    text: str = ""
    """For searching by substrings: case-folded texts, one per line. Read only along with octets."""
    organizer: str = ""
    """``mailto:`` address, lower-case, of an object with ATTENDEEs; empty: none."""


@dataclass(frozen=True, slots=True)
class Resource:
    """An object in a collection."""

    resource_id: ResourceId
    collection_id: CollectionId
    name: str
    """Its segment in paths."""
    etag: str
    """Without quotes: of the octets alone, so it is the same after a restore. Strong. Spec: RFC 9110 §8.8.3."""
    schedule_tag: str
    """Without quotes; empty: it is no scheduling object. Spec: RFC 6638 §3.2.10."""
    modseq: ModSeq
    created_at: datetime
    modified_at: datetime
    size_octets: int
    facts: ResourceFacts
    octets: bytes = field(default=b"", repr=False)
    """As they were put; empty where they were not asked for."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must hold, at the moment of the change, of what is there under a name.

    Spec: RFC 9110 §13.1.1, §13.1.2; RFC 6638 §8.3 (If-Schedule-Tag-Match).
    """

    etags: frozenset[str] | None = None
    """One of these; None: not asked. An absent object has none of them."""
    must_exist: bool = False
    """``If-Match: *``."""
    must_be_absent: bool = False
    """``If-None-Match: *``."""
    absent_etags: frozenset[str] = frozenset()
    """``If-None-Match``: none of these."""
    schedule_tag: str | None = None


ALWAYS: Final = Precondition()


@dataclass(frozen=True, slots=True)
class NewResource:
    """An object to be put under a name, new or in place of what is there."""

    name: str
    octets: bytes = field(repr=False)
    facts: ResourceFacts
    precondition: Precondition = ALWAYS
    schedule_tag: str | None = None
    """None: as it was; empty: none."""
    errand: bytes = field(default=b"", repr=False)
    """What is to be done after the change, kept until `finish_errand`, also over a power cut; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a put."""

    resource: Resource
    """Without octets."""
    is_new: bool
    errand_id: int | None = None


@dataclass(frozen=True, slots=True)
class ResourceChanges:
    """What happened in a collection after a modseq, oldest first. Spec: RFC 6578 §3."""

    changed: tuple[Resource, ...]
    deleted: tuple[str, ...]
    """Names that are not there any more."""
    modseq: ModSeq
    """Ask again with this."""
    is_complete: bool
    """False: there is more; ask on from `modseq`."""


class ResourceOutline(NamedTuple):
    """What a list is made of before its page is read."""

    name: str
    first_s: int | None
    """See `ResourceFacts`."""
    size_octets: int


@dataclass(frozen=True, slots=True)
class DeletedResource:
    """An object that is not there any more, as far as it is remembered."""

    resource_id: ResourceId
    collection_id: CollectionId
    name: str
    uid: str
    component: str
    summary: str
    modseq: ModSeq
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class ResourceQuery:
    """Which resources of a collection may match: cheap, by the index; a superset of those that do."""

    components: frozenset[str] = frozenset()
    """Empty: all."""
    starts_s: int | None = None
    ends_s: int | None = None
    """Those whose [first_s, last_s] meets [starts_s, ends_s), and those that are not dated; None: not asked."""
    uid: str | None = None
    text: str = ""
    """Case-folded; must be in `ResourceFacts.text`, if that was not cut; empty: not asked."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that is still to be done after a change. Spec: ADR 32."""

    errand_id: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """An octet string that belongs to a calendar object. Spec: RFC 8607."""

    managed_id: str
    resource_id: ResourceId
    file_name: str
    media_type: str
    octets: bytes = field(repr=False)


class Access(Enum):
    """What somebody may do with what others own."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Share:
    """A collection that its owner lets another account see."""

    owner_id: AccountId
    collection_id: CollectionId
    kind: CollectionKind
    sharee_id: AccountId
    access: Access
    name: str
    """Its segment in the sharee's paths."""
    traits: CollectionTraits
    """How the sharee calls and colours it; empty values: as the owner."""
    is_accepted: bool = True


@dataclass(frozen=True, slots=True)
class Delegate:
    """An account that acts for another one in all its calendars. Spec: caldav-proxy (Apple)."""

    owner_id: AccountId
    delegate_id: AccountId
    access: Access


@dataclass(frozen=True, slots=True)
class PublicLink:
    """A secret address under which everybody who knows it reads a calendar."""

    token_hash: bytes
    """SHA-256 of the token; the token itself is not kept."""
    owner_id: AccountId
    collection_id: CollectionId
    created_at: datetime
    expires_at: datetime | None = None
    hides_details: bool = False
    """Only when, not what: busy times."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A calendar whose events are fetched from elsewhere."""

    owner_id: AccountId
    collection_id: CollectionId
    url: str
    interval_s: int
    next_at: datetime
    failure: str = ""
    """Why the last try failed; empty: it did not."""


CALENDAR_HOME_ID: Final = CollectionId(-1)
"""Stands for all calendars of an account, and its inbox, where devices are told of changes."""
BOOK_HOME_ID: Final = CollectionId(-2)
"""The same of its address books."""
HOMES: Final[Mapping[CollectionId, frozenset[CollectionKind]]] = {
    CALENDAR_HOME_ID: frozenset({CollectionKind.CALENDAR, CollectionKind.INBOX}),
    BOOK_HOME_ID: frozenset({CollectionKind.ADDRESSBOOK}),
}
"""What lies in a home."""
_APPLE: Final = "apns:"


def apple_url(token: str) -> str:
    """Give what stands for a push service where Apple's wakes the device."""
    return _APPLE + token


@dataclass(frozen=True, slots=True)
class PushRegistration:
    """A device that wants to be told when a collection changes.

    Spec: WebDAV-Push draft; RFC 8030; caldav-pubsubdiscovery (Apple).
    """

    push_id: str
    """Its segment in paths; nobody guesses it."""
    watcher_id: AccountId
    """Who registered it; it may see the collection."""
    owner_id: AccountId
    collection_id: CollectionId
    """Or one of `HOMES`."""
    url: str = field(repr=False)
    """Of the push service: who knows it may wake the device. See `apple_url`."""
    public_key: bytes = field(repr=False)
    """P-256, uncompressed; empty for Apple's. Spec: RFC 8291 §2.1."""
    auth_secret: bytes = field(repr=False)
    expires_at: datetime

    @property
    def apple_token(self) -> str:
        """The device's token, in hex, where Apple's push wakes it; empty: Web Push does."""
        return self.url.removeprefix(_APPLE) if self.url.startswith(_APPLE) else ""
