"""Behind a one-time link: an account's owner sets the password.

Spec: RFC 9110 §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.links import FORM_OCTETS_MAX, chosen_password, leads_nowhere
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.telemetry import log

PATH: Final = "/log-in/"

_log = log.get("web")


async def set_password(visit: Visit) -> Response:
    """GET: the form. POST: the password is set, or it is told what is wrong with it."""
    links, token = visit.house.arrivals.log_in_links, visit.request.path_params["token"]
    try:
        address = str((await links.account(token)).address)
    except PolicyRefused as error:
        return leads_nowhere(visit, "log-in-link", error)
    if visit.request.method != "POST":
        return visit.show("links/password.html", address=address, error=None)
    fields = await visit.fields(FORM_OCTETS_MAX)
    try:
        await links.set_password(token, chosen_password(fields))
    except MailsteadError as error:
        return visit.show("links/password.html", status_of(error), error=error, address=address)
    _log.info("a password was set by a link", account=address)
    return visit.show("links/password_set.html", address=address, hostname=visit.house.terms.hostname)


PAGES: Final = (Page(PATH + "{token}", set_password, Who.ANYBODY, ("GET", "POST")),)
