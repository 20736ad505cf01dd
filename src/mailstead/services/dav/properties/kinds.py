"""What a live property is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mailstead.model.dav import CollectionKind, CollectionTraits, Resource
from mailstead.model.directory import Account
from mailstead.proto.dav.xml import Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind
from mailstead.usecases.collections import Opened


@dataclass(frozen=True, slots=True)
class Subject:
    """What properties are asked of: a place that is no object."""

    place: Place
    owner: Account | None = None
    opened: Opened | None = None
    """Of a collection."""

    @property
    def is_calendar(self) -> bool:
        """Whether it is a calendar."""
        return self.opened is not None and self.opened.collection.kind is CollectionKind.CALENDAR

    @property
    def is_book(self) -> bool:
        """Whether it is an address book."""
        return self.opened is not None and self.opened.collection.kind is CollectionKind.ADDRESSBOOK

    @property
    def is_home(self) -> bool:
        """Whether it is a home."""
        return self.place.kind in {PlaceKind.CALENDAR_HOME, PlaceKind.BOOK_HOME}

    @property
    def is_principal(self) -> bool:
        """Whether it is a principal."""
        return self.place.kind is PlaceKind.PRINCIPAL


class PropertyRefused(Exception):
    """A property cannot have that value, or cannot be set at all."""

    def __init__(self, status: int = 403, condition: str = "") -> None:
        super().__init__(condition)
        self.status = status
        self.condition = condition


class ResourceGetter(Protocol):
    """Gives a property of an object, as the whole element; None: it has none."""

    def __call__(self, call: Call, opened: Opened, resource: Resource, /) -> str | None:
        """Give it."""


Getter = Callable[[Call, Subject], Awaitable[str | None]]
"""Gives a property of a place, as the whole element; None: it has none."""

Changer = Callable[[CollectionTraits, Element | None, str], CollectionTraits]
"""Gives a collection's traits with another value (element None: without it). Errors: PropertyRefused."""

PlaceChanger = Callable[[Call, Subject, Element | None], Awaitable[None]]
"""Changes something that is no trait of a collection. Errors: PropertyRefused, MailsteadError."""


@dataclass(frozen=True, slots=True)
class PlaceProperty:
    """How a property of places is read and changed."""

    get: Getter
    change: Changer | None = None
    """None: it is protected, or …"""
    change_place: PlaceChanger | None = None
    is_in_allprop: bool = False


__all__ = [
    "Changer",
    "Getter",
    "PlaceChanger",
    "PlaceProperty",
    "PropertyRefused",
    "ResourceGetter",
    "Subject",
]
