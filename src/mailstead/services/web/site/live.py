"""``/events``: what happens in the account, told to a page that is open, as server-sent events.

A stream holds a line to the change feed and nothing of the store. It beats now and then, so that proxies keep it and a
line that is dead is noticed; it ends with the session, with the server, and after a while in any case: the page comes
back by itself, and looks for what it missed.

Spec: WHATWG HTML §9.2 (server-sent events); attack rows 10, 64, 89, 98.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.net.http_requests import must_be_asked_here
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.usecases.live_news import LiveFeed, LiveNews, News

PATH: Final = "/events"
BEAT_S: Final = 25.0
"""Proxies give up a line that says nothing for a minute."""
LIFE_S: Final = 1800.0
CONNECTION_S: Final = LIFE_S + 2 * BEAT_S
"""When the server cuts a connection that would not take its end."""
CUT_S: Final = 2.0
"""How long a browser may take to hear the end."""
BEAT: Final = b": beat\n\n"
ENDED: Final = b"event: ended\ndata: {}\n\n"
"""The session is over; the page need not come back."""


async def events(visit: Visit) -> Response:
    """Begin to tell. Other sites may not listen with the cookie of ours (attack row 89)."""
    must_be_asked_here(visit.request, own=visit.house.terms.base_url)
    return EventStream(visit.house.live_news, visit.actor)


class EventStream(Response):
    """The answer: goes on until either side ends it."""

    def __init__(self, live_news: LiveNews, actor: Actor) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}
        super().__init__(None, 200, headers, "text/event-stream")
        del self.headers["content-length"]
        self._live_news = live_news
        self._actor = actor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI."""
        is_begun = False
        try:
            async with self._live_news.watched(self._actor) as feed:
                is_begun = True
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._speak(feed, scope, receive, send)
        except MailsteadError as error:
            if is_begun:
                raise
            refusal = PlainTextResponse(f"{error.public_text}\n", status_of(error), {"cache-control": "no-store"})
            await refusal(scope, receive, send)

    async def _speak(self, feed: LiveFeed, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.get("state", {})
        ends = [asyncio.create_task(each) for each in (_tell(feed, send), feed.ended(), _gone(receive))]
        if "stopping" in state:
            ends.append(asyncio.create_task(state["stopping"].wait()))
        try:
            await asyncio.wait(ends, timeout=LIFE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        try:
            async with asyncio.timeout(CUT_S):  # who does not read is cut off, so that nothing is kept for him
                last = ENDED if feed.has_ended else b""
                await send({"type": "http.response.body", "body": last, "more_body": False})
        except TimeoutError:
            if "abort" in state:
                state["abort"]()
        except OSError:
            pass  # the other side was quicker


async def _tell(feed: LiveFeed, send: Send) -> None:
    async for piece in _pieces(feed):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _pieces(feed: LiveFeed) -> AsyncIterator[bytes]:
    yield BEAT  # so that the page knows at once that it is heard
    while True:
        try:
            async with asyncio.timeout(BEAT_S):
                news = await feed.next()
        except TimeoutError:
            yield BEAT
            continue
        if news is None:
            return
        yield _event(news)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(news: News) -> bytes:
    """Write what happened; JSON has no line breaks of its own, so nobody's subject ends an event."""
    arrivals = [{"from": each.sender, "subject": each.subject} for each in news.arrivals]
    text = json.dumps({"kinds": sorted(news.kinds), "count": news.arrival_count, "arrivals": arrivals})
    return f"event: news\ndata: {text}\n\n".encode()


PAGES: Final = (Page(PATH, events, Who.OWNER),)
