"""Which path means what, and how paths are written in answers.

The reference's form is our own; clean ones and an older one are taken too, and answered as they were asked: clients
compare what they asked with what they get.

Spec: reference 8.1; RFC 6764 §5 (well-known), RFC 4791 §5 and RFC 6352 §5 leave paths to the server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mailstead.model.dav import CollectionKind
from mailstead.proto.dav.paths import segment, segments
from mailstead.proto.dav.xml import BadRequest

PREFIXES: Final = (
    "/dav",
    "/principals",
    "/p/",
    "/cal/",
    "/calendars",
    "/addressbooks",
    "/attachments",
    "/public/calendars",
    "/dav-push",
    "/.well-known/caldav",
    "/.well-known/carddav",
)
"""Paths of ours, where the web service is asked too."""


class PlaceKind(Enum):
    """What a path stands for."""

    ROOT = "root"
    PRINCIPALS = "principals"
    PRINCIPAL = "principal"
    PROXY = "proxy"
    """Of Apple's delegation: who acts for a principal. Spec: caldav-proxy (Apple) §5.2."""
    CALENDAR_HOME = "calendar home"
    BOOK_HOME = "address book home"
    COLLECTION = "collection"
    OUTBOX = "outbox"
    RESOURCE = "resource"
    ATTACHMENT = "attachment"
    PUSH = "push"
    """A device's registration."""
    APPLE_PUSH = "Apple's push"
    """Where Apple's devices register."""


class Form(Enum):
    """In which form a path was asked."""

    REFERENCE = "dav"
    LEGACY = "cal"
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Place:
    """What a request is about."""

    kind: PlaceKind
    form: Form = Form.REFERENCE
    user: str = ""
    """As it stands in the path: an address, or its local part."""
    collection_kind: CollectionKind = CollectionKind.CALENDAR
    collection: str = ""
    resource: str = ""
    """Name of an object; of a proxy ``calendar-proxy-read`` or ``-write``; of an attachment its managed id."""

    @property
    def path(self) -> str:
        """The path of this place; collections end with a slash."""
        user = segment(self.user)
        if self.kind is PlaceKind.ROOT:
            return "/"
        if self.kind is PlaceKind.PRINCIPALS:
            return "/principals/"
        if self.kind is PlaceKind.PRINCIPAL:
            return f"/principals/{user}/"
        if self.kind is PlaceKind.PROXY:
            return f"/principals/{user}/{self.resource}/"
        if self.kind is PlaceKind.ATTACHMENT:
            return f"/attachments/{user}/{segment(self.resource)}"
        if self.kind is PlaceKind.PUSH:
            return f"/dav-push/{segment(self.resource)}"
        if self.kind is PlaceKind.APPLE_PUSH:
            return "/dav-push/apns"
        home = self._home
        if self.kind is PlaceKind.OUTBOX:
            return f"{home}outbox/"
        if self.kind in {PlaceKind.CALENDAR_HOME, PlaceKind.BOOK_HOME}:
            return home
        collection = f"{home}{segment(self.collection)}/"
        return collection + segment(self.resource) if self.kind is PlaceKind.RESOURCE else collection

    @property
    def _home(self) -> str:
        user = segment(self.user)
        is_book = self.collection_kind is CollectionKind.ADDRESSBOOK
        if self.form is Form.CLEAN:
            return f"/addressbooks/{user}/" if is_book else f"/calendars/{user}/"
        return f"/{self.form.value}/{user}/" + ("addressbooks/" if is_book else "")

    # its neighbours

    def home(self, kind: CollectionKind) -> Place:
        """The home of calendars or address books of the same user."""
        is_book = kind is CollectionKind.ADDRESSBOOK
        place_kind = PlaceKind.BOOK_HOME if is_book else PlaceKind.CALENDAR_HOME
        home_kind = kind if is_book else CollectionKind.CALENDAR
        return replace(self, kind=place_kind, collection_kind=home_kind, collection="", resource="")

    def in_home(self, kind: CollectionKind, name: str) -> Place:
        """A collection in that home."""
        return replace(self, kind=PlaceKind.COLLECTION, collection_kind=kind, collection=name, resource="")

    def outbox(self) -> Place:
        """The outbox of the same user."""
        return replace(self, kind=PlaceKind.OUTBOX, collection_kind=CollectionKind.CALENDAR, collection="", resource="")

    def object(self, name: str) -> Place:
        """An object in this collection."""
        return replace(self, kind=PlaceKind.RESOURCE, resource=name)

    @property
    def parent(self) -> Place:
        """The collection of an object."""
        return replace(self, kind=PlaceKind.COLLECTION, resource="") if self.kind is PlaceKind.RESOURCE else self


def principal(user: str) -> Place:
    """Give the principal of an account."""
    return Place(PlaceKind.PRINCIPAL, user=user)


def place_of(raw_path: str) -> Place | None:
    """Give what a path means; None: nothing of ours. Errors: BadRequest."""
    parts, ends_with_slash = segments(raw_path)
    if not parts or parts == ["dav"]:
        return Place(PlaceKind.ROOT)
    first, rest = parts[0], parts[1:]
    if first in {"principals", "p"}:
        return _principal(rest)
    if first == "attachments" and len(rest) == 2:
        return Place(PlaceKind.ATTACHMENT, user=rest[0], resource=rest[1])
    if first == "dav-push" and len(rest) == 1:
        return Place(PlaceKind.APPLE_PUSH) if rest == ["apns"] else Place(PlaceKind.PUSH, resource=rest[0])
    if first in {"dav", "cal"}:
        form = Form.REFERENCE if first == "dav" else Form.LEGACY
        if not rest:
            return Place(PlaceKind.ROOT)
        if rest[1:2] == ["addressbooks"]:
            return _in_home(form, rest[0], CollectionKind.ADDRESSBOOK, rest[2:], ends_with_slash)
        return _in_home(form, rest[0], CollectionKind.CALENDAR, rest[1:], ends_with_slash)
    if first in {"calendars", "addressbooks"} and rest:
        kind = CollectionKind.ADDRESSBOOK if first == "addressbooks" else CollectionKind.CALENDAR
        return _in_home(Form.CLEAN, rest[0], kind, rest[1:], ends_with_slash)
    return None


def _principal(rest: list[str]) -> Place | None:
    if not rest:
        return Place(PlaceKind.PRINCIPALS)
    if len(rest) == 1:
        return Place(PlaceKind.PRINCIPAL, user=rest[0])
    if len(rest) == 2 and rest[1] in {"calendar-proxy-read", "calendar-proxy-write"}:
        return Place(PlaceKind.PROXY, user=rest[0], resource=rest[1])
    return None


def _in_home(form: Form, user: str, kind: CollectionKind, rest: list[str], ends_with_slash: bool) -> Place | None:
    if not rest:
        home = PlaceKind.BOOK_HOME if kind is CollectionKind.ADDRESSBOOK else PlaceKind.CALENDAR_HOME
        return Place(home, form, user, kind)
    if kind is CollectionKind.CALENDAR:
        if rest == ["outbox"]:
            return Place(PlaceKind.OUTBOX, form, user)
        if rest[0] == "inbox":
            kind = CollectionKind.INBOX
    if len(rest) == 1:
        return Place(PlaceKind.COLLECTION, form, user, kind, rest[0])
    if len(rest) == 2:
        if ends_with_slash:
            raise BadRequest("There are no collections in calendars and address books", 403)
        return Place(PlaceKind.RESOURCE, form, user, kind, rest[0], rest[1])
    return None
