"""One request, with all that methods, properties and reports need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request

from mailstead.model.dav import Access, CollectionKind, Resource
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchCollection
from mailstead.net.http_requests import Proxies
from mailstead.proto.dav import headers as fields
from mailstead.proto.dav.headers import Prefer
from mailstead.proto.dav.paths import segment
from mailstead.proto.dav.types import PropFind, PropFindKind
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.paths import Place, PlaceKind, principal
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.attachments import Attachments
from mailstead.usecases.calendar_files import CalendarFiles
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_push import DavPush
from mailstead.usecases.free_busy import FreeBusy
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.scheduling import Scheduling
from mailstead.usecases.sharings import Sharings

XML_OCTETS_MAX: Final = 8 * 1024 * 1024
"""Of a body that is no object: a multiget of 100,000 hrefs fits."""
_BOTH: Final = frozenset(
    {
        PlaceKind.ROOT,
        PlaceKind.PRINCIPALS,
        PlaceKind.PRINCIPAL,
        PlaceKind.PROXY,
        PlaceKind.PUSH,
        PlaceKind.APPLE_PUSH,
    }
)


@dataclass(frozen=True, slots=True)
class DavHouse:
    """The use cases of calendars and contacts, and what is allowed."""

    accounts: Accounts
    collections: Collections
    calendar_objects: CalendarObjects
    contacts: Contacts
    attachments: Attachments
    calendar_files: CalendarFiles
    sharings: Sharings
    dav_push: DavPush
    meetings: Meetings
    free_busy: FreeBusy
    scheduling: Scheduling
    base_url: str
    """``https://`` and the host, without slash at the end."""
    resource_octets_max: int
    allows_clear_text: bool = False
    has_calendars: bool = True
    has_addressbooks: bool = True
    proxies: Proxies = field(default_factory=Proxies)


class Call:
    """A request of somebody who has logged in."""

    def __init__(self, request: Request, house: DavHouse, actor: Actor, place: Place) -> None:
        self.request: Final = request
        self.house: Final = house
        self.actor: Final = actor
        self.place: Final = place
        self.headers: Final[Mapping[str, str]] = request.headers
        self.prefer: Final[Prefer] = fields.prefer(request.headers)
        self._owner: Account | None = None
        self._body: bytes | None = None

    # for reports

    @property
    def collection_path(self) -> str:
        """Of the collection, in the form that was asked, with a slash at the end."""
        return self.place.parent.path

    @property
    def resource_name(self) -> str:
        """Of the object that was asked; empty: the collection was."""
        return self.place.resource if self.place.kind is PlaceKind.RESOURCE else ""

    @property
    def wants_zones(self) -> bool | None:
        """``CalDAV-Timezones``. Spec: RFC 7809 §7.1."""
        return fields.wants_zones(self.headers)

    async def opened(self, kind: CollectionKind | None = None, access: Access = Access.READ) -> Opened:
        """Give the collection that was asked, of one of these kinds.

        Errors: NoSuchCollection; NotAllowed; BadRequest where it is of another kind.
        """
        place = self.place
        if place.kind not in {PlaceKind.COLLECTION, PlaceKind.RESOURCE}:
            raise BadRequest("That is asked of calendars and address books", 403)
        if (
            kind is not None
            and place.collection_kind is not kind
            and not (kind is CollectionKind.CALENDAR and place.collection_kind is CollectionKind.INBOX)
        ):
            raise BadRequest("That is asked of another kind of collection", 403)
        owner = await self.owner()
        return await self.house.collections.open(self.actor, owner, place.collection_kind, place.collection, access)

    def resource_values(self, opened: Opened, resource: Resource, wanted: PropFind) -> tuple[dict[str, str], list[str]]:
        """Give the properties of a resource, and the names of those that it has not."""
        from mailstead.services.dav.properties import RESOURCE_ALLPROP, RESOURCE_PROPERTIES

        names = wanted.props
        if wanted.kind is not PropFindKind.PROP:
            names = (*RESOURCE_ALLPROP, *(each for each in wanted.props if each not in RESOURCE_ALLPROP))
        values: dict[str, str] = {}
        missing: list[str] = []
        for name in names:
            get = RESOURCE_PROPERTIES.get(name)
            value = get(self, opened, resource) if get is not None else None
            if value is None:
                missing.append(name)
            else:
                values[name] = value
        return values, [] if self.prefer.is_minimal else missing

    # for all

    async def owner(self) -> Account:
        """Give the account that the path names. Errors: NoSuchAccount."""
        if self._owner is None:
            self._owner = await self.house.collections.account(self.actor, self.place.user)
        return self._owner

    @property
    def own_name(self) -> str:
        """The actor's address, as it stands in paths."""
        assert self.actor.address is not None
        return str(self.actor.address)

    @property
    def own_principal(self) -> str:
        """The path of the actor's principal."""
        return principal(self.own_name).path

    async def body(self, octets_max: int = XML_OCTETS_MAX) -> bytes:
        """Read the body; one that is said to be too large is not begun. Errors: BadRequest (413)."""
        if self._body is None:
            declared = self.headers.get("content-length", "")
            if declared.isascii() and declared.isdigit() and int(declared[:20]) > octets_max:
                raise BadRequest("The body is too large", 413)
            pieces, size = [], 0
            try:
                async for piece in self.request.stream():
                    size += len(piece)
                    if size > octets_max:
                        raise BadRequest("The body is too large", 413)
                    pieces.append(piece)
            except ClientDisconnect:
                raise BadRequest("The body did not come to its end") from None
            self._body = b"".join(pieces)
        return self._body

    def href(self, name: str) -> str:
        """Give the path of an object in the collection that was asked."""
        return self.collection_path + segment(name)

    def must_be_served(self) -> None:
        """Errors: NoSuchCollection, for what this process does not serve; principals are both services'."""
        if self.place.kind in _BOTH:
            return
        is_book = self.place.collection_kind is CollectionKind.ADDRESSBOOK
        if not (self.house.has_addressbooks if is_book else self.house.has_calendars):
            raise NoSuchCollection
