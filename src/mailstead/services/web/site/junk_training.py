"""What the junk filters have learned: numbers of all accounts, and a new start for one or all."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.junk_training import PAGE

PATH: Final = "/admin/junk"
NUMBER_DIGITS_MAX: Final = 9


async def training(visit: Visit) -> Response:
    """Show them."""
    return await _show(visit)


async def forget(visit: Visit) -> Response:
    """Let one filter, or all, begin anew; asked first, as it cannot be taken back."""
    fields = await visit.fields()
    address, verbs = fields.get("address", "").strip(), visit.house.care.junk
    try:
        if bool(address) == (fields.get("all") == "yes"):
            raise PolicyRefused(_("Say whose filter is to begin anew"))
        if fields.get("sure") != "yes":
            return visit.show("junk_question.html", address=str(Address.parse(address)) if address else "")
        if address:
            await verbs.forget(visit.actor, Address.parse(address))
        else:
            await verbs.forget_all(visit.actor)
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(PATH, told="forgotten")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    query = visit.request.query_params
    text, after = query.get("q", "").strip()[:320], query.get("after", "")
    at = int(after) if after.isascii() and after.isdigit() and len(after) <= NUMBER_DIGITS_MAX else 0
    overall, page = await visit.house.care.junk.look(visit.actor, text, at)
    return visit.show(
        "junk_training.html",
        200 if error is None else status_of(error),
        overall=overall,
        page=page,
        text=text,
        next_after=at + PAGE if at + PAGE < overall.account_count else None,
        error=error,
    )


PAGES: Final = (
    Page(PATH, training, Who.SERVER_ADMIN),
    Page(PATH, forget, Who.SERVER_ADMIN, ("POST",)),
)
