"""What happens in an account, as programs are told of it over a WebSocket: the words, without any encoding.

Spec: reference forwardemail 4.5 (events).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from mailstead.model.dav import CollectionKind, DeletedResource
from mailstead.model.ids import AccountId
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import Placed
from mailstead.usecases.message_views import MessageView

ID_DIGITS: Final = 24
COLLECTION_WORDS: Final = {CollectionKind.CALENDAR: "calendar", CollectionKind.ADDRESSBOOK: "addressBook"}
OBJECT_WORDS: Final = {CollectionKind.CALENDAR: "calendarEvent", CollectionKind.ADDRESSBOOK: "contact"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, and what it is about: details of mailboxes, a message, a collection, or an object in one."""

    name: str
    """``newMessage``, ``calendarEventDeleted`` …"""
    notification_id: str
    """The same in whichever process it is told, also when it is told twice."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Names as on the wire; texts, numbers, lists of these."""
    message: MessageView | None = None
    """With what lists show."""
    collection: Opened | None = None
    """What it is, or what the object lies in."""
    placed: Placed | None = None
    """With octets."""
    deleted: DeletedResource | None = None


def notification_id(account_id: AccountId, name: str, *key: object) -> str:
    """Give the id of an event: of what happened, where, and its number in the account's order of changes."""
    text = "\0".join(str(each) for each in (account_id, name, *key))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]
