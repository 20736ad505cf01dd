"""Calendars as programs see them over the API: listed, made, changed, removed, by id.

Spec: reference forwardemail 4.3 (calendars), 4.10 (Calendar).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from mailstead.model.dav import Access, CollectionKind, CollectionTraits
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, CollectionExists, PolicyRefused
from mailstead.model.people import Listing, Page
from mailstead.pim.zones import iana_zone, zone_of
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.dav_objects import DavObjects

KIND: Final = CollectionKind.CALENDAR
NAME_CHARACTERS_MAX: Final = 200
DESCRIPTION_CHARACTERS_MAX: Final = 2000
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?")
_ORDER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CalendarWish:
    """What a calendar is to be; None: nothing is said."""

    name: str | None = None
    description: str | None = None
    color: str | None = None
    timezone: str | None = None
    """A name of the IANA database, or a VCALENDAR with one VTIMEZONE; empty: none."""
    order: int | None = None


class Calendars:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, collections: Collections) -> None:
        self._objects = objects
        self._collections = collections

    async def find(self, actor: Actor, listing: Listing) -> Page[Opened]:
        """A part of the calendars, in the order that their owner has given them."""
        found = await self._objects.collections(actor, KIND)
        found.sort(key=lambda each: _ORDER_MAX if each.traits.order is None else each.traits.order)
        return Page(tuple(found[listing.skipped_count : listing.skipped_count + listing.limit]), len(found))

    async def show(self, actor: Actor, id_or_name: str) -> Opened:
        """One calendar. Errors: NoSuchCollection."""
        return await self._objects.collection(actor, KIND, id_or_name)

    async def create(self, actor: Actor, wish: CalendarWish, calendar_id: str = "") -> Opened:
        """Make a calendar; `calendar_id` is its name in paths, else one is made up.

        Errors: CollectionExists (one that is so called, or has that name), BadCollectionName, LimitReached,
        PolicyRefused, BadObject (time zone).
        """
        account = await self._objects.account(actor)
        traits = _applied(CollectionTraits(), wish)
        await self._must_be_new(actor, traits.display_name)
        return await self._collections.create(actor, account, KIND, calendar_id or str(uuid4()), traits)

    async def change(self, actor: Actor, id_or_name: str, wish: CalendarWish) -> Opened:
        """Change how a calendar is called and shown; of a shared one only for the actor.

        Errors: NoSuchCollection, NotAllowed, CollectionExists, PolicyRefused, BadObject (time zone).
        """
        opened = await self._objects.collection(actor, KIND, id_or_name)
        traits = _applied(opened.traits, wish)
        if traits == opened.traits:
            return opened
        if traits.display_name != opened.traits.display_name:
            await self._must_be_new(actor, traits.display_name)
        return await self._collections.set_traits(actor, opened, traits)

    async def delete(self, actor: Actor, id_or_name: str) -> Opened:
        """Remove a calendar with its events, and no other's; a shared one is only left. Errors: NoSuchCollection."""
        opened = await self._objects.collection(actor, KIND, id_or_name)
        await self._collections.delete(actor, opened)
        return opened

    async def _must_be_new(self, actor: Actor, name: str) -> None:
        for each in await self._objects.collections(actor, KIND):
            if each.is_own and each.traits.display_name == name:
                raise CollectionExists("There is such a calendar already", name=name)


def is_read_only(opened: Opened) -> bool:
    """Whether the actor may not change what is in it."""
    return opened.access is not Access.WRITE


def _applied(before: CollectionTraits, wish: CalendarWish) -> CollectionTraits:
    traits = before
    if wish.name is not None:
        traits = replace(traits, display_name=_checked("A calendar's name", wish.name.strip(), NAME_CHARACTERS_MAX))
    if not traits.display_name:
        raise PolicyRefused("A calendar has a name")
    if wish.description is not None:
        text = _checked("A description", wish.description, DESCRIPTION_CHARACTERS_MAX)
        traits = replace(traits, description=text)
    if wish.color is not None:
        if wish.color and _COLOR.fullmatch(wish.color) is None:
            raise PolicyRefused("A colour is written as #RRGGBB")
        traits = replace(traits, color=wish.color)
    if wish.timezone is not None:
        traits = _with_zone(traits, wish.timezone.strip())
    if wish.order is not None:
        if not -_ORDER_MAX <= wish.order <= _ORDER_MAX:
            raise PolicyRefused("That order is too large a number")
        traits = replace(traits, order=wish.order)
    return traits


def _with_zone(traits: CollectionTraits, text: str) -> CollectionTraits:
    if "BEGIN:" in text.upper():
        if zone_of(text) is None:
            raise BadObject("That is no time zone", condition="valid-calendar-data")
        return replace(traits, timezone=text, timezone_id="")
    if text and iana_zone(text) is None:
        raise BadObject("No such time zone", condition="valid-timezone")
    return replace(traits, timezone="", timezone_id=text)


def _checked(what: str, text: str, characters_max: int) -> str:
    """Errors: PolicyRefused, for what is too long or could not stand in XML."""
    if len(text) > characters_max:
        raise PolicyRefused(f"{what} has at most {characters_max} characters")
    if any(ord(each) < 32 and each not in "\t\n\r" for each in text) or any(
        "\ud800" <= each < "\ue000" for each in text
    ):
        raise PolicyRefused(f"{what} has no control characters")
    return text
