"""Answers to reports: a multistatus that goes out in pieces while it is still being made.

The first piece is made before the answer begins, so that what is wrong with a request still becomes a status of its
own; what is too much after that is told inside, with 507.

Spec: RFC 4791 §7.8, §7.9; RFC 6352 §8.6.2; RFC 6578 §3.6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol
from urllib.parse import urlsplit

from starlette.responses import Response, StreamingResponse

from mailstead.model.dav import CollectionKind, Resource
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav, carddav, dav
from mailstead.proto.dav.paths import decoded, segment, segments
from mailstead.proto.dav.types import PropFind
from mailstead.proto.dav.xml import BadRequest
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import Opened
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.resources import Found

CHUNK_CHARACTERS: Final = 64 * 1024


class ReportHouse(Protocol):
    """The use cases that reports ask."""

    @property
    def calendar_objects(self) -> CalendarObjects:
        """Events and tasks."""

    @property
    def contacts(self) -> Contacts:
        """Contacts."""


class ReportCall(Protocol):
    """What reports on collections need to know of the request they are in."""

    @property
    def house(self) -> ReportHouse:
        """Whom to ask."""

    @property
    def collection_path(self) -> str:
        """Of the collection, in the form that was asked, with a slash at the end."""

    @property
    def resource_name(self) -> str:
        """Of the object that was asked; empty: the collection was."""

    @property
    def wants_zones(self) -> bool | None:
        """``CalDAV-Timezones``. Spec: RFC 7809 §7.1."""

    async def opened(self, kind: CollectionKind | None = None) -> Opened:
        """Give the collection that was asked. Errors: NoSuchCollection; an error for one of another kind."""

    def resource_values(self, opened: Opened, resource: Resource, wanted: PropFind) -> tuple[dict[str, str], list[str]]:
        """Give the properties of a resource, and the names of those that it has not."""


class Answers:
    """Puts together what is said of each resource of one collection."""

    def __init__(self, call: ReportCall, opened: Opened, wanted: PropFind) -> None:
        self._call = call
        self._opened = opened
        self._wanted = wanted
        self._path = call.collection_path
        is_calendar = opened.collection.kind is not CollectionKind.ADDRESSBOOK
        self._data_name: Final = caldav("calendar-data") if is_calendar else carddav("address-data")
        self._has_data: Final = (wanted.calendar_data if is_calendar else wanted.address_data) is not None

    def of(self, found: Found) -> str:
        """Say what was asked of one resource."""
        values, missing = self._call.resource_values(self._opened, found.resource, self._wanted)
        if self._has_data:
            values[self._data_name] = write.text(self._data_name, found.data.decode("utf-8", "replace"))
            missing = [each for each in missing if each != self._data_name]
        return write.response(self.href(found.resource.name), values, {404: missing})

    def href(self, name: str) -> str:
        """Give the path of a resource."""
        return self._path + segment(name)

    def names(self, hrefs: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """Give names in this collection with the hrefs that meant them, and the hrefs that are not in it.

        Clients write hrefs as URLs or as paths, and encode them as they like.
        """
        base = _read(self._path)
        named: dict[str, str] = {}
        others: list[str] = []
        for href in hrefs:
            rest = href.removeprefix(self._path)
            if rest != href and rest and "/" not in rest and "?" not in rest:
                # As we have written it ourselves: nearly always.
                name = _name(rest)
                if name is not None:
                    named.setdefault(name, href)
                    continue
            path = _read(href)
            if path is not None and base is not None and len(path) == len(base) + 1 and path[:-1] == base:
                named.setdefault(path[-1], href)
            else:
                others.append(href)
        return named, others


async def multistatus(pieces: AsyncIterator[str]) -> Response:
    """Answer with pieces, the last of which ends the multistatus; at once where it is short, as most are."""
    chunks = _chunks(pieces)
    first = await anext(chunks)
    second = await anext(chunks, None)
    if second is None:
        return Response(first, 207, media_type=write.CONTENT_TYPE)
    return StreamingResponse(_with_first((first, second), chunks), 207, media_type=write.CONTENT_TYPE)


def cut_short(call: ReportCall, description: str = "") -> str:
    """Say that there is more than this answer has. Spec: RFC 6578 §3.6; RFC 6352 §8.6.2."""
    return write.bare_response(
        call.collection_path, 507, dav("number-of-matches-within-limits"), description or "There is more than this"
    )


async def _with_first(first: Iterable[bytes], chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in first:
        yield chunk
    async for chunk in chunks:
        yield chunk


async def _chunks(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    gathered, size = [write.start()], 0
    async for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= CHUNK_CHARACTERS:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    yield "".join(gathered).encode()


def _name(raw: str) -> str | None:
    try:
        return decoded(raw)
    except BadRequest:
        return None


def _read(href: str) -> list[str] | None:
    """Give the segments of an href; None: it can be nothing of ours."""
    try:
        return segments(urlsplit(href.strip()).path)[0]
    except (BadRequest, ValueError):
        return None
