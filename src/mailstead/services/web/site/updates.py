"""Versions of the program: which runs, what is new, how the last update went, and the command for the next one."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.services.web.site.pages import Page, Visit, Who


async def updates(visit: Visit) -> Response:
    """Show it; what can be begun here is a backup, which has its own page."""
    view = await visit.house.care.updates.look(visit.actor)
    return visit.show("updates.html", view=view)


PAGES: Final = (Page("/admin/updates", updates, Who.SERVER_ADMIN),)
