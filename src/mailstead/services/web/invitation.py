"""The page behind the link of an invitation: somebody takes a part in a domain. No script, no state, no log-in.

Spec: RFC 9110 §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.errors import Conflict, NoSuchInvite, PolicyRefused
from mailstead.model.people import Group, Invite
from mailstead.model.secret import Secret
from mailstead.services.web.small_page import small_page
from mailstead.telemetry import log, metrics
from mailstead.usecases.members import Members

PATH: Final = "/invitation/"
BODY_OCTETS_MAX: Final = 8 * 1024

_PARTS: Final = {
    Group.ADMIN: "look after the domain as one of its administrators",
    Group.USER: "have addresses of your own in the domain",
}
_log = log.get("web")


class InvitationPage:
    """Shows what somebody is invited to, and takes the answer, under the mail host's own name and over TLS only."""

    def __init__(self, members: Members, mail_host: str) -> None:
        self._members = members
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them."""
        return [Route(PATH + "{token:str}", self.page, methods=["GET", "POST"])]

    async def page(self, request: Request) -> Response:
        """GET: the invitation, which that does not take. POST: it is taken, or it is told what is wrong."""
        if request.url.scheme != "https" or request.url.hostname != self._mail_host:
            return PlainTextResponse("Not found\n", 404)
        token = request.path_params["token"]
        try:
            invite = await self._members.look(token)
        except NoSuchInvite:
            return _leads_nowhere()
        needs_password = await self._members.needs_password(invite)
        if request.method != "POST":
            return _shown(invite, needs_password=needs_password)
        octets = b""
        try:
            async for piece in request.stream():
                octets += piece
                if len(octets) > BODY_OCTETS_MAX:
                    return PlainTextResponse("Too large\n", 413, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        fields = parse_qs(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=8)
        password, again = (fields.get(name, [""])[0] for name in ("password", "again"))
        if needs_password and password != again:
            return _shown(invite, "The two are not the same", needs_password=True)
        if needs_password and not password:
            return _shown(invite, "The password is empty", needs_password=True)
        peer = request.client.host if request.client is not None else ""
        try:
            await self._members.accept_by_link(token, Secret(password) if needs_password else None, peer)
        except NoSuchInvite:  # taken or withdrawn at this moment
            return _leads_nowhere()
        except (Conflict, PolicyRefused) as error:
            return _shown(invite, error.public_text, needs_password=needs_password)
        _log.info("an invitation was taken", domain=invite.domain, address=invite.address)
        told = Markup("<p>You may now {part} <strong>{domain}</strong>. Log in as <strong>{address}</strong>.</p>")
        return small_page("Done", told.format(part=_PARTS[invite.group], domain=invite.domain, address=invite.address))


def _leads_nowhere() -> Response:
    metrics.refused("web", "404", "invitation")
    told = Markup("<p>The invitation was taken, withdrawn or has run out: ask for a new one.</p>")
    return small_page("This link leads nowhere", told, 404)


def _shown(invite: Invite, wrong: str = "", *, needs_password: bool) -> Response:
    alert = Markup('<p role="alert">{}.</p>').format(wrong) if wrong else Markup("")
    fields = Markup("")
    if needs_password:
        fields = Markup(
            "<p>Choose a password to log in with. Four words that do not belong together are good, and easy to "
            'remember.</p><input type="hidden" name="username" autocomplete="username" value="{address}">'
            '<label for="password">Password</label><input id="password" name="password" type="password" '
            'autocomplete="new-password" required><label for="again">The same again</label><input id="again" '
            'name="again" type="password" autocomplete="new-password" required>'
        ).format(address=invite.address)
    content = Markup(
        "{alert}<p><strong>{address}</strong> is invited to {part} <strong>{domain}</strong>.</p>"
        '<form method="post" autocomplete="on">{fields}<button>Accept</button></form>'
    ).format(alert=alert, address=invite.address, part=_PARTS[invite.group], domain=invite.domain, fields=fields)
    return small_page("Invitation", content, 422 if wrong else 200)
