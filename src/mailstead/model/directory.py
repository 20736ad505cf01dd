"""What the directory holds: domains, accounts, aliases, credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from mailstead.model.address import Address
from mailstead.model.ids import AccountId

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostTarget:
    """Mail goes to this host and port, with the recipient's address unchanged."""

    host: str
    """A name (lower-case A-labels) or an IP address (IPv6 without brackets)."""
    port: int = 25

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Mail is posted there as JSON."""

    url: str
    """``http://`` or ``https://``."""

    def __str__(self) -> str:
        return self.url


Target = Address | HostTarget | WebhookTarget
"""Where an alias leads. How each is written: `policy.targets`."""


@dataclass(frozen=True, slots=True)
class DomainTerms:
    """What an administrator has chosen for one domain. The defaults are those of a new domain."""

    uses_dns_rules: bool = False
    """Aliases are also read from ``forward-email=`` TXT records."""
    verification: str = ""
    """Value that ``forward-email-site-verification=`` must have; empty: not asked."""
    serves_subdomains: bool = False
    """Mail for subdomains that are no domains of their own is treated as for this domain."""
    requires_tls_inbound: bool = False
    allowlist: tuple[str, ...] = ()
    """Addresses, domains, IP networks whose mail is spared heuristics and greylisting."""
    denylist: tuple[str, ...] = ()
    """Addresses, domains, IP networks whose mail is refused."""
    refused_extensions: tuple[str, ...] = ()
    """Extensions of attachments that are refused, beside those of the server's setting."""
    webhook_key: str = field(default="", repr=False)
    """Key of X-Webhook-Signature; made with the domain."""
    targets_per_alias_max: int = 10
    keeps_trace: bool = True
    mta_sts_mode: str = "enforce"
    """Of our own policy for the domain: ``enforce``, ``testing`` or ``none``."""
    smarthost: str = ""
    """``host:port`` of the relay for outgoing mail; empty: directly by MX."""
    smarthost_username: str = ""
    smarthost_password: str = field(default="", repr=False)
    smarthost_security: str = "starttls"
    source_ipv4: str = ""
    source_ipv6: str = ""
    ip_version: str = "auto"
    """Of outgoing connections: ``auto``, ``4``, ``6``."""

    # who gets an account
    opens_accounts: bool = False
    """A log-in with an acceptable name that nobody has makes an account."""
    invite_tokens: tuple[str, ...] = ()
    """If there are any, the password of a new account begins with one of them."""
    username_length_min: int = 9
    username_length_max: int = 9
    password_length_min: int = 9
    load_max: float = 5.0
    """New accounts are refused above this 1-minute load average …"""
    memory_available_octets_min: int = 200 * MIB
    """… and below so much available memory …"""
    disk_free_octets_min: int = 1024 * MIB
    """… and below so much free space where the stores are."""
    account_quota_octets: int = 0
    """Of new accounts; 0: the server's setting."""
    owners_forward: bool = True
    """Accounts' owners say themselves where their mail is sent on to; else only who looks after the domain does."""

    owner_aliases_max: int = 50
    """Aliases that the owner of an account makes himself, which lead to him alone; 0: none."""

    client_tls_version_min: str = "1.2"
    """Oldest version of TLS over which people log in: ``1.2`` or ``1.3``."""

    # what is let through
    requires_encryption: bool = False
    """Mail that is not OpenPGP-encrypted is refused, out and in."""
    cleartext_senders: tuple[str, ...] = ()
    """Addresses of the domain that may send clear text all the same."""
    cleartext_recipients: tuple[str, ...] = ()
    """Addresses, or ``@domain``, that may get clear text from the domain's accounts all the same."""
    cleartext_accounts: tuple[str, ...] = ()
    """Addresses of the domain that take clear text from others all the same."""
    requires_aligned_dkim: bool = False
    """Incoming mail needs a valid signature of the very domain in From, and is asked for nothing else."""
    hides_metadata: bool = False
    """Subjects and traces do not leave with mail, and signatures and traces are not stored with it."""
    message_octets_max: int = 0
    """0: the server's setting."""
    sends_per_minute: int = 0
    """Messages that an account may send in a minute; 0: any number."""
    send_burst: int = 10
    """Messages that it may send at once."""

    # how mail leaves
    requires_tls_outbound: bool = False
    """Other servers must have a valid certificate."""
    uses_mxdeliv: bool = False
    """Mail goes to other servers over HTTPS (``/mxdeliv``) where they take it so."""
    queue_kept_days: int = 0
    """For how many days delivery is tried; 0: the server's setting."""

    # for how long things stay
    mails_kept_days: int = 0
    """0: for ever."""
    large_mails_kept_days: int = 0
    """Of mails above 200,000 octets that a client has seen; 0: as the others."""
    idle_accounts_kept_days: int = 0
    """An account without log-in for so many days is removed with its mail; 0: never."""
    clears_full_mailboxes: bool = False
    """From 75 % of the quota on the oldest mails go, until 70 %."""

    # what clients are told
    is_chatmail: bool = False
    """Delta Chat treats the server as a chatmail relay (XCHATMAIL), may register for push, finds an invitation."""
    iroh_relay: str = ""
    """Address of the relay for real-time applications."""
    turn_server: str = ""
    """``host:port`` of the TURN server for calls; needs the server's shared secret."""
    www_folder: str = ""
    """Folder whose pages take the place of the built-in ones, one by one."""
    languages: tuple[str, ...] = ("en",)
    """Of the pages, the first by default."""
    privacy_postal: str = ""
    privacy_mail: str = ""
    privacy_pdo: str = ""
    privacy_supervisor: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A mail domain we serve."""

    name: str
    terms: DomainTerms = DomainTerms()


@dataclass(frozen=True, slots=True)
class Account:
    """The owner of a mail store."""

    account_id: AccountId
    address: Address
    """The main address."""
    quota_octets: int | None = None
    is_enabled: bool = True
    forward_to: tuple[Target, ...] = ()
    """Mail also goes there …"""
    keeps_copy: bool = True
    """… and into the mailbox, unless this is False (with no `forward_to` it always does)."""
    sending_limit: int | None = None
    """Recipients per day that its submissions may have; None: the server's setting."""
    disabled_code: int | None = None
    """What senders are told while it is not enabled, as of an alias; None: its mail is taken all the same."""
    is_sealed: bool = False
    """Only its owner's passwords open its store."""


