"""Behind a link that works once: the profile that sets up an Apple device. No script, no state, no log-in.

The page itself does not use the link up, as messengers and browsers look at links before people do.

Spec: RFC 9110 §15.5.5 (404 for links that are not good); RFC 6266 §4.1 (Content-Disposition).
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.small_page import small_page
from mailstead.telemetry import log, metrics
from mailstead.usecases.client_profiles import APPLE_MEDIA_TYPE, PATH, ClientProfiles

_log = log.get("web")
_FILE: Final = "mail.mobileconfig"
_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


class DevicePages:
    """Under the mail host's own name and over TLS only."""

    def __init__(self, profiles: ClientProfiles, mail_host: str) -> None:
        self._profiles = profiles
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them."""
        return [
            Route(PATH + "{token:str}", self.page),
            Route(PATH + "{token:str}/" + _FILE, self.profile),
        ]

    async def page(self, request: Request) -> Response:
        """Say what the link is for."""
        if not self._is_here(request):
            return PlainTextResponse("Not found\n", 404)
        token = request.path_params["token"]
        try:
            found = await self._profiles.look(token)
        except PolicyRefused as error:
            return _leads_nowhere(error)
        text = Markup(
            "<p>This sets up mail, calendars and contacts of <strong>{address}</strong> on an iPhone, iPad or Mac"
            '{more}.</p><p><a href="{file}">Load the profile</a>: this works once. Then open Settings, where the '
            "device asks whether to install it.</p>"
        )
        more = ", with a password of the device's own" if found.has_password else ""
        file = f"{PATH}{token}/{_FILE}"
        return small_page("Set up this device", text.format(address=str(found.address), more=more, file=file))

    async def profile(self, request: Request) -> Response:
        """Give the profile; the link is used up, unless only the header was asked for."""
        if not self._is_here(request):
            return PlainTextResponse("Not found\n", 404)
        token = request.path_params["token"]
        try:
            if request.method == "HEAD":
                await self._profiles.look(token)
                return Response(media_type=APPLE_MEDIA_TYPE, headers=_HEADERS)
            found = await self._profiles.take(token)
        except PolicyRefused as error:
            return _leads_nowhere(error)
        _log.info("a device was set up by a link", is_signed=found.is_signed)
        headers = {**_HEADERS, "content-disposition": f'attachment; filename="{found.file_name}"'}
        return Response(found.octets, media_type=found.media_type, headers=headers)

    def _is_here(self, request: Request) -> bool:
        return request.url.scheme == "https" and request.url.hostname == self._mail_host


def _leads_nowhere(error: PolicyRefused) -> Response:
    metrics.refused("web", "404", "device-link")
    return small_page("This link leads nowhere", Markup("<p>{}.</p>").format(error.public_text), 404)
