"""Answers requests for pages: who asks, may he, then the page's handler. Errors end here, as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mailstead.model.envelope import Actor
from mailstead.model.errors import AuthenticationFailed, FactorNeeded, MailsteadError, NotAllowed
from mailstead.net.http_requests import WRITING, must_be_asked_here
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site import assets
from mailstead.services.web.site.complaints import Complaints
from mailstead.services.web.site.frame import REPORTS, Frame, look_kept, look_of
from mailstead.services.web.site.home import home
from mailstead.services.web.site.house import SiteHouse
from mailstead.services.web.site.pages import SESSION, Page, Visit, Who
from mailstead.services.web.site.strengthen import ask
from mailstead.telemetry import log, metrics
from mailstead.usecases.web_sessions import Begun

LOG_IN: Final = "/log-in"
_NOT_PRIVATE: Final = (
    "The pages are served over TLS only: ask for https://, and let a proxy that ends TLS send X-Forwarded-Proto and be "
    "named in web.proxy_from\n"
)

_log = log.get("web")


class Site:
    """The pages under the house's own name, over TLS only."""

    def __init__(self, house: SiteHouse, pages: Iterable[Page]) -> None:
        self._house = house
        self._frame = Frame()
        self._complaints = Complaints(house.clock)
        self._pages = tuple(pages)
        self._shown = {page.path for page in self._pages if "GET" in page.methods}
        self._home = self._guarded(Page("/", home, Who.PERSON))

    def routes(self) -> list[Route]:
        """Give them."""
        return [
            Route(assets.PATH + "{hash:str}/{name:str}", self._asset, methods=["GET"]),
            Route(REPORTS, self._report, methods=["POST"]),
            *(Route(page.path, self._guarded(page), methods=list(page.methods)) for page in _fixed_first(self._pages)),
        ]

    async def home(self, request: Request) -> Response:
        """Answer for `/` of all hosts of ours that have no page of their own: those of domains lead here."""
        if self._is_asked(request):
            return await self._home(request)
        if request.url.hostname == self._house.terms.hostname:
            return PlainTextResponse(_NOT_PRIVATE, 404)  # not sent to https: behind a silent proxy that would go round
        return RedirectResponse(f"{self._house.terms.base_url}/", 302, {"cache-control": "no-store"})

    def _guarded(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self._is_asked(request):
                return PlainTextResponse("Not found\n", 404)
            visit = Visit(request, self._house, self._frame, look_of(request.cookies, _accepted(request)))
            try:
                if request.method in WRITING:
                    must_be_asked_here(request, own=self._house.terms.base_url)
                visit.begun = await self._begun(visit)
                if visit.begun is not None:
                    visit.look = look_kept(visit.look, await self._house.preferences.get(visit.actor))
                if page.who is not Who.ANYBODY and visit.begun is None:
                    return _to_log_in(visit)
                if page.who is not Who.ANYBODY and not may_see(visit.actor, page.who):
                    raise NotAllowed
                response = await page.handler(visit)
                response.headers.setdefault("cache-control", "no-store")  # attack row 99
                return response
            except ClientDisconnect:
                return Response(status_code=400)
            except FactorNeeded as error:
                return await ask(visit, self._way_back(visit), status_of(error))
            except MailsteadError as error:
                status = status_of(error)
                metrics.refused("web", str(status), type(error).__name__)
                return visit.show("error.html", status, text=error.public_text)
            except Exception as error:  # noqa: BLE001 - a bug is told vaguely, and in full in the log
                metrics.BUGS.labels("web").inc()
                _log.error("a page failed", exc_info=error, path=page.path)
                return visit.show("error.html", 500, text="Something went wrong here")

        return guarded

    def _way_back(self, visit: Visit) -> str:
        """Give where to begin again after who it is was shown: what was sent may hold a password, and is not kept."""
        path = visit.request.url.path
        return path if path in self._shown else "/me/security"

    def _is_asked(self, request: Request) -> bool:
        return request.url.scheme == "https" and request.url.hostname == self._house.terms.hostname

    async def _begun(self, visit: Visit) -> Begun | None:
        if not visit.request.cookies.get(SESSION):
            return None
        try:
            return await self._house.web_sessions.act(visit.token(), visit.peer)
        except AuthenticationFailed:
            visit.set_cookie(SESSION, "", 0, "Lax")
            return None

    async def _asset(self, request: Request) -> Response:
        found = assets.asset(request.path_params["hash"], request.path_params["name"])
        if found is None:
            return PlainTextResponse("Not found\n", 404)
        headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return Response(found[0], media_type=found[1], headers=headers)

    async def _report(self, request: Request) -> Response:
        """Take what a browser has to say about a page that did what it must not. Spec: W3C CSP Level 3 §5.3."""
        if not self._is_asked(request):
            return PlainTextResponse("Not found\n", 404)
        return await self._complaints.take(request)


def _fixed_first(pages: Iterable[Page]) -> list[Page]:
    """Give paths with parameters last: `/log-in/{token}` would be asked for all that begins so."""
    return sorted(pages, key=lambda page: "{" in page.path)


def may_see(actor: Actor, who: Who) -> bool:
    """Whether somebody who is logged in sees such a page."""
    if who is Who.SERVER_ADMIN:
        return actor.is_admin
    if who is Who.DOMAIN_ADMIN:
        return actor.is_admin or bool(actor.administered)
    if who is Who.MEMBER:
        return actor.is_admin or bool(actor.groups)
    return who is not Who.OWNER or actor.account_id is not None


def _accepted(request: Request) -> str:
    return request.headers.get("accept-language", "")


def _to_log_in(visit: Visit) -> Response:
    """Let a browser log in first, and come back."""
    url = visit.request.url
    then = url.path + (f"?{url.query}" if url.query else "")
    if visit.request.method not in {"GET", "HEAD"}:
        then = url.path
    response = visit.go(LOG_IN, then=then)
    assert isinstance(response, RedirectResponse)
    return response
