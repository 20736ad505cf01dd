"""The selected mailbox of one session: what the client believes of it, and how it is brought up to date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailstead.model.flags import SYSTEM_FLAGS
from mailstead.model.ids import MailboxId, ModSeq, Uid, UidValidity
from mailstead.model.mailbox import Snapshot
from mailstead.model.message import Changes
from mailstead.proto.imap.view import View
from mailstead.proto.imap.write import responses

_SYSTEM_FLAGS: Final = frozenset(SYSTEM_FLAGS)


class Selected:
    """A mailbox as SELECT or EXAMINE has opened it. Spec: RFC 9051 §6.3.2."""

    __slots__ = ("is_read_only", "keywords", "mailbox_id", "name", "uidnext", "uidvalidity", "view")

    def __init__(self, snapshot: Snapshot, *, is_read_only: bool) -> None:
        mailbox = snapshot.mailbox
        self.mailbox_id: MailboxId = mailbox.mailbox_id
        self.name = mailbox.name
        self.uidvalidity: UidValidity = mailbox.uidvalidity
        self.uidnext: Uid = mailbox.uidnext
        self.is_read_only = is_read_only
        self.keywords = snapshot.keywords
        self.view = View(snapshot.uids, mailbox.highestmodseq, mailbox.uidnext)

    def is_ahead(self, changes: Changes) -> bool:
        """Whether there is anything in these changes that the client may not know."""
        return changes.highestmodseq > self.view.highestmodseq or self.view.has_held

    def hear_of(self, flags: Iterable[str]) -> bytes:
        """Give a FLAGS response if there are flags that the client has not heard of. Spec: RFC 9051 §7.3.5."""
        unknown = sorted(set(flags).difference(_SYSTEM_FLAGS, self.keywords))
        if not unknown:
            return b""
        self.keywords = (*self.keywords, *unknown)
        return responses.flags((*SYSTEM_FLAGS, *self.keywords))

    def apply(self, changes: Changes, *, may_expunge: bool, condstore: bool, qresync: bool) -> bytes:
        """Take changes into the view and give what the client must be told. Spec: RFC 9051 §7.5.1, RFC 7162 §3.2.10."""
        flags = self.hear_of(flag for change in changes.changed for flag in change.flags)
        self.uidnext = max(self.uidnext, changes.uidnext)
        told = self.view.apply(changes, may_expunge=may_expunge, with_modseq=condstore, with_vanished=qresync)
        return flags + told

    @property
    def highestmodseq(self) -> ModSeq:
        """Up to here the client knows everything."""
        return self.view.highestmodseq
