"""Behind a link that works once: the profile that sets up an Apple device.

The page itself does not use the link up, as messengers and browsers look at links before people do.

Spec: RFC 9110 §15.5.5 (404 for links that are not good); RFC 6266 §4.1 (Content-Disposition).
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.site.links import leads_nowhere
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.telemetry import log
from mailstead.usecases.client_profiles import APPLE_MEDIA_TYPE, PATH

_FILE: Final = "mail.mobileconfig"
_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}

_log = log.get("web")


async def device(visit: Visit) -> Response:
    """Say what the link is for."""
    token = visit.request.path_params["token"]
    try:
        found = await visit.house.client_profiles.look(token)
    except PolicyRefused as error:
        return leads_nowhere(visit, "device-link", error)
    return visit.show("links/device.html", found=found, file=f"{PATH}{token}/{_FILE}")


async def profile(visit: Visit) -> Response:
    """Give the profile; the link is used up, unless only the header was asked for."""
    profiles, token = visit.house.client_profiles, visit.request.path_params["token"]
    try:
        if visit.request.method == "HEAD":
            await profiles.look(token)
            return Response(media_type=APPLE_MEDIA_TYPE, headers=_HEADERS)
        found = await profiles.take(token)
    except PolicyRefused as error:
        return leads_nowhere(visit, "device-link", error)
    _log.info("a device was set up by a link", is_signed=found.is_signed)
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="{found.file_name}"'}
    return Response(found.octets, media_type=found.media_type, headers=headers)


PAGES: Final = (
    Page(PATH + "{token}", device, Who.ANYBODY),
    Page(PATH + "{token}/" + _FILE, profile, Who.ANYBODY),
)
