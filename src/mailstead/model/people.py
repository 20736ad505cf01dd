"""People and programs that administer: users, their part in domains, tokens, second factors, and what they did.

An account is a mailbox; a user is whoever logs in to the web or the API to look after domains. A user whose address is
that of an account here *is* that account: one password, one set of second factors. Others have a password of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, NewType, TypeVar

from mailstead.model.directory import Account, Alias, Domain
from mailstead.model.ids import AccountId

ItemT = TypeVar("ItemT")

ObjectId = NewType("ObjectId", str)
"""Key of what the API names: 24 lower-case hex digits. Spec: reference forwardemail 4.1 (ID form)."""
UserId = NewType("UserId", ObjectId)

OBJECT_ID_OCTETS: Final = 12


class Group(StrEnum):
    """A user's part in a domain. Spec: reference forwardemail 4.7 (members)."""

    ADMIN = "admin"
    """Looks after the domain and all that is in it."""
    USER = "user"
    """Sees the domain, and looks after the addresses of his own in it."""


@dataclass(frozen=True, slots=True)
class User:
    """A person (or a program) who administers."""

    user_id: UserId
    address: str
    """Mail address, ours or anybody's; lower case."""
    is_admin: bool = False
    """Of the whole server: every domain, every user."""
    is_enabled: bool = True
    account_id: AccountId | None = None
    """The account here that this user is; None: the password is the user's own."""
    given_name: str = ""
    family_name: str = ""
    display_name: str = ""
    avatar_url: str = ""
    locale: str = "en"
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user's part in one domain."""

    domain: str
    user: User
    group: Group


@dataclass(frozen=True, slots=True)
class Invite:
    """Somebody is asked to become a member; good until it is taken, withdrawn or runs out."""

    domain: str
    address: str
    group: Group
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token with which a program acts for a user; only its hash is kept."""

    token_id: ObjectId
    user_id: UserId
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_on: str = ""
    """Day (ISO 8601, UTC); empty: never."""
    networks: tuple[str, ...] = ()
    """Where it may be used from, as CIDR; empty: anywhere."""


@dataclass(frozen=True, slots=True)
class AddressProfile:
    """What the API tells of an address (account or alias) beside what mail needs."""

    object_id: ObjectId
    user_id: UserId | None = None
    """Whose it is among the domain's members; None: the domain's."""
    description: str = ""
    """Of an account; an alias has its own."""
    labels: tuple[str, ...] = ()
    has_recipient_verification: bool = False
    verified_recipients: tuple[str, ...] = ()
    public_key: str = ""
    smime_certificate: str = ""
    has_pgp: bool = False
    has_smime: bool = False
    has_wkd_disabled: bool = False
    retention_days: int = 0
    """Of the account's mail; 0: for ever."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """What clients keep of their own (AliasAccount ``settings``), bounded by the use case."""
    locale: str = "en"
    made_by: str = ""
    """Id of the account whose owner has made this alias for himself; empty: nobody's."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """An address of ours, with its profile."""

    owner: Account | Alias
    profile: AddressProfile


@dataclass(frozen=True, slots=True)
class CatchAllPassword:
    """With it ``*@domain`` logs in for submission, and sends with any address of the domain."""

    password_id: ObjectId
    domain: str
    description: str
    created_at: datetime
    is_chosen: bool = False
    """Not made by us."""


@dataclass(frozen=True, slots=True)
class DomainProfile:
    """What the API tells of a domain beside its terms."""

    object_id: ObjectId
    restricted_names: tuple[str, ...] = ()
    """Local parts that only administrators may give away."""
    account_quota_octets_max: int = 0
    """Largest quota that an account of the domain may have; 0: any."""
    retention_days: int = 0
    bounce_webhook: str = ""
    kept: Mapping[str, object] = field(default_factory=dict)
    """Settings of other systems that have no effect here, given back as they were set (docs/api.md lists them)."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """A domain of ours, with its profile."""

    domain: Domain
    profile: DomainProfile


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of a list is asked for."""

    page: int = 1
    """From 1."""
    limit: int = 25
    sort: str = ""
    """A field, with ``-`` before it for the other way round; empty: the list's own order."""
    text: str = ""
    """What must occur in an entry, whatever the case; its characters stand for themselves."""

    @property
    def skipped_count(self) -> int:
        """Entries before the page."""
        return (self.page - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """A part of a list, and how long the whole is."""

    items: tuple[ItemT, ...]
    item_count: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done, and by whom; kept for `audit.kept_days`."""

    entry_id: int
    at: datetime
    actor: str
    """Address of user or account; ``command line``; ``server``."""
    peer: str
    """IP address; empty: none."""
    verb: str
    """``domain.add``, ``alias.change``, ``log-in.failed`` …"""
    object: str
    """What it was done to: a domain, an address …"""
    domain: str = ""
    """The domain whose administrators may read it; empty: only the server's."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Never a secret."""


class FactorKind(StrEnum):
    """Second factors."""

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor (or a passkey, which is both) of a user or of an account."""

    factor_id: ObjectId
    owner: str
    """`owner_of`."""
    kind: FactorKind
    label: str
    created_at: datetime
    last_used_at: datetime | None = None
    secret: bytes = field(default=b"", repr=False)
    """TOTP: the shared secret. Passkey: credential id. Recovery: SHA-256 of the code (110 bits of chance)."""
    public_key: bytes = b""
    """Passkey: COSE key."""
    counter: int = 0
    """Passkey: signature counter. TOTP: the last time step that was used, which is not taken again."""
    is_confirmed: bool = True
    """TOTP: a first code has shown that the device has the secret."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """A log-in of a browser; only the hash of its token is kept."""

    session_id: ObjectId
    owner: str
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    peer: str
    program: str
    """User-Agent, cut short."""
    fingerprint: bytes = field(default=b"", repr=False)
    """Of the password it began with: another one ends it."""
    strong_at: datetime | None = None
    """When a second factor (or a passkey) was shown last."""


@dataclass(frozen=True, slots=True)
class OidcLink:
    """Somebody of a provider is the owner of a user or an account here."""

    issuer: str
    subject: str
    """Who it is there; never an address, which may be given to another."""
    created_at: datetime


def owner_of(user_id: UserId | None, account_id: AccountId | None) -> str:
    """Give how factors and sessions name whose they are: the account where there is one."""
    return f"a:{account_id}" if account_id is not None else f"u:{user_id}"
