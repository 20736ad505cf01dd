"""Public links: ``/public/calendars/<token>.ics`` gives a calendar to whoever has the link, without log-in.

Unknown links, those that have run out, and those that were ended are one and the same: not there (attack row 84). Who
tries many of them waits; a link that is good is always answered, whatever others in the same network do.

Spec: RFC 9110 §13.1.2 (If-None-Match).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailstead.model.errors import NoSuchShare
from mailstead.net.http_requests import must_be_private, peer_of
from mailstead.policy.failures import Failures
from mailstead.ports.clock import Clock, SystemClock
from mailstead.services.dav.log_in import WHAT
from mailstead.usecases.calendar_files import CalendarFiles, public_etag
from mailstead.usecases.sharings import Sharings

PREFIX: Final = "/public/calendars/"
SUFFIX: Final = ".ics"
TOGETHER: Final = 4
"""Calendars that are written out at a time: each is held in memory as a whole."""
KEPT_OCTETS_MAX: Final = 32 * 1024 * 1024
"""Of files that were given lately: many read the same one, and most ask without saying what they have."""
_GUESSES: Final = "links"
"""Under which name wrong links are counted."""


class PublicCalendars:
    """Answers requests for public links."""

    def __init__(self, sharings: Sharings, calendar_files: CalendarFiles, clock: Clock | None = None) -> None:
        self._sharings = sharings
        self._calendar_files = calendar_files
        self._clock = clock or SystemClock()
        self._failures = Failures()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        """By entity tag, those asked longest ago first."""
        self._gate = asyncio.Semaphore(TOGETHER)

    async def answer(self, request: Request, *, allows_clear_text: bool) -> Response:
        """Give the calendar, or say that there is none. Errors: TlsRequired."""
        if request.method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"allow": "GET, HEAD"})
        peer = peer_of(request)
        must_be_private(peer, WHAT, allows_clear_text=allows_clear_text)
        token = request.url.path.removeprefix(PREFIX).removesuffix(SUFFIX)
        try:
            linked = await self._sharings.linked(token)
        except NoSuchShare:
            return self._not_there(peer.address)
        etag = f'"{public_etag(linked)}"'
        headers = {
            "etag": etag,
            "cache-control": "private, no-cache",
            "x-robots-tag": "noindex",
            "referrer-policy": "no-referrer",
            "content-security-policy": "default-src 'none'; sandbox",
        }
        known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        async with self._gate:
            octets = self._kept.get(etag) or await self._calendar_files.public_file(linked)
        self._keep(etag, octets)
        return Response(octets, headers=headers, media_type="text/calendar; charset=utf-8")

    def _keep(self, etag: str, octets: bytes) -> None:
        self._kept[etag] = octets
        self._kept.move_to_end(etag)
        while sum(map(len, self._kept.values())) > KEPT_OCTETS_MAX:
            self._kept.popitem(last=False)

    def _not_there(self, address: str) -> Response:
        now_s = self._clock.monotonic_s()
        refused_s = self._failures.judge(address, _GUESSES, now_s).refused_s
        self._failures.failed(address, _GUESSES, now_s)
        if refused_s:
            return PlainTextResponse("Too many wrong links\n", 429, {"retry-after": str(int(refused_s) + 1)})
        return PlainTextResponse("There is no such calendar (any more)\n", 404)
