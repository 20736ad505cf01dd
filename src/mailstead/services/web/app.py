"""What is answered over HTTP, by host and path. No page, no state, no log-in.

The host decides first: only names of ours are answered, all others get 421 (attack row 91). It is taken from the one
Host field alone; what proxies claim about another one says nothing. Who has come, and whether over TLS, is told by
those proxies that the settings name.

Spec: RFC 9110 §7.2 (Host), §15.5.20 (421); RFC 8461 §3.2, §3.3; RFC 8555 §8.3 (http-01).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from xml.parsers import expat

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mailstead.model.address import normal_domain
from mailstead.model.directory import Domain
from mailstead.model.errors import BadAddress, MailsteadError
from mailstead.net.http_requests import Proxies
from mailstead.policy.client_setup import autodiscover_place, autodiscover_refusal
from mailstead.ports.clock import Clock, SystemClock
from mailstead.services.web import mxdeliv
from mailstead.services.web.relay import Home, RelayPages
from mailstead.telemetry import log, metrics
from mailstead.usecases.invitations import Invitations
from mailstead.usecases.publications import Publications
from mailstead.usecases.receptions import Receptions

_log = log.get("web")

BODY_OCTETS_MAX: Final = 16 * 1024
CHALLENGES: Final = "/.well-known/acme-challenge/"
"""Spec: RFC 8555 §8.3."""
XML: Final = "text/xml; charset=utf-8"
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH")
_LABELS: Final = ("mta-sts.", "autoconfig.", "autodiscover.", "openpgpkey.", "www.")
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"max-age=300"),
)
_INVALID_REQUEST: Final = 600
_NO_SUCH_ADDRESS: Final = 500
"""Spec: [MS-OXDSCLI] §2.2.4.1.4 (ErrorCode)."""


def make_app(
    publications: Publications,
    invitations: Invitations | None = None,
    receptions: Receptions | None = None,
    clock: Clock | None = None,
    challenge_answer: Callable[[str], str | None] | None = None,
    custom_folder: str = "",
    further: Sequence[Route] = (),
    proxies: Proxies | None = None,
    home: Home | None = None,
) -> ASGIApp:
    """Give the application.

    Without `invitations` there are no relays' pages, without `receptions` it takes no mail. `further` pages come before
    ours, `home` answers for `/` of hosts that are no relays. Without `proxies` who is connected is who has come.

    `challenge_answer` gives what proves a name to a certificate authority, by its token.
    """
    pages = _Pages(publications)
    routes = [
        *further,
        Route("/.well-known/mta-sts.txt", pages.sts_policy),
        Route("/mail/config-v1.1.xml", pages.autoconfig),
        Route("/.well-known/autoconfig/mail/config-v1.1.xml", pages.autoconfig),
        # Outlook and its kin write the path in all ways.
        *(Route(path, pages.autodiscover, methods=["POST"]) for path in _AUTODISCOVER_PATHS),
        *(Route(path, pages.autodiscover_place) for path in _AUTODISCOVER_PLACE_PATHS),
    ]
    if receptions is not None:
        routes.append(Route(mxdeliv.PATH, mxdeliv.Mxdeliv(receptions, publications).take, methods=list(_METHODS)))
    if invitations is not None:
        relay_pages = RelayPages(
            pages.relay,
            invitations,
            clock or SystemClock(),
            publications.hostname,
            custom_folder=custom_folder,
            home=home,
        )
        routes += relay_pages.routes()
    app = Starlette(routes=routes, exception_handlers={MailsteadError: _unavailable, Exception: _bug})
    app.router.redirect_slashes = False
    return _OurHostsOnly(app, publications, challenge_answer, proxies or Proxies())


_AUTODISCOVER_PATHS: Final = (
    "/autodiscover/autodiscover.xml",
    "/Autodiscover/Autodiscover.xml",
    "/AutoDiscover/AutoDiscover.xml",
)
_AUTODISCOVER_PLACE_PATHS: Final = tuple(
    f"{path.removesuffix('xml')}json{more}" for path in _AUTODISCOVER_PATHS for more in ("", "/v1.0/{address:path}")
)


class _Pages:
    """What the paths answer."""

    def __init__(self, publications: Publications) -> None:
        self._publications = publications

    async def relay(self, request: Request) -> Domain | None:
        """Give the relay that is asked, under its own name."""
        label, domain = _split(_host(request.scope))
        return None if label else await self._publications.relay(domain)

    async def sts_policy(self, request: Request) -> Response:
        """Spec: RFC 8461 §3.2 (text/plain), §3.3 (host)."""
        label, domain = _split(_host(request.scope))
        # A relay may be asked under its own name, too: not all that publish have the other one.
        is_asked = label == "mta-sts." or await self._publications.relay(domain) is not None
        policy = await self._publications.sts_policy(domain) if is_asked else None
        return _not_found() if policy is None else PlainTextResponse(policy)

    async def autoconfig(self, request: Request) -> Response:
        """For the domain of the host, or, where the host is our own name, of the address that is asked for."""
        label, domain = _split(_host(request.scope))
        if label in {"mta-sts.", "autodiscover.", "openpgpkey."}:
            return _not_found()
        if domain == self._publications.hostname:
            domain = request.query_params.get("emailaddress", "").rpartition("@")[2] or domain
        found = await self._publications.autoconfig(domain)
        return _not_found() if found is None else Response(found, media_type=XML)

    async def autodiscover(self, request: Request) -> Response:
        """Answer for the address in the question. Spec: [MS-OXDSCLI] §3.1.5."""
        if _split(_host(request.scope))[0] in {"mta-sts.", "autoconfig.", "openpgpkey."}:
            return _not_found()
        octets = b""
        try:
            async for piece in request.stream():
                octets += piece
                if len(octets) > BODY_OCTETS_MAX:
                    return PlainTextResponse("Too large\n", 413, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            address = _address_asked(octets)
        except ValueError:
            return Response(autodiscover_refusal(_INVALID_REQUEST, "Invalid Request"), media_type=XML)
        found = await self._publications.autodiscover(address)
        refusal = autodiscover_refusal(_NO_SUCH_ADDRESS, "The email address cannot be found.")
        return Response(refusal if found is None else found, media_type=XML)

    async def autodiscover_place(self, request: Request) -> Response:
        """Lead to the answer in XML: the same for all addresses, so nothing is told of any."""
        if _split(_host(request.scope))[0] in {"mta-sts.", "autoconfig.", "openpgpkey."}:
            return _not_found()
        asked = {name.lower(): value for name, value in request.query_params.items()}
        found = autodiscover_place(asked.get("protocol", ""), self._publications.hostname)
        if found is None:
            told = "The given protocol value is invalid. Supported values are 'AutodiscoverV1'"
            return JSONResponse({"ErrorCode": "InvalidProtocol", "ErrorMessage": told}, 400)
        return JSONResponse(found)


class _OurHostsOnly:
    """Answers 421 for hosts that are none of ours, and adds to all answers what browsers should know."""

    def __init__(
        self,
        app: ASGIApp,
        publications: Publications,
        challenge_answer: Callable[[str], str | None] | None,
        proxies: Proxies,
    ) -> None:
        self._app = app
        self._proxies = proxies
        self._publications = publications
        self._challenge_answer = challenge_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI."""
        if scope["type"] != "http":
            return
        scope = self._proxies.seen_through(scope)

        async def send_with_headers(message: object) -> None:
            assert isinstance(message, dict)
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                known = {name for name, _ in headers}
                message["headers"] = headers + [(name, value) for name, value in _HEADERS if name not in known]
            await send(message)

        if (
            self._challenge_answer is not None
            and scope["path"].startswith(CHALLENGES)
            and scope["method"] in {"GET", "HEAD"}
        ):
            # Before the host is looked at: a certificate may have names that no domain of ours has. Only the authority
            # knows the token.
            answer = self._challenge_answer(scope["path"].removeprefix(CHALLENGES))
            response = _not_found() if answer is None else Response(answer, media_type="application/octet-stream")
            response.headers["cache-control"] = "no-store"
            await response(scope, receive, send_with_headers)
            return
        try:
            is_ours = await self._is_ours(_host(scope))
        except MailsteadError:
            await PlainTextResponse("Try again later\n", 503)(scope, receive, send_with_headers)
            return
        label, domain = _split(_host(scope))
        if is_ours and label == "www.":
            to = f"https://{domain}{scope['path']}"
            await RedirectResponse(to, 301)(scope, receive, send_with_headers)
            return
        if is_ours:
            await self._app(scope, receive, send_with_headers)
            return
        metrics.refused("web", "421", "unknown-host")
        await PlainTextResponse("That host is not served here\n", 421)(scope, receive, send_with_headers)

    async def _is_ours(self, host: str) -> bool:
        if not host:
            return False
        label, domain = _split(host)
        if host == self._publications.hostname or await self._publications.is_ours(host):
            return True
        if await self._publications.relay(domain) is not None:
            return True
        return bool(label) and label != "www." and await self._publications.is_ours(domain)


