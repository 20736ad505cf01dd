"""Contacts: found by name, letter, word and group, one of them seen, brought out as vCards, and removed.

Whose address book it is and who may write in it, `Collections` says; a contact is named by its book and its name there.
Spec: RFC 6350; attack rows 86, 97.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import JSONResponse, Response

from mailstead.mime.correspondents import correspondents_of, written
from mailstead.model.dav import Access
from mailstead.model.errors import BadMessage, MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet, day_of, members
from mailstead.pim.safe import safe_url
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.card_index import CardQuery
from mailstead.usecases.card_sheets import ShownCard
from mailstead.usecases.collections import Opened
from mailstead.usecases.completions import Completion

PER_PAGE: Final = 50
MEMBERS_MAX: Final = 200
OFFERED_MAX: Final = 3
"""Of the addresses of a group, so many are seen before it is chosen."""
VERSIONS: Final = frozenset({"3.0", "4.0"})
"""Of vCards that are asked for."""
_KEPT: Final = {
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of what others have written, and of what scripts read."""


async def contacts(visit: Visit) -> Response:
    """List them."""
    asked = visit.request.query_params
    query = CardQuery(
        asked.get("book", ""),
        asked.get("q", "").strip()[:200],
        asked.get("letter", "")[:1],
        asked.get("group", "")[:200],
    )
    number = _number(asked.get("page", "1"))
    found = await visit.house.contacts.index.page(visit.actor, query, (number - 1) * PER_PAGE, PER_PAGE)
    books = await visit.house.contacts.index.books(visit.actor)
    kept = {"book": query.book, "q": query.text, "letter": query.letter, "group": query.group}

    def at(**changes: object) -> str:
        """Give the address of the same list with something else asked for."""
        fields = {name: value for name, value in {**kept, **changes}.items() if value}
        return f"/contacts?{urlencode(fields)}" if fields else "/contacts"

    return visit.show(
        "contacts/list.html",
        books=books,
        first=next((each.name for each in books if may_write(each)), ""),
        found=found,
        query=query,
        page=number,
        pages=-(-found.count // PER_PAGE),
        at=at,
        place=place_of,
        may_write=may_write,
        mailbox=_mailbox,
    )


async def contact(visit: Visit) -> Response:
    """Show one."""
    return await _card(visit, await visit.house.contacts.sheets.show(visit.actor, *_names(visit)))


async def of_sender(visit: Visit) -> Response:
    """Lead to the contact who has written a message; to the form of a new one, where there is none."""
    try:
        found = correspondents_of(visit.request.query_params.get("from", "")[:1000])
    except BadMessage:
        found = ()
    if not found:
        return visit.go("/contacts/new")
    same = await visit.house.contacts.index.same(visit.actor, [found[0].address])
    if same:
        return visit.go(place_of(same[0].opened, same[0].resource.name))
    return visit.go("/contacts/new", email=found[0].address, name=found[0].name)


async def move(visit: Visit) -> Response:
    """Put one into another book."""
    fields = await visit.fields()
    book, name = _names(visit)
    moved = await visit.house.contacts.sheets.move(visit.actor, book, name, fields.get("to", ""))
    return visit.go(place_of(moved.opened, moved.resource.name), told="moved")


async def delete(visit: Visit) -> Response:
    """Remove one, if it is still what was seen."""
    fields, (book, name) = await visit.fields(), _names(visit)
    try:
        await visit.house.contacts.sheets.delete(visit.actor, book, name, fields.get("etag", ""))
    except MailsteadError as error:
        return await _card(visit, await visit.house.contacts.sheets.show(visit.actor, book, name), error)
    return visit.go("/contacts", told="deleted")


async def photo(visit: Visit) -> Response:
    """Give the picture of one, a raster image by its first octets (attack row 97)."""
    octets, kind = await visit.house.contacts.sheets.photo(visit.actor, *_names(visit))
    headers = {**_KEPT, "content-disposition": f"inline; filename=photo.{kind.suffix}"}
    return Response(octets, media_type=kind.media_type, headers=headers)


async def vcard(visit: Visit) -> Response:
    """Give one as a file."""
    octets = await visit.house.contacts.sheets.octets(visit.actor, *_names(visit), version_asked(visit))
    return Response(octets, media_type="text/vcard; charset=utf-8", headers=file_headers("contact.vcf"))


async def complete(visit: Visit) -> Response:
    """Give who may be meant by what was typed into a field of recipients, for a script of our pages."""
    found = await visit.house.contacts.completions.find(visit.actor, visit.request.query_params.get("q", ""))
    return JSONResponse([_offer(each) for each in found], headers=_KEPT)


def place_of(opened: Opened, name: str) -> str:
    """Give the path of a contact's page."""
    return f"/contacts/b/{quote(opened.name, safe='')}/{quote(name, safe='')}"


def _offer(completion: Completion) -> dict[str, str]:
    people = completion.members or (completion,)
    addresses = [each.address for each in people]
    shown = ", ".join(addresses[:OFFERED_MAX]) + (" …" if len(addresses) > OFFERED_MAX else "")
    text = ", ".join(written(each.name, each.address) for each in people)
    return {"name": completion.name, "address": shown, "text": text}


def _mailbox(sheet: CardSheet, entry: Labelled) -> str:
    """Give what stands in a field of recipients for one address of a contact."""
    return written("" if sheet.full_name == entry.value else sheet.full_name, entry.value)


def may_write(opened: Opened) -> bool:
    """Whether to offer what changes a book; whether it is allowed, the use cases say."""
    return opened.access is Access.WRITE


def version_asked(visit: Visit) -> str:
    """Give in which version of vCard something is wanted; empty: as it was put."""
    version = visit.request.query_params.get("version", "")
    return version if version in VERSIONS else ""


def file_headers(name: str) -> dict[str, str]:
    """Give the header fields of a file that is kept, not shown."""
    return {**_KEPT, "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _names(visit: Visit) -> tuple[str, str]:
    path = visit.request.path_params
    return path["book"], path["card"]


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < len(text) <= 6 or text == "0":
        raise PolicyRefused(_("There is no such page of the list"))
    return int(text)


async def _card(visit: Visit, shown: ShownCard, error: MailsteadError | None = None) -> Response:
    index = visit.house.contacts.index
    same = await index.same(visit.actor, [each.value for each in shown.sheet.emails], shown.resource.facts.uid)
    listed = await index.named(shown.opened, members(shown.card)[:MEMBERS_MAX]) if shown.card.is_group else []
    return visit.show(
        "contacts/card.html",
        200 if error is None else status_of(error),
        shown=shown,
        sheet=shown.sheet,
        day=day_of(shown.sheet.birthday),
        has_photo=shown.card.component.first("PHOTO") is not None,
        same=same,
        members=listed,
        books=[each for each in await index.books(visit.actor) if may_write(each) and each.name != shown.opened.name],
        place=place_of,
        may_write=may_write(shown.opened),
        mailbox=_mailbox,
        safe_url=safe_url,
        error=error,
    )


_ONE: Final = "/contacts/b/{book}/{card}"
PAGES: Final = (
    Page("/contacts", contacts, Who.OWNER),
    Page("/contacts/complete", complete, Who.OWNER),
    Page("/contacts/of", of_sender, Who.OWNER),
    Page(_ONE, contact, Who.OWNER),
    Page(_ONE + "/move", move, Who.OWNER, ("POST",)),
    Page(_ONE + "/delete", delete, Who.OWNER, ("POST",)),
    Page(_ONE + "/photo", photo, Who.OWNER),
    Page(_ONE + "/contact.vcf", vcard, Who.OWNER),
)
