"""Address books: made, called otherwise, shared with others of the house, brought in and out as vCards, and removed."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response, StreamingResponse

from mailstead.model.address import Address
from mailstead.model.dav import Access
from mailstead.model.errors import BadMessage, MailsteadError, ObjectTooLarge, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.contacts import file_headers, may_write, version_asked
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.object_imports import ObjectImport

FILE_OCTETS_MAX: Final = 32 * 1024 * 1024
REFUSED_MAX: Final = 100
"""So many of what was not taken are told one by one."""


async def books(visit: Visit) -> Response:
    """List them."""
    return await _list(visit)


async def create(visit: Visit) -> Response:
    """Make one."""
    fields = await visit.fields()
    try:
        made = await visit.house.contacts.sheets.create_book(visit.actor, fields.get("title", ""))
    except MailsteadError as error:
        return await _list(visit, error, fields.get("title", ""))
    return visit.go(f"/contacts/books/{made.name}", told="created")


async def book(visit: Visit) -> Response:
    """Show one, and what can be done with it."""
    return await _book(visit)


async def act(visit: Visit) -> Response:
    """Call it otherwise, share it or not any more, or remove it."""
    fields, name = await visit.fields(), visit.request.path_params["book"]
    house, title = visit.house.contacts, fields.get("title")
    try:
        match fields.get("verb"):
            case "rename":
                await house.sheets.rename_book(visit.actor, name, title or "")
            case "share":
                access = Access.WRITE if fields.get("access") == "write" else Access.READ
                opened, address = await house.sheets.book(visit.actor, name), Address.parse(fields.get("address", ""))
                await house.sharings.share(visit.actor, opened, address, access)
            case "unshare":
                opened = await house.sheets.book(visit.actor, name)
                await house.sharings.unshare(visit.actor, opened, Address.parse(fields.get("address", "")))
            case "delete":
                if fields.get("sure") != "yes":
                    raise PolicyRefused(_("Say that you are sure: what is in it goes with it"))
                await house.sheets.delete_book(visit.actor, name)
                return visit.go("/contacts/books", told="deleted")
            case _unknown:
                raise PolicyRefused(_("That cannot be done with address books"))
    except MailsteadError as error:
        return await _book(visit, error, address=fields.get("address", ""), title=title)
    return visit.go(f"/contacts/books/{name}", told="changed")


async def bring_in(visit: Visit) -> Response:
    """Take all contacts of a file, and tell what could not be taken."""
    length = visit.request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > FILE_OCTETS_MAX:
        raise ObjectTooLarge(_("That file is too large; take it in in parts"))
    try:
        form = await visit.request.form(max_files=1, max_fields=10)
    except MultiPartException as error:
        raise BadMessage(error.message) from None
    file = form.get("file")
    try:
        if not isinstance(file, UploadFile) or not file.filename:
            raise PolicyRefused(_("Choose a file with contacts (vCard, .vcf)"))
        name = visit.request.path_params["book"]
        report = await visit.house.contacts.sheets.import_all(visit.actor, name, await file.read())
    except MailsteadError as error:
        return await _book(visit, error)
    return await _book(visit, report=report)


async def bring_out(visit: Visit) -> Response:
    """Give all contacts of a book as one file."""
    name, version = visit.request.path_params["book"], version_asked(visit)
    pieces = await visit.house.contacts.sheets.all_octets(visit.actor, name, version)
    return StreamingResponse(pieces, media_type="text/vcard; charset=utf-8", headers=file_headers("contacts.vcf"))


async def _list(visit: Visit, error: MailsteadError | None = None, title: str = "") -> Response:
    listed = await visit.house.contacts.index.books(visit.actor)
    status = 200 if error is None else status_of(error)
    return visit.show("contacts/books.html", status, books=listed, may_write=may_write, title=title, error=error)


async def _book(
    visit: Visit,
    error: MailsteadError | None = None,
    *,
    report: ObjectImport | None = None,
    address: str = "",
    title: str | None = None,
) -> Response:
    house = visit.house.contacts
    opened = await house.sheets.book(visit.actor, visit.request.path_params["book"])
    owns = opened.is_own and opened.share is None
    return visit.show(
        "contacts/book.html",
        200 if error is None else status_of(error),
        opened=opened,
        owns=owns,
        may_write=may_write(opened),
        given=await house.sharings.given(visit.actor, opened) if owns else (),
        report=report,
        refused_max=REFUSED_MAX,
        address=address,
        title=opened.traits.display_name if title is None else title,
        error=error,
    )


_ONE: Final = "/contacts/books/{book}"
PAGES: Final = (
    Page("/contacts/books", books, Who.OWNER),
    Page("/contacts/books", create, Who.OWNER, ("POST",)),
    Page(_ONE, book, Who.OWNER),
    Page(_ONE, act, Who.OWNER, ("POST",)),
    Page(_ONE + "/file", bring_in, Who.OWNER, ("POST",)),
    Page(_ONE + "/contacts.vcf", bring_out, Who.OWNER),
)
