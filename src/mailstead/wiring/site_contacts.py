"""What the pages of contacts need."""

from __future__ import annotations

from mailstead.services.web.site.contact_house import ContactHouse
from mailstead.usecases.card_groups import CardGroups
from mailstead.usecases.card_index import CardIndex
from mailstead.usecases.card_merging import CardMerging
from mailstead.usecases.card_sheets import CardSheets
from mailstead.usecases.completions import Completions
from mailstead.usecases.dav_objects import DavObjects
from mailstead.wiring.house import House


def make_contact_house(house: House) -> ContactHouse:
    """Give it."""
    objects = DavObjects(house.storage, house.collections)
    index = CardIndex(objects, house.collections)
    sheets = CardSheets(objects, house.collections, house.contacts)
    return ContactHouse(
        completions=Completions(objects, house.collections, house.mailboxes, house.clock),
        groups=CardGroups(index, sheets, house.contacts),
        index=index,
        merging=CardMerging(objects, house.collections, house.contacts, sheets),
        sharings=house.sharings,
        sheets=sheets,
    )
