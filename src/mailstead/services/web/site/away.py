"""What senders are told while somebody is away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.vacations import Vacation


async def away(visit: Visit) -> Response:
    """GET: the form. POST: it is switched on as it says, or off."""
    if visit.request.method == "GET":
        return await _form(visit)
    fields, given = await visit.fields(), None
    try:
        if fields.get("verb") == "off":
            await visit.house.vacations.switch_off(visit.actor)
        else:
            given = Vacation(
                fields.get("message", "").replace("\r\n", "\n").strip(),
                " ".join(fields.get("subject", "").split()),
                _day(fields.get("start", "")),
                _day(fields.get("end", "")),
            )
            await visit.house.vacations.set(visit.actor, given)
    except MailsteadError as error:
        return await _form(visit, given, error)
    return visit.go("/me/away", told=fields.get("verb", "on"))


def _day(text: str) -> datetime | None:
    """Give the beginning of a day, in UTC. Errors: PolicyRefused."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise PolicyRefused(_("That is no day")) from None


async def _form(visit: Visit, given: Vacation | None = None, error: MailsteadError | None = None) -> Response:
    there = await visit.house.vacations.get(visit.actor)
    return visit.show(
        "me/away.html",
        200 if error is None else status_of(error),
        vacation=given or there or Vacation(""),
        is_on=there is not None,
        error=error,
    )


PAGES: Final = (Page("/me/away", away, Who.OWNER, ("GET", "POST")),)
