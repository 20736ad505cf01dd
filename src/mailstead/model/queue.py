"""Mail that waits to go out: items, their recipients, what the other side said.

One item is one message; each of its recipients has a destination and a state of its own. A worker leases *deliveries*:
one item with all its recipients that are due at one destination.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.ids import AccountId

QueueItemId = NewType("QueueItemId", int)
"""Key of one item in the queue; ascends, never used again."""

RecipientId = NewType("RecipientId", int)
"""Key of one recipient of one item."""


class ItemKind(StrEnum):
    """Why a message is in the queue."""

    SUBMISSION = "submission"
    FORWARD = "forward"
    NOTICE = "notice"
    """A delivery status notification, or another message of the house itself."""
    REPLY = "reply"
    """Made by a filter: vacation, notification, redirect."""
    REPORT = "report"


class DestinationKind(StrEnum):
    """How a destination is reached."""

    DOMAIN = "domain"
    """By the domain's MX records. An address literal stands for itself."""
    HOST = "host"
    """This host and port, without MX records."""
    SMARTHOST = "smarthost"
    """The relay that a domain of ours has chosen; its log-in is looked up by the item's `domain`."""
    WEBHOOK = "webhook"
    """An HTTP POST; `name` is host:port of the URL."""
    LOCAL = "local"
    """A mailbox of ours (notices to our own people)."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What has a back-off and a limit of its own."""

    kind: DestinationKind
    name: str
    """Lower-case domain or host; for LOCAL empty."""
    port: int = 25

    @property
    def key(self) -> str:
        """One text for each destination, for indexes."""
        return f"{self.kind}:{self.name}:{self.port}"

    @classmethod
    def of_key(cls, key: str) -> Destination:
        """Read what `key` has written."""
        kind, _, rest = key.partition(":")
        name, _, port = rest.rpartition(":")
        return cls(DestinationKind(kind), name, int(port))


LOCAL = Destination(DestinationKind.LOCAL, "", 0)


class RecipientState(StrEnum):
    """Where one recipient stands."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    """The remote server has said 250 (or 200)."""
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """What the other side answered, or what kept us from asking. Code 0: there was no answer at all."""

    code: int = 0
    enhanced: str = ""
    text: str = ""
    host: str = ""
    """Name of the remote server, empty if none was reached."""
    address: str = ""
    """Its IP address."""
    security: str = ""
    """``none``, ``encrypted`` (unverified), ``mta-sts``, ``dane``, ``verified``."""
    is_permanent: bool = False
    """Whether trying again is pointless: a 5yz, or what is known without asking (null MX, no such domain)."""

    @property
    def is_positive(self) -> bool:
        """Whether it is a 2yz."""
        return 200 <= self.code < 300

    def __str__(self) -> str:
        words = [self.host and f"{self.host}:", str(self.code) if self.code else "", self.enhanced, self.text]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient to be queued."""

    recipient: Recipient
    """The address to say in RCPT (for a webhook: the alias), and its DSN wishes."""
    destination: Destination
    url: str = ""
    """Of a webhook."""
    via: Address | None = None
    """The alias or account of ours that led here; its owner is shown failures, and outsiders never see the target."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """A message to be queued."""

    queue_id: str
    kind: ItemKind
    mail_from: Address | None
    """What MAIL will say: for a forward already the SRS address."""
    recipients: tuple[NewRecipient, ...]
    octets: bytes = field(repr=False)
    """As it goes out; items of one message share them."""
    accepted_at: datetime
    expires_at: datetime
    before: bytes = field(default=b"", repr=False)
    """Fields of this item alone that go out in front of `octets`: seals, trace."""
    domain: str = ""
    """The domain of ours on whose behalf it goes: smarthost, source address, trace."""
    account_id: AccountId | None = None
    """Who submitted it; whose limits it counts against."""
    notify_to: Address | None = None
    """Who gets notices of failure and delay; None: nobody (null sender, or an author nobody vouches for)."""
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    require_tls: bool = False
    """Spec: RFC 8689."""
    tls_optional: bool = False
    """The message has ``TLS-Required: No``. Spec: RFC 8689 §5."""
    not_before: datetime | None = None
    """Spec: RFC 4865 (FUTURERELEASE)."""
    priority: int = 0
    """Higher goes first among what is due."""
    message_id: str = ""
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient in the queue."""

    recipient_id: RecipientId
    recipient: Recipient
    destination: Destination
    url: str
    via: Address | None
    state: RecipientState
    attempt_count: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_reply: RemoteReply | None
    is_delay_told: bool


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An item in the queue, without its octets."""

    item_id: QueueItemId
    queue_id: str
    kind: ItemKind
    mail_from: Address | None
    recipients: tuple[QueuedRecipient, ...]
    """Those asked for: all of them, or those of a delivery."""
    size_octets: int
    accepted_at: datetime
    expires_at: datetime
    domain: str
    account_id: AccountId | None
    notify_to: Address | None
    body: str
    smtputf8: bool
    ret: str | None
    envid: str | None
    require_tls: bool
    tls_optional: bool
    priority: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a worker has leased: an item with its recipients that are due at one destination."""

    lease_id: str
    item: QueueItem
    destination: Destination


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt meant for one recipient."""

    recipient_id: RecipientId
    state: RecipientState
    """WAITING means: again at `next_attempt_at`."""
    reply: RemoteReply
    next_attempt_at: datetime | None = None
    tells_delay: bool = False
    """A notice of delay goes out with this outcome; there is one at most."""


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """Which items are wanted; all conditions that are set must hold. Oldest first."""

    queue_id: str = ""
    address: str = ""
    """Sender or recipient: a whole address, or ``@domain``."""
    destination: str = ""
    """Name of a destination (domain or host)."""
    state: RecipientState | None = None
    """Some recipient is in this state."""
    after: QueueItemId = QueueItemId(0)
    """Only items behind this one, for paging."""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class DestinationState:
    """How one destination does."""

    destination: Destination
    waiting_count: int
    leased_count: int
    failure_count: int
    """Connection failures in a row."""
    not_before: datetime | None
    """The back-off of the whole destination."""
    last_reply: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that mail is not sent to, as it has failed for good."""

    address: Address
    reason: str
    at: datetime
