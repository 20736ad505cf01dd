"""Whole calendars and address books as files: for export and import, and for those who have a public link.

Spec: RFC 5545 §3.4; RFC 2426, RFC 6350 (several vCards in one file).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from mailstead.model.dav import CollectionKind, CollectionTraits, Resource
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, BadObject, NoSuchCollection, NotAllowed
from mailstead.pim.calendar_file import BUSY_SUMMARY, CalendarFile, for_the_world
from mailstead.pim.component import parse
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import DEFAULT, Collections, Opened
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.exports import file_name
from mailstead.usecases.object_imports import ObjectImport, Progress
from mailstead.usecases.resources import off_loop
from mailstead.usecases.sharings import Linked

FILE_OCTETS_MAX: Final = 256 * 1024 * 1024
FOLDERS: Final = {CollectionKind.CALENDAR: ("calendars", ".ics"), CollectionKind.ADDRESSBOOK: ("contacts", ".vcf")}
"""Where each kind is exported to, and the suffix of its files."""

_BEGIN: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*BEGIN:(VCALENDAR|VCARD)\s*?\n", re.IGNORECASE)


@dataclass(slots=True)
class FilesReport:
    """What an export of calendars and contacts wrote."""

    files: dict[str, int] = field(default_factory=dict)
    """Their paths below the target, and how many objects are in each."""


class CalendarFiles:
    """Reads and writes whole collections, on behalf of their owner or an administrator who stands in for it."""

    def __init__(self, collections: Collections, calendar_objects: CalendarObjects, contacts: Contacts) -> None:
        self._collections = collections
        self._calendar_objects = calendar_objects
        self._contacts = contacts

    async def file(self, opened: Opened) -> tuple[bytes, int]:
        """Give a whole collection as one file, and how many objects are in it."""
        if opened.collection.kind is CollectionKind.ADDRESSBOOK:
            cards = [each.octets async for page in self._contacts.listed(opened, with_octets=True) for each in page]
            return b"".join(each if each.endswith(b"\n") else each + b"\r\n" for each in cards), len(cards)
        written = await _gathered(self._calendar_objects, opened)
        return await asyncio.to_thread(written.octets), written.count

    async def public_file(self, linked: Linked) -> bytes:
        """Give a calendar as the world may see it."""
        opened, hides_details = linked.opened, linked.link.hides_details
        name = BUSY_SUMMARY if hides_details else opened.traits.display_name or "Calendar"
        written = CalendarFile(name, opened.traits.color)
        async for page in self._calendar_objects.listed(opened, with_octets=True):
            await off_loop(sum(each.size_octets for each in page), _add_public, written, page, hides_details)
        return await asyncio.to_thread(written.octets)

    # import

    async def import_file(
        self,
        actor: Actor,
        owner: Account,
        octets: bytes,
        kind: CollectionKind,
        name: str = "",
        progress: Progress | None = None,
    ) -> tuple[Opened, ObjectImport]:
        """Put all objects of a file into a collection, which is made if there is none of that name.

        `name`: of the collection, or as it is shown; empty: the first one. Objects whose UID is there are replaced.
        Errors: BadObject (nothing can be read), NotAllowed, NoSuchCollection, OverQuota, LimitReached.
        """
        opened = await self._target(actor, owner, kind, name)
        if kind is CollectionKind.ADDRESSBOOK:
            return opened, await self._contacts.import_all(opened, octets, progress, takes_old=True)
        return opened, await self._calendar_objects.import_all(opened, octets, progress)

    async def _target(self, actor: Actor, owner: Account, kind: CollectionKind, name: str) -> Opened:
        found = named(await self._collections.home(actor, owner, kind), name or DEFAULT)
        if found is not None:
            return found
        if not name:
            raise NoSuchCollection(f"{owner.address} has no first one any more; name one to import into")
        return await self._collections.create(actor, owner, kind, name, CollectionTraits(display_name=name))

    # export

    async def export(
        self,
        actor: Actor,
        owner: Account,
        target: Path,
        *,
        kinds: Sequence[CollectionKind] = (CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK),
        progress: Progress | None = None,
    ) -> FilesReport:
        """Write each own collection into a file of its own below `target`; what is there is not overwritten.

        Errors: NotAllowed, when that cannot be written.
        """
        report = FilesReport()
        found = [
            opened
            for kind in kinds
            for opened in await self._collections.home(actor, owner, kind)
            if opened.share is None and not opened.is_people
        ]
        for number, opened in enumerate(found, 1):
            octets, count = await self.file(opened)
            folder, suffix = FOLDERS[opened.collection.kind]
            shown = opened.traits.display_name or opened.name
            path = f"{folder}/{file_name(shown, suffix)}"
            if path in report.files:
                path = f"{folder}/{file_name(f'{shown} ({opened.name})', suffix)}"
            try:
                await asyncio.to_thread(_write_new, target / path, octets)
            except OSError as error:
                raise NotAllowed(f"{error.filename or target} cannot be written: {error.strerror}") from None
            report.files[path] = count
            if progress is not None:
                progress(number, len(found))
        return report


def named(home: Sequence[Opened], name: str) -> Opened | None:
    """Give the collection of a home that people call so: by its name, or as it is shown if only one is."""
    shown = [each for each in home if each.traits.display_name.casefold() == name.casefold()]
    return next((each for each in home if each.name == name), shown[0] if len(shown) == 1 else None)


async def whole_calendar(calendar_objects: CalendarObjects, opened: Opened) -> AsyncIterator[bytes]:
    """Yield a calendar as one file. It is gathered first: time zones stand before what uses them."""
    written = await _gathered(calendar_objects, opened)
    for piece in written.pieces():
        yield piece


def public_etag(linked: Linked) -> str:
    """Give an entity tag that changes with all that a public file depends on."""
    collection, link = linked.opened.collection, linked.link
    state = f"{collection.collection_id} {collection.modseq} {collection.traits_modseq} {link.hides_details}"
    return sha256(link.token_hash + state.encode()).hexdigest()[:32]


def read_file(path: Path) -> bytes:
    """Read a file to be imported. Errors: BadImport."""
    try:
        if not path.is_file():
            raise BadImport(f"{path} is no file")
        with path.open("rb") as file:
            octets = file.read(FILE_OCTETS_MAX + 1)
    except OSError as error:
        raise BadImport(f"{path} cannot be read: {error.strerror}") from None
    if len(octets) > FILE_OCTETS_MAX:
        raise BadImport(f"{path} is larger than {FILE_OCTETS_MAX // 2**20} MiB; take it apart")
    return octets


def read_start(path: Path) -> bytes:
    """Read the beginning of a file, for `kind_of`. Errors: BadImport."""
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError as error:
        raise BadImport(f"{path} cannot be read: {error.strerror}") from None


def kind_of(octets: bytes) -> CollectionKind | None:
    """Tell by its beginning whether a file holds calendar objects or contacts; None: neither."""
    found = _BEGIN.match(octets[:1024])
    if found is None:
        return None
    return CollectionKind.CALENDAR if found[1].upper() == b"VCALENDAR" else CollectionKind.ADDRESSBOOK


async def _gathered(calendar_objects: CalendarObjects, opened: Opened) -> CalendarFile:
    written = CalendarFile(opened.traits.display_name or opened.name, opened.traits.color)
    async for page in calendar_objects.listed(opened, with_octets=True):
        await off_loop(sum(each.size_octets for each in page), _add, written, page)
    return written


def _add(written: CalendarFile, page: Sequence[Resource]) -> None:
    for resource in page:
        for calendar in parse(resource.octets):
            written.add(calendar)


def _add_public(written: CalendarFile, page: Sequence[Resource], hides_details: bool) -> None:
    for resource in page:
        try:
            (calendar,) = parse(resource.octets)
        except (BadObject, ValueError):  # kept by an older version that read it otherwise
            continue
        public = for_the_world(calendar, hides_details=hides_details)
        if public is not None:
            written.add(public)


def _write_new(path: Path, octets: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(octets)
