"""Where a message is, as one text of 24 hex digits: how programs name messages and mailboxes over the API.

The digits are mailbox id, uidvalidity and UID, eight each; UID 0 means the mailbox itself. Reversible, so that no table
is needed, every message of every release has an id, and a lookup is one descent; it stays as long as the message stays
in its mailbox, and a move gives another one (reference forwardemail 4.4 allows it). It tells its owner nothing that
IMAP does not tell, and nobody else can use it: the account comes from the log-in, never from the id (attack row 92).

Spec: reference forwardemail 4.1 (ID form); RFC 9051 §2.3.1.1 (mailbox, uidvalidity and UID name a message for ever).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mailstead.model.ids import MailboxId, ThreadId, Uid, UidValidity
from mailstead.model.people import ObjectId

_FORM: Final = re.compile(r"[0-9a-f]{24}")


class Place(NamedTuple):
    """A message in a mailbox."""

    mailbox_id: MailboxId
    uidvalidity: UidValidity
    uid: Uid = Uid(0)

    @property
    def object_id(self) -> ObjectId:
        """The digits."""
        return ObjectId(f"{self.mailbox_id:08x}{self.uidvalidity:08x}{self.uid:08x}")

    @classmethod
    def of(cls, text: str) -> Place | None:
        """Read what `object_id` has given; None for anything else. Upper-case digits are taken, too."""
        text = text.lower()
        if _FORM.fullmatch(text) is None:
            return None
        numbers = [int(text[start : start + 8], 16) for start in (0, 8, 16)]
        return cls(MailboxId(numbers[0]), UidValidity(numbers[1]), Uid(numbers[2]))


def thread_object_id(thread_id: ThreadId) -> ObjectId:
    """Give a thread's id in the same form; unique within the account. Spec: RFC 8474 §5.2."""
    return ObjectId(f"{int(thread_id[1:]):024x}")
