"""A message as the API shows it, which ones are asked for, and what is to change. Spec: reference forwardemail 4.4."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadMessage, LimitReached
from mailstead.model.flags import SYSTEM_FLAGS, Flags, canonical, flag_set
from mailstead.model.mailbox import INBOX, Mailbox
from mailstead.model.message import MessageRecord, Octets, OrderFacts
from mailstead.model.place import Place
from mailstead.model.search import Everything, SearchKey

LABELS_MAX: Final = 10
_REGISTERED: Final = """
    $forwarded $mdnsent $submitpending $submitted $junk $notjunk $phishing $important $hasattachment $hasnoattachment
"""
FLAG_KEYWORDS: Final = frozenset(_REGISTERED.split())
"""Keywords of the IANA registry, which are shown among the flags; all others are labels. Spec: RFC 5788."""

# RFC 9051 §9:  flag-keyword = "$MDNSent" / … / atom ; narrower, as reference forwardemail 4.2 (label keyword) has it.
_LABEL: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message and where it is."""

    mailbox: Mailbox
    record: MessageRecord

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.mailbox.mailbox_id, self.mailbox.uidvalidity, self.record.uid)

    @property
    def labels(self) -> list[str]:
        """Keywords, but those that are flags by registration."""
        return labels_of(self.record.flags)

    @property
    def flags(self) -> list[str]:
        """System flags and registered keywords."""
        return sorted(flag for flag in self.record.flags if not _is_label(flag))

    @property
    def is_junk(self) -> bool:
        """Whether it lies in Junk."""
        return self.mailbox.special_use == "\\Junk"

    @property
    def is_searchable(self) -> bool:
        """Whether it is neither in Junk nor thrown away."""
        return is_searchable(self.mailbox)

    @property
    def order(self) -> OrderFacts:
        """What it is sorted by; only where it was asked for."""
        assert self.record.order is not None
        return self.record.order


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which messages are wanted; all conditions hold."""

    key: SearchKey = Everything()
    folder: str = ""
    """A mailbox's name or id; empty: all."""
    is_junk: bool | None = None
    is_searchable: bool | None = None


@dataclass(frozen=True, slots=True)
class MessageChange:
    """What is to change; None stays."""

    flags: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    folder: str | None = None
    octets: Octets | None = None
    """Of a draft."""

    def applied(self, before: Flags) -> Flags | None:
        """Give the flags there are to be; None: nothing was said about them.

        Flags replace flags and labels replace labels; what was named as a flag and is none is one more label.
        """
        if self.flags is None and self.labels is None:
            return None
        flags = {flag for flag in before if not _is_label(flag)} if self.flags is None else set(self.flags)
        labels = {flag for flag in before if _is_label(flag)} if self.labels is None else set(self.labels)
        return flag_set(flags | labels)


def checked_flags(flags: Sequence[str]) -> Flags:
    r"""Give flags and labels as they are stored; what IMAP could not say (spaces, brackets …) never gets in.

    Errors: BadMessage; LimitReached for more than `LABELS_MAX` labels. ``\Recent`` is nobody's to set.
    """
    found = flag_set(flags)
    for flag in found:
        if flag not in SYSTEM_FLAGS and _LABEL.fullmatch(flag) is None:
            raise BadMessage("A label has letters, digits, $ _ . and -, and begins with a letter, a digit or $")
    if sum(_is_label(flag) for flag in found) > LABELS_MAX:
        raise LimitReached(f"A message has at most {LABELS_MAX} labels")
    return found


def labels_of(flags: Iterable[str]) -> list[str]:
    """Give those of a message's flags that are labels: keywords, but those that are flags by registration."""
    return sorted(flag for flag in flags if _is_label(flag))


def _is_label(flag: str) -> bool:
    return canonical(flag) not in SYSTEM_FLAGS and flag.lower() not in FLAG_KEYWORDS


def is_searchable(mailbox: Mailbox) -> bool:
    """Whether messages of a mailbox are found where none is named: not those in Junk, not what was thrown away."""
    return mailbox.special_use not in {"\\Junk", "\\Trash"}


def is_chosen(mailbox: Mailbox, query: MessageQuery) -> bool:
    """Whether a query asks for messages of a mailbox."""
    return (
        (not query.folder or is_named(mailbox, query.folder))
        and query.is_junk in {None, mailbox.special_use == "\\Junk"}
        and query.is_searchable in {None, is_searchable(mailbox)}
    )


def is_named(mailbox: Mailbox, text: str) -> bool:
    """Whether a text names a mailbox: by its path (INBOX in any case) or by its id."""
    place = Place.of(text)
    if place is not None and place == Place(mailbox.mailbox_id, mailbox.uidvalidity):
        return True
    return mailbox.name == text or (mailbox.name == INBOX and text.upper() == INBOX)
