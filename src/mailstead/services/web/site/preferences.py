"""How an owner wants mail on the web: name, signature, time to take a message back, whose pictures are loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.preferences import UNDO_S_MAX, Preferences
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _


async def preferences(visit: Visit) -> Response:
    """GET: the form. POST: what it says is kept."""
    if visit.request.method == "GET":
        return _form(visit, await visit.house.preferences.get(visit.actor))
    fields = await visit.fields()
    undo = fields.get("undo_s", "")

    def change(before: Preferences) -> Preferences:
        return replace(
            before,
            display_name=" ".join(fields.get("display_name", "").split()),
            signature=fields.get("signature", "").replace("\r\n", "\n").rstrip(),
            undo_s=int(undo),
            image_senders=tuple(fields.get("image_senders", "").replace(",", " ").split()),
        )

    try:
        if not undo.isdecimal() or int(undo[:3]) > UNDO_S_MAX:
            raise PolicyRefused(_("Say for how many seconds a message can be taken back"))
        await visit.house.preferences.change(visit.actor, change)
    except MailsteadError as error:
        return _form(visit, await visit.house.preferences.get(visit.actor), error)
    return visit.go("/me/preferences", told="changed")


def _form(visit: Visit, there: Preferences, error: MailsteadError | None = None) -> Response:
    status = 200 if error is None else status_of(error)
    return visit.show("me/preferences.html", status, there=there, undo_max=UNDO_S_MAX, error=error)


PAGES: Final = (Page("/me/preferences", preferences, Who.OWNER, ("GET", "POST")),)
