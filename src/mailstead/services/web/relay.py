"""What a chatmail relay answers over HTTP: pages, an invitation as QR code, and `/new`, which invents an account.

`/new` stores nothing: an address comes into being when somebody logs in with it.

Spec: reference chatmail, sections 4.3 (``/new``), 4.4 (invitation), 8 (paths).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Final
from urllib.parse import unquote

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mailstead.model.directory import Domain
from mailstead.model.errors import MailsteadError
from mailstead.policy.send_rate import SendRate
from mailstead.ports.clock import Clock
from mailstead.services.web.custom import PAGES
from mailstead.services.web.rendering import (
    Rendering,
    asset,
    is_self_signed,
    language_asked,
)
from mailstead.telemetry import metrics
from mailstead.usecases.invitations import Invitations

PROPOSALS_PER_MINUTE: Final = 120
PROPOSAL_BURST: Final = 5
"""Invented accounts per address of a visitor. Spec: reference chatmail, section 4.3 (two a second, burst 5)."""
CONTENT_SECURITY: Final = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"  # noqa: E501
_PAGE_HEADERS: Final = {"content-security-policy": CONTENT_SECURITY}

FindRelay = Callable[[Request], Awaitable[Domain | None]]
"""Gives the domain that a request is for, if it is a relay."""
Home = Callable[[Request], Awaitable[Response]]
"""Answers for `/`."""


class RelayPages:
    """The routes of relays; each answers 404 where the host is none."""

    def __init__(
        self,
        find: FindRelay,
        invitations: Invitations,
        clock: Clock,
        mail_host: str,
        *,
        custom_folder: str = "",
        home: Home | None = None,
    ) -> None:
        """`home` answers for `/` where the host is no relay."""
        self._find = find
        self._invitations = invitations
        self._clock = clock
        self._mail_host = mail_host
        self._home = home
        self._custom_folder = custom_folder
        self._rendering = Rendering(custom_folder)
        self._rate = SendRate()

    def routes(self) -> list[Route]:
        """Give them; the last one takes every path that is left."""
        return [
            Route("/", self.page),
            Route("/robots.txt", self.robots),
            Route("/new", self.new, methods=["GET", "POST"]),
            # Printed QR codes have it, and Delta Chat follows no redirect.
            Route("/cgi-bin/newemail.py", self.new_at_old_place, methods=["GET", "POST"]),
            Route("/{page:str}.html", self.page),
            Route("/{language:str}/{page:str}.html", self.page),
            Route("/{path:path}", self.file),
        ]

    async def page(self, request: Request) -> Response:
        """A page, in the language of its path; `/` in the one that the visitor likes best."""
        domain = await self._find(request)
        page = request.path_params.get("page", "index")
        if domain is None:
            return _not_found() if self._home is None or request.url.path != "/" else await self._home(request)
        languages = domain.terms.languages
        language = request.path_params.get("language", languages[0])
        if request.url.path == "/":
            language = language_asked(request.headers.get("accept-language", ""), languages)
        if page not in PAGES or language not in languages:
            return await self.file(request)
        text = await asyncio.to_thread(self._rendering.page, domain, self._mail_host, language, page)
        return Response(
            text, media_type="text/html; charset=utf-8", headers={**_PAGE_HEADERS, "vary": "accept-language"}
        )

    async def file(self, request: Request) -> Response:
        """A file that is served as it is, or the QR code of the invitation."""
        domain = await self._find(request)
        path = request.url.path.lstrip("/")
        if domain is None:
            return _not_found()
        if path == f"qr-chatmail-invite-{domain.name.strip('[]')}.png":
            return Response(
                await asyncio.to_thread(qr_code, f"DCACCOUNT:https://{domain.name}/new"), media_type="image/png"
            )
        found = await asyncio.to_thread(asset, domain, path, self._custom_folder)
        if found is None:
            return _not_found()
        return Response(found[0], media_type=found[1], headers=_PAGE_HEADERS)

    async def robots(self, request: Request) -> Response:
        """Nothing here is for search engines."""
        if await self._find(request) is None:
            return _not_found()
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def new(self, request: Request) -> Response:
        """POST: an account that can be had. GET: where an app finds that, or the same for a relay of its own kind."""
        domain = await self._find(request)
        if domain is None:
            return _not_found()
        if request.method != "POST" and not is_self_signed(domain.name):
            token = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"dcaccount:https://{domain.name}/new{token}", 301)
        return await self._proposal(request, domain)

    async def new_at_old_place(self, request: Request) -> Response:
        """As POST `/new`."""
        domain = await self._find(request)
        return _not_found() if domain is None else await self._proposal(request, domain)

    async def _proposal(self, request: Request, domain: Domain) -> Response:
        """Invent an account, or say why there is none: Delta Chat shows a ``reason``."""
        visitor = request.client.host if request.client else ""
        if self._rate.count(visitor, PROPOSALS_PER_MINUTE, PROPOSAL_BURST, self._clock.monotonic_s()):
            metrics.refused("web", "503", "proposals")
            return _refusal("Too many new accounts are asked for from your network; please try again in a minute", 503)
        try:
            proposal = await self._invitations.propose(domain.name, unquote(request.url.query))
        except MailsteadError as error:
            return _refusal(error.public_text, 503 if error.is_temporary else 403)
        answer = {"email": proposal.email, "password": proposal.password}
        if is_self_signed(domain.name):
            answer["dclogin_url"] = proposal.dclogin_url
            drawn = await asyncio.to_thread(qr_code, proposal.dclogin_url)
            answer["dclogin_qr"] = f"data:image/png;base64,{b64encode(drawn).decode()}"
        return JSONResponse(answer, headers={"cache-control": "no-store"})


def qr_code(text: str) -> bytes:
    """Draw a text as a QR code, PNG."""
    octets = BytesIO()
    segno.make(text, error="m").save(octets, kind="png", scale=8, border=3)
    return octets.getvalue()


def _refusal(reason: str, status: int) -> Response:
    return JSONResponse({"reason": reason}, status, headers={"cache-control": "no-store"})


def _not_found() -> Response:
    return PlainTextResponse("Not found\n", 404)
