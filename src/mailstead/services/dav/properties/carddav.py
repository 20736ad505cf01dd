"""Properties of address books.

Spec: RFC 6352 §6.2, §7.1.1; draft-daboo-carddav-directory-gateway-02.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.proto.dav import write
from mailstead.proto.dav.names import carddav
from mailstead.proto.dav.xml import Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import PlaceKind
from mailstead.services.dav.properties.caldav import COLLATIONS
from mailstead.services.dav.properties.kinds import PlaceProperty, Subject
from mailstead.services.dav.properties.webdav import text_of


async def _home_set(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_addressbooks:
        return None
    return write.hrefs(carddav("addressbook-home-set"), [subject.place.home(CollectionKind.ADDRESSBOOK).path])


async def _description(_call: Call, subject: Subject) -> str | None:
    if not subject.is_book or subject.opened is None or not subject.opened.traits.description:
        return None
    return write.text(carddav("addressbook-description"), subject.opened.traits.description)


def _set_description(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    return replace(traits, description=text_of(element))


async def _data(_call: Call, subject: Subject) -> str | None:
    if not subject.is_book:
        return None
    types = "".join(
        write.element(carddav("address-data-type"), attributes=f' content-type="text/vcard" version="{version}"')
        for version in ("3.0", "4.0")
    )
    return write.element(carddav("supported-address-data"), types)


async def _max_size(call: Call, subject: Subject) -> str | None:
    if not subject.is_book:
        return None
    return write.text(carddav("max-resource-size"), str(call.house.resource_octets_max))


async def _collations(_call: Call, subject: Subject) -> str | None:
    if not subject.is_book:
        return None
    inner = "".join(write.text(carddav("supported-collation"), each) for each in COLLATIONS)
    return write.element(carddav("supported-collation-set"), inner)


async def _gateway(call: Call, subject: Subject) -> str | None:
    """Tell where the people of the domain are. Spec: draft-daboo-carddav-directory-gateway-02 §4."""
    owner = subject.owner
    if owner is None or not (subject.is_principal or subject.place.kind is PlaceKind.BOOK_HOME):
        return None
    if owner.account_id != call.actor.account_id or not call.house.has_addressbooks:
        return None
    paths = [
        subject.place.in_home(CollectionKind.ADDRESSBOOK, each.name).path
        for each in await call.house.collections.home(call.actor, owner, CollectionKind.ADDRESSBOOK)
        if each.is_people
    ]
    return write.hrefs(carddav("directory-gateway"), paths) if paths else None


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    carddav("addressbook-home-set"): PlaceProperty(_home_set),
    carddav("addressbook-description"): PlaceProperty(_description, _set_description),
    carddav("supported-address-data"): PlaceProperty(_data),
    carddav("max-resource-size"): PlaceProperty(_max_size),
    carddav("supported-collation-set"): PlaceProperty(_collations),
    carddav("directory-gateway"): PlaceProperty(_gateway),
}
