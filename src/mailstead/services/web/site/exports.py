"""All that is one's own, to be taken elsewhere: an archive that is made while it is loaded, and how far it is.

Nothing of it is kept on the server, so only the session that asks ever gets it, and nothing has to expire.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.export_archives import ExportPart
from mailstead.usecases.export_files import MailForm

ARCHIVE: Final = "/me/export/archive"
PROGRESS: Final = "/me/export/progress"
_NO_STORE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def export(visit: Visit) -> Response:
    """Show what can be taken along."""
    return await _show(visit)


async def archive(visit: Visit) -> Response:
    """Give the archive."""
    fields = await visit.fields()
    await visit.must_be_fresh()
    parts = frozenset(part for part in ExportPart if fields.get(part.value) == "yes")
    form = fields.get("form", MailForm.MBOX)
    try:
        if not parts or form not in set(MailForm):
            raise PolicyRefused(_("Choose what the archive is to hold"))
        pieces = await visit.house.export_archives.open(visit.actor, parts=parts, form=MailForm(form))
    except MailsteadError as error:
        return await _show(visit, error)
    name = f"mailstead-{visit.house.clock.now():%Y-%m-%d}.zip"
    headers = {**_NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


async def progress(visit: Visit) -> Response:
    """Tell a script how far the archive is."""
    found = await visit.house.export_archives.progress(visit.actor)
    shown = {"done": found.done_count, "all": found.message_count} if found is not None else {}
    return JSONResponse(shown, headers=_NO_STORE)


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    own = await visit.house.own_addresses.get(visit.actor)
    return visit.show(
        "me/export.html",
        200 if error is None else status_of(error),
        usage=own.usage,
        is_fresh=await visit.is_fresh(),
        progress=await visit.house.export_archives.progress(visit.actor),
        error=error,
    )


PAGES: Final = (
    Page("/me/export", export, Who.OWNER),
    Page(ARCHIVE, archive, Who.OWNER, ("POST",)),
    Page(PROGRESS, progress, Who.OWNER),
)