CATCH_ALL: Final = "*"
"""Local part of the alias that gets what no other address of the domain does."""


class AliasKind(Enum):
    """In the order of precedence. Spec: reference 5.7, precedence exact > pattern > catch-all."""

    EXACT = 0
    PATTERN = 1
    CATCH_ALL = 2


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that stands for others; or a pattern (``/^sales-(.+)$/``), or ``*``, that stands for many."""

    address: Address
    """Its local part is a name, a regular expression between slashes, or ``*``."""
    targets: tuple[Target, ...]
    is_enabled: bool = True
    disabled_code: int = 550
    """What senders are told while it is switched off or has run out: 250 (taken and dropped), 421 or 550."""
    expires_at: datetime | None = None
    description: str = ""
    is_masked: bool = False
    """An address made up at random, to be given to one correspondent."""

    @property
    def kind(self) -> AliasKind:
        """Which of the three."""
        local_part = self.address.local_part
        if local_part == CATCH_ALL:
            return AliasKind.CATCH_ALL
        return AliasKind.PATTERN if len(local_part) > 2 and local_part[0] == local_part[-1] == "/" else AliasKind.EXACT

    def is_working(self, now: datetime) -> bool:
        """Whether it takes mail at that moment."""
        return self.is_enabled and (self.expires_at is None or now < self.expires_at)


class KeyState(Enum):
    """Where a DKIM key is in its life."""

    PENDING = "pending"
    """Published, or to be published, but not signing yet."""
    ACTIVE = "active"
    RETIRED = "retired"
    """Signs no more; its record stays published until mail signed with it has arrived."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A signing key of a domain."""

    domain: str
    selector: str
    algorithm: str
    """``rsa-sha256`` or ``ed25519-sha256``."""
    private_key: bytes = field(repr=False)
    """PKCS#8, DER."""
    created_at: datetime
    state: KeyState


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept of one password: enough to check it, never the password.

    Spec: RFC 9106 (argon2id, PHC string), RFC 5802 §3 and RFC 7677 (SCRAM-SHA-256).
    """

    argon2id: str
    scram_stored_key: bytes
    scram_server_key: bytes


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A further password of an account, for one client."""

    app_password_id: int
    label: str
    scopes: frozenset[str]
    """``imap``, ``smtp``, ``pop3``; empty means all."""
    created_at: datetime
    verifier: Verifier
    is_chosen: bool = False
    """Thought of by somebody, so its hash is as dear as that of a main password; only of a domain's catch-all."""
    networks: tuple[str, ...] = ()
    """Where it may be used from, as CIDR; empty: anywhere."""
    expires_at: datetime | None = None
    last_used_on: str = ""
    """Day (ISO 8601, UTC); empty: never."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """All passwords of one account. One SCRAM salt per account lets each of them answer the same challenge."""

    account: Account
    scram_salt: bytes
    scram_iteration_count: int
    password: Verifier | None
    app_passwords: tuple[AppPassword, ...] = ()
