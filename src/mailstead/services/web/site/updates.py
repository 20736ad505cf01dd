"""Versions of the program: which runs, what is new, how the last update went, and the next one begun or its command."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _


async def updates(visit: Visit) -> Response:
    """Show it."""
    return await _show(visit)


async def change(visit: Visit) -> Response:
    """Wish for an update, which the machine begins; or take the wish back."""
    fields = await visit.fields()
    wishes = visit.house.care.update_wishes
    verb = fields.get("verb")
    if verb == "begin":
        await visit.must_be_fresh()
    try:
        if verb == "begin":
            wishes.leave(visit.actor, fields.get("version", "").strip())
        elif verb == "take-back":
            wishes.take_back(visit.actor)
        else:
            raise PolicyRefused(_("Say whether to begin an update or to take it back"))
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/admin/updates")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    care = visit.house.care
    return visit.show(
        "updates.html",
        200 if error is None else status_of(error),
        view=await care.updates.look(visit.actor),
        is_watched=care.update_wishes.is_watched(visit.actor),
        wish=care.update_wishes.waiting(visit.actor),
        is_fresh=await visit.is_fresh(),
        error=error,
    )


PAGES: Final = (
    Page("/admin/updates", updates, Who.SERVER_ADMIN),
    Page("/admin/updates", change, Who.SERVER_ADMIN, ("POST",)),
)
