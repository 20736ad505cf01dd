"""The page behind a one-time link: an account's owner sets the password. No script, no state, nothing of others.

Spec: RFC 9110 §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.errors import PolicyRefused
from mailstead.model.secret import Secret
from mailstead.services.web.small_page import small_page
from mailstead.telemetry import log, metrics
from mailstead.usecases.log_in_links import LogInLinks

PATH: Final = "/log-in/"
BODY_OCTETS_MAX: Final = 8 * 1024

_log = log.get("web")


class LogInPage:
    """Shows and takes the form, under the mail host's own name and over TLS only."""

    def __init__(self, links: LogInLinks, mail_host: str) -> None:
        self._links = links
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them."""
        return [Route(PATH + "{token:str}", self.page, methods=["GET", "POST"])]

    async def page(self, request: Request) -> Response:
        """GET: the form. POST: the password is set, or it is told what is wrong with it."""
        if request.url.scheme != "https" or request.url.hostname != self._mail_host:
            return PlainTextResponse("Not found\n", 404)
        token = request.path_params["token"]
        try:
            account = await self._links.account(token)
        except PolicyRefused as error:
            metrics.refused("web", "404", "log-in-link")
            return small_page("This link leads nowhere", Markup("<p>{}.</p>").format(error.public_text), 404)
        address = str(account.address)
        if request.method != "POST":
            return small_page("Welcome", _form(address))
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
        if password != again:
            return small_page("Welcome", _form(address, "The two are not the same"), 422)
        if not password:
            return small_page("Welcome", _form(address, "The password is empty"), 422)
        try:
            await self._links.set_password(token, Secret(password))
        except PolicyRefused as error:
            return small_page("Welcome", _form(address, error.public_text), 422)
        _log.info("a password was set by a link", account=address)
        return small_page("Done", self._told(address))

    def _told(self, address: str) -> Markup:
        return Markup(
            "<p>The password is set, and the link is used up.</p><p>In your mail program, give your address "
            "<strong>{address}</strong> and the password: most find the rest by themselves.</p>"
            "<p>If yours asks: the server for reading (IMAP, port 993, TLS) and for sending (SMTP, port 465, TLS) is "
            "<strong>{host}</strong>, and the name to log in with is your whole address.</p>"
        ).format(address=address, host=self._mail_host)


def _form(address: str, wrong: str = "") -> Markup:
    alert = Markup('<p role="alert">{}.</p>').format(wrong) if wrong else Markup("")
    return Markup(
        "{alert}<p>Choose the password of <strong>{address}</strong>. Four words that do not belong together are good, "
        "and easy to remember.</p>"
        '<form method="post" autocomplete="on"><input type="hidden" name="username" autocomplete="username" '
        'value="{address}"><label for="password">Password</label><input id="password" name="password" type="password" '
        'autocomplete="new-password" required><label for="again">The same again</label><input id="again" name="again" '
        'type="password" autocomplete="new-password" required><button>Set the password</button></form>'
    ).format(alert=alert, address=address)
