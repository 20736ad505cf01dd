"""The form of a contact: new, or changed; what the form does not know of a vCard stays in it.

Rows of addresses and numbers stand for the properties at their places; an emptied row takes its own away. A button adds
an empty row, with all that was typed kept; nothing here needs a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from mailstead.model.dav import Access
from mailstead.model.errors import BadMessage, MailsteadError, ObjectTooLarge, PolicyRefused, PreconditionFailed
from mailstead.net.http_statuses import status_of
from mailstead.pim.card_form import Labelled, PostalAddress
from mailstead.pim.card_sheet import CardSheet, PersonName, day_of
from mailstead.services.web.site.contacts import may_write, place_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.card_sheets import CardWish, ShownCard
from mailstead.usecases.collections import DEFAULT

OCTETS_MAX: Final = 12 * 1024 * 1024
"""Of a form with a picture: a larger one than may be kept is told, and what was typed stays."""
FIELDS_MAX: Final = 1500
PART_OCTETS_MAX: Final = 256 * 1024
ROWS_MAX: Final = 200
"""Of one kind; a contact with more is told to be too large for the form, and loses nothing."""
LISTS: Final = ("email", "phone", "address", "url")
TYPES: Final = {
    "email": ("home", "work", "other"),
    "phone": ("cell", "home", "work", "fax", "pager", "other"),
    "address": ("home", "work", "other"),
    "url": ("home", "work", "other"),
}
PLACES: Final = ("street", "postal_code", "city", "region", "country")
PARTS: Final = ("prefix", "given", "additional", "family", "suffix")


async def new(visit: Visit) -> Response:
    """Show an empty form, or one that a link has begun."""
    query = visit.request.query_params
    begun = CardSheet(
        query.get("name", "")[:200], emails=[Labelled(query["email"][:320])] if query.get("email") else ()
    )
    return await _form(visit, begun, query.get("book", "") or DEFAULT)


async def create(visit: Visit) -> Response:
    """Make a contact."""
    fields, image = await _read(visit)
    wanted, book = sheet_of(fields), fields.get("book", "")
    if more := fields.get("more", ""):
        return await _form(visit, wanted, book, more=more, fields=fields)
    try:
        made = await visit.house.contacts.sheets.create(visit.actor, book, CardWish(_dated(wanted, fields), image))
    except MailsteadError as error:
        return await _form(visit, wanted, book, error=error, fields=fields)
    return visit.go(place_of(made.opened, made.resource.name), told="created")


async def edit(visit: Visit) -> Response:
    """Show the form of a contact."""
    shown = await _shown(visit)
    await visit.house.contacts.sheets.book(visit.actor, shown.opened.name, Access.WRITE)
    return await _form(visit, shown.sheet, shown.opened.name, shown=shown, etag=shown.resource.etag)


async def change(visit: Visit) -> Response:
    """Keep what was changed, unless somebody else was quicker: then he is told, and decides."""
    fields, image = await _read(visit)
    shown, wanted = await _shown(visit), sheet_of(fields)
    etag = fields.get("overwrite", "") or fields.get("etag", "")
    if more := fields.get("more", ""):
        return await _form(visit, wanted, shown.opened.name, shown=shown, etag=etag, more=more, fields=fields)
    book, name = shown.opened.name, shown.resource.name
    try:
        wish = CardWish(_dated(wanted, fields, shown.sheet), image, fields.get("drop_photo") == "yes")
        await visit.house.contacts.sheets.change(visit.actor, book, name, etag, wish)
    except MailsteadError as error:
        return await _form(visit, wanted, book, shown=shown, etag=etag, error=error, fields=fields)
    return visit.go(place_of(shown.opened, name), told="changed")


def sheet_of(fields: Mapping[str, str]) -> CardSheet:
    """Give the sheet that a form says, but for the birthday."""

    def said(name: str) -> str:
        return fields.get(name, "").replace("\r\n", "\n").strip()

    return CardSheet(
        said("full_name"),
        PersonName(**{part: said(part) for part in PARTS}),
        said("nickname"),
        said("organisation"),
        said("department"),
        said("title"),
        _rows(fields, "email"),
        _rows(fields, "phone"),
        _places(fields),
        _rows(fields, "url"),
        "",
        said("note"),
        list(dict.fromkeys(text for each in said("groups").split(",") if (text := each.strip()))),
    )


def fields_of(sheet: CardSheet) -> dict[str, str]:
    """Give what the form sends back for a contact that nobody changes."""
    found = {"full_name": sheet.full_name, "nickname": sheet.nickname, "organisation": sheet.organisation}
    found |= {"department": sheet.department, "title": sheet.title, "note": sheet.note}
    found |= {part: getattr(sheet.name, part) for part in PARTS} | {"groups": ", ".join(sheet.groups)}
    for name, entries in (("email", sheet.emails), ("phone", sheet.phones), ("url", sheet.urls)):
        for number, each in enumerate(entries):
            found |= {f"{name}-{number}": each.value, f"{name}-{number}-type": each.label}
    for number, address in enumerate(sheet.addresses):
        found |= {f"address-{number}-{part}": getattr(address, part) for part in PLACES}
        found[f"address-{number}-type"] = address.label
    year, month, day = day_of(sheet.birthday) or (None, "", "")
    return found | {"day": str(day), "month": str(month), "year": str(year or "")}


def _dated(wanted: CardSheet, fields: Mapping[str, str], before: CardSheet | None = None) -> CardSheet:
    """Give a sheet with the birthday of a form. Errors: PolicyRefused."""
    day, month, year = (fields.get(name, "").strip() for name in ("day", "month", "year"))
    if not (day or month or year):
        was = "" if before is None else before.birthday
        return replace(wanted, birthday="" if day_of(was) else was)  # a text that is no day is not in the form
    numbers = [int(each) for each in (day, month) if each.isdecimal() and len(each) < 3]
    if len(numbers) != 2 or (year and not (year.isdecimal() and len(year) == 4)):
        raise PolicyRefused(_("A birthday has a day and a month; its year has four digits, or is left out"))
    return replace(wanted, birthday=f"{year or '-'}-{numbers[1]:02}-{numbers[0]:02}")


def _rows(fields: Mapping[str, str], name: str) -> list[Labelled]:
    found = []
    for number in range(ROWS_MAX):
        if f"{name}-{number}" not in fields:
            break
        found.append(Labelled(fields[f"{name}-{number}"].strip(), fields.get(f"{name}-{number}-type", "")))
    while found and not found[-1].value:
        found.pop()
    return found


def _places(fields: Mapping[str, str]) -> list[PostalAddress]:
    found = []
    for number in range(ROWS_MAX):
        if f"address-{number}-street" not in fields:
            break
        parts = {part: " ".join(fields.get(f"address-{number}-{part}", "").split()) for part in PLACES}
        found.append(PostalAddress(**parts, label=fields.get(f"address-{number}-type", "")))
    while found and not any(getattr(found[-1], part) for part in PLACES):
        found.pop()
    return found


async def _shown(visit: Visit) -> ShownCard:
    path = visit.request.path_params
    return await visit.house.contacts.sheets.show(visit.actor, path["book"], path["card"])


async def _read(visit: Visit) -> tuple[dict[str, str], bytes | None]:
    """Read the form and its picture. Errors: ObjectTooLarge, BadMessage."""
    length = visit.request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > OCTETS_MAX:
        raise ObjectTooLarge(_("That picture is too large; choose a smaller one"))
    try:
        form = await visit.request.form(max_files=1, max_fields=FIELDS_MAX, max_part_size=PART_OCTETS_MAX)
    except MultiPartException as error:
        raise BadMessage(error.message) from None
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    photo = form.get("photo")
    return fields, await photo.read() if isinstance(photo, UploadFile) and photo.filename else None


async def _form(
    visit: Visit,
    sheet: CardSheet,
    book: str,
    *,
    shown: ShownCard | None = None,
    etag: str = "",
    error: MailsteadError | None = None,
    more: str = "",
    fields: Mapping[str, str] | None = None,
) -> Response:
    values = fields_of(sheet)
    books = [each for each in await visit.house.contacts.index.books(visit.actor) if may_write(each)]
    if shown is None and books and book not in {each.name for each in books}:
        book = books[0].name
    if fields is not None:
        values |= {name: fields.get(name, "") for name in ("day", "month", "year")}
    entries: dict[str, Sequence[object]] = {
        "email": sheet.emails, "phone": sheet.phones, "address": sheet.addresses, "url": sheet.urls,
    }  # fmt: skip
    return visit.show(
        "contacts/form.html",
        200 if error is None else status_of(error),
        shown=shown,
        values=values,
        counts={name: len(entries[name]) + (name == more or not entries[name]) for name in LISTS},
        more=more,
        types=TYPES,
        parts=PARTS,
        places=PLACES,
        book=book,
        books=books,
        place=place_of,
        etag=etag,
        is_conflict=isinstance(error, PreconditionFailed),
        drops_photo=bool(fields and fields.get("drop_photo") == "yes"),
        has_photo=shown is not None and shown.card.component.first("PHOTO") is not None,
        birthday_text="" if shown is None or day_of(shown.sheet.birthday) else shown.sheet.birthday,
        error=error,
    )


_EDIT: Final = "/contacts/b/{book}/{card}/edit"
PAGES: Final = (
    Page("/contacts/new", new, Who.OWNER),
    Page("/contacts/new", create, Who.OWNER, ("POST",)),
    Page(_EDIT, edit, Who.OWNER),
    Page(_EDIT, change, Who.OWNER, ("POST",)),
)
