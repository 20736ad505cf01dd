"""One's own junk filter: what it has learned, and whose mail is always taken, or never."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.policy.junk import LEARNED_MIN
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.sender_lists import ALLOWED, DENIED

LISTS: Final = {"allowed": ALLOWED, "denied": DENIED}


async def junk(visit: Visit) -> Response:
    """Show it."""
    return await _show(visit)


async def change(visit: Visit) -> Response:
    """Add senders to a list, or remove one."""
    fields = await visit.fields()
    entries = fields.get("entries", "").replace(",", " ").split()
    try:
        which = LISTS.get(fields.get("list", ""))
        if which is None or not entries:
            raise PolicyRefused(_("Say which sender"))
        if fields.get("verb") == "remove":
            await visit.house.sender_lists.remove(visit.actor, which, entries)
        else:
            await visit.house.sender_lists.add(visit.actor, which, entries)
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/me/junk", told="changed")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    good, bad = await visit.house.junk_filter.learned(visit.actor)
    return visit.show(
        "junk.html",
        200 if error is None else status_of(error),
        good=good,
        bad=bad,
        missing=max(LEARNED_MIN - min(good, bad), 0),
        lists={name: await visit.house.sender_lists.entries(visit.actor, which) for name, which in LISTS.items()},
        error=error,
    )


PAGES: Final = (
    Page("/me/junk", junk, Who.OWNER),
    Page("/me/junk", change, Who.OWNER, ("POST",)),
)
