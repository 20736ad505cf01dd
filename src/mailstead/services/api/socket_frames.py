"""What is told over a WebSocket, as JSON or MessagePack. Spec: reference forwardemail 4.5 (events), 4.10 (objects)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mailstead.mime.header import first_values, text_of
from mailstead.model.dav import CollectionKind, DeletedResource
from mailstead.model.place import DavPlace
from mailstead.services.api.routes.calendars import calendar_of
from mailstead.services.api.routes.contacts import contact_of
from mailstead.services.api.routes.events import event_of
from mailstead.services.api.routes.messages import message_of
from mailstead.usecases.account_events import Listened
from mailstead.usecases.calendars import is_read_only
from mailstead.usecases.cards import shown_contact
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import Placed, collection_object_id
from mailstead.usecases.events import Events
from mailstead.usecases.happenings import COLLECTION_WORDS, OBJECT_WORDS, Happening
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.resources import SyncTokens

CONTENT_OCTETS_MAX: Final = 64 * 1024
"""Longer objects are told without their text; who wants it asks for it."""
OBJECT_NAMES: Final = {CollectionKind.CALENDAR: "calendar_event", CollectionKind.ADDRESSBOOK: "contact"}
TEXT_FIELDS: Final = {CollectionKind.CALENDAR: "ical", CollectionKind.ADDRESSBOOK: "content"}
_json: Final = msgspec.json.Encoder()
_msgpack: Final = msgspec.msgpack.Encoder()


def encoded(frame: dict[str, Any], *, is_packed: bool) -> dict[str, Any]:
    """Give the ASGI message that sends a frame: text with JSON, or octets with MessagePack."""
    if is_packed:
        return {"type": "websocket.send", "bytes": _msgpack.encode(frame)}
    return {"type": "websocket.send", "text": _json.encode(frame).decode()}


def size_octets(message: dict[str, Any]) -> int:
    """Give about how much room it takes."""
    return len(message.get("bytes") or message.get("text") or "")


def connected(listened: Listened | None) -> dict[str, Any]:
    """Give the first frame; `listened` None: only broadcasts are told."""
    if listened is None:
        return {"event": "connected", "broadcastOnly": True}
    return {"event": "connected", "aliasId": listened.object_id}


class Frames:
    """Makes frames of what happens."""

    def __init__(self, events: Events, base_url: str) -> None:
        self._events = events
        self._tokens = SyncTokens(base_url)

    def of(self, happening: Happening, listened: Listened, now: datetime) -> dict[str, Any]:
        """Give the frame of an event, with no more than may be heard."""
        frame: dict[str, Any] = {
            "event": happening.name,
            "timestamp": _moment(now),
            "notification_id": happening.notification_id,
            "aliasId": listened.object_id,
            **happening.details,
        }
        if not listened.hears_content:
            frame.pop("labels", None)  # words of the owner's own
        if happening.message is not None:
            frame["message"] = _message(happening.message, is_whole=listened.hears_content)
        opened = happening.collection
        if opened is not None and happening.placed is None and happening.deleted is None:
            frame |= self._collection(opened, is_whole=listened.hears_content)
        if opened is not None and happening.placed is not None:
            frame |= self._object(opened, happening.placed, is_whole=listened.hears_content)
        if opened is not None and happening.deleted is not None:
            frame |= _deleted(opened, happening.deleted, is_whole=listened.hears_content)
        return frame

    def _collection(self, opened: Opened, *, is_whole: bool) -> dict[str, Any]:
        word, object_id = COLLECTION_WORDS[opened.collection.kind], collection_object_id(opened)
        told: dict[str, Any] = {"id": object_id, f"{word}Id": object_id}
        if is_whole:
            told |= {"name": opened.traits.display_name or opened.name, "description": opened.traits.description}
        if is_whole and opened.collection.kind is CollectionKind.CALENDAR:
            shown = calendar_of(opened)
            told |= {"color": shown.color, "order": shown.order, "timezone": shown.timezone}
        told |= {
            "readonly": is_read_only(opened),
            "synctoken": self._tokens.of(opened),
            "object": "calendar" if opened.collection.kind is CollectionKind.CALENDAR else "address_book",
        }
        return {word: told, f"{word}Id": object_id}

    def _object(self, opened: Opened, placed: Placed, *, is_whole: bool) -> dict[str, Any]:
        kind = opened.collection.kind
        word, owner = OBJECT_WORDS[kind], COLLECTION_WORDS[kind]
        names = {f"{owner}Id": collection_object_id(opened), _id_name(kind): placed.object_id}
        if not is_whole:
            return {word: {"id": placed.object_id, "object": OBJECT_NAMES[kind]}, **names}
        if kind is CollectionKind.CALENDAR:
            told = event_of(self._events.shown(placed)).model_dump(mode="json")
        else:
            told = contact_of(shown_contact(placed)).model_dump(mode="json")
        if len(placed.resource.octets) > CONTENT_OCTETS_MAX:
            told[TEXT_FIELDS[kind]] = ""
        return {word: told, "uid": placed.resource.facts.uid, **names}


def _deleted(opened: Opened, gone: DeletedResource, *, is_whole: bool) -> dict[str, Any]:
    kind = opened.collection.kind
    object_id = DavPlace(opened.owner.account_id, resource_id=gone.resource_id).object_id
    told: dict[str, Any] = {"id": object_id, "object": OBJECT_NAMES[kind], "deleted_at": _moment(gone.deleted_at)}
    names: dict[str, str] = {f"{COLLECTION_WORDS[kind]}Id": collection_object_id(opened), _id_name(kind): object_id}
    if is_whole:
        told["uid"] = names["uid"] = gone.uid
    return {OBJECT_WORDS[kind]: told, **names}


def _id_name(kind: CollectionKind) -> str:
    return "eventId" if kind is CollectionKind.CALENDAR else "contactId"


def _message(view: MessageView, *, is_whole: bool) -> dict[str, Any]:
    told = message_of(view).model_dump(mode="json", exclude={"nodemailer", "raw"})
    if not is_whole:
        for name in ("subject", "header_message_id", "header_date", "labels"):
            del told[name]
        return told
    values = first_values(view.record.listed_header or b"")
    told |= {"from": text_of(values.get(b"from", b"")), "to": text_of(values.get(b"to", b""))}
    told["preview"] = view.record.preview or ""
    return told


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
