"""Where the frame that shows a message has its pictures from, when the reader asked for them (`RemoteImages`).

No session is asked for: the frame has no origin and sends no cookies; the address says for whom it is. What fails is
told by a status and nothing else, as nobody reads it.

Spec: RFC 9110 §15; Fetch Metadata (Sec-Fetch-Dest); attack row 87.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.errors import MailsteadError
from mailstead.net.http_statuses import STATUSES
from mailstead.telemetry import metrics
from mailstead.usecases.remote_images import PATH, RemoteImages

_NO_PICTURE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class RemoteImagePage:
    """Gives pictures under the mail host's own name and over TLS only."""

    def __init__(self, images: RemoteImages, mail_host: str) -> None:
        self._images = images
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them."""
        return [Route(PATH + "{token:str}", self.picture, methods=["GET"])]

    async def picture(self, request: Request) -> Response:
        """Give the picture that the token stands for, to what shows pictures."""
        is_ours = request.url.scheme == "https" and request.url.hostname == self._mail_host
        # Browsers say what it is for; nobody opens such an address as a page.
        if not is_ours or request.headers.get("sec-fetch-dest", "image") != "image":
            return PlainTextResponse("Not found\n", 404, _NO_PICTURE)
        try:
            found = await self._images.fetch(request.path_params["token"])
        except MailsteadError as error:
            status = STATUSES.get(type(error), 500)
            metrics.refused("web", str(status), "remote-image")
            return PlainTextResponse(f"{error.public_text}\n", status, _NO_PICTURE)
        return Response(found.octets, headers=found.headers())
