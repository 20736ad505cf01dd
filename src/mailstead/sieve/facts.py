"""What a script may know of a delivery. The caller collects it; nothing else is ever asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailstead.model.message import Octets, PartFacts


@dataclass(frozen=True, slots=True)
class Facts:
    """One message on its way into one account."""

    octets: Octets
    """The whole message; header and parts are read from it when a script asks."""
    now: datetime
    """Time-zone aware, in the account's zone (``date`` and ``currentdate`` without ``:zone`` take it from here)."""
    mail_from: str | None = None
    """Envelope sender, empty for the null sender ``<>``; None where nobody knows (a dry run on stored mail)."""
    rcpt_to: str | None = None
    """Envelope recipient as the sender wrote it, with its detail (RFC 5233); None where nobody knows."""
    auth: str = ""
    """Who has logged in, for mail from our own (RFC 5228 §5.4); empty for nobody."""
    own_addresses: frozenset[str] = frozenset()
    """All addresses of the account, for ``vacation`` (RFC 5230 §4.5) and ``:from``; compared without case."""
    mailboxes: Mapping[str, str | None] = field(default_factory=dict)
    """Names of all mailboxes with their special_use."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Items of RFC 5183 §4.1: domain, host, location, name, phase, remote-host, remote-ip, version."""
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    """The account's scripts by name, for ``include :personal`` (RFC 6609)."""
    global_scripts: Mapping[str, bytes] = field(default_factory=dict)
    """Scripts of the administrator, for ``include :global``."""
    seen_keys: frozenset[str] = frozenset()
    """Keys noted by earlier runs (`Outcome.seen`) and not forgotten yet, for ``duplicate`` (RFC 7352)."""
    spam_percent: int | None = None
    """0 (surely not junk) to 100 (surely junk); None: not tested. RFC 5235."""
    virus_level: int = 0
    """0 not tested, 1 none found, 2 cured, 3 probably cured, 4 probably infected, 5 infected. RFC 5235 §2.3."""
    parts: Sequence[PartFacts] | None = None
    """The tree of `mime.tree.part_tree`, where the caller has it; else it is made when a script asks."""
