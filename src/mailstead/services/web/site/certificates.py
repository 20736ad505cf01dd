"""Certificates: how long they are good, how the next one comes, and one ordered now."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.usecases.certificate_care import DAYS_SOON


async def certificates(visit: Visit) -> Response:
    """Show them."""
    return await _show(visit)


async def renew(visit: Visit) -> Response:
    """Order a new one; where the present one is good for long, ask first."""
    fields = await visit.fields()
    care = visit.house.care.certificates
    try:
        if await care.renew(visit.actor, is_sure=fields.get("sure") == "yes") is None:
            return visit.show("certificate_question.html")
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/admin/certificates")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    care, now = visit.house.care.certificates, visit.house.clock.now()
    held = await care.look(visit.actor)
    return visit.show(
        "certificates.html",
        200 if error is None else status_of(error),
        held=[(each, each.days_left(now)) for each in held],
        days_soon=DAYS_SOON,
        now=now,
        job=await care.last_renewal(visit.actor),
        error=error,
    )


PAGES: Final = (
    Page("/admin/certificates", certificates, Who.SERVER_ADMIN),
    Page("/admin/certificates", renew, Who.SERVER_ADMIN, ("POST",)),
)
