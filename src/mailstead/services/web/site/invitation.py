"""Behind the link of an invitation: somebody takes a part in a domain.

Spec: RFC 9110 §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import Conflict, NoSuchInvite, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.links import FORM_OCTETS_MAX, chosen_password, leads_nowhere
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.telemetry import log

PATH: Final = "/invitation/"
_GONE: Final = _("The invitation was taken, withdrawn or has run out: ask for a new one")

_log = log.get("web")


async def invitation(visit: Visit) -> Response:
    """GET: what somebody is invited to, which that does not take. POST: it is taken, or it is told what is wrong."""
    members, token = visit.house.members, visit.request.path_params["token"]
    try:
        invite = await members.look(token)
        needs_password = await members.needs_password(invite)
        if visit.request.method != "POST":
            return visit.show("links/invitation.html", invite=invite, needs_password=needs_password, error=None)
        fields = await visit.fields(FORM_OCTETS_MAX)
        try:
            password = chosen_password(fields) if needs_password else None
            await members.accept_by_link(token, password, visit.peer.address)
        except (Conflict, PolicyRefused) as error:
            return visit.show(
                "links/invitation.html", status_of(error), error=error, invite=invite, needs_password=needs_password
            )
    except NoSuchInvite:  # also taken or withdrawn at this moment
        return leads_nowhere(visit, "invitation", NoSuchInvite(_GONE))
    _log.info("an invitation was taken", domain=invite.domain, address=invite.address)
    return visit.show("links/invitation_taken.html", invite=invite)


PAGES: Final = (Page(PATH + "{token}", invitation, Who.ANYBODY, ("GET", "POST")),)
