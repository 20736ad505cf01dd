"""The last lines of the log, and a bundle for whoever helps."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.services.web.site.frame import HEADERS
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.telemetry.last_lines import LEVELS

TEXT_CHARACTERS_MAX: Final = 320
_WORDS: Final = {
    "debug": _("Everything"),
    "info": _("What happens"),
    "warning": _("Warnings and errors"),
    "error": _("Errors"),
}


async def logs(visit: Visit) -> Response:
    """Show the lines that fit."""
    query = visit.request.query_params
    level = query.get("level", "debug")
    level = level if level in LEVELS else "debug"
    room, text = query.get("part", ""), query.get("q", "").strip()[:TEXT_CHARACTERS_MAX]
    found = visit.house.care.log.look(visit.actor, level=level, room=room, text=text)
    return visit.show(
        "logs.html",
        found=found,
        process=visit.house.care.log.process,
        levels=_WORDS,
        level=level,
        room=room,
        text=text,
    )


async def bundle(visit: Visit) -> Response:
    """Give the bundle as a file."""
    fields = await visit.fields()
    octets = await visit.house.care.log.bundle(visit.actor, has_doctor=fields.get("doctor") == "yes")
    named = {"content-disposition": 'attachment; filename="mailstead-support.zip"'}
    return Response(octets, media_type="application/zip", headers={**HEADERS, **named})


PAGES: Final = (
    Page("/admin/logs", logs, Who.SERVER_ADMIN),
    Page("/admin/logs/bundle", bundle, Who.SERVER_ADMIN, ("POST",)),
)
