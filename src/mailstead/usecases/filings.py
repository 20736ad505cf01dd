"""What is known of a message that comes in for one account, and what its filters want done with it: values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailstead.config.settings import Sieve
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication
from mailstead.model.directory import Account
from mailstead.model.envelope import Peer
from mailstead.model.flags import Flags
from mailstead.model.mailbox import INBOX
from mailstead.model.message import Octets
from mailstead.model.verdict import Decision, Judgement
from mailstead.sieve.actions import SeenKey


@dataclass(frozen=True, slots=True)
class FilterTerms:
    """What an administrator allows filters, and what the house is called."""

    settings: Sieve = Sieve()
    hostname: str = "localhost"
    junk_score: float = 5.0
    """What the score of a judgement is measured by, for ``spamtest``."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A complete message for one account, and all that is known of how it came."""

    octets: Octets = field(repr=False)
    mail_from: Address | None
    rcpt_to: Address
    account: Account
    own_addresses: tuple[Address, ...] = ()
    """Of the account; empty: the directory is asked if it matters."""
    queue_id: str = ""
    peer: Peer | None = None
    helo: str = ""
    authentication: Authentication | None = None
    judgement: Judgement | None = None
    is_submission: bool = False
    """One of our own has sent it: nobody else can have."""
    is_impersonating: bool = False
    """It pretends to come from the account's own organization, and nothing shows that it does."""

    @property
    def is_junk(self) -> bool:
        """Whether policy takes it for junk."""
        return self.judgement is not None and self.judgement.decision is Decision.QUARANTINE


@dataclass(frozen=True, slots=True)
class Filing:
    """One mailbox that gets the message."""

    mailbox: str = INBOX
    flags: Flags = frozenset()
    creates: bool = False
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Redirecting:
    """Somebody else who gets the message."""

    address: Address


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that a filter sends: an answer of vacation, or a notice."""

    octets: bytes = field(repr=False)
    mail_from: Address | None
    """Always None so far: nothing answers it. Spec: RFC 3834 §3.3."""
    recipient: Address
    copy_into: Filing | None = None
    """Where a copy of it is to go. Spec: RFC 8580."""


@dataclass(frozen=True, slots=True)
class Filed:
    """What is to be done with a message for one account."""

    filings: tuple[Filing, ...] = (Filing(),)
    octets: bytes | None = field(default=None, repr=False)
    """The message as the script has changed it (RFC 5293); None: as it came."""
    redirects: tuple[Redirecting, ...] = ()
    rejection: str | None = None
    """Refuse it with this text, if the session still can."""
    is_ereject: bool = False
    replies: tuple[Reply, ...] = ()
    notes: tuple[str, ...] = ()
    """What was decided and why, for the trace."""
    problems: tuple[str, ...] = ()
    """What the owner should know: why a script did not do what it says."""
    seen: tuple[SeenKey, ...] = ()
    """For `Filters.stored`."""
    answered: tuple[SeenKey, ...] = ()
    """Likewise: senders to whom vacation answers, and how long it will not again."""
