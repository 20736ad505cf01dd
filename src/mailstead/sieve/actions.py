"""What a script wants to be done. Values only: who runs the script does it.

Spec: RFC 5228 §4, §2.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailstead.model.flags import Flags
from mailstead.sieve.errors import Problem

NO_FLAGS: Final[Flags] = frozenset()


@dataclass(frozen=True, slots=True)
class Keep:
    """File into INBOX. Spec: RFC 5228 §4.3."""

    flags: Flags = NO_FLAGS
    header: bytes | None = None
    """The header as the script changed it (RFC 5293), with its empty line; it takes the place of everything before
    the body. None: the message is as it came."""


@dataclass(frozen=True, slots=True)
class FileInto:
    """File into a mailbox. Spec: RFC 5228 §4.1."""

    mailbox: str
    """The name as `model.mailbox.normal_name` writes it; with `special_use` found it is already the one to take."""
    flags: Flags = NO_FLAGS
    creates: bool = False
    """Make the mailbox if it is not there. Spec: RFC 5490 §3.2."""
    special_use: str | None = None
    """Wanted of a mailbox that is to be created. Spec: RFC 8579 §4."""
    is_copy: bool = False
    """Spec: RFC 3894 §3."""
    header: bytes | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send on to an address. Spec: RFC 5228 §4.2."""

    address: str
    is_copy: bool = False
    header: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the message with a text, in the session if it can be done. Spec: RFC 5429 §2."""

    text: str
    is_ereject: bool = False
    """Never by a message of our own if the session can still say it. Spec: RFC 5429 §2.1."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Drop the message; stands alone, or beside actions that keep no copy. Spec: RFC 5228 §4.4."""


@dataclass(frozen=True, slots=True)
class Fcc:
    """Where a copy of what is sent goes. Spec: RFC 8580 §3."""

    mailbox: str
    flags: Flags = NO_FLAGS
    creates: bool = False
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Vacation:
    """Answer the sender, unless that was done within `seconds` under this handle.

    Made only for a message that may be answered: RFC 5230 §4.5 and §4.6 (ours among To and Cc, no list, no robot,
    a sender) have been looked at.

    Spec: RFC 5230 §4, RFC 6131.
    """

    to: str
    """The envelope sender."""
    text: str
    """The reason; with `is_mime` a whole MIME entity (its header, an empty line, its body)."""
    subject: str
    """Resolved: what the script says, or ``Auto: `` and the subject of the message."""
    handle: str
    """Under which the answer is remembered together with `to`; resolved when the script gives none."""
    seconds: int
    """0: answer each message."""
    sender: str = ""
    """Of the From field, an address list; empty: the account's own."""
    is_mime: bool = False
    fcc: Fcc | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Send a notice by mail. Spec: RFC 5435 §3, RFC 5436 §2."""

    recipients: tuple[str, ...]
    """Addresses of the ``mailto:`` URI."""
    subject: str
    text: str
    importance: int = 2
    """1 (urgent) to 3 (by and by)."""
    sender: str = ""
    """Of the From field; empty: the account's own."""
    fields: tuple[tuple[str, str], ...] = ()
    """More header fields that the URI asks for; harmless ones only, without line ends."""
    uri: str = ""
    fcc: Fcc | None = None


Action = Keep | FileInto | Redirect | Reject | Discard | Vacation | Notify


@dataclass(frozen=True, slots=True)
class SeenKey:
    """A key to be noted for ``duplicate``, once the actions are done. Spec: RFC 7352 §3."""

    key: str
    seconds: int
    """From now until it may be forgotten."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a script gives.

    The implicit keep is resolved: a message that is not to be kept has no Keep. With problems the one action is Keep.
    """

    actions: tuple[Action, ...]
    """In the order of the script."""
    seen: tuple[SeenKey, ...] = ()
    steps_used: int = 0
    """Of the budget, by this run."""
    problems: tuple[Problem, ...] = ()
    """Why the run failed; empty: it did not."""
