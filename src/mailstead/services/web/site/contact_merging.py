"""Contacts that are the same person: suggested, set side by side, and made one when somebody has looked at them.

What is removed by it does not come back: so nothing is merged but by a page that shows all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused, PreconditionFailed
from mailstead.net.http_statuses import status_of
from mailstead.pim.card_differences import PARTS, Difference
from mailstead.pim.card_likeness import TOGETHER_MAX
from mailstead.pim.card_sheet import day_of
from mailstead.services.web.site.contacts import place_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

SUGGESTIONS_MAX: Final = 50
"""On one page; who has merged these sees further ones."""
_PATH: Final = "/contacts/b/"


async def suggestions(visit: Visit) -> Response:
    """List who may be the same person."""
    found = await visit.house.contacts.merging.likely(visit.actor)
    further_count = max(0, len(found) - SUGGESTIONS_MAX)
    return visit.show(
        "contacts/duplicates.html", found=found[:SUGGESTIONS_MAX], further_count=further_count, place=place_of
    )


async def compare(visit: Visit) -> Response:
    """Set contacts side by side, as the paths of their pages name them."""
    chosen = [_named(each) for each in visit.request.query_params.getlist("card")[: TOGETHER_MAX + 1]]
    if not chosen:
        return _nothing(visit)
    try:
        if len({book for book, _name in chosen}) > 1:
            raise PolicyRefused(_("They are in different address books; move them into one first"))
        return await _compared(visit, chosen[0][0], [name for _book, name in chosen])
    except MailsteadError as error:
        return _nothing(visit, error)


async def merge(visit: Visit) -> Response:
    """Make them one, if they are still what was seen; else they are shown as they are now."""
    fields = await visit.fields()
    book, house = fields.get("book", ""), visit.house.contacts
    seen = [
        (fields[f"card-{number}"], fields.get(f"etag-{number}", ""))
        for number in range(TOGETHER_MAX)
        if f"card-{number}" in fields
    ]
    keep = _place(fields.get("keep", ""), len(seen)) or 0
    chosen = {part: _place(fields.get(f"choice-{part}", ""), len(seen)) for part in PARTS}
    order = [keep, *(number for number in range(len(seen)) if number != keep)]
    choices = {part: order.index(place) for part, place in chosen.items() if place is not None}
    try:
        made = await house.merging.merge(visit.actor, book, [seen[place] for place in order] if seen else [], choices)
    except MailsteadError as error:
        try:
            return await _compared(visit, book, [name for name, _etag in seen], error, keep=keep, chosen=chosen)
        except MailsteadError as another:
            return _nothing(visit, another)
    opened = await house.sheets.book(visit.actor, book)
    return visit.go(place_of(opened, made.name), told="partly" if made.left_count else "merged")


def _nothing(visit: Visit, error: MailsteadError | None = None) -> Response:
    """Say how contacts are chosen, and why these cannot be compared."""
    status = 200 if error is None else status_of(error)
    return visit.show("contacts/merge.html", status, compared=None, is_conflict=False, error=error)


async def _compared(
    visit: Visit,
    book: str,
    names: Sequence[str],
    error: MailsteadError | None = None,
    *,
    keep: int = 0,
    chosen: Mapping[str, int | None] | None = None,
) -> Response:
    compared = await visit.house.contacts.merging.compare(visit.actor, book, names)
    return visit.show(
        "contacts/merge.html",
        200 if error is None else status_of(error),
        compared=compared,
        offers=[(each.part, _offers(each)) for each in compared.differences],
        keep=keep,
        chosen=chosen or {},
        place=place_of,
        day_of=day_of,
        is_conflict=isinstance(error, PreconditionFailed),
        error=error,
    )


def _offers(different: Difference) -> list[tuple[int, str]]:
    """Give the places of what may be chosen, with the words; what is said twice, once, but for pictures."""
    offers = [(place, text) for place, text in enumerate(different.texts) if text]
    if different.part in {"photo", "logo"}:
        return offers
    firsts: dict[str, int] = {}
    for place, text in offers:
        firsts.setdefault(text, place)
    return [(place, text) for text, place in firsts.items()]


def _named(path: str) -> tuple[str, str]:
    """Give book and name of a contact by the path of its page, whatever stands there."""
    book, _slash, name = path.removeprefix(_PATH).partition("/")
    return unquote(book), unquote(name)


def _place(text: str, count: int) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) < count else None


PAGES: Final = (
    Page("/contacts/duplicates", suggestions, Who.OWNER),
    Page("/contacts/merge", compare, Who.OWNER),
    Page("/contacts/merge", merge, Who.OWNER, ("POST",)),
)
