"""Folders of one's mail: new ones, other names, away with them."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, NotAllowed, PolicyRefused
from mailstead.model.people import Listing
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.acting import FOLDERS_MAX
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.folders import Folder, FolderChange


async def folders(visit: Visit) -> Response:
    """List them, with a form for a new one."""
    return await _list(visit)


async def create(visit: Visit) -> Response:
    """Make one; a slash in its name puts it below another."""
    path = (await visit.fields()).get("path", "").strip()
    try:
        if not path:
            raise PolicyRefused(_("Say what it is to be called"))
        await visit.house.folders.create(visit.actor, path)
    except MailsteadError as error:
        return await _list(visit, error, path)
    return visit.go("/mail/folders", told="made")


async def folder(visit: Visit) -> Response:
    """Show one: its name, and what would go with it. Errors: NotAllowed, for a reserved one."""
    return await _show(visit, await _changeable(visit))


async def change(visit: Visit) -> Response:
    """Rename or remove it; with messages in it only for whoever was asked."""
    fields, there = await visit.fields(), await _changeable(visit)
    path = fields.get("path", "").strip()
    try:
        if fields.get("verb") == "delete":
            if there.mailbox.message_count and fields.get("sure") != "yes":
                raise PolicyRefused(_("Tick the box to delete the folder with its messages"))
            await visit.house.folders.delete(visit.actor, there.place.object_id)
            return visit.go("/mail/folders", told="deleted")
        if not path:
            raise PolicyRefused(_("Say what it is to be called"))
        await visit.house.folders.change(visit.actor, there.place.object_id, FolderChange(path=path))
    except MailsteadError as error:
        return await _show(visit, there, error, path)
    return visit.go("/mail/folders", told="changed")


async def _changeable(visit: Visit) -> Folder:
    there = await visit.house.folders.show(visit.actor, visit.request.path_params["folder_id"])
    if there.is_reserved:
        raise NotAllowed(_("That folder is reserved; it keeps its name"))
    return there


async def _all(visit: Visit) -> tuple[Folder, ...]:
    return (await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))).items


async def _list(visit: Visit, error: MailsteadError | None = None, path: str = "") -> Response:
    status = 200 if error is None else status_of(error)
    return visit.show("mail/folders.html", status, folders=await _all(visit), error=error, written=path)


async def _show(visit: Visit, there: Folder, error: MailsteadError | None = None, path: str = "") -> Response:
    name = there.mailbox.name
    below = [each.mailbox.name for each in await _all(visit) if each.mailbox.name.startswith(f"{name}/")]
    status = 200 if error is None else status_of(error)
    return visit.show("mail/folder.html", status, there=there, below=below, error=error, written=path or name)


PAGES: Final = (
    Page("/mail/folders", folders, Who.OWNER),
    Page("/mail/folders", create, Who.OWNER, ("POST",)),
    Page("/mail/folders/{folder_id}", folder, Who.OWNER),
    Page("/mail/folders/{folder_id}", change, Who.OWNER, ("POST",)),
)