def _host(scope: Scope) -> str:
    """Give the host that is asked, without port; nothing unless there is exactly one, and a name."""
    values = [value for name, value in scope["headers"] if name == b"host"]
    if len(values) != 1:
        return ""
    name, colon, port = values[0].decode("latin-1").partition(":")
    if colon and not port.isdecimal():
        return ""
    try:
        return normal_domain(name.removesuffix("."))
    except BadAddress:
        return ""


def _split(host: str) -> tuple[str, str]:
    """Give the label that says what is wanted, if there is one, and the domain."""
    label = next((label for label in _LABELS if host.startswith(label)), "")
    return label, host.removeprefix(label)


def _not_found() -> Response:
    return PlainTextResponse("Not found\n", 404)


def _address_asked(octets: bytes) -> str:
    """Give the address in Outlook's question; a DTD is refused, so that nothing can unfold. Errors: ValueError."""
    path: list[str] = []
    texts: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        path.append(name.rpartition(" ")[2])

    def end(_: str) -> None:
        path.pop()

    def characters(text: str) -> None:
        if path == ["Autodiscover", "Request", "EMailAddress"]:
            texts.append(text)

    def doctype(*_: object) -> None:
        raise ValueError("a DTD")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(octets, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from None
    return "".join(texts).strip()


async def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, MailsteadError)
    return PlainTextResponse(f"{error.public_text}\n", 503 if error.is_temporary else 400)


async def _bug(_: Request, error: Exception) -> Response:
    metrics.BUGS.labels("web").inc()
    _log.error("a request failed", exc_info=error)
    return PlainTextResponse("Something went wrong here\n", 500)
