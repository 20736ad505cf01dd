"""Groups of contacts: made, called otherwise, and who is in them."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused, PreconditionFailed
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.contacts import may_write, place_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.card_groups import CHOSEN_MAX, SHOWN_MAX
from mailstead.usecases.collections import DEFAULT

TEXT_CHARACTERS_MAX: Final = 200


async def new(visit: Visit) -> Response:
    """Ask for the name of a new group."""
    return await _new(visit, visit.request.query_params.get("book", "") or DEFAULT)


async def create(visit: Visit) -> Response:
    """Make a group, and lead to who is in it."""
    fields = await visit.fields()
    book, name = fields.get("book", ""), fields.get("name", "")
    try:
        made = await visit.house.contacts.groups.create(visit.actor, book, name)
    except MailsteadError as error:
        return await _new(visit, book, name, error)
    return visit.go(f"{place_of(made.opened, made.resource.name)}/members", told="created")


async def members(visit: Visit) -> Response:
    """Show who is in a group, and who may be put in."""
    return await _members(visit)


async def act(visit: Visit) -> Response:
    """Call a group otherwise, put contacts in, or take members out."""
    fields, path = await visit.fields(), visit.request.path_params
    groups, book, group = visit.house.contacts.groups, path["book"], path["card"]
    try:
        match fields.get("verb"):
            case "rename":
                await groups.rename(visit.actor, book, group, fields.get("etag", ""), fields.get("name", ""))
            case "add":
                names = [fields[key] for number in range(CHOSEN_MAX) if (key := f"card-{number}") in fields]
                if not names:
                    raise PolicyRefused(_("Choose who is to be in the group"))
                await groups.add(visit.actor, book, group, names)
            case "remove":
                uris = [fields[key] for number in range(SHOWN_MAX) if (key := f"member-{number}") in fields]
                if not uris:
                    raise PolicyRefused(_("Choose who is to be taken out of the group"))
                await groups.remove(visit.actor, book, group, uris)
            case _unknown:
                raise PolicyRefused(_("That cannot be done with groups"))
    except MailsteadError as error:
        return await _members(visit, error, fields.get("name"))
    shown = await groups.show(visit.actor, book, group)
    return visit.go(f"{place_of(shown.shown.opened, group)}/members", told="changed")


async def _new(visit: Visit, book: str, name: str = "", error: MailsteadError | None = None) -> Response:
    books = [each for each in await visit.house.contacts.index.books(visit.actor) if may_write(each)]
    status = 200 if error is None else status_of(error)
    return visit.show("contacts/new_group.html", status, books=books, book=book, name=name, error=error)


async def _members(visit: Visit, error: MailsteadError | None = None, name: str | None = None) -> Response:
    path, groups = visit.request.path_params, visit.house.contacts.groups
    found = await groups.show(visit.actor, path["book"], path["card"])
    text = visit.request.query_params.get("q", "").strip()[:TEXT_CHARACTERS_MAX]
    return visit.show(
        "contacts/members.html",
        200 if error is None else status_of(error),
        found=found,
        here=place_of(found.shown.opened, found.shown.resource.name),
        name=found.shown.sheet.full_name if name is None else name,
        text=text,
        candidates=await groups.candidates(visit.actor, path["book"], path["card"], text),
        chosen_max=CHOSEN_MAX,
        place=place_of,
        is_conflict=isinstance(error, PreconditionFailed),
        error=error,
    )


_MEMBERS: Final = "/contacts/b/{book}/{card}/members"
PAGES: Final = (
    Page("/contacts/new-group", new, Who.OWNER),
    Page("/contacts/new-group", create, Who.OWNER, ("POST",)),
    Page(_MEMBERS, members, Who.OWNER),
    Page(_MEMBERS, act, Who.OWNER, ("POST",)),
)
