"""Where something is, as one text of 24 hex digits: how programs name messages, calendars and contacts over the API.

Of a message the digits are mailbox id, uidvalidity and UID, eight each; UID 0 means the mailbox itself. Reversible, so
that no table is needed, every message of every release has an id, and a lookup is one descent; it stays as long as the
message stays in its mailbox, and a move gives another one (reference forwardemail 4.4 allows it). It tells its owner
nothing that IMAP does not tell, and nobody else can use it: the account comes from the log-in, never from the id
(attack row 92).

Of a collection or what is in it they are its owner and its key there, as others may share theirs: it stays when it is
moved within the account. Whether the caller may see it, the use cases ask.

Spec: reference forwardemail 4.1 (ID form); RFC 9051 §2.3.1.1 (mailbox, uidvalidity and UID name a message for ever).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mailstead.model.dav import CollectionId, ResourceId
from mailstead.model.ids import AccountId, MailboxId, ThreadId, Uid, UidValidity
from mailstead.model.people import ObjectId

_FORM: Final = re.compile(r"[0-9a-f]{24}")
_COLLECTION_BIT: Final = 1 << 31
"""Tells a collection from a resource with the same key."""


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


class DavPlace(NamedTuple):
    """A calendar, an address book, or something in one of them."""

    owner_id: AccountId
    collection_id: CollectionId = CollectionId(0)
    resource_id: ResourceId = ResourceId(0)
    """0: the collection itself. Of a resource the key says enough, and `collection_id` is 0."""

    @property
    def object_id(self) -> ObjectId:
        """The digits."""
        number = self.resource_id or (_COLLECTION_BIT | self.collection_id)
        return ObjectId(f"{self.owner_id}{number:08x}")

    @classmethod
    def of(cls, text: str) -> DavPlace | None:
        """Read what `object_id` has given; None for anything else."""
        text = text.lower()
        if _FORM.fullmatch(text) is None:
            return None
        owner_id, number = AccountId(text[:16]), int(text[16:], 16)
        if number & _COLLECTION_BIT:
            return cls(owner_id, CollectionId(number ^ _COLLECTION_BIT))
        return cls(owner_id, resource_id=ResourceId(number))


def thread_object_id(thread_id: ThreadId) -> ObjectId:
    """Give a thread's id in the same form; unique within the account. Spec: RFC 8474 §5.2."""
    return ObjectId(f"{int(thread_id[1:]):024x}")
