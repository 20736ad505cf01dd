"""The envelope of a message in transit. Spec: RFC 5321 §2.3.1, RFC 3461 (DSN), RFC 6531 (SMTPUTF8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mailstead.model.address import Address
from mailstead.model.errors import NoSuchDomain, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.model.people import Group, ObjectId, UserId


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT: the address and its DSN wishes."""

    address: Address
    notify: frozenset[str] = frozenset()
    """Spec: RFC 3461 §4.1. NEVER, or some of SUCCESS, FAILURE, DELAY; empty when not said."""
    orcpt: str | None = None
    """Spec: RFC 3461 §4.2. Decoded from xtext, ``addr-type;text``."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """``mail_from`` (None is the null sender ``<>``), recipients and their parameters."""

    mail_from: Address | None
    recipients: tuple[Recipient, ...] = ()
    body: str = "7BIT"
    """Spec: RFC 6152, RFC 3030. 7BIT, 8BITMIME or BINARYMIME."""
    smtputf8: bool = False
    size_octets: int | None = None
    """As declared by SIZE=. Spec: RFC 1870 §6."""
    ret: str | None = None
    """Spec: RFC 3461 §4.3. FULL or HDRS."""
    envid: str | None = None
    """Spec: RFC 3461 §4.4."""
    require_tls: bool = False
    """Spec: RFC 8689 §2."""
    hold_for_s: int | None = None
    """Spec: RFC 4865 §4 (HOLDFOR)."""
    hold_until: datetime | None = None
    """Spec: RFC 4865 §4 (HOLDUNTIL)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a conversation, as far as the house knows."""

    address: str
    """IP address as text, without brackets; taken from a PROXY header only if the listener trusts it."""
    port: int
    local_port: int = 0
    tls_version: str | None = None
    """``TLSv1.3`` …, or None in clear text."""
    tls_cipher: str | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether what we say now cannot be read on the way."""
        return self.tls_version is not None


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf a use case runs. Made by `Accounts.log_in`, or by the command line for an administrator."""

    account_id: AccountId | None
    address: Address | None
    is_admin: bool = False
    app_password_id: int | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    """Services this log-in may use (``imap``, ``smtp``, ``pop3``); empty means all."""
    fingerprint: bytes = field(default=b"", repr=False, compare=False)
    """Of the verifier that the password fitted: the session ends when the account no longer has it."""
    user_id: UserId | None = None
    """The user who acts, where it is one (`model.people`)."""
    groups: Mapping[str, Group] = field(default_factory=dict, compare=False)
    """The user's part in domains, by their names (A-labels)."""
    token_id: ObjectId | None = None
    """The token that the user acts with, where it is one."""
    session_id: ObjectId | None = None
    """The session of a browser, where it is one (`usecases.web_sessions`)."""
    strong_at: datetime | None = field(default=None, compare=False)
    """When a second factor (or a passkey) was shown for it last; None: never."""
    peer: str = field(default="", compare=False)
    """IP address from which it is done, for the audit log; empty: from none."""
    label: str = field(default="", compare=False)
    """How the audit log calls who is not known by an address: ``server``, ``command line`` (for whomever)."""

    @property
    def name(self) -> str:
        """How the audit log calls the actor."""
        if self.address is not None and not self.label:
            return self.address.key
        return self.label or ("command line" if self.is_admin else "nobody")

    def administers(self, domain: str) -> bool:
        """Whether the actor looks after a domain."""
        return self.is_admin or self.groups.get(domain) is Group.ADMIN

    @property
    def administered(self) -> list[str]:
        """Names of the domains that the actor looks after as one of their administrators, sorted."""
        return sorted(name for name, group in self.groups.items() if group is Group.ADMIN)

    def must_administer(self, domain: str) -> None:
        """Errors: NoSuchDomain, for who is no member (others' objects are not there, attack row 92); NotAllowed."""
        if not self.is_admin:
            self.must_be_member(domain)
            if self.groups[domain] is not Group.ADMIN:
                raise NotAllowed

    def must_be_member(self, domain: str) -> None:
        """Errors: NoSuchDomain, for who is none."""
        if not self.is_admin and domain not in self.groups:
            raise NoSuchDomain(domain=domain)

    def must_be_admin(self) -> None:
        """Errors: NotAllowed, for everybody who is no administrator."""
        if not self.is_admin:
            raise NotAllowed
